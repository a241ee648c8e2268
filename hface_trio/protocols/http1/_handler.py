"""A small face over the engine: octets in, events out, and calls that return the octets to send.

It keeps the request-response cycle of HTTP/1.1 and nothing else: no credit, no timers, no stream ids. Those who need them use
:class:`~hface_trio.protocols.http1.H11ServerProtocol`, which stands under it.
"""

from __future__ import annotations

from typing import ClassVar, Protocol, TypeAlias, runtime_checkable

from ...errors import LocalProtocolError
from ...events import ConnectionTerminated, DataReceived, Event, HeadersReceived, StreamReset, TrailersReceived
from ...limits import Limits, Timeouts
from ...models import HeaderType
from .._registry import protocol_registry
from ._server import HTTP1Server

__all__ = [
    "BodyReceived",
    "ConnectionClosed",
    "H1HttpToolsProtocol",
    "H1Protocol",
    "ProtocolEvent",
    "ProtocolHandler",
    "RequestReceived",
    "Upgraded",
]


class RequestReceived(Event):
    """A complete request head.

    Args:
        method: such as ``b"GET"``.
        target: path and query; ``*`` for a whole server, host and port for CONNECT.
        headers: names in lower case, and values; ``host`` among them, connection fields not.
        http_version: ``"1.1"`` or ``"1.0"``.
    """

    __slots__ = _fields = ("method", "target", "headers", "http_version")

    def __init__(self, method: bytes, target: bytes, headers: tuple[HeaderType, ...], http_version: str) -> None:
        self.method: bytes = method
        self.target: bytes = target
        self.headers: tuple[HeaderType, ...] = headers
        self.http_version: str = http_version


class BodyReceived(Event):
    """Octets of a request body, or of what the connection was upgraded to.

    Args:
        data: the octets.
        more: whether others follow.
    """

    __slots__ = _fields = ("data", "more")

    def __init__(self, data: bytes, more: bool) -> None:
        self.data: bytes = data
        self.more: bool = more


class ConnectionClosed(Event):
    """The connection is over, by the client's doing or because of an error.

    Args:
        reason: why, for a person.
    """

    __slots__ = _fields = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason: str = reason


class Upgraded(Event):
    """The connection speaks another protocol now.

    Args:
        protocol: such as ``"websocket"``; ``"connect"`` for a tunnel.
    """

    __slots__ = _fields = ("protocol",)

    def __init__(self, protocol: str) -> None:
        self.protocol: str = protocol


ProtocolEvent: TypeAlias = RequestReceived | BodyReceived | ConnectionClosed | Upgraded


@runtime_checkable
class ProtocolHandler(Protocol):
    """The request-response cycle of an HTTP/1.1 server, without I/O."""

    def receive_data(self, data: bytes) -> list[ProtocolEvent]:
        """Feed octets of the client and return what they mean. Empty ``data`` says that the client ended its side."""
        ...

    def send_response(self, status: int, headers: list[HeaderType]) -> bytes:
        """Return the octets of a response head."""
        ...

    def send_body(self, data: bytes, more: bool = False) -> bytes:
        """Return the octets that carry ``data``; without ``more`` the response ends."""
        ...

    def start_new_cycle(self) -> None:
        """Turn to the next request of a connection that is kept."""
        ...


class H1Protocol:
    """A :class:`ProtocolHandler` on h11.

    Args:
        secure: whether the transport is TLS.
        limits: bounds on what the client sends.
    """

    _engine: ClassVar[str] = "h11"

    def __init__(self, *, secure: bool = False, limits: Limits = Limits()) -> None:  # noqa: B008
        make = protocol_registry.http1_servers.load(self._engine)
        self._protocol: HTTP1Server = make(secure=secure, limits=limits, timeouts=Timeouts())
        self._stream_id = 0
        self._in_cycle = False
        self._response_ended = False
        self._lost = False
        self._upgrade = ""
        self._pending: list[ProtocolEvent] = []
        self._held: list[Event] = []

    def receive_data(self, data: bytes) -> list[ProtocolEvent]:
        """Feed octets of the client and return what they mean.

        A request that came early is returned by the call after ``start_new_cycle``, or by ``pending_events``. What has
        to be sent because of the octets (an error answer) is returned by ``data_to_send``.

        Args:
            data: the octets; empty when the client ended its side.
        """
        if data:
            self._protocol.bytes_received(data)
        else:
            self._protocol.eof_received()
        return self.pending_events()

    def pending_events(self) -> list[ProtocolEvent]:
        """Return what has come, without feeding anything."""
        while (event := self._protocol.next_event()) is not None:
            self._held.append(event)
            if isinstance(event, DataReceived):
                self._protocol.acknowledge(event.stream_id, len(event.data))
        while self._held and self._take(self._held[0]):
            del self._held[0]
        pending, self._pending = self._pending, []
        return pending

    def data_to_send(self) -> bytes:
        """Return what the protocol itself has to say, such as an error answer."""
        return self._protocol.bytes_to_send()

    def send_response(self, status: int, headers: list[HeaderType]) -> bytes:
        """Return the octets of a response head, an interim one (1xx) too.

        Raises:
            LocalProtocolError: no response is due, or it cannot be sent.
        """
        section = [(b":status", b"%d" % status), *headers]
        if 100 <= status < 200 and status != 101:
            self._protocol.submit_informational(self._stream_id, section)
        else:
            self._protocol.submit_headers(self._stream_id, section)
            if status == 101 or (self._upgrade == "connect" and status < 300):
                self._pending.append(Upgraded(self._upgrade))
        return self._protocol.bytes_to_send()

    def send_body(self, data: bytes, more: bool = False) -> bytes:
        """Return the octets that carry ``data``; without ``more`` the response ends.

        Raises:
            LocalProtocolError: no body is due, or it is not as long as the head said.
        """
        sent: list[bytes] = []
        view = memoryview(data)
        while (capacity := self._protocol.send_capacity(self._stream_id)) < len(view):
            self._protocol.submit_data(self._stream_id, view[:capacity])
            sent.append(self._protocol.bytes_to_send())
            view = view[capacity:]
        self._protocol.submit_data(self._stream_id, view, end_stream=not more)
        self._response_ended = not more
        sent.append(self._protocol.bytes_to_send())
        return b"".join(sent)

    def start_new_cycle(self) -> None:
        """Turn to the next request of a connection that is kept. What still comes of the last one is dropped.

        Raises:
            LocalProtocolError: the response is not complete.
        """
        if self._in_cycle and not self._response_ended:
            raise LocalProtocolError("the response is not complete")
        self._protocol.discard_input(self._stream_id)
        self._in_cycle = False
        self._response_ended = False
        self._upgrade = ""

    def _take(self, event: Event) -> bool:
        """Translate an event, unless it belongs to the next cycle."""
        if isinstance(event, HeadersReceived):
            if self._in_cycle:
                return False
            self._request(event)
        elif not self._in_cycle and not isinstance(event, ConnectionTerminated):
            return True
        elif isinstance(event, DataReceived):
            self._pending.append(BodyReceived(event.data, more=not event.end_stream))
        elif isinstance(event, TrailersReceived):
            self._pending.append(BodyReceived(b"", more=False))
        elif isinstance(event, ConnectionTerminated):
            if self._in_cycle and self._response_ended and not self._lost:
                return False
            self._pending.append(ConnectionClosed(event.message or "connection ended"))
        elif isinstance(event, StreamReset):
            self._lost = True
        return True

    def _request(self, event: HeadersReceived) -> None:
        pseudo = {name: value for name, value in event.headers if name[0] == 0x3A}
        fields = [field for field in event.headers if field[0][0] != 0x3A]
        method = pseudo[b":method"]
        authority = pseudo.get(b":authority")
        if authority is not None:
            fields.insert(0, (b"host", authority))
        self._in_cycle = True
        self._stream_id = event.stream_id
        self._upgrade = next((value.decode("latin-1") for name, value in fields if name == b"upgrade"), "")
        if method == b"CONNECT":
            self._upgrade = "connect"
        target = pseudo.get(b":path", authority or b"")
        version = self._protocol.request_version(event.stream_id)
        self._pending.append(RequestReceived(method, target, tuple(fields), version))
        if event.end_stream:
            self._pending.append(BodyReceived(b"", more=False))


class H1HttpToolsProtocol(H1Protocol):
    """A :class:`ProtocolHandler` on httptools.

    Args:
        secure: whether the transport is TLS.
        limits: bounds on what the client sends.

    Raises:
        ConfigurationError: httptools is not installed.
    """

    _engine = "httptools"
