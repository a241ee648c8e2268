"""Patterns and tables that both directions of the translation check fields against."""

from __future__ import annotations

import re
from http import HTTPStatus

__all__ = [
    "CONNECTION_FIELDS",
    "FIELD_NAME",
    "FIELD_VALUE",
    "METHOD",
    "list_members",
    "reason_phrase",
]

# method = token (RFC 9110 §9.1)
METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++")
# field-name = token (RFC 9110 §5.1), in the lower case of HTTP/2 (RFC 9113 §8.2)
FIELD_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]++")
# field-value = *( VCHAR / obs-text [ *( SP / HTAB ) ] ), no whitespace at its ends (RFC 9110 §5.5)
FIELD_VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")

# RFC 9110 §7.6.1, RFC 9113 §8.2.2: what belongs to one connection and has no place in the form of HTTP/2
CONNECTION_FIELDS = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})

_REASONS = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}
_CLASS_REASONS = {1: b"Informational", 2: b"Success", 3: b"Redirection", 4: b"Client Error", 5: b"Server Error"}


def reason_phrase(status: int) -> bytes:
    """Return a phrase that is never empty: some clients take an empty one for a failure."""
    return _REASONS.get(status) or _CLASS_REASONS[status // 100]


def list_members(value: bytes) -> list[bytes]:
    """Return the members of a list of tokens, in lower case, without empty ones (RFC 9110 §5.6.1)."""
    return [member for part in value.lower().split(b",") if (member := part.strip(b" \t"))]
