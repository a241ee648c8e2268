"""Decoding of field sections under limits (RFC 7541), on the static table and the Huffman code of ``hpack``.

``hpack.Decoder`` bounds a section's octets but not its number of fields, and an oversized section ends the
connection, since the dynamic table is then out of step. Here a section may go up to twice past either limit: it is then
decoded, but not kept, so that the stream alone is refused and the connection goes on. Beyond that the connection ends.

A block that enters nothing into the dynamic table and resizes nothing means the same until another one does.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from hpack.exceptions import HPACKError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from ...models import HeaderType
from .._faults import ConnectionFault
from .._inbound import InboundSection, SectionMemory
from ._codes import DEFAULT_TABLE_OCTETS, HTTP2ErrorCode

__all__ = ["SectionDecoder"]

_FIELD_OVERHEAD: Final = 32  # RFC 9113 §10.5.1, RFC 7541 §4.1
_INTEGER_OCTETS: Final = 5  # more than enough for 32 bits
_STATIC: Final[tuple[HeaderType, ...]] = tuple(HeaderTable.STATIC_TABLE)
_FIRST_DYNAMIC: Final = len(_STATIC) + 1


class _Table:
    """The dynamic table, and the static one in front of it (RFC 7541 §2.3)."""

    __slots__ = ("_entries", "_octets", "max_octets")

    def __init__(self) -> None:
        self._entries: deque[HeaderType] = deque()  # newest first
        self._octets = 0
        self.max_octets: int = DEFAULT_TABLE_OCTETS

    def field(self, index: int) -> HeaderType:
        """Return an entry.

        Raises:
            IndexError: there is none.
        """
        if index >= _FIRST_DYNAMIC:
            return self._entries[index - _FIRST_DYNAMIC]
        if not index:
            raise IndexError("index 0")
        return _STATIC[index - 1]

    def add(self, field: HeaderType) -> None:
        """Enter a field; one that is larger than the table empties it."""
        octets = len(field[0]) + len(field[1]) + _FIELD_OVERHEAD
        self._evict(octets)
        if octets <= self.max_octets:
            self._entries.appendleft(field)
            self._octets += octets

    def resize(self, octets: int) -> None:
        """Change the size."""
        self.max_octets = octets
        self._evict(0)

    def _evict(self, octets: int) -> None:
        while self._octets + octets > self.max_octets and self._entries:
            name, value = self._entries.pop()
            self._octets -= len(name) + len(value) + _FIELD_OVERHEAD


class SectionDecoder:
    """Decodes the sections of one connection, in their order.

    Args:
        max_octets: names and values, and 32 for each field, of a section that is kept.
        max_fields: fields of a section that is kept.
    """

    __slots__ = ("_block", "_max_fields", "_max_octets", "_memory", "_position", "_table", "max_table_octets")

    def __init__(self, max_octets: float, max_fields: float) -> None:
        self._max_octets = max_octets
        self._max_fields = max_fields
        self._table = _Table()
        self._memory = SectionMemory()
        self.max_table_octets: int = DEFAULT_TABLE_OCTETS
        self._block = b""
        self._position = 0

    @property
    def max_block_octets(self) -> float:
        """The longest encoded section that can be decoded."""
        return 2 * self._max_octets if self._max_octets < math.inf else math.inf

    def decode(self, block: bytes) -> InboundSection | None:
        """Decode a section.

        Returns:
            The section, or ``None`` when it is over a limit.

        Raises:
            ConnectionFault: the block is malformed, or more than twice over a limit.
        """
        section = self._memory.find(block)
        if section is not None and self._table.max_octets <= self.max_table_octets:
            return section
        self._block = block
        self._position = 0
        try:
            return self._decode()
        except (HPACKError, IndexError) as exc:
            raise ConnectionFault(HTTP2ErrorCode.COMPRESSION_ERROR, f"malformed field section: {exc}") from exc

    def _decode(self) -> InboundSection | None:
        block, table, memory = self._block, self._table, self._memory
        end = len(block)
        fields: list[HeaderType] = []
        octets = count = 0
        lasting = True
        while self._position < end:
            first = block[self._position]
            if first & 0x80:
                index = first & 0x7F
                if index == 0x7F:
                    index = self._integer(0x7F)
                else:
                    self._position += 1
                field = table.field(index)
            elif first & 0x40:
                field = self._literal(first & 0x3F, 0x3F)
                table.add(field)
                lasting = False
            elif first & 0x20:
                self._resize(allowed=not octets)
                field = None
                lasting = False
            else:
                field = self._literal(first & 0x0F, 0x0F)
            count += 1
            if field is not None:
                octets += len(field[0]) + len(field[1]) + _FIELD_OVERHEAD
            if octets > self._max_octets or count > self._max_fields:
                fields.clear()
                if octets > 2 * self._max_octets or count > 2 * self._max_fields:
                    raise ConnectionFault(HTTP2ErrorCode.ENHANCE_YOUR_CALM, "field section far over the limit")
            elif field is not None:
                fields.append(field)
        if not lasting:
            memory.clear()
        if table.max_octets > self.max_table_octets:
            raise ConnectionFault(HTTP2ErrorCode.COMPRESSION_ERROR, "dynamic table was not made smaller as asked for")
        if octets > self._max_octets or count > self._max_fields:
            return None
        section = InboundSection(fields)
        if lasting:
            memory.keep(block, section, octets)
        return section

    def _literal(self, index: int, mask: int) -> HeaderType:
        if index == mask:
            index = self._integer(mask)
        else:
            self._position += 1
        name = self._table.field(index)[0] if index else self._string()
        return name, self._string()

    def _resize(self, *, allowed: bool) -> None:
        size = self._integer(0x1F)
        if not allowed:
            raise ConnectionFault(HTTP2ErrorCode.COMPRESSION_ERROR, "dynamic table size update behind a field")
        if size > self.max_table_octets:
            raise ConnectionFault(HTTP2ErrorCode.COMPRESSION_ERROR, "dynamic table larger than allowed")
        self._table.resize(size)

    def _string(self) -> bytes:
        huffman = self._block[self._position] & 0x80
        length = self._integer(0x7F)
        start = self._position
        self._position = start + length
        if self._position > len(self._block):
            raise ConnectionFault(HTTP2ErrorCode.COMPRESSION_ERROR, "field section ends within a string")
        text = self._block[start : self._position]
        return decode_huffman(text) if huffman else text

    def _integer(self, mask: int) -> int:
        """Decode an integer whose prefix fills ``mask`` (RFC 7541 §5.1)."""
        position = self._position
        value = self._block[position] & mask
        position += 1
        if value == mask:
            for shift in range(0, 7 * _INTEGER_OCTETS, 7):
                octet = self._block[position]
                position += 1
                value += (octet & 0x7F) << shift
                if octet < 0x80:
                    break
            else:
                raise ConnectionFault(HTTP2ErrorCode.COMPRESSION_ERROR, "integer of too many octets")
        self._position = position
        return value
