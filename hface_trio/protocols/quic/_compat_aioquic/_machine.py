"""What the rest of this package asks of a connection of ``aioquic``, and tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aioquic.buffer import size_uint_var
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import NetworkAddress, QuicConnectionId, QuicConnectionState
from aioquic.quic.events import ConnectionTerminated, QuicEvent
from aioquic.quic.rangeset import RangeSet
from aioquic.tls import Epoch, SessionTicket
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

from .._codes import is_client_initiated, is_unidirectional
from .._ids import RESET_TOKEN_OCTETS, ConnectionIdSource
from .._settings import QUICSettings
from ._sending import SendingConnection
from ._traces import Trace

__all__ = ["PeerClose", "QuicMachine"]

PeerClose = ConnectionTerminated

_SHORT_HEADER_OCTETS = 3  # its first octet and the two of a packet number
_AEAD_TAG_OCTETS = 16
_KEY_UPDATES = frozenset({"local_update", "remote_update"})
_IDLE_TIMEOUT = "Idle timeout"
_SHORTEST_RESET = 21  # RFC 9000 §10.3


class QuicMachine(SendingConnection):
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
            configuration,
            settings,
            original_destination_connection_id=None if client else original_destination_connection_id or b"",
            retry_source_connection_id=retry_source_connection_id,
            session_ticket_fetcher=session_ticket_fetcher,
            session_ticket_handler=session_ticket_handler,
            token_handler=token_handler,
        )
        self._source = connection_id_source
        self.issued_ids: list[bytes] = []
        self.initial_destination_id: bytes | None = None
        self._peer_certificate: Certificate | None = None  # when TLS is no more
        self._key_update_wanted = False
        self._key_phase_began_at = -1
        first = connection_id_source.issue()
        self.host_cid: bytes = first.connection_id
        self._host_cids[0].cid = self._local_initial_source_connection_id = first.connection_id
        if isinstance(self._quic_logger, Trace):
            self._quic_logger.local_id = first.connection_id
        if not client:
            self._host_cids[0].stateless_reset_token = first.reset_token

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
        tls = getattr(self, "tls", None)
        certificate = self._peer_certificate if tls is None else tls._peer_certificate
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
        return bool(
            token
            and len(data) >= _SHORTEST_RESET
            and len(token) == RESET_TOKEN_OCTETS
            and data[-RESET_TOKEN_OCTETS:] == token
            and not data[0] & 0x80
        )

    @property
    def has_last_word(self) -> bool:
        """Whether the peer is yet to be told of the end."""
        return self._close_pending and self.started

    def end_trace(self) -> None:
        """Write the trace, if there is one: nothing more will happen. Harmless when it was written."""
        trace, self._quic_logger = self._quic_logger, None
        if trace is not None and self._configuration.quic_logger is not None:
            self._loss._quic_logger = None
            self._configuration.quic_logger.end_trace(trace)

    def let_go(self) -> None:
        """Drop what only a connection needs that still sends or receives; what can be asked of it stays."""
        tls = getattr(self, "tls", None)
        if tls is not None:
            self._peer_certificate = tls._peer_certificate
        super().let_go()

    # What has happened.

    def next_event(self) -> QuicEvent | None:
        """Take the next event."""
        return self._events.popleft() if self._events else None

    def take_discarded(self) -> list[int]:
        """Return the streams that are over on the wire, once."""
        discarded = self._table.discarded
        if discarded:
            self._table.discarded = []
        return discarded

    # Limits of the peer.

    def own_streams_left(self, *, unidirectional: bool) -> int:
        """Return how many streams may be opened now."""
        if unidirectional:
            return self._remote_max_streams_uni - self._local_next_stream_id_uni // 4
        return self._remote_max_streams_bidi - self._local_next_stream_id_bidi // 4

    def own_streams_allowed(self) -> tuple[int, int]:
        """Return how many streams the peer lets this side open in all, bidirectional and unidirectional; it never shrinks."""
        return self._remote_max_streams_bidi, self._remote_max_streams_uni

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
        self.skip_received(stream_id)
        return True

    def final_size(self, stream_id: int) -> int:
        """Return the final size of a stream that the peer has reset, and free what had arrived out of order."""
        stream = self._streams[stream_id]
        stream.receiver._buffer = bytearray()
        stream.receiver._ranges = RangeSet()
        self.reassembly.forget(stream_id)
        return stream.receiver.highest_offset

    def is_own(self, stream_id: int) -> bool:
        """Whether this side opens streams of an id."""
        return is_client_initiated(stream_id) == self._is_client

    @property
    def in_flight(self) -> bool:
        """Whether the peer has to acknowledge something that was sent."""
        return bool(self._loss.bytes_in_flight)

    @property
    def largest_acknowledged(self) -> int:
        """The largest packet number of 1-RTT packets that the peer has acknowledged."""
        space = self._application_space
        return -1 if space is None else space.largest_acked_packet

    def may_send_on(self, stream_id: int) -> bool:
        """Whether this side sends on streams of an id."""
        return not is_unidirectional(stream_id) or self.is_own(stream_id)

    def may_receive_on(self, stream_id: int) -> bool:
        """Whether the peer sends on streams of an id."""
        return not is_unidirectional(stream_id) or not self.is_own(stream_id)

    # Keys.

    def request_key_update(self) -> None:
        """Update the keys once that is allowed; several requests until then are one."""
        self._key_update_wanted = True
        self._begin_key_update()

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, NetworkAddress]]:
        """Return what is to be sent now, under new keys if that was asked for and is allowed."""
        if self._key_update_wanted:
            self._begin_key_update()
        return super().datagrams_to_send(now)

    def _begin_key_update(self) -> None:
        # Not again before a packet under the present keys was acknowledged (RFC 9001 §6.1): until then the peer may not have
        # them, and it knows present and next keys, no others.
        if self.largest_acknowledged >= self._key_phase_began_at:
            self._key_update_wanted = False
            super().request_key_update()

    # What aioquic calls.

    def _log_key_updated(self, key_type: str, trigger: str) -> None:
        if trigger in _KEY_UPDATES:
            self._key_phase_began_at = self._packet_number
        super()._log_key_updated(key_type, trigger)

    def _initialize(self, peer_cid: bytes) -> None:
        if not self._is_client:
            self.initial_destination_id = peer_cid
            if not self._original_destination_connection_id:
                self._original_destination_connection_id = peer_cid
                if isinstance(self._quic_logger, Trace):
                    self._quic_logger.original_id = peer_cid
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
