"""Listeners over QUIC; see :mod:`._listeners`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Self

import trio

from ..models import AddressType
from ..networking import DatagramSocket, SystemNetworking, UDPServerNetworking
from ..protocols import HTTP3ServerFactory
from ..protocols.quic import KeyedConnectionIdSource, QUICRouter, QUICRouterSettings, QUICRouterStatistics
from ._connection import HTTPConnection
from ._context import ConnectionContext
from ._listeners import ConnectionHandler, HTTPListener, handle_connection
from ._quic_endpoint import EndpointLink, QUICEndpoint

__all__ = ["HTTPOverQUICListener"]


class HTTPOverQUICListener(HTTPListener):
    """Accepts connections over QUIC; made by :meth:`create`.

    Unlike a listener over TCP it has to run for as long as its connections do, because they share its sockets: cancelling
    :meth:`serve` ends them, and :meth:`aclose` is the way to accept no more.
    """

    def __init__(
        self,
        protocol_factory: HTTP3ServerFactory,
        sockets: Sequence[DatagramSocket],
        *,
        router_settings: QUICRouterSettings | None = None,
        context: ConnectionContext | None = None,
    ) -> None:
        self._context = context = context or ConnectionContext()
        source = protocol_factory.connection_id_source
        router = QUICRouter(
            protocol_factory,
            connection_id_source=source,
            versions=protocol_factory.versions,
            settings=router_settings,
            reset_token=source.reset_token if isinstance(source, KeyedConnectionIdSource) else None,
            admits=context.admission.has_room,  # connections over TCP count too
        )
        self._endpoint = QUICEndpoint(sockets, router, protocol_factory.alpn_protocols[0], context)
        self._serving = False

    @classmethod
    async def create(
        cls,
        protocol_factory: HTTP3ServerFactory,
        address: AddressType,
        *,
        networking: UDPServerNetworking | None = None,
        router_settings: QUICRouterSettings | None = None,
        context: ConnectionContext | None = None,
    ) -> Self:
        """Bind.

        Args:
            protocol_factory: makes the protocols of connections. Where its ids are of a ``KeyedConnectionIdSource``, peers
                of connections that nobody knows any more are told so by stateless resets.
            address: host and port; what they may be stands at ``UDPServerNetworking.listen_udp``.
            networking: the system's unless given.
            router_settings: how strangers are met; the limits of ``context`` hold besides.
            context: limits and accounts; those of this listener alone unless given.

        Raises:
            OSError: the address cannot be bound.
        """
        sockets = await (networking or SystemNetworking()).listen_udp(address)
        return cls(protocol_factory, sockets, router_settings=router_settings, context=context)

    @property
    def addresses(self) -> Sequence[AddressType]:
        """The bound addresses, with real ports."""
        return self._endpoint.addresses

    def quic_statistics(self) -> Sequence[QUICRouterStatistics]:
        """Return what the router holds, and what it did with datagrams so far."""
        return [self._endpoint.router.statistics()]

    async def serve(
        self,
        connection_handler: ConnectionHandler,
        *,
        handler_nursery: trio.Nursery | None = None,
        task_status: trio.TaskStatus[Sequence[AddressType]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept connections; see :meth:`HTTPListener.serve`, and the class."""
        self._serving = True
        async with trio.open_nursery() as own_nursery:
            nursery = handler_nursery or own_nursery

            def begin(link: EndpointLink) -> None:
                nursery.start_soon(self._serve_connection, link, connection_handler)

            await self._endpoint.run(begin, functools.partial(task_status.started, self.addresses))

    async def _serve_connection(self, link: EndpointLink, connection_handler: ConnectionHandler) -> None:
        try:
            connection = HTTPConnection(link.protocol, link, client_side=False, context=self._context)
            await handle_connection(connection_handler, connection, link.host)
        finally:
            self._endpoint.forget(link)

    async def aclose(self) -> None:
        """Accept no more connections. Those that were accepted go on; the sockets are closed when they have ended."""
        self._endpoint.drain()
        if not self._serving:
            await self._endpoint.close_sockets()
        await trio.lowlevel.checkpoint()
