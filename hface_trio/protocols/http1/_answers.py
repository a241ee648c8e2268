"""The answers that the protocol itself gives: short, generic, and never with a word of what the peer sent."""

from __future__ import annotations

from ._grammar import reason_phrase

__all__ = ["error_answer"]


def error_answer(status: int, *, head_request: bool, close: bool) -> bytes:
    """Return a whole response.

    Args:
        status: its status code, 400 to 599.
        head_request: the request was HEAD, so that the response ends with its head.
        close: the connection ends after it.
    """
    reason = reason_phrase(status)
    body = b"%d %s\n" % (status, reason)
    return b"HTTP/1.1 %d %s\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n%s\r\n%s" % (
        status,
        reason,
        len(body),
        b"connection: close\r\n" if close else b"",
        b"" if head_request else body,
    )
