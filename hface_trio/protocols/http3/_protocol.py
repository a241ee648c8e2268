"""The face of an HTTP/3 connection: what servers and clients have in common of it.

It ties the collaborators together and does nothing by itself: datagrams go through QUIC to the receiver, submissions to the
stream table and QUIC, time to whoever waits for it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence

from aioquic.quic.configuration import QuicConfiguration

from ...errors import LocalProtocolError, SectionTooLargeError
from ...events import Event
from ...limits import Limits
from ...models import DatagramType, HeadersType
from .._fields import check_own_trailers
from .._interfaces import Buffer
from .._outbound import OutboundSection, SectionCheck, SectionPreparer
from ..quic import ConnectionIdSource, QUICConnection
from ..quic._tickets import SessionTicketStore
from ._codes import (
    DATA,
    HEADERS,
    HTTP3ErrorCode,
    HTTP3Setting,
)
from ._connection import Connection
from ._control import ControlStreams, ExtensionStreams
from ._control_frames import ControlFrames
from ._drain import Drain
from ._frames import pack_frame, pack_frame_head, pack_varint
from ._inspection import H3Inspection
from ._receiver import Receiver
from ._settings import HTTP3Settings, first_settings, quic_settings
from ._streams import RequestStream

__all__ = ["H3Protocol"]

_DATA_HEAD_OCTETS = 5
_JOINED_OCTETS = 4096  # more are written behind their head, rather than copied once more
_LONGEST_DATA = 2**30 - 1


class H3Protocol(H3Inspection):
    """An HTTP/3 connection, without its I/O; base of server and client.

    Args:
        configuration: TLS and what else QUIC needs; its windows are those of :func:`~._settings.quic_settings`.
        connection: shared state.
        frames: takes the frames of the peer's control stream.
        make_receiver: makes what takes the rest.
        connection_id_source: makes connection ids.
        original_destination_connection_id: see :class:`~hface_trio.protocols.quic.QUICConnection`.
        retry_source_connection_id: likewise.
        session_tickets: where tickets are kept; without it nothing is resumed.
    """

    def __init__(
        self,
        *,
        configuration: QuicConfiguration,
        connection: Connection,
        frames: ControlFrames,
        make_receiver: Callable[[ControlStreams, Drain], Receiver],
        connection_id_source: ConnectionIdSource,
        original_destination_connection_id: bytes | None = None,
        retry_source_connection_id: bytes | None = None,
        session_tickets: SessionTicketStore | None = None,
    ) -> None:
        self._connection = connection
        self._streams = connection.streams
        limits, settings, client_side = connection.limits, connection.settings, connection.client_side
        self._preparer = SectionPreparer(
            normalized=settings.normalize_outbound_headers,
            checked=settings.validate_outbound_headers,
            split_cookies=settings.split_outbound_cookies,
            never_indexed=None,
        )
        self._control = ControlStreams(connection, frames, first_settings(limits, settings, client_side=client_side))
        self._drain = Drain(connection, self._control)
        self._quic = connection.quic = QUICConnection(
            configuration,
            settings=quic_settings(limits, settings, client_side=client_side),
            connection_id_source=connection_id_source,
            receiver=make_receiver(self._control, self._drain),
            original_destination_connection_id=original_destination_connection_id,
            retry_source_connection_id=retry_source_connection_id,
            session_ticket_fetcher=None if client_side or session_tickets is None else session_tickets.take,
            session_ticket_handler=None if session_tickets is None else session_tickets.put,
        )
        self._quic.streams.hold = True
        self._quic.sender.overhead_octets = _DATA_HEAD_OCTETS
        self._quic.ledger.may_grow = self._window_may_grow

    # What the application wants.

    def submit_data(self, stream_id: int, data: Buffer, end_stream: bool = False) -> None:
        """Send octets of a body or of a tunnel.

        Raises:
            SendCapacityError: there is more than ``send_capacity``.
            LocalProtocolError: the stream is over, or its head was not sent.
        """
        stream = self._sending(stream_id)
        octets = len(data)
        if octets:
            self._quic.check_capacity(stream_id, octets)
            head = pack_frame_head(DATA, octets)
            if octets <= _JOINED_OCTETS:
                self._quic.write(stream_id, head + data, end_stream)
            else:
                self._quic.write(stream_id, head)
                self._quic.write(stream_id, data, end_stream)
        elif end_stream:
            self._quic.write(stream_id, b"", end_stream=True)
        if end_stream:
            self._sending_ended(stream)

    def submit_trailers(self, stream_id: int, headers: HeadersType) -> None:
        """Send a trailer section and end the sending side of the stream."""
        stream = self._sending(stream_id)
        section = self._prepare(headers, check_own_trailers)
        if stream.tunnel and section.fields:
            raise LocalProtocolError("a tunnel has no trailers", stream_id=stream_id)
        if section.fields:
            self._send_section(stream, section, end_stream=True)
        else:
            self._quic.write(stream_id, b"", end_stream=True)
            self._sending_ended(stream)

    def submit_stream_reset(self, stream_id: int, error_code: int = 0) -> None:
        """End a stream at once in both directions. Does nothing to a stream that is over.

        A message that was sent completely stays so with NO_ERROR (0 stands for it): the peer is only asked to send no
        more. Any other code takes back what has not been delivered of it.
        """
        stream = self._streams.live.get(stream_id)
        if stream is not None:
            self._connection.reset_stream(stream, error_code or HTTP3ErrorCode.NO_ERROR)
            self._settle()
        elif error_code and not stream_id & 2:  # complete here, but not taken by the peer
            self._quic.submit_stream_reset(stream_id, error_code)
            self._settle()

    def refuse_stream(self, stream_id: int) -> None:
        """Reset a stream so that the peer knows that nothing was done with it."""
        self.submit_stream_reset(stream_id, HTTP3ErrorCode.REQUEST_REJECTED)

    def stream_released(self, stream_id: int) -> None:
        """Tell that the application is done with a stream."""
        if stream_id not in self._streams.live:
            self._quic.release(stream_id)
            self._settle()

    def submit_goaway(self, *, last_stream_id: int | None = None) -> None:
        """Begin a graceful end: what is under way is finished, nothing new is accepted or opened.

        Args:
            last_stream_id: the last request that is served; those above it are rejected. By default a server serves what
                arrives within a round trip.

        Raises:
            LocalProtocolError: a lower last stream id was named before.
        """
        if not self._connection.terminated:
            self._drain.begin(last_stream_id)
            self._settle()

    def submit_close(self, error_code: int = 0, message: str | None = None) -> None:
        """End the connection and all its streams."""
        self._connection.close(error_code, message or "")

    def submit_ping(self) -> bytes:
        """Send a ping; its answer comes as :class:`~hface_trio.events.PingAcknowledged`.

        Returns:
            Eight octets by which the acknowledgement is known.

        Raises:
            LocalProtocolError: the connection has ended.
        """
        self._check_open()
        return self._quic.submit_ping().to_bytes(8, "big")

    def submit_key_update(self) -> None:
        """Change the encryption keys."""
        self._quic.submit_key_update()

    def register_stream_type(self, stream_type: int, streams: ExtensionStreams) -> None:
        """Have the peer's unidirectional streams of a type handed to somebody, before the first of them comes.

        Args:
            stream_type: none of those that RFC 9114 and RFC 9204 define.
            streams: takes them.
        """
        self._control.register(stream_type, streams)

    def acknowledge(self, stream_id: int, n_octets: int) -> None:
        """Return credit for data octets that the application took. Late calls for ended streams are welcome."""
        self._quic.acknowledge(stream_id, n_octets)

    def send_capacity(self, stream_id: int) -> int:
        """Return how many octets ``submit_data`` takes now; 0 for streams that are over."""
        return min(self._quic.send_capacity(stream_id), _LONGEST_DATA) if self.can_send(stream_id) else 0

    @property
    def sends(self) -> bool:
        """Whether anything was submitted that the peer has not taken."""
        return self._quic.sender.busy

    def stalled_streams(self, since: float) -> Sequence[int]:
        """Return the requests of whose responses, or the other way round, the peer has taken next to nothing since a time."""
        return [stream_id for stream_id in self._quic.sender.stalled(since) if not stream_id & 2]

    def unsent_octets(self, stream_id: int) -> int:
        """Return how many octets of a stream congestion, or the peer's windows, hold back."""
        return self._quic.unsent_octets(stream_id)

    def submit_datagram(self, stream_id: int, data: bytes) -> None:
        """Send an HTTP datagram (RFC 9297). It may be lost.

        Raises:
            LocalProtocolError: it is longer than ``max_datagram_octets``, or the stream is over.
        """
        stream = self._live(stream_id)
        if not stream.head_sent or stream.sending_ended or len(data) > self.max_datagram_octets(stream_id):
            raise LocalProtocolError("the HTTP datagram cannot be sent, or is too long", stream_id=stream_id)
        self._quic.submit_datagram_frame(pack_varint(stream_id // 4) + data)

    def max_datagram_octets(self, stream_id: int) -> int:
        """Return how long an HTTP datagram may be; negative when the peer takes none."""
        connection = self._connection
        if not connection.settings.datagrams or not (connection.peer_settings or {}).get(HTTP3Setting.H3_DATAGRAM):
            return -1
        return self._quic.max_datagram_frame_octets - len(pack_varint(stream_id // 4))

    # Events, time and the transport.

    def next_event(self) -> Event | None:
        """Return the next event, or ``None`` when there is none for now."""
        connection = self._connection
        if not connection.events:
            self._quic.settle()
        return connection.take_event()

    def clock(self, now: float) -> None:
        """Tell the time, and do what is due by it."""
        connection = self._connection
        connection.now = now
        connection.budget.clock(now)
        self._quic.clock(now)
        if not connection.terminated:
            self._drain.clock(now)
            self._settle()

    def get_timer(self) -> float | None:
        """Return when ``clock`` has to be called next, and datagrams taken, or ``None``."""
        timer = self._quic.get_timer()
        if self._connection.terminated:
            return timer
        own = min(self._drain.deadline(), self._own_deadline())
        if timer is None or own < timer:
            return own if own < float("inf") else timer
        return timer

    def datagram_received(self, datagram: DatagramType) -> None:
        """Feed a datagram of the peer."""
        self._connection.hold_streams = self.hold_streams
        self._quic.datagram_received(datagram)
        self._settle()

    def datagrams_to_send(self) -> list[DatagramType]:
        """Take all datagrams that may leave now."""
        going_on = not self._connection.terminated
        datagrams = self._quic.datagrams_to_send()
        self._settle()
        if going_on and self._connection.terminated:
            datagrams += self._quic.datagrams_to_send()  # the last word
        return datagrams

    def connection_lost(self) -> None:
        """Tell that the socket is gone."""
        self._quic.connection_lost()

    # For servers and clients.

    @abstractmethod
    def _own_deadline(self) -> float:
        """Return when the time is of interest to this side alone."""

    def _settle(self) -> None:
        self._drain.settle()

    def _live(self, stream_id: int) -> RequestStream:
        stream = self._streams.live.get(stream_id)
        if stream is None:
            raise LocalProtocolError(f"stream {stream_id} is not open", stream_id=stream_id)
        return stream

    def _sending(self, stream_id: int) -> RequestStream:
        stream = self._live(stream_id)
        if not stream.head_sent or stream.sending_ended:
            raise LocalProtocolError(f"stream {stream_id} does not take data now", stream_id=stream_id)
        return stream

    def _prepare(self, headers: HeadersType, check: SectionCheck) -> OutboundSection:
        section = self._preparer.prepare(headers, check)
        largest = (self._connection.peer_settings or {}).get(HTTP3Setting.MAX_FIELD_SECTION_SIZE)
        if largest is not None and section.octets > largest:
            raise SectionTooLargeError(f"field section is longer than the {largest} octets that the peer takes")
        return section

    def _send_section(self, stream: RequestStream, section: OutboundSection, *, end_stream: bool) -> None:
        frame = section.block  # without a dynamic table it never changes
        if frame is None:
            block = self._connection.encoder.encode(stream.stream_id, section.fields)
            frame = section.block = pack_frame(HEADERS, block)
        self._quic.write(stream.stream_id, frame, end_stream=end_stream)
        if end_stream:
            self._sending_ended(stream)

    def _sending_ended(self, stream: RequestStream) -> None:
        stream.sending_ended = True
        self._connection.end_if_complete(stream)
        self._settle()

    def _window_may_grow(self) -> bool:
        return self.may_grow is None or self.may_grow()

    def _check_open(self) -> None:
        if self._connection.terminated:
            raise LocalProtocolError("the connection has ended")


def make_connection(client_side: bool, limits: Limits | None, settings: HTTP3Settings | None) -> Connection:
    """Return the shared state of a new connection."""
    return Connection(client_side=client_side, limits=limits or Limits(), settings=settings or HTTP3Settings())
