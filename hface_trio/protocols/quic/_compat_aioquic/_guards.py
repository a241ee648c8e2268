"""What a peer sends, looked at before ``aioquic`` acts on it."""

from __future__ import annotations

import dataclasses
from typing import Any

from aioquic._buffer import Buffer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnectionAdapter, QuicConnectionError, QuicReceiveContext
from aioquic.quic.events import QuicEvent
from aioquic.quic.rangeset import RangeSet
from aioquic.quic.stream import QuicStreamReceiver

from .._codes import QUICErrorCode
from .._settings import QUICSettings
from ._limits import LimitedConnection
from ._reassembly import Reassembly

__all__ = ["GuardedConnection", "PacketDroppedError", "StreamDataSkipped"]

_OFFSET_BIT = 0x04  # in the type of a STREAM frame


@dataclasses.dataclass
class StreamDataSkipped(QuicEvent):
    """Octets of a stopped stream count as received that nobody gets."""

    stream_id: int
    n_octets: int
    end_stream: bool


class PacketDroppedError(Exception):
    """A packet must be dropped as if it had been lost."""


class _QuietLogger(QuicConnectionAdapter):
    """Logs what peers do wrong for those who look for it: they could fill any log with it."""

    def warning(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log for those who debug."""
        self.debug(msg, *args, **kwargs)

    info = error = warning


class GuardedConnection(LimitedConnection):
    """A connection that some input does not reach.

    Args:
        configuration: what aioquic wants to know.
        settings: limits and sizes.
        arguments: further arguments for aioquic.
    """

    def __init__(self, configuration: QuicConfiguration, settings: QUICSettings, **arguments: Any) -> None:
        super().__init__(configuration, settings, **arguments)
        loud: Any = self._logger
        self._logger = _QuietLogger(loud.logger, loud.extra)
        self.reassembly: Reassembly = Reassembly()

    def let_go(self) -> None:
        """Drop what waits for octets in front of it, too."""
        super().let_go()
        self.reassembly = Reassembly()

    def _handle_stream_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        start = buf.tell()
        stream_id = buf.pull_uint_var()
        offset = buf.pull_uint_var() if frame_type & _OFFSET_BIT else 0
        buf.seek(start)
        if offset and self._makes_too_many_holes(stream_id, offset):
            raise PacketDroppedError
        super()._handle_stream_frame(context, frame_type, buf)
        stream = self._streams.get(stream_id)
        if stream is None:
            self.reassembly.forget(stream_id)
            return
        receiver = stream.receiver
        if receiver._stop_error_code is not None:
            self.skip_received(stream_id)
        elif self.reassembly or receiver._buffer or not receiver._buffer_start:
            self.reassembly.note(stream_id, receiver, context.time)

    def skip_received(self, stream_id: int) -> None:
        """Take all as received that waits on a stopped stream, and what is missing in front of it: nobody wants either."""
        self.reassembly.forget(stream_id)
        receiver = self._streams[stream_id].receiver
        if not receiver._buffer:
            return
        octets = receiver.highest_offset - receiver._buffer_start
        receiver._buffer_start = receiver.highest_offset
        receiver._buffer = bytearray()
        receiver._ranges = RangeSet()
        if receiver._buffer_start == receiver._final_size:
            receiver.is_finished = True
        self._events.append(StreamDataSkipped(stream_id, octets, receiver.is_finished))

    def _makes_too_many_holes(self, stream_id: int, offset: int) -> bool:
        stream = self._streams.get(stream_id)
        if stream is None:
            new_hole = offset
        else:
            receiver = stream.receiver
            stopped = receiver._stop_error_code is not None  # nothing of it is kept
            if receiver.is_finished or stopped or offset > stream.max_stream_data_local:
                return False
            new_hole = offset - receiver._buffer_start - len(receiver._buffer)
            if len(receiver._ranges) > self._settings.stream_ranges:
                return offset > receiver._buffer_start
        if new_hole <= 0 or (stream is None and offset > self._settings.stream_window_octets):
            return False  # the latter is beyond any limit: an error, which aioquic answers
        holes = sum(_hole_octets(receiver) for receiver in self.reassembly.receivers())
        return holes + new_hole > self._settings.hole_octets

    def _handle_ack_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        start = buf.tell()
        if buf.pull_uint_var() >= self._packet_number:
            raise QuicConnectionError(
                QUICErrorCode.PROTOCOL_VIOLATION, frame_type, "acknowledgement of a packet that was never sent"
            )
        buf.seek(start)
        super()._handle_ack_frame(context, frame_type, buf)

    def _handle_crypto_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        start = buf.tell()
        end = buf.pull_uint_var() + buf.pull_uint_var()
        buf.seek(start)
        if end - self._crypto_streams[context.epoch].receiver.starting_offset() > self._settings.crypto_octets:
            raise QuicConnectionError(
                QUICErrorCode.CRYPTO_BUFFER_EXCEEDED, frame_type, "too many handshake octets out of order"
            )
        super()._handle_crypto_frame(context, frame_type, buf)


def _hole_octets(receiver: QuicStreamReceiver) -> int:
    return len(receiver._buffer) - sum(len(run) for run in receiver._ranges)
