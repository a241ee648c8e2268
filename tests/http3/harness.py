"""Servers and clients in memory, with a raw HTTP/3 peer at the other end."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import trio

import hface_trio
from hface_trio.connections import HTTPConnection
from hface_trio.testing import DatagramConditions, MemoryNetworking

from ..connections.harness import Handler, Outcomes
from ..multiplexed.served import Served as _Served
from ..multiplexed.served import hello, started
from ..protocols.quic.network import client_tls, server_tls
from .raw import RawPeer, Window

__all__ = ["ADDRESS", "URL", "Handler", "Outcomes", "Served", "connected", "hello", "serving3", "started"]

URL = "https://localhost:443"
ADDRESS = ("localhost", 443)
LATENCY = DatagramConditions(delay_seconds=0.005)


class Served(_Served):
    """A server, and what connects to it."""

    url = URL

    def __init__(self, server: hface_trio.Server, network: MemoryNetworking, nursery: trio.Nursery) -> None:
        super().__init__(server, network, http_versions=["3"], tls_config=client_tls())
        self.nursery = nursery

    async def raw_unstarted(self, **options: Any) -> RawPeer:
        """Return a raw client that has not sent anything."""
        return RawPeer(await self.network.bind_udp(ADDRESS), ADDRESS, **options)

    async def raw(self, **options: Any) -> RawPeer:
        """Return a raw client whose handshake has begun."""
        peer = await self.raw_unstarted(**options)
        self.nursery.start_soon(peer.run)
        return peer

    async def peer(
        self, settings: dict[int, int] | None = None, *, window: Window | None = None, **options: Any
    ) -> RawPeer:
        """Connect a raw client; both sides know each other's settings."""
        peer = await self.raw(window=window, **options)
        await peer.start(settings)
        return peer


@contextlib.asynccontextmanager
async def serving3(
    handler: Handler, *, network: MemoryNetworking | None = None, **options: Any
) -> AsyncIterator[Served]:
    """Run a server for a block; afterwards nothing of it may be left. Datagrams take 5 ms each way."""
    network = network or MemoryNetworking(to_servers=LATENCY, to_clients=LATENCY)
    async with trio.open_nursery() as nursery:
        serve = functools.partial(hface_trio.serve, **{"networking": network, "tls_config": server_tls(), **options})
        server = await nursery.start(serve, handler, URL)
        with trio.fail_after(2000):  # of virtual time
            yield Served(server, network, nursery)
        await server.shutdown(5)
        statistics = server.statistics()
        assert statistics.connections == 0
        assert statistics.handlers == 0
        assert statistics.buffered_octets == 0
        nursery.cancel_scope.cancel()  # peers that a test left


@contextlib.asynccontextmanager
async def connected(
    script: Callable[[RawPeer], Awaitable[object]] | None = None,
    *,
    settings: dict[int, int] | None = None,
    window: Window | None = None,
    raw: dict[str, Any] | None = None,
    nursery: trio.Nursery | None = None,
    **options: Any,
) -> AsyncIterator[tuple[HTTPConnection, RawPeer]]:
    """Connect the client under test to a raw server, which runs ``script`` beside the block, if there is one.

    After the block nothing may be left of the connection.

    Args:
        script: what the server does.
        settings: of the server.
        window: windows of the server.
        raw: options of the server.
        nursery: the connection's, if it is not to be one of its own.
        options: of ``connect``.
    """
    network = MemoryNetworking(to_servers=LATENCY, to_clients=LATENCY)
    (socket,) = await network.listen_udp(ADDRESS)
    async with trio.open_nursery() as own:
        peer = RawPeer(socket, window=window, **(raw or {}))
        own.start_soon(peer.run)
        connect = functools.partial(
            hface_trio.connect,
            nursery or own,
            URL,
            http_versions=["3"],
            tls_config=client_tls(),
            networking=network,
            **options,
        )
        async with trio.open_nursery() as starting:
            starting.start_soon(peer.start, settings)
            connection = await connect()
        await peer.alive()
        async with trio.open_nursery() as scripts:
            if script is not None:
                scripts.start_soon(script, peer)
            with trio.fail_after(2000):  # of virtual time
                yield connection, peer
        await connection.aclose()
        assert connection.statistics().buffered_octets == 0
        await peer.close()
