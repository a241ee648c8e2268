"""Decides from a head's octets how the body behind it is framed.

It stands before the engine, because engines differ in what they forgive, and two parties that frame one message
differently are how requests are smuggled. Any doubt is refused.

Source: RFC 9112 §6.1 (Transfer-Encoding), §6.2 (Content-Length), §6.3 (body length).
"""

from __future__ import annotations

import enum
import re

from ._refusal import Refusal

__all__ = ["Framing", "message_framing"]

_FRAMING_FIELDS = re.compile(rb"\n(content-length|transfer-encoding):[\t ]*+([^\r]*)\r", re.IGNORECASE)
# Content-Length = 1*DIGIT (RFC 9110 §8.6); 19 digits fit every counter
_LENGTH = re.compile(rb"[0-9]{1,19}+")


class Framing(enum.Enum):
    """Framing that is not a number of octets."""

    CHUNKED = "chunked"
    UNDECLARED = "undeclared"


def message_framing(head: bytes, minor_version: int) -> int | Framing:
    """Return the content length that a clean head declares, or how else its body is framed.

    Args:
        head: the head.
        minor_version: of the HTTP/1 version that its first line names.

    Raises:
        Refusal: 400 for doubtful framing; 501 for a transfer coding other than chunked.
    """
    found = _FRAMING_FIELDS.findall(head)
    if not found:
        return Framing.UNDECLARED
    lengths = [value.rstrip(b" \t") for name, value in found if len(name) == len("content-length")]
    codings = [value for name, value in found if len(name) != len("content-length")]
    if codings:
        if lengths:
            raise Refusal(400, "both Content-Length and Transfer-Encoding")
        if not minor_version:
            raise Refusal(400, "Transfer-Encoding in HTTP/1.0")
        return _transfer_coding(b",".join(codings))
    if len(lengths) > 1:
        raise Refusal(400, "several Content-Length fields")
    if _LENGTH.fullmatch(lengths[0]) is None:
        raise Refusal(400, "malformed Content-Length")
    return int(lengths[0])


def _transfer_coding(value: bytes) -> Framing:
    codings = [coding.strip(b" \t").lower() for coding in value.split(b",")]
    if codings[-1] != b"chunked" or b"chunked" in codings[:-1] or b"" in codings:
        raise Refusal(400, "chunked is not the final transfer coding")
    if len(codings) > 1:
        raise Refusal(501, "transfer coding other than chunked")
    return Framing.CHUNKED
