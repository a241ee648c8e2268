"""What can be asked of a QUIC connection."""

from __future__ import annotations

from collections.abc import Sequence

from ...models import AddressType
from ._codes import is_unidirectional
from ._compat_aioquic import QuicMachine
from ._inbound import Inbound
from ._receiver import CloseReason, HandshakeCompleted
from ._settings import QUICSettings
from ._streams import StreamTable

__all__ = ["QUICInspection"]


class QUICInspection:
    """The parts of a connection, and what they know."""

    settings: QUICSettings
    streams: StreamTable
    _machine: QuicMachine
    _inbound: Inbound
    _reason: CloseReason | None
    _lost: bool

    @property
    def handshake(self) -> HandshakeCompleted | None:
        """What the handshake brought, once it has completed."""
        return self._inbound.handshake

    @property
    def close_reason(self) -> CloseReason | None:
        """Why the connection has ended; ``None`` while it goes on."""
        return self._reason

    @property
    def is_closed(self) -> bool:
        """Whether it is over for good: no datagram for it is of interest any more, and none will be sent."""
        return self._reason is not None and (
            self._lost or self._machine.is_over or not self._machine.started or self._machine.get_timer() is None
        )

    @property
    def connection_ids(self) -> Sequence[bytes]:
        """Ids that route datagrams to this connection: those issued, and a client's first choice for its handshake."""
        ids = self._machine.local_connection_ids
        initial = self._machine.initial_destination_id
        return ids if initial is None else [*ids, initial]

    @property
    def remote_address(self) -> AddressType | None:
        """Where datagrams go at present."""
        return self._machine.get_peer_address()

    @property
    def can_send_early(self) -> bool:
        """Whether 0-RTT data can be sent (client)."""
        return self.settings.early_data and self._machine.can_send_early

    @property
    def version(self) -> int | None:
        """The QUIC version, as far as it is known."""
        return self._machine.version

    @property
    def peer_certificate(self) -> bytes | None:
        """The peer's certificate, DER."""
        return self._machine.peer_certificate

    @property
    def round_trip_seconds(self) -> float | None:
        """The smoothed round-trip time, once it was measured."""
        return self._machine.round_trip_seconds

    @property
    def open_streams(self) -> int:
        """How many streams there are records of."""
        return len(self.streams.live)

    @property
    def held_octets(self) -> int:
        """Octets that buffers take which wait for octets in front of them, all streams together."""
        return 0 if self._reason is not None else self._machine.reassembly.octets

    @property
    def reassembles(self) -> bool:
        """Whether anything waits for octets in front of it."""
        return bool(self._machine.reassembly)

    def longest_waiting(self, *, begun: bool) -> tuple[int, float] | None:
        """Return the stream whose octets have waited for longest for those in front of them, and since when.

        Args:
            begun: of the streams of which something was delivered: since something was; otherwise of those of which
                nothing was: since the first octets arrived.
        """
        return None if self._reason is not None else self._machine.reassembly.longest(begun=begun)

    @property
    def max_datagram_frame_octets(self) -> int:
        """What a DATAGRAM frame can carry; negative when the peer takes none."""
        return self._machine.datagram_frame_room()

    def may_be_opened_by_peer(self, stream_id: int) -> bool:
        """Whether the peer's stream of an id is open, was, or could be within the limit it was given."""
        return stream_id // 4 < self._machine.streams_allowed(unidirectional=is_unidirectional(stream_id))

    def unacknowledged_octets(self, stream_id: int) -> int:
        """Return how many octets of a stream the peer has not acknowledged."""
        return self._machine.unsent_and_unacknowledged(stream_id)[1]

    def unsent_octets(self, stream_id: int) -> int:
        """Return how many octets of a stream wait to be sent for the first time."""
        if self._reason is not None or stream_id not in self.streams.live:
            return 0
        return self._machine.unsent_and_unacknowledged(stream_id)[0]

    def has_bidirectional_streams(self) -> bool:
        """Whether there is a bidirectional stream that is not over on the wire, or not released."""
        return any(not is_unidirectional(stream_id) for stream_id in self.streams.live)
