"""Field sections: QPACK without a dynamic table, under limits (RFC 9204).

``pylsqpack`` decodes at once whatever it is given, and one octet can stand for a field of two hundred octets of memory. So the
fields of a long section are counted before it is decoded, by stepping over their representations (RFC 9204 §4.5). Sections up
to twice over a limit are decoded and not kept, so that they can be answered; what is longer ends the connection.
"""

from __future__ import annotations

import pylsqpack

from ...models import HeaderType
from .._faults import ConnectionFault
from .._fields import section_octets
from .._inbound import InboundSection, SectionMemory
from ._codes import HTTP3ErrorCode

__all__ = ["SectionDecoder", "SectionEncoder"]

_COUNTED_OCTETS = 1024  # a shorter section decodes to less than it is worth counting
_EMPTY_SECTION = b"\x00\x00"  # which pylsqpack takes for an error


class SectionDecoder:
    """Decodes the sections of one connection.

    Args:
        max_octets: names and values, and 32 for each field, of a section that is kept.
        max_fields: fields of a section that is kept.
    """

    __slots__ = ("_decoder", "_max_fields", "_max_octets", "_memory")

    def __init__(self, max_octets: float, max_fields: float) -> None:
        self._max_octets = max_octets
        self._max_fields = max_fields
        self._decoder = pylsqpack.Decoder(0, 0)
        self._memory = SectionMemory()  # without a dynamic table a block always means the same

    @property
    def max_block_octets(self) -> float:
        """The longest encoded section that can be decoded."""
        return 2 * self._max_octets

    def decode(self, stream_id: int, block: bytes) -> InboundSection | None:
        """Decode a section.

        Returns:
            The section, or ``None`` when it is over a limit.

        Raises:
            ConnectionFault: the block is malformed, or more than twice over a limit.
        """
        if block == _EMPTY_SECTION:
            return InboundSection([])
        section = self._memory.find(block)
        if section is not None:
            return section
        if len(block) > _COUNTED_OCTETS and count_fields(block, 2 * self._max_fields) > 2 * self._max_fields:
            raise _too_large()
        try:
            _, fields = self._decoder.feed_header(stream_id, block)
        except (pylsqpack.DecompressionFailed, pylsqpack.StreamBlocked) as exc:
            raise ConnectionFault(HTTP3ErrorCode.QPACK_DECOMPRESSION_FAILED, f"malformed field section: {exc}") from exc
        count = len(fields)
        octets = section_octets(fields)
        if octets <= self._max_octets and count <= self._max_fields:
            section = InboundSection(fields)
            self._memory.keep(block, section, octets)
            return section
        if octets > 2 * self._max_octets or count > 2 * self._max_fields:
            raise _too_large()
        return None

    def encoder_stream_received(self, data: bytes) -> None:
        """Take octets of the peer's encoder stream.

        Raises:
            ConnectionFault: it does what needs a dynamic table (RFC 9204 §4.1.3).
        """
        try:
            self._decoder.feed_encoder(data)
        except pylsqpack.EncoderStreamError as exc:
            raise ConnectionFault(HTTP3ErrorCode.QPACK_ENCODER_STREAM_ERROR, "there is no dynamic table") from exc


class SectionEncoder:
    """Encodes the sections of one connection, with the static table alone."""

    __slots__ = ("_encoder",)

    def __init__(self) -> None:
        self._encoder = pylsqpack.Encoder()

    def encode(self, stream_id: int, fields: list[HeaderType]) -> bytes:
        """Encode a section."""
        return self._encoder.encode(stream_id, fields)[1] if fields else _EMPTY_SECTION

    def decoder_stream_received(self, data: bytes) -> None:
        """Take octets of the peer's decoder stream.

        Raises:
            ConnectionFault: it acknowledges what was never sent (RFC 9204 §4.4).
        """
        try:
            self._encoder.feed_decoder(data)
        except pylsqpack.DecoderStreamError as exc:
            raise ConnectionFault(HTTP3ErrorCode.QPACK_DECODER_STREAM_ERROR, "nothing to acknowledge") from exc


def count_fields(block: bytes, limit: float) -> int:
    """Count the field lines of an encoded section, no further than just above a limit. Errors are left to the decoder."""
    position = _skip_integer(block, _skip_integer(block, 0, 0xFF), 0x7F)
    count, end = 0, len(block)
    while position < end and count <= limit:
        first = block[position]
        count += 1
        if first & 0x80:  # indexed
            position = _skip_integer(block, position, 0x3F)
        elif first & 0x40:  # literal with name reference
            position = _skip_string(block, _skip_integer(block, position, 0x0F), 0x7F)
        elif first & 0x20:  # literal with literal name
            position = _skip_string(block, _skip_string(block, position, 0x07), 0x7F)
        elif first & 0x10:  # indexed beyond the base: needs a dynamic table
            position = _skip_integer(block, position, 0x0F)
        else:
            position = _skip_string(block, _skip_integer(block, position, 0x07), 0x7F)
    return count


def _skip_string(block: bytes, position: int, mask: int) -> int:
    value, position = _integer(block, position, mask)
    return position + value


def _skip_integer(block: bytes, position: int, mask: int) -> int:
    return _integer(block, position, mask)[1]


def _integer(block: bytes, position: int, mask: int) -> tuple[int, int]:
    """Return an integer whose prefix fills ``mask``, and the position behind it; at most the end of the block."""
    end = len(block)
    if position >= end:
        return 0, end
    value = block[position] & mask
    position += 1
    if value < mask:
        return value, position
    shift = 0
    while position < end and shift < 63:
        octet = block[position]
        position += 1
        value += (octet & 0x7F) << shift
        shift += 7
        if octet < 0x80:
            break
    return value, position


def _too_large() -> ConnectionFault:
    return ConnectionFault(HTTP3ErrorCode.EXCESSIVE_LOAD, "field section far over the limit")
