"""Writes what is sent: heads and chunks as octets, the same for every engine.

Whatever comes here was checked (``_outbound``) and framed (``_response``, ``_client``).

Source: RFC 9112 §3 (request line), §4 (status line), §5 (fields), §7.1 (chunked).
"""

from __future__ import annotations

from collections.abc import Iterable

from ...models import HeadersType
from .._interfaces import Buffer
from ._grammar import reason_phrase

__all__ = ["chunk", "last_chunk", "request_head", "response_head", "whole_response"]

_STATUS_LINES: dict[int, bytes] = {}
"""Those that were sent: at most 500."""


def response_head(status: int, lines: Iterable[bytes]) -> bytes:
    """Return the head of a response, an interim one too, from its field lines."""
    return b"".join((_STATUS_LINES.get(status) or _start_line(status), *lines, b"\r\n"))


def whole_response(status: int, lines: Iterable[bytes], body: bytes, *, close: bool) -> bytes:
    """Return a response with a short body, the length of which is added to its head.

    Args:
        status: its status.
        lines: its field lines.
        body: its body, which is copied.
        close: the connection ends after it.
    """
    start = _STATUS_LINES.get(status) or _start_line(status)
    end = b"content-length: %d\r\nconnection: close\r\n\r\n" if close else b"content-length: %d\r\n\r\n"
    return b"".join((start, *lines, end % len(body), body))


def _start_line(status: int) -> bytes:
    line = _STATUS_LINES[status] = b"HTTP/1.1 %d %b\r\n" % (status, reason_phrase(status))
    return line


def request_head(method: bytes, target: bytes, lines: Iterable[bytes]) -> bytes:
    """Return the head of a request, from its field lines."""
    return b"".join((method, b" ", target, b" HTTP/1.1\r\n", *lines, b"\r\n"))


def chunk(data: Buffer) -> tuple[bytes, Buffer, bytes]:
    """Return a chunk, with the data uncopied; there must be some."""
    return (b"%x\r\n" % len(data), data, b"\r\n")


def last_chunk(trailers: HeadersType) -> bytes:
    """Return the end of a chunked body."""
    if not trailers:
        return b"0\r\n\r\n"
    return b"".join((b"0\r\n", *(b"%b: %b\r\n" % (name, value) for name, value in trailers), b"\r\n"))
