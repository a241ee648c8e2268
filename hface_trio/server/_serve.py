"""The server: endpoints, one nursery for everything, and an orderly end.

::

    serve()
    ├─ departure watch          one task
    └─ connections              one nursery
       ├─ acceptors             one task a TCP socket; a datagram task and a sender a UDP socket
       └─ one task a connection

Shutting down closes the sockets, tells every connection to come to an end, waits for the grace to pass, and cancels what is
left.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import trio

from ..connections import (
    ConnectionContext,
    HTTPListener,
    Ledger,
    Observer,
    PeerGonePolicy,
    StreamHandler,
)
from ..errors import ConfigurationError
from ..limits import Limits, Timeouts
from ..models import ServerTLSConfig
from ..networking import ServerNetworking, SocketWatch, SystemNetworking
from ..protocols.http2 import HTTP2Settings
from ._endpoint import Endpoint
from ._listen import ListeningOptions, listen

if TYPE_CHECKING:
    from ..protocols.http3 import HTTP3Settings
    from ..protocols.quic import QUICRouterSettings, QUICRouterStatistics

__all__ = ["Server", "ServerStatistics", "serve"]

_FRESH_SECONDS = 1.0
"""A connection younger than this may have its first request on the way when the server shuts down."""


@dataclasses.dataclass(frozen=True, slots=True)
class ServerStatistics:
    """Counts of a server at one moment.

    Args:
        connections: open connections, handshakes under way included.
        connections_refused: connections closed when accepted, for being too many.
        handlers: handlers that run.
        buffered_octets: octets that all buffers hold.
        peak_buffered_octets: the most they ever held.
    """

    connections: int
    connections_refused: int
    handlers: int
    buffered_octets: int
    peak_buffered_octets: int


class Server:
    """A running server; made by :func:`serve`, which hands it to ``task_status``."""

    def __init__(
        self, context: ConnectionContext, listeners: Sequence[HTTPListener], endpoints: Sequence[Endpoint]
    ) -> None:
        self._context = context
        self._listeners = tuple(listeners)
        self._endpoints = tuple(endpoints)
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._shutdown_scope: trio.CancelScope | None = None
        self._over = trio.Event()
        self.draining: trio.Event = trio.Event()
        """Set when the server began to shut down."""

    @property
    def endpoints(self) -> list[Endpoint]:
        """The bound endpoints, with real ports; several for an endpoint with several addresses."""
        return list(self._endpoints)

    def statistics(self) -> ServerStatistics:
        """Return the counts of this moment."""
        context = self._context
        return ServerStatistics(
            connections=context.admission.count,
            connections_refused=context.admission.refused,
            handlers=context.handlers,
            buffered_octets=context.ledger.buffered_octets,
            peak_buffered_octets=context.ledger.peak_octets,
        )

    def quic_statistics(self) -> list[QUICRouterStatistics]:
        """Return what the routers of QUIC hold, and what they did with datagrams so far; one for each endpoint that has one."""
        return [statistics for listener in self._listeners for statistics in listener.quic_statistics()]

    async def shutdown(self, grace_seconds: float = math.inf) -> None:
        """Stop listening, let what is under way finish, then end.

        Every handler finds ``stream.draining`` set at once; idle connections are closed, the others with their last answer.
        Handlers that still run when the grace has passed are cancelled. Returns when the server is over.

        Args:
            grace_seconds: for all of it.

        Cancellation: what has begun goes on; call again to wait, or with a shorter grace.
        """
        await trio.lowlevel.checkpoint()
        deadline = trio.current_time() + grace_seconds
        if self._shutdown_scope is None:
            self.draining.set()
            self._context.draining = True
            self._shutdown_scope = trio.CancelScope(deadline=deadline)
            if self._nursery is not None and not self._over.is_set():
                self._nursery.start_soon(self._shut_down, self._shutdown_scope)
        else:
            self._shutdown_scope.deadline = min(self._shutdown_scope.deadline, deadline)
        await self._over.wait()

    async def _shut_down(self, scope: trio.CancelScope) -> None:
        with scope:
            for listener in self._listeners:
                await listener.aclose()
            fresh = self._drain(trio.current_time() - _FRESH_SECONDS)
            if fresh or self._context.undecided:
                await trio.sleep(min(_FRESH_SECONDS, max(0, scope.deadline - trio.current_time()) / 2))
                self._drain(math.inf)
            for undecided in list(self._context.undecided):
                undecided.cancel()
            self._context.handshakes.cut_off_stalled()
            await trio.sleep_forever()
        self._scope.cancel(reason="the grace of the shutdown has passed")

    def _drain(self, fresh_since: float) -> bool:
        """Drain connections; leave those alone that have had no request yet and are young. Return whether there are any."""
        fresh = False
        for connection in list(self._context.connections):
            if connection.is_fresh(fresh_since):
                fresh = True
            else:
                connection.drain()
        return fresh

    async def _run(self, handler: StreamHandler, task_status: trio.TaskStatus[Server]) -> None:
        try:
            async with trio.open_nursery() as watchers:
                self._nursery = watchers
                await watchers.start(SocketWatch().run)
                async with trio.open_nursery() as connections:
                    self._scope = connections.cancel_scope
                    async with trio.open_nursery() as acceptors:
                        for listener in self._listeners:
                            serve_streams = functools.partial(
                                listener.serve_streams, handler, handler_nursery=connections
                            )
                            await acceptors.start(serve_streams)
                        task_status.started(self)
                watchers.cancel_scope.cancel()
        finally:
            self._over.set()


async def serve(
    handler: StreamHandler,
    endpoints: str | Endpoint | Sequence[str | Endpoint],
    *,
    tls_config: ServerTLSConfig | None = None,
    networking: ServerNetworking | None = None,
    limits: Limits | None = None,
    timeouts: Timeouts | None = None,
    observer: Observer | None = None,
    on_peer_gone: PeerGonePolicy = "cancel",
    http_versions: Sequence[str] | None = None,
    http2_settings: HTTP2Settings | None = None,
    http3_settings: HTTP3Settings | None = None,
    quic_router_settings: QUICRouterSettings | None = None,
    engines: Mapping[str, str] | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve requests until the server is shut down or cancelled.

    Args:
        handler: an asynchronous function; called with an ``HTTPStream`` for every request, in a task that belongs to the
            request. What it raises is logged, answered with 500 where nothing was answered yet, and goes no further.
        endpoints: where to listen: URLs such as ``"http://localhost:8080"``, see :meth:`Endpoint.parse`.
        tls_config: certificate and key for ``https`` endpoints.
        networking: the system's unless given.
        limits: bounds on counts and sizes.
        timeouts: bounds on what a peer may stretch.
        observer: is told of openings and closings.
        on_peer_gone: ``"cancel"`` cancels the handler of a request whose peer is gone; with ``"raise"`` it hears of it at
            its next call on the stream.
        http_versions: versions to speak, most preferred first: ``"3"``, ``"2"``, ``"1.1"``; unless given, all that an
            endpoint can. HTTP/3 is spoken at ``https`` endpoints, over UDP at the same port, and advertised by ``alt-svc``
            on the responses of the others.
        http2_settings: options of HTTP/2.
        http3_settings: options of HTTP/3, those of QUIC with them.
        quic_router_settings: how strangers are met on QUIC: Retry, and limits on connections in their handshakes.
        engines: names of engines by HTTP version, such as ``{"1.1": "httptools"}``; the usual ones unless given.
        task_status: started with the :class:`Server` when all endpoints are bound.

    Raises:
        ConfigurationError: an endpoint, an engine or the TLS configuration cannot be used.
        OSError: an endpoint cannot be bound.

    Cancellation: connections are closed at once; :meth:`Server.shutdown` is the orderly way.
    """
    if isinstance(endpoints, str | Endpoint):
        endpoints = [endpoints]
    parsed = [Endpoint.parse(endpoint) if isinstance(endpoint, str) else endpoint for endpoint in endpoints]
    if not parsed:
        raise ConfigurationError("a server needs an endpoint to listen on")
    limits, timeouts = limits or Limits(), timeouts or Timeouts()
    context = ConnectionContext(
        limits, timeouts, Ledger(limits.buffered_octets), observer=observer, on_peer_gone=on_peer_gone
    )
    options = ListeningOptions(
        http_versions, tls_config, http2_settings, http3_settings, quic_router_settings, engines or {}
    )
    networking = networking or SystemNetworking()
    listeners: list[HTTPListener] = []
    bound: list[Endpoint] = []
    try:
        for endpoint in parsed:
            listener, addresses = await listen(endpoint, options, networking, context)
            listeners.append(listener)
            bound += [Endpoint(endpoint.scheme, host, port) for host, port in addresses]
        await Server(context, listeners, bound)._run(handler, task_status)
    finally:
        with trio.move_on_after(1, shield=True):  # a deadline, though closing does not wait
            for listener in listeners:
                await listener.aclose()
