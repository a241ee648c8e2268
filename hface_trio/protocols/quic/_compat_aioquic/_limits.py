"""The limits that this side tells its peer: moved by those who consume and release, told in few frames."""

from __future__ import annotations

from typing import Any

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import Limit
from aioquic.quic.packet import QuicFrameType
from aioquic.quic.packet_builder import QuicDeliveryState, QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.quic.stream import QuicStream

from .._settings import QUICSettings
from ._timing import TimedConnection

__all__ = ["LimitedConnection"]

_LIMIT_FRAME_OCTETS = 9
_STREAM_LIMIT_FRAME_OCTETS = 17


class _GrantedLimit(Limit):
    """A limit on streams that only grants raise; aioquic would raise it when a stream's state is discarded."""

    def __init__(self, like: Limit, value: int) -> None:
        self._granted = value
        super().__init__(like.frame_type, like.name, value)

    @property
    def value(self) -> int:
        return self._granted

    @value.setter
    def value(self, value: int) -> None:
        """Ignore what aioquic grants."""

    def grant(self, count: int) -> None:
        """Allow so many streams more."""
        self._granted += count


class _Streams(dict[int, QuicStream]):
    """The table of streams. Only its ``values`` are walked for every packet: those whose limit is to be told."""

    def __init__(self) -> None:
        super().__init__()
        self.with_news: dict[int, QuicStream] = {}
        self.discarded: list[int] = []

    def values(self) -> list[QuicStream]:  # type: ignore[override]
        return list(self.with_news.values()) if self.with_news else []

    def pop(self, stream_id: int, *default: Any) -> Any:
        self.with_news.pop(stream_id, None)
        self.discarded.append(stream_id)
        return super().pop(stream_id, *default)

    def clear(self) -> None:
        self.with_news.clear()
        super().clear()


class LimitedConnection(TimedConnection):
    """A connection whose limits are moved from outside.

    Args:
        configuration: what aioquic wants to know.
        settings: limits and sizes.
        arguments: further arguments for aioquic.
    """

    _remote_max_data_used: int

    def __init__(self, configuration: QuicConfiguration, settings: QUICSettings, **arguments: Any) -> None:
        super().__init__(configuration=configuration, **arguments)
        self._settings = settings
        self._local_max_stream_data_uni = settings.unidirectional_window_octets
        self._local_max_streams_bidi = _GrantedLimit(self._local_max_streams_bidi, settings.bidirectional_streams)
        self._local_max_streams_uni = _GrantedLimit(self._local_max_streams_uni, settings.unidirectional_streams)
        self._table = self._streams = _Streams()

    def raise_stream_limit(self, stream_id: int, limit: int) -> None:
        """Let the peer send on a stream up to an offset."""
        stream = self._streams.get(stream_id)
        if stream is not None and not stream.receiver.is_finished:
            stream.max_stream_data_local = limit
            self._table.with_news[stream_id] = stream

    def raise_connection_limit(self, limit: int) -> None:
        """Let the peer send so much on all streams together."""
        self._local_max_data.value = limit

    def grant_streams(self, count: int, *, unidirectional: bool) -> None:
        """Let the peer open so many streams more."""
        limit = self._local_max_streams_uni if unidirectional else self._local_max_streams_bidi
        if isinstance(limit, _GrantedLimit):
            limit.grant(count)

    def streams_opened(self, *, unidirectional: bool) -> int:
        """Return how many streams the peer has opened so far."""
        limit = self._local_max_streams_uni if unidirectional else self._local_max_streams_bidi
        return limit.used

    def streams_allowed(self, *, unidirectional: bool) -> int:
        """Return how many streams the peer may have opened."""
        limit = self._local_max_streams_uni if unidirectional else self._local_max_streams_bidi
        return limit.value

    def _write_connection_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace) -> None:
        for limit in self._limits_to_tell():
            self._write_limit(builder, limit)

    def _limits_to_tell(self) -> list[Limit]:
        """Return the limits of the connection that moved; those on streams once the peer has few left."""
        data, bidi, uni = self._local_max_data, self._local_max_streams_bidi, self._local_max_streams_uni
        due = [data] if data.value != data.sent else []
        if bidi.value != bidi.sent and bidi.sent - bidi.used < bidi.value - bidi.sent:
            due.append(bidi)
        if uni.value != uni.sent and uni.sent - uni.used < uni.value - uni.sent:
            due.append(uni)
        return due

    def _write_limit(self, builder: QuicPacketBuilder, limit: Limit) -> None:
        frame = builder.start_frame(
            limit.frame_type,
            capacity=_LIMIT_FRAME_OCTETS,
            handler=self._on_connection_limit_delivery,
            handler_args=(limit,),
        )
        frame.push_uint_var(limit.value)
        limit.sent = limit.value
        logger: Any = self._quic_logger
        if logger is not None:
            _log(builder, logger.encode_connection_limit_frame(frame_type=limit.frame_type, maximum=limit.value))

    def _write_stream_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream) -> None:
        if not stream.receiver.is_finished and stream.max_stream_data_local_sent != stream.max_stream_data_local:
            frame = builder.start_frame(
                QuicFrameType.MAX_STREAM_DATA,
                capacity=_STREAM_LIMIT_FRAME_OCTETS,
                handler=self._on_max_stream_data_delivery,
                handler_args=(stream,),
            )
            frame.push_uint_var(stream.stream_id or 0)
            frame.push_uint_var(stream.max_stream_data_local)
            stream.max_stream_data_local_sent = stream.max_stream_data_local
            logger: Any = self._quic_logger
            if logger is not None:
                maximum = stream.max_stream_data_local
                _log(builder, logger.encode_max_stream_data_frame(maximum=maximum, stream_id=stream.stream_id or 0))
        self._table.with_news.pop(stream.stream_id or 0, None)

    def _on_max_stream_data_delivery(self, delivery: QuicDeliveryState, stream: QuicStream) -> None:
        super()._on_max_stream_data_delivery(delivery, stream)
        if delivery is not QuicDeliveryState.ACKED and stream.stream_id in self._streams:
            self._table.with_news[stream.stream_id] = stream


def _log(builder: Any, frame: Any) -> None:
    if builder.quic_logger_frames is not None:
        builder.quic_logger_frames.append(frame)
