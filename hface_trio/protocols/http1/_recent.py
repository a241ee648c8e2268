"""Remembers what the fields of requests without a body said: a client sends mostly the same ones, again and again.

The key is all of a head behind its request target. What is found under it has passed the front, the engine and the
translation before, octet for octet the same, so nothing of it has to be looked at again. The table is one for the process,
with a bound, and emptied when it is full.

What identifies a user is never kept: neither should it stay in memory, nor should the time that a request takes tell whether
somebody sent the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...models import HeaderType
from ._inbound import RequestFields

__all__ = ["find_recent", "forget", "remember"]

# method SP request-target, of a request of HTTP/1.1; see ``_front``
_METHOD_AND_TARGET = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++) ([\x21-\x7e]++)(?= HTTP/1\.1\r\n)")
_TABLE_ENTRIES = 256
_ENTRY_OCTETS = 1024
_PERSONAL_FIELDS = frozenset({b"authorization", b"cookie", b"proxy-authorization"})

_table: dict[bytes, RequestFields] = {}


def find_recent(source: bytes, start: int) -> tuple[int, bytes, bytes, RequestFields] | None:
    """Look for a head that is complete, and all of whose fields are known.

    Args:
        source: octets in which a head begins.
        start: where it begins.

    Returns:
        Where the head ends, its method, its target and its fields.
    """
    match = _METHOD_AND_TARGET.match(source, start)
    if match is None:
        return None
    end = source.find(b"\r\n\r\n", match.end()) + 4
    fields = _table.get(source[match.end() : end])
    if fields is None:
        return None
    return end, match[1], match[2], fields


def remember(head: bytes, received: Sequence[HeaderType], fields: RequestFields) -> None:
    """Remember what the fields said that were ``received`` in a head that no body follows."""
    match = _METHOD_AND_TARGET.match(head)
    if match is None or len(head) - match.end() > _ENTRY_OCTETS:
        return
    if any(name in _PERSONAL_FIELDS for name, _ in received):
        return
    if len(_table) >= _TABLE_ENTRIES:
        _table.clear()
    _table[head[match.end() :]] = fields


def forget() -> None:
    """Forget everything."""
    _table.clear()
