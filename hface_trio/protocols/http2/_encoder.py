"""Encoding of field sections (RFC 7541), on the static table and the Huffman code of ``hpack``.

``hpack.Encoder`` goes through its whole table for each field and builds each field by itself; here the tables are looked up
by hash, and a section that was sent before, with the dynamic table as it is now, goes out as it did then. That is the rule on
which it stands: an encoded section holds until something is entered into the dynamic table or the table is resized.

Fields that are never to be indexed stay out of the table, and so do those that seldom repeat: to enter them would push out
what does.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable
from typing import Final

from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.table import HeaderTable

from ...models import HeaderType
from .._fields import is_never_indexed
from .._outbound import OutboundSection
from ._codes import DEFAULT_TABLE_OCTETS

__all__ = ["SectionEncoder"]

_STATIC: Final = {field: index for index, field in enumerate(HeaderTable.STATIC_TABLE, 1)}
_STATIC_NAMES: Final = {field[0]: index for index, field in reversed(list(enumerate(HeaderTable.STATIC_TABLE, 1)))}
_FIRST_DYNAMIC: Final = len(HeaderTable.STATIC_TABLE) + 1
_ENTRY_OVERHEAD: Final = 32  # RFC 7541 §4.1
_SELDOM_REPEATED: Final = frozenset(
    {
        b"age",
        b"content-length",
        b"content-range",
        b"etag",
        b"if-modified-since",
        b"if-none-match",
        b"last-modified",
        b"location",
    }
)
_SHORT_OCTETS: Final = 3  # Huffman's code would save an octet at the most
_LONG_OCTETS: Final = 512  # to code it would take longer than to send it
_REMEMBERED_OCTETS: Final = 64
_INDEXED: Final = 0x80
_INDEXING: Final = 0x40
_RESIZE: Final = 0x20
_NEVER: Final = 0x10
_PLAIN: Final = 0x00


class SectionEncoder:
    """Encodes the sections of one connection, in the order in which they are sent."""

    __slots__ = ("_entered", "_entries", "_fields", "_names", "_octets", "_resizes", "_size", "_state")

    def __init__(self) -> None:
        self._size = DEFAULT_TABLE_OCTETS
        self._octets = 0
        self._entries: deque[HeaderType] = deque()  # oldest first
        self._entered = 0
        self._fields: dict[HeaderType, int] = {}  # to how many had been entered before
        self._names: dict[bytes, int] = {}
        self._resizes: list[int] = []
        self._state = 0

    @property
    def table_octets(self) -> int:
        """The size of the dynamic table."""
        return self._size

    def resize(self, octets: int) -> None:
        """Change the size of the dynamic table; the next section tells the peer.

        Of many changes between two sections only the smallest and the last have to be told (RFC 7541 §4.2).
        """
        if octets == self._size and not self._resizes:
            return
        self._resizes = [min([octets, *self._resizes]), octets]
        if self._resizes[0] == octets:
            del self._resizes[0]
        self._size = octets
        self._state += 1
        self._evict(0)

    def encode_section(self, section: OutboundSection) -> bytes:
        """Encode a section, perhaps one that was encoded before."""
        if section.table_state == self._state and section.block is not None:
            return section.block
        before = self._state
        block = self.encode(section.fields)
        if self._state == before:
            section.block, section.table_state = block, before
        return block

    def encode(self, fields: Iterable[HeaderType]) -> bytes:
        """Encode a section."""
        out = bytearray()
        if self._resizes:
            for size in self._resizes:
                _put_integer(out, size, 0x1F, _RESIZE)
            self._resizes = []
            self._state += 1  # what is encoded now tells more than the section
        for field in fields:
            if is_never_indexed(field):
                self._put_literal(out, field, 0x0F, _NEVER)
                continue
            index = _STATIC.get(field)
            if index is None and (entered := self._fields.get(field)) is not None:
                index = _FIRST_DYNAMIC + self._entered - 1 - entered
            if index is not None:
                _put_integer(out, index, 0x7F, _INDEXED)
            elif field[0] in _SELDOM_REPEATED or _entry_octets(field) > self._size:
                self._put_literal(out, field, 0x0F, _PLAIN)
            else:
                self._put_literal(out, field, 0x3F, _INDEXING)
                self._enter(field)
        return bytes(out)

    def _put_literal(self, out: bytearray, field: HeaderType, mask: int, pattern: int) -> None:
        name, value = field
        index = _STATIC_NAMES.get(name)
        if index is None and (entered := self._names.get(name)) is not None:
            index = _FIRST_DYNAMIC + self._entered - 1 - entered
        if index is None:
            out.append(pattern)
            out += _string(name)
        else:
            _put_integer(out, index, mask, pattern)
        # What is secret is not to be remembered, be it by chance.
        out += _coded_string(value) if pattern == _NEVER else _string(value)

    def _enter(self, field: HeaderType) -> None:
        octets = _entry_octets(field)
        self._evict(octets)
        self._fields[field] = self._names[field[0]] = self._entered
        self._entries.append(field)
        self._entered += 1
        self._octets += octets
        self._state += 1

    def _evict(self, octets: int) -> None:
        """Make room for an entry (RFC 7541 §4.3, §4.4)."""
        while self._octets + octets > self._size and self._entries:
            oldest = self._entered - len(self._entries)
            field = self._entries.popleft()
            self._octets -= _entry_octets(field)
            if self._fields.get(field) == oldest:
                del self._fields[field]
            if self._names.get(field[0]) == oldest:
                del self._names[field[0]]


def _entry_octets(field: HeaderType) -> int:
    return len(field[0]) + len(field[1]) + _ENTRY_OVERHEAD


def _put_integer(out: bytearray, value: int, mask: int, pattern: int) -> None:
    """Encode an integer whose prefix fills ``mask`` (RFC 7541 §5.1)."""
    if value < mask:
        out.append(pattern | value)
        return
    out.append(pattern | mask)
    value -= mask
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _coded_string(text: bytes) -> bytes:
    """Return a string literal, in Huffman's code where that is shorter (RFC 7541 §5.2)."""
    if not _SHORT_OCTETS < len(text) <= _LONG_OCTETS:
        return _plain_string(text)
    bits = sum([REQUEST_CODES_LENGTH[octet] for octet in text])
    octets = (bits + 7) // 8
    if octets >= len(text):
        return _plain_string(text)
    number = 0
    for octet in text:
        number = number << REQUEST_CODES_LENGTH[octet] | REQUEST_CODES[octet]
    padding = 8 * octets - bits
    number = number << padding | (1 << padding) - 1
    out = bytearray()
    _put_integer(out, octets, 0x7F, 0x80)
    return bytes(out) + number.to_bytes(octets, "big")


def _plain_string(text: bytes) -> bytes:
    out = bytearray()
    _put_integer(out, len(text), 0x7F, 0x00)
    return bytes(out) + text


_remembered_string = functools.lru_cache(1024)(_coded_string)


def _string(text: bytes) -> bytes:
    """Return a string literal; short ones are remembered, as they repeat, and as long ones would fill the memory."""
    return _remembered_string(text) if len(text) <= _REMEMBERED_OCTETS else _coded_string(text)
