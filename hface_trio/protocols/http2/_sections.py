"""Decoding of field sections under limits (RFC 7541), on the tables and the Huffman code of ``hpack``.

``hpack.Decoder`` bounds a section's octets but not its number of fields, and an oversized section ends the
connection, since the dynamic table is then out of step. Here a section may go up to twice past either limit: it is then
decoded, but not kept, so that the stream alone is refused and the connection goes on. Beyond that the connection ends.
"""

from __future__ import annotations

import math

from hpack.exceptions import HPACKError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from ...models import HeaderType
from .._faults import ConnectionFault
from ._codes import DEFAULT_TABLE_OCTETS, HTTP2ErrorCode

__all__ = ["SectionDecoder"]

_FIELD_OVERHEAD = 32  # RFC 9113 §10.5.1
_INTEGER_OCTETS = 5  # more than enough for 32 bits


class SectionDecoder:
    """Decodes the sections of one connection, in their order.

    Args:
        max_octets: names and values, and 32 for each field, of a section that is kept.
        max_fields: fields of a section that is kept.
    """

    __slots__ = ("_block", "_max_fields", "_max_octets", "_position", "_table", "max_table_octets")

    def __init__(self, max_octets: float, max_fields: float) -> None:
        self._max_octets = max_octets
        self._max_fields = max_fields
        self._table = HeaderTable()
        self.max_table_octets: int = DEFAULT_TABLE_OCTETS
        self._block = b""
        self._position = 0

    @property
    def max_block_octets(self) -> float:
        """The longest encoded section that can be decoded."""
        return 2 * self._max_octets if self._max_octets < math.inf else math.inf

    def decode(self, block: bytes) -> list[HeaderType] | None:
        """Decode a section.

        Returns:
            Its fields in their order, or ``None`` when it is over a limit.

        Raises:
            ConnectionFault: the block is malformed, or more than twice over a limit.
        """
        self._block = block
        self._position = 0
        try:
            return self._decode()
        except (HPACKError, IndexError) as exc:
            raise ConnectionFault(HTTP2ErrorCode.COMPRESSION_ERROR, f"malformed field section: {exc}") from exc

    def _decode(self) -> list[HeaderType] | None:
        block = self._block
        lookup = self._table.get_by_index
        end = len(block)
        fields: list[HeaderType] = []
        octets = count = 0
        while self._position < end:
            first = block[self._position]
            if first & 0x80:
                index = first & 0x7F
                if index == 0x7F:
                    index = self._integer(0x7F)
                else:
                    self._position += 1
                field = lookup(index)
            elif first & 0x40:
                field = self._literal(first & 0x3F, 0x3F)
                self._table.add(*field)
            elif first & 0x20:
                self._resize(allowed=not octets)
                field = None
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
        if self._table.maxsize > self.max_table_octets:
            raise ConnectionFault(HTTP2ErrorCode.COMPRESSION_ERROR, "dynamic table was not made smaller as asked for")
        return None if octets > self._max_octets or count > self._max_fields else fields

    def _literal(self, index: int, mask: int) -> HeaderType:
        if index == mask:
            index = self._integer(mask)
        else:
            self._position += 1
        name = self._table.get_by_index(index)[0] if index else self._string()
        return name, self._string()

    def _resize(self, *, allowed: bool) -> None:
        size = self._integer(0x1F)
        if not allowed:
            raise ConnectionFault(HTTP2ErrorCode.COMPRESSION_ERROR, "dynamic table size update behind a field")
        if size > self.max_table_octets:
            raise ConnectionFault(HTTP2ErrorCode.COMPRESSION_ERROR, "dynamic table larger than allowed")
        self._table.maxsize = size

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
