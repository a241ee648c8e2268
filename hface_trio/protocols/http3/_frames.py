"""The octets of frames: packing them, and taking a stream apart as it comes (RFC 9114 §7.1, RFC 9000 §16).

A :class:`FrameParser` never holds more than the head of a frame, or the payload of one whose sink wants it whole and has said
yes to its length. Everything else is handed on as it arrives.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, Protocol

from ._codes import GOAWAY, PRIORITY_UPDATE_REQUEST, SETTINGS

__all__ = ["FrameParser", "FrameSink", "Payload"]

_LENGTHS: Final = (1, 2, 4, 8)
_VALUE_MASKS: Final = (0x3F, 0x3FFF, 0x3FFF_FFFF, 0x3FFF_FFFF_FFFF_FFFF)


def pack_varint(value: int) -> bytes:
    """Return a variable-length integer."""
    if value < 0x40:
        return value.to_bytes(1, "big")
    if value < 0x4000:
        return (value | 0x4000).to_bytes(2, "big")
    if value < 0x4000_0000:
        return (value | 0x8000_0000).to_bytes(4, "big")
    return (value | 0xC000_0000_0000_0000).to_bytes(8, "big")


def read_varint(data: bytes | bytearray, position: int = 0) -> tuple[int, int] | None:
    """Return a variable-length integer and the position behind it, or ``None`` if it is not all there."""
    if position >= len(data):
        return None
    first = data[position]
    if first < 0x40:
        return first, position + 1
    kind = first >> 6
    end = position + _LENGTHS[kind]
    if end > len(data):
        return None
    return int.from_bytes(data[position:end], "big") & _VALUE_MASKS[kind], end


def pack_frame(frame_type: int, payload: bytes) -> bytes:
    """Return a frame."""
    return pack_frame_head(frame_type, len(payload)) + payload


def pack_frame_head(frame_type: int, length: int) -> bytes:
    """Return what stands in front of a frame's payload."""
    if frame_type < 0x40 and length < 0x40:
        return bytes((frame_type, length))
    return pack_varint(frame_type) + pack_varint(length)


def pack_settings(settings: Mapping[int, int]) -> bytes:
    """Return a SETTINGS frame."""
    items = [pack_varint(identifier) + pack_varint(value) for identifier, value in settings.items()]
    return pack_frame(SETTINGS, b"".join(items))


def pack_goaway(identifier: int) -> bytes:
    """Return a GOAWAY frame."""
    return pack_frame(GOAWAY, pack_varint(identifier))


def pack_priority_update(stream_id: int, field_value: bytes) -> bytes:
    """Return a PRIORITY_UPDATE frame for a request (RFC 9218 §7.2)."""
    return pack_frame(PRIORITY_UPDATE_REQUEST, pack_varint(stream_id) + field_value)


class Payload(enum.Enum):
    """What happens to the payload of a frame."""

    PASSED = enum.auto()
    """Handed on as it arrives."""

    COLLECTED = enum.auto()
    """Handed on when it is whole."""

    SKIPPED = enum.auto()
    """Thrown away."""


class FrameSink(Protocol):
    """Takes the frames of one stream."""

    def frame_begins(self, frame_type: int, length: int) -> Payload:
        """Say what is to become of a frame's payload."""
        ...

    def payload_passed(self, payload: bytes) -> None:
        """Take a part of a payload that is passed on; never empty."""
        ...

    def frame_ends(self, frame_type: int, payload: bytes, last: bool) -> None:
        """Take the end of a frame, and its payload if that was collected.

        Args:
            frame_type: its type.
            payload: what was collected; empty otherwise.
            last: the stream ends with the frame, as far as is known.
        """
        ...


class FrameParser:
    """Takes a stream apart.

    Args:
        sink: takes the frames.
    """

    __slots__ = ("_collected", "_disposal", "_head", "_left", "_sink", "_type", "spent", "stopped")

    def __init__(self, sink: FrameSink) -> None:
        self._sink = sink
        self._head = b""
        self._type: int | None = None
        self._left = 0
        self._disposal = Payload.SKIPPED
        self._collected = bytearray()
        self.spent: int = 0
        """Octets that were taken and handed to nobody, since somebody set this to 0."""
        self.stopped: bool = False
        """Whether nobody wants any more of the stream; set by whom the sink calls, perhaps in the middle."""

    @property
    def within_frame(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._type is not None or bool(self._head)

    @property
    def held_octets(self) -> int:
        """Octets of a payload that is collected and not whole."""
        return len(self._collected)

    def passes(self, octets: int) -> bool:
        """Whether so many octets, not of the end of a frame, are passed on as they are; if so, count them as passed."""
        if octets >= self._left or self._disposal is not Payload.PASSED:
            return False
        self._left -= octets
        return True

    def feed(self, data: bytes, end_stream: bool) -> None:
        """Take octets; whatever the sink raises goes through."""
        position, end = 0, len(data)
        while position < end and not self.stopped:
            if self._type is None:
                position = self._take_head(data, position)
                if self._type is None:
                    return
            if self._left:
                take = min(self._left, end - position)
                if not take:
                    return
                self._take_payload(data if take == end else data[position : position + take])
                position += take
            if not self._left:
                self._end_frame(end_stream and position == end)

    def _take_head(self, data: bytes, position: int) -> int:
        head = self._head
        if head:
            # A head is of at most 16 octets, so this joins little.
            known = len(head)
            head += data[position : position + 16]
            found = _read_head(head)
            if found is None:
                self.spent += len(head) - known
                self._head = head
                return len(data)
            self._head = b""
            frame_type, length, head_end = found
            taken = head_end - known
        else:
            found = _read_head(data, position)
            if found is None:
                self._head = data[position:]
                self.spent += len(self._head)
                return len(data)
            frame_type, length, head_end = found
            taken = head_end - position
        self.spent += taken
        self._disposal = self._sink.frame_begins(frame_type, length)
        self._type, self._left = frame_type, length
        return position + taken

    def _take_payload(self, payload: bytes) -> None:
        self._left -= len(payload)
        if self._disposal is Payload.PASSED:
            self._sink.payload_passed(payload)
        elif self._disposal is Payload.COLLECTED:
            self._collected += payload
        else:
            self.spent += len(payload)

    def _end_frame(self, last: bool) -> None:
        frame_type, self._type = self._type or 0, None
        payload = b""
        if self._collected:
            payload = bytes(self._collected)
            self.spent += len(payload)
            self._collected = bytearray()
        self._sink.frame_ends(frame_type, payload, last)


def _read_head(data: bytes, position: int = 0) -> tuple[int, int, int] | None:
    frame_type = read_varint(data, position)
    if frame_type is None:
        return None
    length = read_varint(data, frame_type[1])
    return None if length is None else (frame_type[0], *length)
