"""The front: frames as they stand on the wire, checked by themselves and counted, before they mean anything.

Here belongs what RFC 9113 §4 to §6 says of a frame whatever the state of its stream: on which streams its type may come,
how long it is, how it is padded, that a field section is not interrupted; and what it costs of the abuse budget. What
passes goes to a ``FrameReceiver`` in its order. A stream fault is answered there and then, so that the frames behind it
are handled as if it had not been.

Frames find their methods in a table of the class: one of bound methods would be a cycle of each connection.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import ClassVar, Final

from .._faults import ConnectionFault, StreamFault
from .._priority import StreamDependency
from ._budget import FrameBudget
from ._codes import (
    ALTSVC,
    CONTINUATION,
    DATA,
    FLAG_ACK,
    FLAG_END_HEADERS,
    FLAG_END_STREAM,
    FLAG_PADDED,
    FLAG_PRIORITY,
    GOAWAY,
    HEADERS,
    PING,
    PRIORITY,
    PRIORITY_UPDATE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    HTTP2ErrorCode,
)
from ._frame_receiver import FrameReceiver
from ._frames import FrameReader, unpack_settings_payload

__all__ = ["FrameFront"]

_LONG: Final = struct.Struct(">L")
_TWO_LONGS: Final = struct.Struct(">LL")
_PRIORITY_OCTETS: Final = 5
_SETTINGS_PER_TOKEN: Final = 32
_TURN: Final = 30
"""Frames in a turn: a millisecond or so."""
_LEAST_TURN: Final = 2
"""As many are left to a peer that has wasted what it may: the others shall not wait for it."""
_TURN_OCTETS: Final = 64
"""So many octets of anything but DATA count as another frame: each may be a field."""


class _Block:
    """A field section that is not complete: what its first frame said, and the fragments so far."""

    __slots__ = ("continuations", "dependency", "end_stream", "fragments", "octets", "promised_stream_id", "stream_id")

    def __init__(
        self,
        stream_id: int,
        *,
        end_stream: bool = False,
        dependency: StreamDependency | None = None,
        promised_stream_id: int | None = None,
    ) -> None:
        self.stream_id = stream_id
        self.end_stream = end_stream
        self.dependency = dependency
        self.promised_stream_id = promised_stream_id
        self.fragments: list[bytes] = []
        self.octets = 0
        self.continuations = 0


class FrameFront:
    """Takes octets, gives frames.

    Args:
        receiver: takes the frames.
        reader: cuts the octets.
        budget: what frames without progress cost.
        max_block_octets: longest encoded section.
        max_continuations: most CONTINUATION frames of a section.
    """

    __slots__ = (
        "_block",
        "_budget",
        "_max_block_octets",
        "_max_continuations",
        "_receiver",
        "_settings_seen",
        "_units",
        "in_turns",
        "reader",
        "waits",
    )

    def __init__(
        self,
        receiver: FrameReceiver,
        *,
        reader: FrameReader,
        budget: FrameBudget,
        max_block_octets: float,
        max_continuations: int,
    ) -> None:
        self._receiver = receiver
        self.reader = reader
        self._budget = budget
        self._max_block_octets = max_block_octets
        self._max_continuations = max_continuations
        self._block: _Block | None = None
        self._settings_seen = False
        self._units = 0
        self.in_turns: bool = False
        self.waits: bool = False
        """Whether a turn ended before the octets did."""

    def receive(self, data: bytes) -> None:
        """Take octets of the peer; nothing but ``b""`` while those of an earlier call wait.

        Raises:
            ConnectionFault: the connection cannot go on.
        """
        reader, receiver, handlers = self.reader, self._receiver, self._HANDLERS
        if not self.waits:
            reader.feed(data)
        self.waits = False
        turn = _LEAST_TURN + _TURN * self._budget.left**2 if self.in_turns else math.inf
        while not receiver.terminated and (frame := reader.next_frame()) is not None:
            frame_type, flags, stream_id, payload = frame
            if self._block is not None:
                self._check_uninterrupted(frame_type, stream_id)
            elif not self._settings_seen:
                self._check_first(frame_type, flags)
            handler = handlers.get(frame_type)
            try:
                if handler is not None:
                    handler(self, flags, stream_id, payload)
                else:
                    self._budget.spend("unknown frame")
                    receiver.unknown_frame_received(stream_id, frame_type, payload)
            except StreamFault as fault:
                receiver.stream_failed(fault)
            if self._block is None:
                self._units += 1
                receiver.frame_ended()
            turn -= 1 if frame_type == DATA else 1 + len(payload) // _TURN_OCTETS
            if turn <= 0:
                self.waits = True
                return

    @property
    def unfinished(self) -> int | None:
        """A number for what has begun and not ended: preface, section or frame; ``None`` if there is nothing.

        It stays the same while it is the same thing that does not end. Frames of DATA do not count: a body may be slow.
        """
        partial = self.reader.partial_type
        if self._block is not None or self.reader.waits_for_preface or not self._settings_seen:
            return self._units
        return None if partial is None or partial == DATA else self._units

    def _check_first(self, frame_type: int, flags: int) -> None:
        if frame_type != SETTINGS or flags & FLAG_ACK:
            raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        self._settings_seen = True

    def _check_uninterrupted(self, frame_type: int, stream_id: int) -> None:
        if frame_type != CONTINUATION or (self._block is not None and self._block.stream_id != stream_id):
            raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, "a field section was interrupted")

    def _data(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, "DATA on stream 0")
        data = _unpadded(payload, "DATA") if flags & FLAG_PADDED else payload
        end_stream = bool(flags & FLAG_END_STREAM)
        if not data and not end_stream:
            self._budget.spend("empty DATA")
        self._receiver.data_received(stream_id, data, len(payload), end_stream)

    def _headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, "HEADERS on stream 0")
        if flags & FLAG_PADDED:
            payload = _unpadded(payload, "HEADERS")
        dependency = None
        if flags & FLAG_PRIORITY:
            # Cut short by the padding it is a matter of PROTOCOL_ERROR; by the frame's end of its size.
            if len(payload) < _PRIORITY_OCTETS:
                code = HTTP2ErrorCode.PROTOCOL_ERROR if flags & FLAG_PADDED else HTTP2ErrorCode.FRAME_SIZE_ERROR
                raise ConnectionFault(code, "HEADERS too short for its priority")
            dependency = _dependency(payload)
            payload = payload[_PRIORITY_OCTETS:]
        end_stream = bool(flags & FLAG_END_STREAM)
        if flags & FLAG_END_HEADERS and len(payload) <= self._max_block_octets:
            self._receiver.section_received(stream_id, payload, end_stream, dependency)
            return
        self._block = _Block(stream_id, end_stream=end_stream, dependency=dependency)
        self._add_fragment(self._block, flags, payload)

    def _push_promise(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE on stream 0")
        if flags & FLAG_PADDED:
            payload = _unpadded(payload, "PUSH_PROMISE")
        if len(payload) < _LONG.size:
            raise ConnectionFault(HTTP2ErrorCode.FRAME_SIZE_ERROR, "PUSH_PROMISE too short")
        promised = _LONG.unpack_from(payload)[0] & 0x7FFFFFFF
        if not promised:
            raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE of stream 0")
        self._block = _Block(stream_id, promised_stream_id=promised)
        self._add_fragment(self._block, flags, payload[_LONG.size :])

    def _continuation(self, flags: int, _stream_id: int, payload: bytes) -> None:
        block = self._block
        if block is None:
            raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, "CONTINUATION of nothing")
        block.continuations += 1
        if block.continuations > self._max_continuations:
            raise ConnectionFault(HTTP2ErrorCode.ENHANCE_YOUR_CALM, "field section in too many frames")
        if not payload:
            self._budget.spend("empty CONTINUATION")
        self._add_fragment(block, flags, payload)

    def _add_fragment(self, block: _Block, flags: int, fragment: bytes) -> None:
        block.octets += len(fragment)
        if block.octets > self._max_block_octets:
            raise ConnectionFault(HTTP2ErrorCode.ENHANCE_YOUR_CALM, "field section far over the limit")
        block.fragments.append(fragment)
        if not flags & FLAG_END_HEADERS:
            return
        self._block = None
        encoded = b"".join(block.fragments)
        if block.promised_stream_id is not None:
            self._receiver.promise_received(block.stream_id, block.promised_stream_id, encoded)
        else:
            self._receiver.section_received(block.stream_id, encoded, block.end_stream, block.dependency)

    def _priority(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0")
        self._budget.spend("PRIORITY")
        if len(payload) != _PRIORITY_OCTETS:
            raise StreamFault(stream_id, HTTP2ErrorCode.FRAME_SIZE_ERROR, "PRIORITY is not of 5 octets")
        self._receiver.priority_received(stream_id, _dependency(payload))

    def _reset(self, _flags: int, stream_id: int, payload: bytes) -> None:
        _check_form("RST_STREAM", stream_id, payload, on_stream=True, octets=_LONG.size)
        self._receiver.reset_received(stream_id, _LONG.unpack(payload)[0])

    def _settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & FLAG_ACK:
            if payload:
                raise ConnectionFault(HTTP2ErrorCode.FRAME_SIZE_ERROR, "acknowledgement of settings with a payload")
            self._receiver.settings_acknowledged()
            return
        if len(payload) % 6:
            raise ConnectionFault(HTTP2ErrorCode.FRAME_SIZE_ERROR, "SETTINGS is not a multiple of 6 octets")
        settings = unpack_settings_payload(payload)
        self._budget.spend("SETTINGS", 1 + len(settings) // _SETTINGS_PER_TOKEN)
        self._receiver.settings_received(settings)

    def _ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        _check_form("PING", stream_id, payload, on_stream=False, octets=8)
        if flags & FLAG_ACK:
            self._receiver.ping_acknowledged(payload)
            return
        self._budget.spend("PING")
        self._receiver.ping_received(payload)

    def _goaway(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < _TWO_LONGS.size:
            raise ConnectionFault(HTTP2ErrorCode.FRAME_SIZE_ERROR, "GOAWAY too short")
        self._budget.spend("GOAWAY")
        last_stream_id, code = _TWO_LONGS.unpack_from(payload)
        self._receiver.goaway_received(last_stream_id & 0x7FFFFFFF, code, payload[_TWO_LONGS.size :])

    def _window_update(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != _LONG.size:
            raise ConnectionFault(HTTP2ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE is not of 4 octets")
        self._budget.window_updated()
        self._receiver.window_update_received(stream_id, _LONG.unpack(payload)[0] & 0x7FFFFFFF)

    def _altsvc(self, _flags: int, stream_id: int, payload: bytes) -> None:
        self._budget.spend("ALTSVC")
        end_of_origin = 2 + int.from_bytes(payload[:2], "big")
        if len(payload) >= max(2, end_of_origin):  # RFC 7838 §4 names no error for what is not
            self._receiver.alternative_service_received(stream_id, payload[2:end_of_origin], payload[end_of_origin:])

    def _priority_update(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, "PRIORITY_UPDATE on a stream")
        if len(payload) < _LONG.size:
            raise ConnectionFault(HTTP2ErrorCode.FRAME_SIZE_ERROR, "PRIORITY_UPDATE too short")
        self._budget.spend("PRIORITY_UPDATE")
        prioritized = _LONG.unpack_from(payload)[0] & 0x7FFFFFFF
        if not prioritized:
            raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, "PRIORITY_UPDATE for stream 0")
        self._receiver.priority_update_received(prioritized, payload[_LONG.size :])

    _HANDLERS: ClassVar[dict[int, Callable[[FrameFront, int, int, bytes], None]]] = {
        DATA: _data,
        HEADERS: _headers,
        PRIORITY: _priority,
        RST_STREAM: _reset,
        SETTINGS: _settings,
        PUSH_PROMISE: _push_promise,
        PING: _ping,
        GOAWAY: _goaway,
        WINDOW_UPDATE: _window_update,
        CONTINUATION: _continuation,
        ALTSVC: _altsvc,
        PRIORITY_UPDATE: _priority_update,
    }


def _unpadded(payload: bytes, what: str) -> bytes:
    """Return what stands between the length of the padding and the padding."""
    if not payload:
        raise ConnectionFault(HTTP2ErrorCode.FRAME_SIZE_ERROR, f"{what} too short for the length of its padding")
    if payload[0] >= len(payload):
        raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, f"{what} holds more padding than octets")
    return payload[1 : len(payload) - payload[0]]


def _dependency(payload: bytes) -> StreamDependency:
    word: int = _LONG.unpack_from(payload)[0]
    return StreamDependency(depends_on=word & 0x7FFFFFFF, weight=payload[4] + 1, exclusive=bool(word >> 31))


def _check_form(what: str, stream_id: int, payload: bytes, *, on_stream: bool, octets: int) -> None:
    if bool(stream_id) != on_stream:
        raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, f"{what} on the wrong kind of stream")
    if len(payload) != octets:
        raise ConnectionFault(HTTP2ErrorCode.FRAME_SIZE_ERROR, f"{what} is not of {octets} octets")
