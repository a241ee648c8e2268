"""Frames as octets: taken apart as they arrive, and put together to be sent (RFC 9113 §4.1).

A frame's length is checked when its nine octets of header are there, before any of its payload is kept. However the
octets are cut into pieces, each is copied a bounded number of times.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final, TypeAlias

from .._faults import ConnectionFault
from ._codes import (
    ALTSVC,
    FLAG_ACK,
    GOAWAY,
    PING,
    PRIORITY,
    PRIORITY_UPDATE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    HTTP2ErrorCode,
)

__all__ = ["PREFACE", "FrameReader", "is_preface_prefix"]

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client sends first (RFC 9113 §3.4)."""

RawFrame: TypeAlias = tuple[int, int, int, bytes]
"""Type, flags, stream id, payload."""

_HEADER: Final = struct.Struct(">HBBBL")
_HEADER_OCTETS: Final = 9
_UNKNOWN_TYPE: Final = -1
_SETTING: Final = struct.Struct(">HL")
_LONG: Final = struct.Struct(">L")
_TWO_LONGS: Final = struct.Struct(">LL")


def is_preface_prefix(data: bytes) -> bool | None:
    """Tell whether a connection's first octets are the preface of HTTP/2.

    Args:
        data: the octets received so far.

    Returns:
        ``True`` if they are, ``False`` if they cannot be, ``None`` if more octets are needed.
    """
    if len(data) >= len(PREFACE):
        return data.startswith(PREFACE)
    return None if PREFACE.startswith(data) else False


class FrameReader:
    """Cuts a stream of octets into frames.

    Args:
        max_payload: longest payload accepted; may be changed between frames.
        preface: octets that must come before the first frame.
    """

    __slots__ = ("_data", "_needed", "_offset", "_partial", "_preface", "max_payload")

    def __init__(self, max_payload: int, preface: bytes = b"") -> None:
        self.max_payload: int = max_payload
        self._preface = preface
        self._data = b""
        self._offset = 0
        self._partial = bytearray()
        self._needed = 0

    def feed(self, data: bytes) -> None:
        """Add octets, once ``next_frame`` has returned ``None``.

        Raises:
            ConnectionFault: they are not the preface.
        """
        if self._preface:
            expected = self._preface[: len(data)]
            if data[: len(expected)] != expected:
                raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, "invalid connection preface")
            self._preface = self._preface[len(expected) :]
            data = data[len(expected) :]
        self._data = data
        self._offset = 0

    def next_frame(self) -> RawFrame | None:
        """Return the next complete frame, or ``None`` when more octets are needed.

        Raises:
            ConnectionFault: the frame is longer than allowed.
        """
        if self._partial:
            return self._continue_partial()
        data = self._data
        start = self._offset
        payload = start + _HEADER_OCTETS
        if payload > len(data):
            self._keep_rest(_HEADER_OCTETS)
            return None
        length_high, length_low, frame_type, flags, stream_id = _HEADER.unpack_from(data, start)
        length = self._checked_length(length_high, length_low)
        end = payload + length
        if end > len(data):
            self._keep_rest(_HEADER_OCTETS + length)
            return None
        self._offset = end
        return frame_type, flags, stream_id & 0x7FFFFFFF, data[payload:end]

    @property
    def waits_for_preface(self) -> bool:
        """Whether the preface is not complete."""
        return bool(self._preface)

    @property
    def partial_type(self) -> int | None:
        """The type of a frame that has begun but is not complete; negative while its type is unknown."""
        if not self._partial:
            return None
        return self._partial[3] if len(self._partial) >= _HEADER_OCTETS else _UNKNOWN_TYPE

    def _checked_length(self, high: int, low: int) -> int:
        length = (high << 8) | low
        if length > self.max_payload:
            message = f"frame of {length} octets, at most {self.max_payload} are allowed"
            raise ConnectionFault(HTTP2ErrorCode.FRAME_SIZE_ERROR, message)
        return length

    def _keep_rest(self, needed: int) -> None:
        self._partial = bytearray(self._data[self._offset :])
        self._needed = needed
        self._data = b""
        self._offset = 0

    def _continue_partial(self) -> RawFrame | None:
        partial = self._partial
        while True:
            start = self._offset
            self._offset = start + self._needed - len(partial)
            partial += self._data[start : self._offset]
            if len(partial) < self._needed:
                self._data = b""
                self._offset = 0
                return None
            length_high, length_low, frame_type, flags, stream_id = _HEADER.unpack_from(partial)
            whole = _HEADER_OCTETS + self._checked_length(length_high, length_low)
            if len(partial) == whole:
                self._partial = bytearray()
                return frame_type, flags, stream_id & 0x7FFFFFFF, bytes(partial[_HEADER_OCTETS:])
            self._needed = whole


def pack_header(length: int, frame_type: int, flags: int, stream_id: int) -> bytes:
    """Return the header of a frame."""
    return _HEADER.pack(length >> 8, length & 0xFF, frame_type, flags, stream_id)


def pack_frame(frame_type: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """Return a frame."""
    return pack_header(len(payload), frame_type, flags, stream_id) + payload


def pack_reset(stream_id: int, code: int) -> bytes:
    """Return a RST_STREAM frame."""
    return pack_frame(RST_STREAM, 0, stream_id, _LONG.pack(code))


def pack_window_update(stream_id: int, increment: int) -> bytes:
    """Return a WINDOW_UPDATE frame."""
    return pack_frame(WINDOW_UPDATE, 0, stream_id, _LONG.pack(increment))


def pack_settings_payload(settings: Mapping[int, int]) -> bytes:
    """Return the payload of a SETTINGS frame."""
    return b"".join([_SETTING.pack(identifier, value) for identifier, value in settings.items()])


def pack_settings(settings: Mapping[int, int]) -> bytes:
    """Return a SETTINGS frame."""
    return pack_frame(SETTINGS, 0, 0, pack_settings_payload(settings))


def unpack_settings_payload(payload: bytes) -> list[tuple[int, int]]:
    """Return the settings of a SETTINGS frame in their order; the length of ``payload`` is a multiple of six."""
    return list(_SETTING.iter_unpack(payload))


SETTINGS_ACK: Final = pack_frame(SETTINGS, FLAG_ACK, 0, b"")


def pack_ping(data: bytes, *, ack: bool) -> bytes:
    """Return a PING frame."""
    return pack_frame(PING, FLAG_ACK if ack else 0, 0, data)


def pack_goaway(last_stream_id: int, code: int, additional_data: bytes = b"") -> bytes:
    """Return a GOAWAY frame."""
    return pack_frame(GOAWAY, 0, 0, _TWO_LONGS.pack(last_stream_id, code) + additional_data)


def pack_priority(stream_id: int, depends_on: int, weight: int, exclusive: bool) -> bytes:
    """Return a PRIORITY frame (RFC 7540 §6.3); ``weight`` is 1 to 256."""
    payload = _LONG.pack(depends_on | (0x80000000 if exclusive else 0)) + bytes([weight - 1])
    return pack_frame(PRIORITY, 0, stream_id, payload)


def pack_priority_update(stream_id: int, field_value: bytes) -> bytes:
    """Return a PRIORITY_UPDATE frame (RFC 9218 §7.1)."""
    return pack_frame(PRIORITY_UPDATE, 0, 0, _LONG.pack(stream_id) + field_value)


def pack_altsvc(stream_id: int, origin: bytes, field_value: bytes) -> bytes:
    """Return an ALTSVC frame (RFC 7838 §4)."""
    return pack_frame(ALTSVC, 0, stream_id, len(origin).to_bytes(2, "big") + origin + field_value)
