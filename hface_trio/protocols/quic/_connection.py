"""A QUIC connection without I/O: streams of four kinds, credit, capacity, datagrams, time, ids and the end.

It knows nothing of what runs on it. Whoever uses it is told what happens as calls of a
:class:`~._receiver.QUICReceiver`, or takes events. The rules:

- ``clock`` before everything else that is fed; after it, and after every ``submit_…``, take ``datagrams_to_send``.
- Octets of streams are held against the peer until ``acknowledge`` returns them. What arrives on a stream that
  ``submit_stop_sending`` stopped is for nobody and is returned by itself.
- A stream is over when both sides have ended it; the peer may open another once it was also released. That happens by
  itself unless ``streams.hold`` is set: then ``release`` says so.
- Nothing that the peer sends makes a method raise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from aioquic.quic.configuration import QuicConfiguration
from aioquic.tls import SessionTicket

from ...errors import LocalProtocolError
from ...events import Event
from ...models import AddressType, DatagramType
from .._interfaces import Buffer
from ._codes import QUICErrorCode, is_unidirectional
from ._compat_aioquic import QuicMachine
from ._credit import ReceiveLedger
from ._ending import LastWord, close_reason
from ._ids import ConnectionIdSource
from ._inbound import Inbound
from ._inspection import QUICInspection
from ._keepalive import Pings
from ._receiver import CloseReason, EventQueue, QUICReceiver
from ._sender import StreamSender
from ._settings import QUICSettings
from ._stream import QUICStream
from ._streams import StreamTable

__all__ = ["QUICConnection"]

_MESSAGE_OCTETS: Final = 256


class QUICConnection(QUICInspection):
    """One QUIC connection.

    Args:
        configuration: see :func:`~._tls.server_configuration` and :func:`~._tls.client_configuration`.
        settings: options of QUIC; the same that ``configuration`` was made with.
        connection_id_source: makes connection ids.
        receiver: is told what happens; events are queued if there is none.
        original_destination_connection_id: the id that the client first sent to (server); that of the first datagram
            fed if ``None``.
        retry_source_connection_id: the id of the Retry packet, if one was sent (server).
        session_ticket_fetcher: finds a ticket by its label, once (server); without it nothing is resumed.
        session_ticket_handler: takes tickets: to be kept for the fetcher (server), or for later connections (client).
        token_handler: takes tokens that save a later connection the validation of its address (client).
    """

    def __init__(
        self,
        configuration: QuicConfiguration,
        *,
        settings: QUICSettings,
        connection_id_source: ConnectionIdSource,
        receiver: QUICReceiver | None = None,
        original_destination_connection_id: bytes | None = None,
        retry_source_connection_id: bytes | None = None,
        session_ticket_fetcher: Callable[[bytes], SessionTicket | None] | None = None,
        session_ticket_handler: Callable[[SessionTicket], None] | None = None,
        token_handler: Callable[[bytes], None] | None = None,
    ) -> None:
        self.client_side: bool = configuration.is_client
        self.settings = settings
        self._events = EventQueue()
        self._receiver = receiver or self._events
        self._machine = machine = QuicMachine(
            configuration,
            settings,
            connection_id_source,
            original_destination_connection_id=original_destination_connection_id,
            retry_source_connection_id=retry_source_connection_id,
            session_ticket_fetcher=session_ticket_fetcher,
            session_ticket_handler=session_ticket_handler,
            token_handler=token_handler,
        )
        self.ledger: ReceiveLedger = ReceiveLedger(
            machine,
            connection_window=settings.connection_window,
            maximum_window=settings.maximum_window_octets,
            growth_octets=settings.window_growth_octets,
            growth_seconds=settings.window_growth_seconds,
        )
        self.sender: StreamSender = StreamSender(machine, settings, self._capacity_increased)
        self.pings: Pings = Pings(machine, settings.keep_alive_interval_seconds)
        self.streams: StreamTable = StreamTable(machine, settings, self.ledger, self.sender)
        self._inbound = Inbound(
            machine,
            streams=self.streams,
            ledger=self.ledger,
            sender=self.sender,
            pings=self.pings,
            receiver=self._receiver,
        )
        self._now = 0.0
        self._dirty = False
        self._lost = False
        self._reason: CloseReason | None = None
        self._largest_acknowledged = -1
        self._unanswered_since: float | None = None
        self._unanswered_seconds = settings.unacknowledged_seconds
        self._own_streams_allowed = (0, 0)
        self._last_word = LastWord()

    # Streams.

    def streams_left(self, *, unidirectional: bool = False) -> int:
        """Return how many streams may be opened now."""
        return 0 if self._reason is not None else self.streams.left(unidirectional=unidirectional)

    def next_stream_id(self, *, unidirectional: bool = False) -> int:
        """Return the id of the next stream to open; it is opened by submitting something on it.

        Raises:
            LocalProtocolError: no stream can be opened now.
        """
        self._check_open()
        return self.streams.next_id(unidirectional=unidirectional)

    def enter(self, stream_id: int) -> bool:
        """Enter a stream of the peer of which nothing was delivered, so that it can be answered; return whether it is new."""
        if stream_id in self.streams.live or self._reason is not None or not self._machine.has_stream(stream_id):
            return False
        self.streams.entered(stream_id)
        return True

    def has_received(self, stream_id: int) -> bool:
        """Whether anything of an open stream has arrived, be it its end."""
        stream = self.streams.live.get(stream_id)
        return stream is not None and (stream.receiving_ended or stream.credit.delivered > 0)

    def submit_data(self, stream_id: int, data: Buffer, end_stream: bool = False) -> None:
        """Send octets on a stream.

        Raises:
            SendCapacityError: there are more than ``send_capacity``.
            LocalProtocolError: the stream takes none, or cannot be opened.
        """
        stream = self._sending(stream_id)
        self.sender.submit(stream, data, end_stream=end_stream)
        self.streams.settle(stream)

    def check_capacity(self, stream_id: int, n_octets: int) -> None:
        """Check that ``submit_data`` would take so many octets.

        Raises:
            SendCapacityError: they are more than ``send_capacity``.
            LocalProtocolError: the stream takes none, or cannot be opened.
        """
        self.sender.check(self._sending(stream_id), n_octets)

    def write(self, stream_id: int, data: Buffer, end_stream: bool = False) -> None:
        """Send octets on a stream whatever its capacity: few, such as what frames its data, or checked before.

        Raises:
            LocalProtocolError: the stream takes none, or cannot be opened.
        """
        stream = self.streams.live.get(stream_id)
        if stream is None or not stream.may_send:
            stream = self._sending(stream_id)
        self.sender.write(stream, data, end_stream=end_stream)
        if end_stream:
            self.streams.settle(stream)

    def send_capacity(self, stream_id: int) -> int:
        """Return how many octets ``submit_data`` takes now; 0 for streams that take none."""
        self._settle()
        stream = self.streams.live.get(stream_id)
        if stream is not None:
            return self.sender.capacity(stream)
        one_way = is_unidirectional(stream_id)
        if not self.streams_left(unidirectional=one_way) or stream_id != self.next_stream_id(unidirectional=one_way):
            return 0
        return self.sender.capacity_of_new(stream_id)

    def submit_stream_reset(self, stream_id: int, code: int) -> None:
        """Reset the sending side of a stream, as far as still possible."""
        stream = self.streams.live.get(stream_id)
        if stream is not None and self._machine.may_send_on(stream_id):
            self._machine.end_sending(stream_id, code)
            self.sender.forget(stream)
            self.streams.settle(stream)

    def submit_stop_sending(self, stream_id: int, code: int) -> None:
        """Ask the peer to stop sending on a stream; what still arrives is for nobody."""
        stream = self.streams.live.get(stream_id)
        if stream is not None and self._machine.may_receive_on(stream_id) and not stream.stopped:
            stream.stopped = True
            if not stream.receiving_ended:
                self._machine.end_receiving(stream_id, code)
            self.streams.settle(stream)

    def acknowledge(self, stream_id: int, n_octets: int) -> None:
        """Return credit for octets that the application took."""
        stream = self.streams.live.get(stream_id)
        if stream is not None and n_octets > 0:
            self.ledger.acknowledge(stream.credit, n_octets)
            if stream.release_when_consumed and not stream.credit.held:
                self.streams.release(stream)

    def expect(self, stream_id: int, n_octets: int) -> None:
        """Let the peer send so much more on a stream, whatever its window: it is needed whole."""
        stream = self.streams.live.get(stream_id)
        if stream is not None:
            self.ledger.expect(stream.credit, n_octets)

    def release(self, stream_id: int) -> None:
        """Tell that nobody uses a stream any more: when it is over, the peer may open another in its place."""
        stream = self.streams.live.get(stream_id)
        if stream is not None:
            self.streams.release(stream)

    def release_when_consumed(self, stream_id: int) -> None:
        """Release a stream once all that it delivered was acknowledged."""
        stream = self.streams.live.get(stream_id)
        if stream is not None:
            stream.release_when_consumed = True
            if not stream.credit.held:
                self.streams.release(stream)

    # Datagrams of the application, pings, keys, and the end.

    def submit_datagram_frame(self, data: bytes) -> None:
        """Send a DATAGRAM frame (RFC 9221). When too many wait, the oldest is dropped.

        Raises:
            LocalProtocolError: it would never fit into a packet, or the peer takes none.
        """
        if len(data) > self.max_datagram_frame_octets:
            raise LocalProtocolError(f"{len(data)} octets do not fit into a DATAGRAM frame for this peer")
        if self._reason is None:
            self._machine.queue_datagram_frame(data)

    def submit_ping(self) -> int:
        """Send a ping and return its number, which comes back with its acknowledgement."""
        return self.pings.send()

    def submit_key_update(self) -> None:
        """Change the encryption keys (RFC 9001 §6), once the handshake is confirmed."""
        if self._machine.started and self._reason is None:
            self._machine.request_key_update()

    def submit_close(self, code: int, message: str = "", *, application: bool = True) -> None:
        """End the connection.

        Args:
            code: of the application, or of the transport.
            message: the reason, for a person; it is sent.
            application: whose code it is.
        """
        if self._reason is None:
            text = message.encode("utf-8", "replace")[:_MESSAGE_OCTETS].decode("utf-8", "ignore")
            self._machine.close(code, None if application else 0, text)
            self._terminate(CloseReason(code, message, application, local=True))

    # Events, time and the transport.

    def take_connection_id_changes(self) -> tuple[list[bytes], list[bytes]]:
        """Return ids issued and ids retired since the last call; what the connection began with is neither."""
        issued, self._machine.issued_ids = self._machine.issued_ids, []
        retired, self._inbound.retired_ids = self._inbound.retired_ids, []
        return issued, retired

    def next_event(self) -> Event | None:
        """Return the next event, or ``None`` when there is none for now. For those without a receiver."""
        if not self._events.events:
            self._settle()
        return self._events.events.popleft() if self._events.events else None

    def settle(self) -> None:
        """See what was acknowledged since, and tell what capacity that makes."""
        self._settle()

    def connect(self, remote_address: AddressType) -> None:
        """Begin the handshake (client). The time must have been told.

        Args:
            remote_address: where to, in the form in which datagrams will say where they come from.
        """
        self._machine.connect(remote_address, self._now)
        self.pings.heard(self._now)
        if self.can_send_early:
            self._own_streams_changed()
            self._receiver.ready()

    def clock(self, now: float) -> None:
        """Tell the time, and do what is due by it."""
        self._now = self.ledger.now = self.sender.now = now
        machine = self._machine
        timer = None if self._lost else machine.get_timer()
        if timer is not None and now >= timer:
            machine.handle_timer(now)
            self._take_events()
        if self._reason is None:
            self.pings.clock(now)
            if self._unanswered_since is not None and now >= self._unanswered_since + self._unanswered_seconds:
                message = "the peer has acknowledged nothing for too long"
                self.submit_close(QUICErrorCode.NO_ERROR, message, application=False)

    def get_timer(self) -> float | None:
        """Return when ``clock`` has to be called next, and datagrams taken, or ``None``."""
        if self._lost:
            return None
        timer = self._machine.get_timer()
        if self._reason is not None:
            return timer
        own = self.pings.deadline()
        if self._unanswered_since is not None:
            own = min(own, self._unanswered_since + self._unanswered_seconds)
        if timer is None:
            return None if own == math.inf else own
        return min(timer, own)

    def datagram_received(self, datagram: DatagramType) -> None:
        """Feed a datagram of the peer."""
        if self._lost:
            return
        data, address = datagram
        if self._reason is not None:
            self._last_word.heard(len(data))
            return
        if self._machine.is_stateless_reset(data):
            self._lost = True
            self._terminate(CloseReason(QUICErrorCode.NO_ERROR, "the peer forgot the connection", False, False))
            return
        self.pings.heard(self._now)
        machine = self._machine
        try:
            machine.receive_datagram(data, address, self._now)
        except Exception as exc:  # noqa: BLE001  # the dependency stumbled over the peer's input: end this connection alone
            self.submit_close(QUICErrorCode.INTERNAL_ERROR, f"{type(exc).__name__}: {exc}", application=False)
            return
        if machine.largest_acknowledged != self._largest_acknowledged:
            self._largest_acknowledged = machine.largest_acknowledged
            self._unanswered_since = self._now if machine.in_flight else None
        self._take_events()

    def datagrams_to_send(self) -> list[DatagramType]:
        """Take all datagrams that may leave now."""
        if self._lost:
            return []
        machine = self._machine
        datagrams = machine.datagrams_to_send(self._now)
        if self._reason is not None:
            if datagrams:
                self._last_word.said(datagrams)
            self._end_if_silent()
            return datagrams or ([] if self.is_closed else self._last_word.again())
        self._take_events()
        if self._unanswered_since is None and machine.in_flight:
            self._unanswered_since = self._now
        self.streams.discarded(machine.take_discarded())
        self._dirty = True
        return datagrams

    def connection_lost(self, message: str = "the socket was lost") -> None:
        """Tell that the socket is gone: nothing is sent any more."""
        self._lost = True
        self._terminate(CloseReason(QUICErrorCode.NO_ERROR, message, application=False, local=True))
        self._end_if_silent()

    # Inside.

    def _take_events(self) -> None:
        machine = self._machine
        self._dirty = True
        while self._reason is None and (event := machine.next_event()) is not None:
            self._inbound.take(event)
        if self._reason is None and (close := machine.close_reason) is not None:
            self._terminate(close_reason(machine, close))
            return
        if self._reason is None and self._own_streams_changed():
            self._receiver.streams_allowed()

    def _check_open(self) -> None:
        if self._reason is not None:
            raise LocalProtocolError("the connection has ended")

    def _sending(self, stream_id: int) -> QUICStream:
        self._check_open()
        return self.streams.for_sending(stream_id)

    def _own_streams_changed(self) -> bool:
        """Return whether the peer has let this side open more streams since the last call."""
        allowed = self._machine.own_streams_allowed()
        if allowed == self._own_streams_allowed:
            return False
        self._own_streams_allowed = allowed
        return True

    def _capacity_increased(self, stream: QUICStream) -> None:
        self._receiver.capacity_increased(stream.stream_id)

    def _settle(self) -> None:
        if self._dirty:
            self._dirty = False
            if self._reason is None:
                self.sender.settle()

    def _terminate(self, reason: CloseReason) -> None:
        if self._reason is None:
            self._reason = reason
            self.streams.clear()
            self.sender.end()
            self.ledger.may_grow = None
            self._receiver.terminated(reason)
            self._receiver = self._inbound.receiver = self._events  # nobody is told anything else
            self._end_if_silent()

    def _end_if_silent(self) -> None:
        """Let go of all there was for sending and receiving, once nothing is to be said any more."""
        if self._lost or not self._machine.has_last_word:
            self._machine.end_trace()
            self._machine.let_go()
