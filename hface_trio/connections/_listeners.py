"""Listeners: from a bound socket to running HTTP connections.

A listener owns one accept task per socket and hands each connection to a task of its own. Accepting never waits for a
connection: handshakes are made in the connection's task, a bounded number at a time and each under its deadline. Nothing
that happens on one connection ends the listener.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias, TypeVar

import trio

from ..errors import HfaceError, HTTPConnectionError
from ..models import AddressType, ServerTLSConfig
from ..networking import ByteStream, ByteStreamListener, SocketWatch, SystemNetworking, TCPServerNetworking
from ..protocols import ALPNHTTPFactory, HTTPOverTCPFactory
from ..protocols.http2 import is_preface_prefix
from ._connection import HTTPConnection
from ._context import ConnectionContext, logger
from ._serial_server import StreamHandler

if TYPE_CHECKING:
    from ..protocols.quic import QUICRouterStatistics

__all__ = ["ConnectionHandler", "HTTPListener", "HTTPMultiListener", "HTTPOverTCPListener"]

ConnectionHandler: TypeAlias = Callable[[HTTPConnection], Awaitable[object]]
"""What serves a connection: an asynchronous function of one argument, which runs the connection."""


_T = TypeVar("_T")

_ACCEPT_BATCH = 64
_ACCEPT_LAST = 4096
"""Connections that are taken at the end: what a system lets wait, even if it was told to let many."""


def _accept_waiting(listener: ByteStreamListener, begin: Callable[[ByteStream], None], at_most: int) -> None:
    """Accept the connections that are there, so many at the most."""
    for _ in range(at_most):
        stream = listener.accept_nowait()
        if stream is None:
            return
        begin(stream)


async def handle_connection(handler: Callable[[_T], Awaitable[object]], connection: _T, host: str) -> None:
    """Call what handles a connection; whatever it raises ends that connection only.

    Args:
        handler: is called.
        connection: its argument.
        host: of the peer, for the log.
    """
    try:
        await handler(connection)
    except (HTTPConnectionError, trio.BrokenResourceError) as exc:  # peers leave: not worth an error in the log
        logger.debug("a connection from %s ended: %s", host or "a peer", exc)
    except Exception:  # noqa: BLE001  # the barrier: no connection may end its server
        logger.exception("a connection from %s failed", host or "a peer")
    except BaseExceptionGroup as group:
        failures, rest = group.split(Exception)
        if failures is not None:
            logger.error("a connection from %s failed", host or "a peer", exc_info=failures)
        if rest is not None:
            raise rest from None


class HTTPListener(ABC):
    """Accepts HTTP connections."""

    @property
    @abstractmethod
    def addresses(self) -> Sequence[AddressType]:
        """The bound addresses, with real ports."""

    def quic_statistics(self) -> Sequence[QUICRouterStatistics]:
        """Return what routers of QUIC hold, and what they did with datagrams so far; nothing where there is none."""
        return ()

    @abstractmethod
    async def serve(
        self,
        connection_handler: ConnectionHandler,
        *,
        handler_nursery: trio.Nursery | None = None,
        task_status: trio.TaskStatus[Sequence[AddressType]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept connections and run ``connection_handler`` for each, in a task of its own.

        Args:
            connection_handler: called with each new connection; it has to run it. What it raises is logged and ends
                its connection only.
            handler_nursery: where the connections' tasks live; a nursery of this call unless given. With one of your
                own, cancelling this call stops accepting and lets connections go on; a
                :class:`~hface_trio.networking.SocketWatch` should run there, or departures behind unread data go
                unnoticed.
            task_status: started with the bound addresses.

        Returns when the listener is closed, and (without ``handler_nursery``) its connections are over.
        """

    async def serve_streams(
        self,
        stream_handler: StreamHandler,
        *,
        handler_nursery: trio.Nursery | None = None,
        task_status: trio.TaskStatus[Sequence[AddressType]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept connections and serve their requests with ``stream_handler``; otherwise as :meth:`serve`."""

        async def serve_connection(connection: HTTPConnection) -> None:
            await connection.serve_streams(stream_handler)

        await self.serve(serve_connection, handler_nursery=handler_nursery, task_status=task_status)

    @abstractmethod
    async def aclose(self) -> None:
        """Stop listening. Connections that were accepted go on."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class HTTPOverTCPListener(HTTPListener):
    """Accepts connections over TCP, with or without TLS; made by :meth:`create`."""

    def __init__(
        self,
        protocol_factory: HTTPOverTCPFactory,
        listeners: Sequence[ByteStreamListener],
        *,
        context: ConnectionContext | None = None,
    ) -> None:
        self.alternative_services: bytes | None = None
        """Value of the ``alt-svc`` field that responses get (RFC 7838 §3)."""
        self._protocol_factory = protocol_factory
        self._listeners = tuple(listeners)
        self._context = context or ConnectionContext()
        names = protocol_factory.alpn_protocols
        self._sniffs = "h2" in names and len(names) > 1
        self._accepting: dict[ByteStreamListener, Callable[[ByteStream], None]] = {}

    @classmethod
    async def create(
        cls,
        protocol_factory: HTTPOverTCPFactory,
        address: AddressType,
        *,
        tls_config: ServerTLSConfig | None = None,
        networking: TCPServerNetworking | None = None,
        context: ConnectionContext | None = None,
    ) -> Self:
        """Bind and listen.

        Args:
            protocol_factory: makes the protocols of connections.
            address: host and port; what they may be stands at ``TCPServerNetworking.listen_tcp``.
            tls_config: speak TLS with this configuration; cleartext without one.
            networking: the system's unless given.
            context: limits and accounts; those of this listener alone unless given.

        Raises:
            OSError: the address cannot be bound.
            ConfigurationError: the TLS configuration cannot be used.
        """
        networking = networking or SystemNetworking()
        if tls_config is None:
            listeners = await networking.listen_tcp(address)
        else:
            listeners = await networking.listen_tcp_tls(
                address, tls_config=tls_config, alpn_protocols=protocol_factory.alpn_protocols
            )
        return cls(protocol_factory, listeners, context=context)

    @property
    def addresses(self) -> Sequence[AddressType]:
        """The bound addresses, with real ports."""
        return tuple(listener.address for listener in self._listeners)

    async def serve(
        self,
        connection_handler: ConnectionHandler,
        *,
        handler_nursery: trio.Nursery | None = None,
        task_status: trio.TaskStatus[Sequence[AddressType]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept connections; see :meth:`HTTPListener.serve`."""
        async with trio.open_nursery() as watchers:
            if handler_nursery is None:
                await watchers.start(SocketWatch().run)
            async with trio.open_nursery() as own_nursery:
                for listener in self._listeners:
                    own_nursery.start_soon(self._accept, listener, connection_handler, handler_nursery or own_nursery)
                task_status.started(self.addresses)
            watchers.cancel_scope.cancel()

    async def _accept(
        self, listener: ByteStreamListener, connection_handler: ConnectionHandler, nursery: trio.Nursery
    ) -> None:
        def begin(stream: ByteStream) -> None:
            address = stream.extra_attributes.remote_address
            host = address[0] if address is not None else ""
            if self._context.admission.admit(host):
                nursery.start_soon(self._serve_connection, stream, host, connection_handler)
            else:
                stream.abort()

        self._accepting[listener] = begin
        try:
            while True:
                begin(await listener.accept())
                # A batch at a time: in a storm of connections each waits for one pass of the scheduler, not for hundreds.
                _accept_waiting(listener, begin, _ACCEPT_BATCH)
        except trio.ClosedResourceError:
            return
        finally:
            del self._accepting[listener]

    async def _serve_connection(self, stream: ByteStream, host: str, connection_handler: ConnectionHandler) -> None:
        async def open_and_handle(stream: ByteStream) -> None:
            connection = await self._open_connection(stream, host)
            if connection is not None:
                await connection_handler(connection)

        try:
            await handle_connection(open_and_handle, stream, host)
        finally:
            with trio.move_on_after(1, shield=True):  # a deadline, though closing does not wait
                await stream.aclose()  # harmless when it is closed
            self._context.admission.release(host)

    async def _open_connection(self, stream: ByteStream, host: str) -> HTTPConnection | None:
        """Make the handshake, which a peer may break at will: not worth a line in the log."""
        try:
            with trio.fail_after(self._context.timeouts.handshake_seconds):
                if stream.has_handshake and not await self._shake_hands(stream, host):
                    return None
        except (HfaceError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError) as exc:
            reason = str(exc) or "it took too long"
            logger.debug("handshake with %r failed: %s", stream.extra_attributes.remote_address, reason)
            await stream.aclose()  # in order, so that an alert arrives
            return None
        began_at = trio.current_time()
        attributes = stream.extra_attributes
        if attributes.alpn_offered and attributes.alpn_protocol is None:
            # It speaks something else, and was perhaps sent here by somebody (RFC 7301 §3.2). No alert: ssl has none for it.
            logger.debug("no protocol in common with %r", attributes.remote_address)
            await stream.aclose()
            return None
        alpn_protocol, initial = attributes.alpn_protocol, b""
        if attributes.tls_version is None and self._sniffs:
            try:
                alpn_protocol, initial = await self._sniff(stream)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return None
            if not initial:
                return None
        protocol = self._protocol_factory(attributes.tls_version, alpn_protocol)
        protocol.clock(began_at)
        upgrade = None
        if attributes.tls_version is None and isinstance(self._protocol_factory, ALPNHTTPFactory):
            upgrade = self._protocol_factory.upgrade
        return HTTPConnection(
            protocol,
            stream,
            client_side=False,
            context=self._context,
            initial=initial,
            upgrade=upgrade,
            alternative_services=self.alternative_services,
        )

    async def _shake_hands(self, stream: ByteStream, host: str) -> bool:
        """Make the handshake, if the peer begins it before the server shuts down; return whether it was made.

        Only then does it count among those under way: peers that say nothing hold up nobody.
        """
        with trio.CancelScope() as scope:
            self._context.undecided.add(scope)
            try:
                await stream.wait_handshake_peer()
            finally:
                self._context.undecided.discard(scope)
        if not scope.cancelled_caught and await self._context.handshakes.shake_hands(stream, host):
            return True
        await stream.aclose()
        return False

    async def _sniff(self, stream: ByteStream) -> tuple[str | None, bytes]:
        """Read until it is clear whether a cleartext peer speaks HTTP/2 with prior knowledge (RFC 9113 §3.3)."""
        received, decided = b"", None
        with trio.move_on_after(self._context.timeouts.request_head_seconds) as scope:
            self._context.undecided.add(scope)
            try:
                while (decided := is_preface_prefix(received)) is None:
                    data = await stream.receive_some()
                    if not data:
                        break
                    received += data
            finally:
                self._context.undecided.discard(scope)
        if scope.cancelled_caught:
            await stream.aclose()
            return None, b""
        return "h2" if decided else None, received

    async def aclose(self) -> None:
        """Stop listening. Connections that were accepted go on, and so do those whose peers think that they were."""
        for listener in self._listeners:
            if (begin := self._accepting.get(listener)) is not None:
                _accept_waiting(listener, begin, _ACCEPT_LAST)
            await listener.aclose()
        await trio.lowlevel.checkpoint()


class HTTPMultiListener(HTTPListener):
    """Serves several listeners as one.

    Args:
        listeners: the listeners, all of them closed and served together.
    """

    def __init__(self, listeners: Sequence[HTTPListener]) -> None:
        self._listeners = tuple(listeners)

    @classmethod
    async def create(cls, makers: Sequence[Callable[[], Awaitable[HTTPListener]]]) -> Self:
        """Make listeners one after the other; when one fails, close those made before and raise what it raised.

        Args:
            makers: asynchronous functions without arguments, such as ``functools.partial(HTTPOverTCPListener.create, …)``.
        """
        listeners: list[HTTPListener] = []
        try:
            for make in makers:
                listeners.append(await make())  # noqa: PERF401  # those made before a failure have to be closed
        except BaseException:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                for listener in listeners:
                    await listener.aclose()
            raise
        return cls(listeners)

    def quic_statistics(self) -> Sequence[QUICRouterStatistics]:
        """Return what the routers of all listeners tell."""
        return [statistics for listener in self._listeners for statistics in listener.quic_statistics()]

    @property
    def addresses(self) -> Sequence[AddressType]:
        """The bound addresses of all listeners."""
        return tuple(address for listener in self._listeners for address in listener.addresses)

    async def serve(
        self,
        connection_handler: ConnectionHandler,
        *,
        handler_nursery: trio.Nursery | None = None,
        task_status: trio.TaskStatus[Sequence[AddressType]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve all listeners; see :meth:`HTTPListener.serve`."""
        async with trio.open_nursery() as nursery:
            for listener in self._listeners:
                await nursery.start(
                    functools.partial(listener.serve, connection_handler, handler_nursery=handler_nursery)
                )
            task_status.started(self.addresses)

    async def aclose(self) -> None:
        """Close all listeners."""
        for listener in self._listeners:
            await listener.aclose()
        await trio.lowlevel.checkpoint()
