"""Unidirectional streams: the control streams, those of QPACK, and whatever else the peer opens.

Three of either side are critical: to close one, or to ask for that, ends the connection. The rest goes to whoever registered
for its type; what nobody knows is stopped with STREAM_CREATION_ERROR, which ends that stream alone (RFC 9114 §6.2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .._faults import ConnectionFault
from ._codes import HTTP3ErrorCode, HTTP3StreamType
from ._connection import Connection
from ._control_frames import ControlFrames
from ._frames import FrameParser, pack_settings, pack_varint, read_varint

__all__ = ["ControlStreams", "ExtensionStreams"]

_NAMES = {
    HTTP3StreamType.CONTROL: "control stream",
    HTTP3StreamType.QPACK_ENCODER: "QPACK encoder stream",
    HTTP3StreamType.QPACK_DECODER: "QPACK decoder stream",
}


class ExtensionStreams(Protocol):
    """Takes unidirectional streams of a registered type. Octets are held until they are acknowledged."""

    def data_received(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        """Take octets behind the stream's type."""
        ...

    def reset_received(self, stream_id: int, error_code: int) -> None:
        """Take the abrupt end of a stream."""
        ...


class ControlStreams:
    """All unidirectional streams of a connection.

    Args:
        connection: the connection.
        frames: takes the frames of the peer's control stream.
        settings: what the SETTINGS frame says.
    """

    def __init__(self, connection: Connection, frames: ControlFrames, settings: dict[int, int]) -> None:
        self._connection = connection
        self._settings = settings
        self._own_ids: dict[int, int] = {}
        self._unsent: list[bytes] = []
        self._unknown: dict[int, bytes] = {}
        self._types: dict[int, int] = {}
        self._extensions: dict[int, ExtensionStreams] = {}
        parser = FrameParser(frames)
        self._takers: dict[int, Callable[[bytes], None]] = {
            HTTP3StreamType.CONTROL: lambda data: parser.feed(data, False),
            HTTP3StreamType.QPACK_ENCODER: connection.decoder.encoder_stream_received,
            HTTP3StreamType.QPACK_DECODER: connection.encoder.decoder_stream_received,
        }

    # This side's.

    def open(self) -> None:
        """Open the critical streams of this side, as soon as the peer lets it."""
        quic = self._connection.quic
        if self._own_ids or quic.streams_left(unidirectional=True) < len(self._takers):
            return
        for stream_type in self._takers:
            stream_id = self._own_ids[stream_type] = quic.next_stream_id(unidirectional=True)
            quic.write(stream_id, pack_varint(stream_type))
        unsent, self._unsent = [pack_settings(self._settings), *self._unsent], []
        for frame in unsent:
            self.send(frame)

    def send(self, frame: bytes) -> None:
        """Send a frame on the control stream."""
        stream_id = self._own_ids.get(HTTP3StreamType.CONTROL)
        if stream_id is None:
            self._unsent.append(frame)
        elif not self._connection.terminated:
            self._connection.quic.write(stream_id, frame)

    def is_sent(self) -> bool:
        """Whether the peer has acknowledged all that was sent on the control stream."""
        stream_id = self._own_ids.get(HTTP3StreamType.CONTROL)
        return stream_id is None or self._connection.quic.unacknowledged_octets(stream_id) == 0

    def stop_received(self, stream_id: int) -> None:
        """Take a STOP_SENDING frame.

        Raises:
            ConnectionFault: for a critical stream (RFC 9114 §6.2.1).
        """
        for stream_type, own_id in self._own_ids.items():
            if own_id == stream_id:
                raise ConnectionFault(
                    HTTP3ErrorCode.CLOSED_CRITICAL_STREAM,
                    f"the peer stopped the {_NAMES[HTTP3StreamType(stream_type)]}",
                )

    def end(self) -> None:
        """Let go of whoever takes the peer's streams: the connection is over."""
        self._takers.clear()
        self._extensions.clear()

    # The peer's.

    def register(self, stream_type: int, streams: ExtensionStreams) -> None:
        """Have the peer's streams of a type handed to somebody."""
        self._extensions[stream_type] = streams

    def data_received(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        """Take octets of a stream.

        Raises:
            ConnectionFault: the peer broke the protocol.
        """
        stream_type = self._types.get(stream_id)
        if stream_type is None:
            octets = len(data)
            data = self._unknown.pop(stream_id, b"") + data
            found = read_varint(data)
            if found is None:
                self._connection.quic.acknowledge(stream_id, octets)
                if end_stream:
                    self._connection.quic.release(stream_id)  # closed before it said what it is, which is allowed
                else:
                    self._unknown[stream_id] = data
                return
            stream_type, position = found
            self._connection.quic.acknowledge(stream_id, octets - len(data) + position)
            data = data[position:]
            if not self._begin(stream_id, stream_type):
                return
        self._taken(stream_id, stream_type, data, end_stream)

    def reset_received(self, stream_id: int, code: int) -> None:
        """Take the abrupt end of a stream.

        Raises:
            ConnectionFault: of a critical one.
        """
        stream_type = self._types.pop(stream_id, None)
        self._unknown.pop(stream_id, None)
        self._connection.quic.release(stream_id)
        if stream_type in self._takers:
            raise _closed(stream_type or 0)
        if stream_type is not None:
            self._extensions[stream_type].reset_received(stream_id, code)
        else:
            self._connection.budget.spend("an aborted unidirectional stream")

    def stalled(self, stream_id: int) -> None:
        """Give up a stream of which octets are missing for too long.

        Raises:
            ConnectionFault: of a critical one.
        """
        quic = self._connection.quic
        stream_type = self._types.get(stream_id)
        if stream_type in self._takers:
            name = _NAMES[HTTP3StreamType(stream_type or 0)]
            raise ConnectionFault(HTTP3ErrorCode.EXCESSIVE_LOAD, f"the {name} made no progress")
        unknown = stream_type is None
        code = HTTP3ErrorCode.STREAM_CREATION_ERROR if unknown else HTTP3ErrorCode.EXCESSIVE_LOAD
        quic.enter(stream_id)
        quic.submit_stop_sending(stream_id, code)
        self.reset_received(stream_id, code)

    def _begin(self, stream_id: int, stream_type: int) -> bool:
        connection = self._connection
        if stream_type in self._takers:
            if stream_type in self._types.values():
                name = _NAMES[HTTP3StreamType(stream_type)]
                raise ConnectionFault(HTTP3ErrorCode.STREAM_CREATION_ERROR, f"a second {name}")
        elif stream_type == HTTP3StreamType.PUSH:
            if connection.client_side:
                raise ConnectionFault(HTTP3ErrorCode.ID_ERROR, "push stream, although no push was allowed")
            raise ConnectionFault(HTTP3ErrorCode.STREAM_CREATION_ERROR, "push stream of a client")
        elif stream_type not in self._extensions:
            connection.quic.submit_stop_sending(stream_id, HTTP3ErrorCode.STREAM_CREATION_ERROR)
            connection.quic.release(stream_id)
            connection.budget.spend("a stream of unknown type")
            return False
        self._types[stream_id] = stream_type
        return True

    def _taken(self, stream_id: int, stream_type: int, data: bytes, end_stream: bool) -> None:
        taker = self._takers.get(stream_type)
        if taker is None:
            if end_stream:
                del self._types[stream_id]
            self._extensions[stream_type].data_received(stream_id, data, end_stream)
            if end_stream:
                self._connection.quic.release_when_consumed(stream_id)
            return
        if data:
            self._connection.quic.acknowledge(stream_id, len(data))
            taker(data)
        if end_stream:
            raise _closed(stream_type)


def _closed(stream_type: int) -> ConnectionFault:
    name = _NAMES[HTTP3StreamType(stream_type)]
    return ConnectionFault(HTTP3ErrorCode.CLOSED_CRITICAL_STREAM, f"the peer closed its {name}")
