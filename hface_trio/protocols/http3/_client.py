"""The client's side of an HTTP/3 connection."""

from __future__ import annotations

import math

from aioquic.quic.configuration import QuicConfiguration

from ...errors import LocalProtocolError
from ...limits import Limits
from ...models import AddressType, HeadersType
from .._fields import check_request
from .._priority import Priority, format_priority
from ..quic import ConnectionIdSource
from ..quic._tickets import SessionTicketStore
from ._client_receiver import ClientReceiver
from ._codes import MAXIMUM_REQUEST_ID, HTTP3Setting
from ._control import ControlStreams
from ._control_frames import ClientControlFrames
from ._drain import Drain
from ._frames import pack_priority_update
from ._protocol import H3Protocol, make_connection
from ._settings import HTTP3Settings

__all__ = ["H3ClientProtocol"]


class H3ClientProtocol(H3Protocol):
    """An HTTP/3 connection of a client, on ``aioquic``. Its handshake begins when it is first told the time.

    Args:
        configuration: TLS and what else QUIC needs, the server's name with it.
        connection_id_source: makes connection ids.
        remote_address: where the server is, in the form in which datagrams will say where they come from.
        limits: bounds on what the server may use, and on streams that are opened at once.
        settings: options of HTTP/3.
        session_tickets: where tickets are kept; without it nothing is resumed.
    """

    def __init__(
        self,
        *,
        configuration: QuicConfiguration,
        connection_id_source: ConnectionIdSource,
        remote_address: AddressType,
        limits: Limits | None = None,
        settings: HTTP3Settings | None = None,
        session_tickets: SessionTicketStore | None = None,
    ) -> None:
        connection = make_connection(client_side=True, limits=limits, settings=settings)

        def make_receiver(control: ControlStreams, drain: Drain) -> ClientReceiver:
            return ClientReceiver(connection, control, drain)

        super().__init__(
            configuration=configuration,
            connection=connection,
            frames=ClientControlFrames(connection),
            make_receiver=make_receiver,
            connection_id_source=connection_id_source,
            session_tickets=session_tickets,
        )
        self._server_address = remote_address
        self._connecting = False

    def is_available(self) -> bool:
        """Return whether a new stream can be opened now."""
        connection = self._connection
        return (
            not self.has_expired()
            and len(self._streams.live) < connection.limits.concurrent_streams
            and self._quic.streams_left() > 0
            and (self._quic.handshake is not None or self._quic.can_send_early)
        )

    def get_available_stream_id(self) -> int:
        """Return the id of the next stream to open.

        Raises:
            LocalProtocolError: no stream can be opened now.
        """
        if not self.is_available():
            raise LocalProtocolError("no stream can be opened now")
        return self._quic.next_stream_id()

    def submit_headers(self, stream_id: int, headers: HeadersType, end_stream: bool = False) -> None:
        """Send a request head; ``stream_id`` is that of ``get_available_stream_id``.

        Raises:
            LocalProtocolError: the section is malformed, the id is not the next one, or no stream can be opened now.
        """
        if stream_id != self.get_available_stream_id():
            raise LocalProtocolError(f"stream {stream_id} is not the next to be opened", stream_id=stream_id)
        section = self._prepare(headers, check_request)
        facts = section.facts
        if facts.protocol is not None and not self._peer_takes_extended_connect():
            raise LocalProtocolError("the server does not take extended CONNECT", stream_id=stream_id)
        stream = self._connection.begin_stream(stream_id, initiated_here=True)
        stream.method = facts.method
        stream.head_sent = True
        self._send_section(stream, section, end_stream=end_stream)

    def submit_informational(self, stream_id: int, headers: HeadersType) -> None:
        """Refuse: only servers send interim responses.

        Raises:
            LocalProtocolError: always.
        """
        raise LocalProtocolError("a client sends no interim response", stream_id=stream_id)

    def prioritize(self, stream_id: int, *, urgency: int = 3, incremental: bool = False) -> None:
        """Change the priority of a stream that is open, or about to be opened (RFC 9218 §7.2).

        Args:
            stream_id: the stream.
            urgency: 0, most urgent, to 7.
            incremental: whether parts of the response are of use.

        Raises:
            LocalProtocolError: an argument is out of its range, or the connection ended.
        """
        self._check_open()
        if not 0 <= urgency <= 7 or not 0 <= stream_id <= MAXIMUM_REQUEST_ID or stream_id % 4:
            raise LocalProtocolError("urgency is 0 to 7, of a stream", stream_id=stream_id)
        priority = Priority(urgency, incremental)
        stream = self._streams.live.get(stream_id)
        if stream is not None:
            stream.priority = priority
        self._control.send(pack_priority_update(stream_id, format_priority(priority)))

    def clock(self, now: float) -> None:
        """Tell the time, and do what is due by it; the first time, begin the handshake."""
        super().clock(now)
        if not self._connecting and not self._connection.terminated:
            self._connecting = True
            self._quic.connect(self._server_address)

    def _own_deadline(self) -> float:
        return math.inf

    def _peer_takes_extended_connect(self) -> bool:
        return bool((self._connection.peer_settings or {}).get(HTTP3Setting.ENABLE_CONNECT_PROTOCOL))
