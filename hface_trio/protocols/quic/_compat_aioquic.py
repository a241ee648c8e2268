"""The part of ``aioquic`` that this package stands on, and every place where it steps around its public interface.

``aioquic`` does packets, encryption, handshake, loss recovery, congestion control, paths and connection ids. What is done
otherwise here:

- Receive limits move when somebody consumes, not on receipt; and only streams whose limit moved are looked at for a packet.
- The peer may open a stream more when somebody releases one, not when its state is discarded.
- An acknowledgement of what was never sent ends the connection: it is meant to have more sent than the path bears.
- Packets that would make the holes in reassembly buffers too large are dropped unacknowledged: the peer sends them again.
- Buffers of streams that were reset are freed at once, not when the peer has acknowledged the reset.
- Connection ids and stateless reset tokens come from a source.
- What a stream may send is told, and which streams are over; streams with nothing to send cost nothing for a packet.
- What peers do wrong is logged at the level of debugging.
- Early calls (before the first datagram) and late ones (after the end) do nothing instead of failing.

Each private name used here has a test that fails when it changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aioquic._buffer import Buffer
from aioquic.buffer import size_uint_var
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import (
    Limit,
    NetworkAddress,
    QuicConnection,
    QuicConnectionAdapter,
    QuicConnectionError,
    QuicConnectionId,
    QuicConnectionState,
    QuicReceiveContext,
)
from aioquic.quic.events import ConnectionTerminated
from aioquic.quic.packet import QuicFrameType
from aioquic.quic.packet_builder import QuicDeliveryState, QuicPacketBuilder
from aioquic.quic.rangeset import RangeSet
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.quic.stream import QuicStream
from aioquic.tls import Epoch, SessionTicket
from cryptography.hazmat.primitives.serialization import Encoding

from ._codes import QUICErrorCode, is_client_initiated, is_unidirectional
from ._ids import RESET_TOKEN_OCTETS, ConnectionIdSource
from ._settings import QUICSettings

__all__ = ["PeerClose", "QuicMachine"]

PeerClose = ConnectionTerminated

_LIMIT_FRAME_OCTETS = 9
_STREAM_LIMIT_FRAME_OCTETS = 17
_SHORT_HEADER_OCTETS = 3  # its first octet and the two of a packet number
_AEAD_TAG_OCTETS = 16
_ROUNDING_SECONDS = 1e-6
_IDLE_TIMEOUT = "Idle timeout"
_SHORTEST_RESET = 21  # RFC 9000 §10.3


class _PacketDroppedError(Exception):
    """A packet must be dropped as if it had been lost."""


class _QuietLogger(QuicConnectionAdapter):
    """Logs what peers do wrong for those who look for it: they could fill any log with it."""

    def warning(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log for those who debug."""
        self.debug(msg, *args, **kwargs)

    info = error = warning


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


class QuicMachine(QuicConnection):
    """One QUIC connection.

    Args:
        configuration: what aioquic wants to know.
        settings: limits and sizes.
        connection_id_source: makes connection ids.
        original_destination_connection_id: the id of the client's first datagram (server); that of the datagram which
            comes first if ``None``.
        retry_source_connection_id: the id of the Retry packet, if one was sent (server).
        session_ticket_fetcher: finds a ticket that was issued, by its label (server).
        session_ticket_handler: takes tickets, those issued or those received.
        token_handler: takes tokens for address validation (client).
    """

    def __init__(
        self,
        configuration: QuicConfiguration,
        settings: QUICSettings,
        connection_id_source: ConnectionIdSource,
        *,
        original_destination_connection_id: bytes | None = None,
        retry_source_connection_id: bytes | None = None,
        session_ticket_fetcher: Callable[[bytes], SessionTicket | None] | None = None,
        session_ticket_handler: Callable[[SessionTicket], None] | None = None,
        token_handler: Callable[[bytes], None] | None = None,
    ) -> None:
        client = configuration.is_client
        super().__init__(
            configuration=configuration,
            original_destination_connection_id=None if client else original_destination_connection_id or b"",
            retry_source_connection_id=retry_source_connection_id,
            session_ticket_fetcher=session_ticket_fetcher,
            session_ticket_handler=session_ticket_handler,
            token_handler=token_handler,
        )
        loud: Any = self._logger
        self._logger = _QuietLogger(loud.logger, loud.extra)
        self._settings = settings
        self._source = connection_id_source
        self.issued_ids: list[bytes] = []
        self.initial_destination_id: bytes | None = None
        first = connection_id_source.issue()
        self.host_cid: bytes = first.connection_id
        self._host_cids[0].cid = self._local_initial_source_connection_id = first.connection_id
        if not client:
            self._host_cids[0].stateless_reset_token = first.reset_token
        self._local_max_stream_data_uni = settings.unidirectional_window_octets
        self._local_max_streams_bidi = _GrantedLimit(self._local_max_streams_bidi, settings.bidirectional_streams)
        self._local_max_streams_uni = _GrantedLimit(self._local_max_streams_uni, settings.unidirectional_streams)
        self._table = self._streams = _Streams()
        self._reassembling: dict[int, QuicStream] = {}

    # What it is, and how far it has come.

    @property
    def started(self) -> bool:
        """Whether there is a path to send on."""
        return bool(self._network_paths)

    @property
    def close_reason(self) -> PeerClose | None:
        """Why the connection is ending or has ended, by either side."""
        return self._close_event

    @property
    def is_over(self) -> bool:
        """Whether the closing period has passed too."""
        return self._state is QuicConnectionState.TERMINATED

    @property
    def timed_out(self) -> bool:
        """Whether the connection ended because nothing arrived for too long."""
        close = self._close_event
        return self.is_over and close is not None and close.reason_phrase == _IDLE_TIMEOUT

    @property
    def closed_by_peer(self) -> bool:
        """Whether the peer ended the connection."""
        return self._state is QuicConnectionState.DRAINING

    @property
    def handshake_complete(self) -> bool:
        """Whether the TLS handshake has completed."""
        return self._handshake_complete

    @property
    def can_send_early(self) -> bool:
        """Whether there are keys to send 0-RTT data with."""
        crypto = self._cryptos.get(Epoch.ZERO_RTT)
        return crypto is not None and crypto.send.is_valid()

    @property
    def version(self) -> int | None:
        """The QUIC version."""
        return self._version

    @property
    def local_connection_ids(self) -> list[bytes]:
        """Ids that the peer may send to."""
        return [connection_id.cid for connection_id in self._host_cids]

    @property
    def peer_certificate(self) -> bytes | None:
        """The peer's certificate, DER."""
        certificate = self.tls._peer_certificate if self.started else None
        return None if certificate is None else certificate.public_bytes(Encoding.DER)

    @property
    def round_trip_seconds(self) -> float | None:
        """The smoothed round-trip time, once there is one."""
        recovery: Any = self._loss
        return float(recovery._rtt_smoothed) if recovery._rtt_initialized else None

    @property
    def idle_seconds(self) -> float:
        """The idle timeout that is in force."""
        return self._idle_timeout()

    def is_stateless_reset(self, data: bytes) -> bool:
        """Whether a datagram is the peer's word that it knows nothing of this connection (RFC 9000 §10.3.1)."""
        token = self._peer_cid.stateless_reset_token
        return (
            len(data) >= _SHORTEST_RESET
            and len(token) == RESET_TOKEN_OCTETS
            and data[-RESET_TOKEN_OCTETS:] == token
            and not data[0] & 0x80
        )

    # Datagrams and time, at any moment.

    def receive_datagram(self, data: bytes, addr: NetworkAddress, now: float) -> None:
        """Take a datagram."""
        try:
            super().receive_datagram(data, addr, now)
        except _PacketDroppedError:
            return

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, NetworkAddress]]:
        """Return what is to be sent now."""
        if not self._network_paths:
            return []
        working: list[QuicStream] = []
        idle: list[QuicStream] = []
        for stream in self._streams_queue:
            (working if _has_work(stream) else idle).append(stream)
        self._streams_queue = working
        try:
            return super().datagrams_to_send(now)
        finally:
            self._streams_queue += idle

    def get_timer(self) -> float | None:
        """Return when ``handle_timer`` is due."""
        return None if self._close_at is None else super().get_timer()

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        # A hair later: rounding can make a packet not lost yet at the very time its loss is due, and again, and again.
        super().handle_timer(now + _ROUNDING_SECONDS)

    def take_discarded(self) -> list[int]:
        """Return the streams that are over on the wire, once."""
        discarded = self._table.discarded
        if discarded:
            self._table.discarded = []
        return discarded

    # Limits of this side.

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

    # Limits of the peer.

    def own_streams_left(self, *, unidirectional: bool) -> int:
        """Return how many streams may be opened now."""
        if unidirectional:
            return self._remote_max_streams_uni - self._local_next_stream_id_uni // 4
        return self._remote_max_streams_bidi - self._local_next_stream_id_bidi // 4

    def connection_room(self) -> int:
        """Return how many octets, of those not sent yet, all streams together may send."""
        return self._remote_max_data - self._remote_max_data_used

    def stream_room(self, stream_id: int) -> int:
        """Return how many octets may be written to a stream within the peer's limit for it."""
        stream = self._streams.get(stream_id)
        if stream is None:
            if not self.is_own(stream_id) or self._stream_is_discarded(stream_id):
                return 0
            one_way = is_unidirectional(stream_id)
            return self._remote_max_stream_data_uni if one_way else self._remote_max_stream_data_bidi_remote
        if stream.is_blocked:
            return 0
        return stream.max_stream_data_remote - stream.sender._buffer_stop

    def unsent_and_unacknowledged(self, stream_id: int) -> tuple[int, int]:
        """Return how many octets of a stream were not sent, and were not acknowledged."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.sender._reset_error_code is not None:
            return 0, 0
        sender = stream.sender
        return sender._buffer_stop - sender.highest_offset, sender._buffer_stop - sender._buffer_start

    def datagram_frame_room(self) -> int:
        """Return how many octets a DATAGRAM frame may carry; negative when the peer takes none."""
        largest = self._remote_max_datagram_frame_size
        if not largest:
            return -1
        packet = self._max_datagram_size - _SHORT_HEADER_OCTETS - len(self._peer_cid.cid) - _AEAD_TAG_OCTETS
        frame = min(largest, packet)
        return frame - 1 - size_uint_var(max(0, frame - 3))

    def queue_datagram_frame(self, data: bytes) -> bool:
        """Queue a DATAGRAM frame; return whether an older one was dropped for it."""
        dropped = len(self._datagrams_pending) >= self._settings.queued_datagram_frames
        if dropped and self._datagrams_pending:
            self._datagrams_pending.popleft()
        self.send_datagram_frame(data)
        return dropped

    # Streams.

    def has_stream(self, stream_id: int) -> bool:
        """Whether a stream is not over on the wire."""
        return stream_id in self._streams

    def end_sending(self, stream_id: int, code: int) -> bool:
        """Reset the sending side of a stream, if that is still possible, and free its buffer."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.sender.is_finished:
            return False
        self.reset_stream(stream_id, code)
        self.free_sent(stream_id)
        return True

    def free_sent(self, stream_id: int) -> None:
        """Free what a stream, now reset, had to send."""
        stream = self._streams.get(stream_id)
        if stream is not None and stream.sender._reset_error_code is not None:
            stream.sender._buffer = bytearray()
            stream.sender._pending = RangeSet()
            stream.sender._acked = RangeSet()

    def end_receiving(self, stream_id: int, code: int) -> bool:
        """Ask the peer to stop sending on a stream, if it has not ended anyhow."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.receiver.is_finished:
            return False
        self.stop_stream(stream_id, code)
        return True

    def final_size(self, stream_id: int) -> int:
        """Return the final size of a stream that the peer has reset, and free what had arrived out of order."""
        stream = self._streams[stream_id]
        stream.receiver._buffer = bytearray()
        stream.receiver._ranges = RangeSet()
        self._reassembling.pop(stream_id, None)
        return stream.receiver.highest_offset

    # What aioquic calls.

    def _initialize(self, peer_cid: bytes) -> None:
        if not self._is_client:
            self.initial_destination_id = peer_cid
            if not self._original_destination_connection_id:
                self._original_destination_connection_id = peer_cid
        super()._initialize(peer_cid)
        if not self._settings.early_data and not self._is_client:
            self.tls._max_early_data = None

    def _replenish_connection_ids(self) -> None:
        while len(self._host_cids) < min(8, self._remote_active_connection_id_limit):
            issued = self._source.issue()
            self._host_cids.append(
                QuicConnectionId(
                    cid=issued.connection_id,
                    sequence_number=self._host_cid_seq,
                    stateless_reset_token=issued.reset_token,
                )
            )
            self._host_cid_seq += 1
            self.issued_ids.append(issued.connection_id)

    def _handle_stream_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        start = buf.tell()
        stream_id = buf.pull_uint_var()
        offset = buf.pull_uint_var() if frame_type & 4 else 0
        buf.seek(start)
        if offset and self._makes_too_many_holes(stream_id, offset):
            raise _PacketDroppedError
        super()._handle_stream_frame(context, frame_type, buf)
        if offset or self._reassembling:
            stream = self._streams.get(stream_id)
            if stream is not None and stream.receiver._buffer:
                self._reassembling[stream_id] = stream
            else:
                self._reassembling.pop(stream_id, None)

    def _makes_too_many_holes(self, stream_id: int, offset: int) -> bool:
        stream = self._streams.get(stream_id)
        if stream is None:
            new_hole = offset
        else:
            receiver = stream.receiver
            if receiver.is_finished or offset > stream.max_stream_data_local:
                return False
            new_hole = offset - receiver._buffer_start - len(receiver._buffer)
            if len(receiver._ranges) > self._settings.stream_ranges:
                return offset > receiver._buffer_start
        if new_hole <= 0 or (stream is None and offset > self._settings.stream_window_octets):
            return False  # the latter is beyond any limit: an error, which aioquic answers
        holes = sum(_hole_octets(other) for other in self._reassembling.values())
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

    def _write_connection_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace) -> None:
        data = self._local_max_data
        if data.value != data.sent:
            self._write_limit(builder, data)
        for limit in (self._local_max_streams_bidi, self._local_max_streams_uni):
            # Told when the peer has fewer streams left than the news would give it.
            if limit.value != limit.sent and limit.sent - limit.used < limit.value - limit.sent:
                self._write_limit(builder, limit)

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

    def is_own(self, stream_id: int) -> bool:
        """Whether this side opens streams of an id."""
        return is_client_initiated(stream_id) == self._is_client

    def may_send_on(self, stream_id: int) -> bool:
        """Whether this side sends on streams of an id."""
        return not is_unidirectional(stream_id) or self.is_own(stream_id)

    def may_receive_on(self, stream_id: int) -> bool:
        """Whether the peer sends on streams of an id."""
        return not is_unidirectional(stream_id) or not self.is_own(stream_id)


def _has_work(stream: QuicStream) -> bool:
    return (
        not stream.sender.buffer_is_empty
        or stream.sender.reset_pending
        or stream.receiver.stop_pending
        or stream.is_finished
    )


def _hole_octets(stream: QuicStream) -> int:
    receiver = stream.receiver
    return len(receiver._buffer) - sum(len(run) for run in receiver._ranges)


def _log(builder: Any, frame: Any) -> None:
    if builder.quic_logger_frames is not None:
        builder.quic_logger_frames.append(frame)
