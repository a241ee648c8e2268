"""Remembers what the fields of requests without a body said: a client sends mostly the same ones, again and again.

The key is all of a head behind its request target. What is found under it has passed the front, the engine and the
translation before, octet for octet the same, so nothing of it has to be looked at again.

What came twice in a row on one connection is remembered: fields that are other ones each time cost a comparison, no more.
There is one table for the process, with a bound, and emptied when it is full. What identifies a user is not kept there: it
should not stay in memory, nor should the time that a request takes tell whether somebody else sent the same. That is
remembered by the connection it came on, the latest only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...models import HeaderType
from ._inbound import RequestFields

__all__ = ["RecentFields", "forget"]

# method SP request-target, of a request of HTTP/1.1; see ``_front``
_METHOD_AND_TARGET = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++) ([\x21-\x7e]++)(?= HTTP/1\.1\r\n)")
_TABLE_ENTRIES = 256
_ENTRY_OCTETS = 1024
_PERSONAL_FIELDS = frozenset({b"authorization", b"cookie", b"proxy-authorization"})

_table: dict[bytes, RequestFields] = {}


class RecentFields:
    """What is remembered for one connection: all that is not personal, and its own."""

    __slots__ = ("_latest", "_own_fields", "_own_key")

    def __init__(self) -> None:
        self._latest = 0  # hash of the key that was not found last
        self._own_key: bytes | None = None
        self._own_fields: RequestFields | None = None

    def find(self, source: bytes, start: int) -> tuple[int, bytes, bytes, RequestFields] | None:
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
        key_at = match.end()
        end = source.find(b"\r\n\r\n", key_at) + 4
        key = source[key_at:end]
        fields = _table.get(key)
        if fields is None:
            if key != self._own_key or self._own_fields is None:
                return None
            fields = self._own_fields
        return end, match[1], match[2], fields

    def remember(self, key: bytes, received: Sequence[HeaderType], fields: RequestFields) -> None:
        """Take note of what the fields said that were ``received`` in a head of HTTP/1.1 that no body follows.

        Args:
            key: what is behind the request target.
            received: its fields, as they came.
            fields: what they say.
        """
        if (latest := hash(key)) != self._latest:
            self._latest = latest
            return
        if len(key) > _ENTRY_OCTETS:
            return
        if any(name in _PERSONAL_FIELDS for name, _ in received):
            self._own_key, self._own_fields = key, fields
            return
        if len(_table) >= _TABLE_ENTRIES:
            _table.clear()
        _table[key] = fields


def forget() -> None:
    """Forget everything but what connections remember of their own."""
    _table.clear()
