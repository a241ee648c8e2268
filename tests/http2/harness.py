"""Servers and clients in memory, with a raw HTTP/2 peer at the other end."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import trio

import hface_trio
from hface_trio.connections import HTTPConnection
from hface_trio.testing import MemoryNetworking

from ..connections.harness import ADDRESS, Handler, Outcomes, serving
from ..multiplexed.served import Served as _Served
from ..multiplexed.served import hello, started
from .raw import PREFACE, RawPeer

__all__ = ["URL", "Handler", "Outcomes", "Served", "connected", "hello", "serving2", "started"]

URL = "http://localhost:80"


class Served(_Served):
    """A server, and what connects to it."""

    url = URL

    async def peer(self, settings: dict[int, int] | None = None) -> RawPeer:
        """Connect a raw client; both sides' settings are acknowledged."""
        peer = RawPeer(await self.network.connect_tcp(ADDRESS))
        await peer.start(settings)
        return peer


@contextlib.asynccontextmanager
async def serving2(handler: Handler, **options: Any) -> AsyncIterator[Served]:
    """Run a server for a block; afterwards nothing of it may be left."""
    async with serving(handler, **options) as s:
        yield Served(s.server, s.network, http_versions=["2"])


@contextlib.asynccontextmanager
async def connected(
    script: Callable[[RawPeer], Awaitable[object]] | None = None,
    *,
    settings: dict[int, int] | None = None,
    nursery: trio.Nursery | None = None,
    **options: Any,
) -> AsyncIterator[tuple[HTTPConnection, RawPeer]]:
    """Connect the client under test to a raw server, which runs ``script`` beside the block, if there is one.

    After the block nothing may be left of the connection.

    Args:
        script: what the server does.
        settings: of the server.
        nursery: the connection's, if it is not to be one of its own.
        options: of ``connect``.
    """
    network = MemoryNetworking()
    (listener,) = await network.listen_tcp(ADDRESS)
    async with trio.open_nursery() as own:
        connect = functools.partial(
            hface_trio.connect, nursery or own, URL, http_versions=["2"], networking=network, **options
        )
        connection = await connect()
        peer = RawPeer(await listener.accept(), client=False)
        peer._rest = await _preface(peer)
        await peer.start(settings)
        async with trio.open_nursery() as scripts:
            if script is not None:
                scripts.start_soon(script, peer)
            yield connection, peer
        await connection.aclose()
        assert connection.statistics().buffered_octets == 0
        await peer.read_to_end()
        await peer.close()
    await listener.aclose()


async def _preface(peer: RawPeer) -> bytes:
    data = b""
    while len(data) < len(PREFACE):
        data += await peer.stream.receive_some()
    assert data.startswith(PREFACE)
    return data[len(PREFACE) :]
