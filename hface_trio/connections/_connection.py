"""One HTTP connection, of any version: a sans-IO protocol, a transport, and the tasks between them.

A connection is used in one of two ways, decided by the first call that needs one of them: *raw*, with ``receive_event`` and
``send_…`` by stream id, or by *streams*, with ``serve_streams`` on a server and ``open_stream`` on a client. In either case
its tasks run inside ``async with connection:``, or in ``await nursery.start(connection.run)``.

The tasks of a connection raise no ``Exception`` into the nursery they run in. What went wrong is stored, and raised by the
calls that it concerns, each time as a new exception with the stored one as cause.
"""

from __future__ import annotations

import dataclasses
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import trio

from ..errors import ConfigurationError, LocalProtocolError
from ..models import AddressType, HeadersType, HTTPErrorCodes
from ..networking import ByteStream, ExtraAttributes
from ..protocols import HTTPOverQUICProtocol, HTTPOverTCPProtocol, HTTPOverTCPUpgrade
from ..protocols.http2 import H2Protocol
from ._base import ConnectionDriver
from ._context import ConnectionContext
from ._datagram_wire import DatagramWire
from ._http2 import HTTP2Features
from ._input import EventQueue
from ._latch import Latch
from ._multiplexed import MultiplexedDriver
from ._multiplexed_client import MultiplexedClientDriver
from ._multiplexed_server import MultiplexedServerDriver
from ._observer import ConnectionRecord
from ._opening import OpenStream
from ._own_nursery import OwnNursery
from ._quic_link import QUICLink
from ._raw import RawConnection
from ._ring import ConnectionEvents
from ._serial_client import SerialClientDriver
from ._serial_server import SerialServerDriver, StreamHandler
from ._wire import StreamWire, Wire

if TYPE_CHECKING:
    from ._http3 import HTTP3Features

__all__ = ["ConnectionStatistics", "HTTPConnection"]

_Driver: TypeAlias = ConnectionDriver[Any]


@dataclasses.dataclass(frozen=True, slots=True)
class ConnectionStatistics:
    """Counts of one connection at one moment.

    Args:
        octets_received: of the transport, above TLS.
        octets_sent: of the transport, above TLS.
        buffered_octets: received and not taken by the application, or submitted and not taken by the kernel.
        streams: streams opened so far.
    """

    octets_received: int
    octets_sent: int
    buffered_octets: int
    streams: int


class HTTPConnection(RawConnection):
    """A connection that listeners and openers make.

    Args:
        protocol: the sans-IO part.
        transport: the I/O part, its handshake made.
        client_side: whether this process is the client.
        context: limits and accounts; those of a connection alone unless given.
        initial: octets that were received to choose the protocol, and are its first input.
        upgrade: makes the protocol that may take over from HTTP/1.1, where a client asks for that (server, by streams).
        alternative_services: value of the ``alt-svc`` field that responses get (server; RFC 7838 §3).

    Raises:
        ConfigurationError: one of protocol and transport is of QUIC, the other is not.
    """

    def __init__(
        self,
        protocol: HTTPOverTCPProtocol | HTTPOverQUICProtocol,
        transport: ByteStream | QUICLink,
        *,
        client_side: bool,
        context: ConnectionContext | None = None,
        initial: bytes = b"",
        upgrade: HTTPOverTCPUpgrade | None = None,
        alternative_services: bytes | None = None,
    ) -> None:
        if isinstance(protocol, HTTPOverQUICProtocol) != isinstance(transport, QUICLink):
            raise ConfigurationError("protocol and transport must be both of QUIC, or neither")
        attributes = transport.extra_attributes
        record = ConnectionRecord(
            protocol.http_version,
            client_side,
            attributes.local_address,
            attributes.remote_address,
            opened_at=trio.current_time(),
        )
        super().__init__(protocol, record, client_side=client_side)
        self._upgrade = upgrade
        self._alternative_services = alternative_services
        self._initial = initial
        self._transport = transport
        self._context = context or ConnectionContext()
        self._own_nursery: OwnNursery | None = None
        self._started = Latch()

    def __repr__(self) -> str:
        side = "client" if self._client_side else "server"
        state = "over" if self._over.is_set() else "open" if self._started.is_set() else "new"
        return f"<HTTPConnection HTTP/{self.http_version} {side} {state} remote={self.remote_address!r}>"

    # What is known of it

    @property
    def http_version(self) -> str:
        """``"1.1"``, ``"2"`` or ``"3"``."""
        return self._protocol.http_version

    @property
    def multiplexed(self) -> bool:
        """Whether several streams may be open at a time."""
        return self._protocol.multiplexed

    @property
    def local_address(self) -> AddressType | None:
        """Address of this side."""
        return self.extra_attributes.local_address

    @property
    def remote_address(self) -> AddressType | None:
        """Address of the peer."""
        return self.extra_attributes.remote_address

    @property
    def error_codes(self) -> HTTPErrorCodes:
        """Codes of this HTTP version for common failures."""
        return self._protocol.error_codes

    @property
    def extra_attributes(self) -> ExtraAttributes:
        """What is known of the transport: addresses, TLS version, ALPN, peer certificate."""
        return self._transport.extra_attributes

    @property
    def draining(self) -> bool:
        """Whether the connection finishes what is under way and takes nothing new."""
        return self._driver is not None and self._driver.draining.is_set()

    def is_available(self) -> bool:
        """Return whether a stream could be opened now without waiting (client)."""
        return not self._over.is_set() and self._protocol.is_available()

    def has_expired(self) -> bool:
        """Return whether no further stream can ever be opened."""
        return self._over.is_set() or self._protocol.has_expired()

    def is_fresh(self, opened_after: float) -> bool:
        """Return whether the connection was opened after ``opened_after`` and has had no stream yet."""
        return not self._record.streams and self._record.opened_at > opened_after

    def statistics(self) -> ConnectionStatistics:
        """Return the counts of this moment."""
        received, sent, buffered = self._driver.statistics() if self._driver is not None else (0, 0, 0)
        return ConnectionStatistics(received, sent, buffered, self._record.streams)

    # Its life

    async def run(self, *, task_status: trio.TaskStatus[HTTPConnection] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the tasks of the connection until it is over.

        ``task_status`` is started with the connection itself.

        Raises:
            LocalProtocolError: it runs, or ran, already.

        Cancellation: what is under way is reset, what is complete gets one bounded flush, then the transport is closed.
        """
        if not self._client_side:
            self._raw = EventQueue()
        driver = self._make_driver(None)
        driver.raw = self._raw
        await self._run(driver, task_status)

    async def serve_streams(self, handler: StreamHandler) -> None:
        """Serve requests with ``handler``, in turn or at once as the version has it, until the connection is over (server).

        Args:
            handler: called with an :class:`~hface_trio.connections.HTTPStream` for every request. What it raises is logged
                and ends its stream only.

        Raises:
            LocalProtocolError: the connection is a client's, or runs already.

        Cancellation: as for :meth:`run`.
        """
        if self._client_side:
            raise LocalProtocolError("serve_streams is for servers")
        driver = self._make_driver(handler)
        await self._run(driver, trio.TASK_STATUS_IGNORED)

    async def _run(self, driver: _Driver, task_status: trio.TaskStatus[HTTPConnection]) -> None:
        if self._driver is not None:
            raise LocalProtocolError("the connection runs, or ran, already")
        self._driver = driver
        driver.connection = self
        driver.alternative_services = self._alternative_services
        driver.task = trio.lowlevel.current_task()
        context, record = self._context, self._record
        context.connections.add(self)
        if context.observer is not None:
            context.observe(context.observer.connection_opened, record)
        try:
            await driver.run(started=lambda: self._set_started(driver, task_status))
            if isinstance(driver, SerialServerDriver) and driver.successor is not None:
                await self._run_successor(driver, driver.successor)
        finally:
            self._over.set()
            self._started.set()
            context.connections.discard(self)
            if not self._client_side:
                del self._driver.connection  # each refers to the other, and no handler is left to ask
            record.closed_at = trio.current_time()
            if context.observer is not None:
                context.observe(context.observer.connection_closed, record)

    async def _run_successor(self, driver: SerialServerDriver, protocol: HTTPOverTCPProtocol) -> None:
        """Go on with the protocol that a request has asked to change to."""
        self._protocol = protocol
        self._record.http_version = protocol.http_version
        successor = self._driver = MultiplexedServerDriver(
            protocol,
            self._make_wire(protocol, bytes(driver.trailing_data)),
            self._context,
            self._record,
            driver.handler,
        )
        successor.connection = self
        successor.alternative_services = self._alternative_services
        successor.task = driver.task
        successor.octets_received = driver.octets_received
        if driver.draining.is_set():
            successor.drain()
        await successor.run(started=lambda: self._drain_late(successor))

    def _make_driver(self, handler: StreamHandler | None) -> _Driver:
        protocol, transport, context, record = self._protocol, self._transport, self._context, self._record
        if self.multiplexed:
            wire = self._make_wire(protocol, self._initial)
            if self._client_side:
                return MultiplexedClientDriver(protocol, wire, context, record)
            protocol.hold_streams = handler is not None
            return MultiplexedServerDriver(protocol, wire, context, record, handler)
        if isinstance(protocol, HTTPOverQUICProtocol) or isinstance(transport, QUICLink):
            raise ConfigurationError("a protocol over QUIC has to be multiplexed")
        if self._client_side:
            return SerialClientDriver(protocol, transport, context, record)
        upgrade = self._upgrade if handler is not None else None
        return SerialServerDriver(protocol, transport, context, record, handler, self._initial, upgrade)

    def _make_wire(self, protocol: HTTPOverTCPProtocol | HTTPOverQUICProtocol, initial: bytes) -> Wire:
        timeouts, transport = self._context.timeouts, self._transport
        if isinstance(protocol, HTTPOverQUICProtocol):
            if not isinstance(transport, QUICLink):
                raise ConfigurationError("a protocol over QUIC needs a link")
            return DatagramWire(
                protocol, transport, client_side=self._client_side, linger_seconds=timeouts.linger_seconds
            )
        if isinstance(transport, QUICLink):
            raise ConfigurationError("a protocol over TCP needs a byte stream")
        return StreamWire(
            protocol,
            transport,
            initial=initial,
            client_side=self._client_side,
            progress_seconds=timeouts.write_progress_seconds,
            linger_seconds=timeouts.linger_seconds,
        )

    def _set_started(self, driver: _Driver, task_status: trio.TaskStatus[HTTPConnection]) -> None:
        self._started.set()
        task_status.started(self)
        self._drain_late(driver)

    def _drain_late(self, driver: _Driver) -> None:
        """Drain a connection that was still being made when its server began to shut down."""
        if self._context.draining and not self._client_side:
            driver.drain()

    async def __aenter__(self) -> Self:
        """Run the connection's tasks for the length of the block, unless they run elsewhere already."""
        if self._driver is None:
            self._own_nursery = OwnNursery()
            nursery = await self._own_nursery.open()
            try:
                await nursery.start(self.run)
            except BaseException:
                await self._own_nursery.close()
                raise
        else:
            await trio.lowlevel.checkpoint()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self.aclose()
        finally:
            if self._own_nursery is not None:
                await self._own_nursery.close()

    async def open(self) -> None:
        """Wait until the connection's tasks run."""
        await trio.lowlevel.checkpoint()
        await self._started.wait()

    async def aclose(self) -> None:
        """Close the connection, resetting what is under way, and wait until it is closed.

        Called by a handler of the connection itself it does not wait.

        Cancellation: the connection closes nevertheless.
        """
        driver = self._driver
        if driver is None:
            self._over.set()
            await self._transport.aclose()
            return
        if not self._over.is_set():
            driver.close()
        if not self._runs_current_task(driver):  # a handler's own connection ends when the handler has
            await self._over.wait()
        await trio.lowlevel.checkpoint()

    def _runs_current_task(self, driver: _Driver) -> bool:
        task: trio.lowlevel.Task | None = trio.lowlevel.current_task()
        while task is not None and task is not driver.task:
            task = None if task.parent_nursery is None else task.parent_nursery.parent_task
        return task is not None and self._own_nursery is None and not self._client_side

    def drain(self) -> None:
        """Finish what is under way, take nothing new, then close: GOAWAY, or ``Connection: close`` on HTTP/1.1."""
        if self._driver is not None and not self._over.is_set():
            self._driver.drain()

    # By streams

    def open_stream(self, headers: HeadersType, end_stream: bool = False) -> OpenStream:
        """Return a context manager for one exchange (client): it sends the request head and gives the stream.

        Leaving the block ends the exchange; where it is not complete by then it is cancelled, which closes an HTTP/1.1
        connection.

        Args:
            headers: ``:method``, ``:scheme``, ``:authority``, ``:path``, then fields with lower-case names.
            end_stream: the request has no body.

        Raises:
            ConnectionLostError: (on entering) the connection is over; ``retryable`` when nothing was sent.
            LocalProtocolError: the head is not one of a request; nothing was sent.

        Cancellation: (on entering) nothing was sent.
        Backpressure: entering waits for the connection's turn.
        """
        driver = self._running()
        if not isinstance(driver, SerialClientDriver | MultiplexedClientDriver):
            raise LocalProtocolError("open_stream is for clients")
        if self._raw is not None:
            raise LocalProtocolError("the connection is used raw")
        return OpenStream(driver, headers, end_stream)

    def subscribe(self) -> ConnectionEvents:
        """Return a channel of what happens beside the streams: settings, pings, GOAWAY, promises, alternative services.

        It holds the latest 64 events, and ends with the connection. Use it as a context manager, or close it.
        """
        return ConnectionEvents(self._running().subscribers)

    @property
    def http2(self) -> HTTP2Features | None:
        """What HTTP/2 has beyond the model that all versions share; ``None`` on connections of other versions."""
        driver = self._driver
        if isinstance(driver, MultiplexedDriver) and isinstance(self._protocol, H2Protocol):
            return HTTP2Features(driver, self._protocol)
        return None

    @property
    def http3(self) -> HTTP3Features | None:
        """What HTTP/3 has beyond the model that all versions share; ``None`` on connections of other versions."""
        driver = self._driver
        if not isinstance(driver, MultiplexedDriver) or not isinstance(self._protocol, HTTPOverQUICProtocol):
            return None
        from ..protocols.http3 import H3Protocol  # noqa: PLC0415  # imports QUIC, which takes its time
        from ._http3 import HTTP3Features  # noqa: PLC0415

        return HTTP3Features(driver, self._protocol) if isinstance(self._protocol, H3Protocol) else None

    def pushed_stream(self, stream_id: int) -> OpenStream:
        """Return a context manager for a promised response (client), after its ``PushPromiseReceived``.

        Raises:
            LocalProtocolError: there is no such promise, it was taken already, or its stream was reset.
        """
        driver = self._running()
        stream = driver.take_pushed(stream_id) if isinstance(driver, MultiplexedClientDriver) else None
        if stream is None or not isinstance(driver, MultiplexedClientDriver):
            raise LocalProtocolError(f"there is no promise of stream {stream_id}", stream_id=stream_id)
        return OpenStream(driver, stream.headers, end_stream=True, stream=stream)
