"""The server's side of an HTTP/3 connection."""

from __future__ import annotations

from aioquic.quic.configuration import QuicConfiguration

from ...errors import LocalProtocolError
from ...limits import Limits, Timeouts
from ...models import HeadersType
from .._fields import check_response
from .._idle import IdleWatch
from ..quic import ConnectionIdSource
from ..quic._tickets import SessionTicketStore
from ._control import ControlStreams
from ._control_frames import ServerControlFrames
from ._drain import Drain
from ._protocol import H3Protocol, make_connection
from ._server_receiver import ServerReceiver
from ._settings import HTTP3Settings
from ._streams import MessagePhase, RequestStream

__all__ = ["H3ServerProtocol"]


class H3ServerProtocol(H3Protocol):
    """An HTTP/3 connection of a server, on ``aioquic``.

    Args:
        configuration: TLS and what else QUIC needs.
        connection_id_source: makes connection ids.
        limits: bounds on what the client may use.
        timeouts: bounds on what it may stretch: ``request_head_seconds``, ``idle_seconds``, and ``body_progress_seconds``
            where octets are missing in front of those that came.
        settings: options of HTTP/3.
        original_destination_connection_id: see :class:`~hface_trio.protocols.quic.QUICConnection`.
        retry_source_connection_id: likewise.
        session_tickets: where tickets are kept; without it nothing is resumed.
    """

    _receiver: ServerReceiver

    def __init__(
        self,
        *,
        configuration: QuicConfiguration,
        connection_id_source: ConnectionIdSource,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        settings: HTTP3Settings | None = None,
        original_destination_connection_id: bytes | None = None,
        retry_source_connection_id: bytes | None = None,
        session_tickets: SessionTicketStore | None = None,
    ) -> None:
        timeouts = timeouts or Timeouts()
        connection = make_connection(client_side=False, limits=limits, settings=settings)
        frames = ServerControlFrames(connection)

        def make_receiver(control: ControlStreams, drain: Drain) -> ServerReceiver:
            self._receiver = ServerReceiver(connection, control, drain, timeouts)
            return self._receiver

        super().__init__(
            configuration=configuration,
            connection=connection,
            frames=frames,
            make_receiver=make_receiver,
            connection_id_source=connection_id_source,
            original_destination_connection_id=original_destination_connection_id,
            retry_source_connection_id=retry_source_connection_id,
            session_tickets=session_tickets,
        )
        frames.prioritize = self._receiver.prioritize
        self._idle_watch = IdleWatch(timeouts.idle_seconds)

    def is_available(self) -> bool:
        """Return ``False``: servers open no streams."""
        return False

    def get_available_stream_id(self) -> int:
        """Refuse: servers open no streams.

        Raises:
            LocalProtocolError: always.
        """
        raise LocalProtocolError("a server opens no streams")

    def is_early(self, stream_id: int) -> bool:
        """Whether a request came as 0-RTT data, so that it may be a replay (RFC 8470)."""
        stream = self._streams.live.get(stream_id)
        return stream is not None and stream.early

    def submit_headers(self, stream_id: int, headers: HeadersType, end_stream: bool = False) -> None:
        """Send the head of a final response; a 2xx response to CONNECT turns the stream into a tunnel.

        Raises:
            LocalProtocolError: the section is malformed, or the stream does not take one now.
        """
        stream = self._awaiting_head(stream_id)
        section = self._prepare(headers, check_response)
        facts = section.facts
        if 100 <= facts.status < 200:
            raise LocalProtocolError("an interim response is no final one", stream_id=stream_id)
        if not 200 <= facts.status < 300:
            stream.tunnel = False
        stream.head_sent = True
        self._send_section(stream, section, end_stream=end_stream)

    def submit_informational(self, stream_id: int, headers: HeadersType) -> None:
        """Send an interim response.

        Raises:
            LocalProtocolError: the section is malformed, or the stream does not take one now.
        """
        stream = self._awaiting_head(stream_id)
        section = self._prepare(headers, check_response)
        facts = section.facts
        if not 100 <= facts.status < 200:
            raise LocalProtocolError("not an interim response", stream_id=stream_id)
        self._send_section(stream, section, end_stream=False)

    def submit_continue(self, stream_id: int) -> None:
        """Send 100 (Continue) if the client holds its body back for it; harmless otherwise."""
        stream = self._streams.live.get(stream_id)
        if stream is None or not stream.awaits_continue:
            return
        stream.awaits_continue = False
        body_came = stream.received_octets or stream.phase is not MessagePhase.BODY
        if not (stream.head_sent or stream.sending_ended or body_came):
            self._send_section(stream, self._prepare([(b":status", b"100")], check_response), end_stream=False)

    def clock(self, now: float) -> None:
        """Tell the time, and do what is due by it."""
        super().clock(now)
        if self._connection.terminated:
            return
        self._receiver.clock(now)
        if self._idle_watch.clock(now, idle=not self._streams.live) and not self.draining:
            self._drain.begin(None)

    def _own_deadline(self) -> float:
        deadline = self._receiver.deadline()
        return deadline if self.draining else min(deadline, self._idle_watch.deadline())

    def _settle(self) -> None:
        self._drain.settle()
        self._idle_watch.watch(idle=not self._streams.live, now=self._connection.now)

    def _awaiting_head(self, stream_id: int) -> RequestStream:
        stream = self._live(stream_id)
        if not stream.announced or stream.head_sent or stream.sending_ended:
            raise LocalProtocolError(f"stream {stream_id} does not take a head now", stream_id=stream_id)
        return stream
