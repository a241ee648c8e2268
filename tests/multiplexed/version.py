"""A version under test: what serves it, what connects to it."""

from __future__ import annotations

import abc
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import trio

import hface_trio
from hface_trio.connections import HTTPConnection, HTTPOverQUICListener, HTTPOverTCPListener
from hface_trio.protocols import HTTP2ServerFactory
from hface_trio.protocols.http3 import HTTP3ServerFactory, HTTP3Settings
from hface_trio.protocols.quic import QUICSettings
from hface_trio.testing import MemoryNetworking

from ..connections.harness import ADDRESS, Handler
from ..http2 import harness as http2
from ..http3 import harness as http3
from ..http3.raw import Window
from ..protocols.quic.network import client_tls, server_tls
from .peer import Codes, Fields, Peer
from .peer2 import CODES as CODES_2
from .peer2 import Peer2
from .peer3 import CODES as CODES_3
from .peer3 import Peer3
from .served import Served

__all__ = ["IDLE", "VERSIONS", "Serving", "Version"]

IDLE = HTTP3Settings(quic=QUICSettings(idle_timeout_seconds=10))
"""A peer that is gone without a word is known to be gone within the time of a test."""


class Serving:
    """A server, and raw peers and clients of ours that connect to it."""

    def __init__(self, served: Served, peer: Callable[..., Awaitable[Peer[Any]]]) -> None:
        self.server = served.server
        self.network = served.network
        self.url = served.url
        self.connect = served.connect
        self.client = served.client
        self.assert_nothing_left = served.assert_nothing_left
        self._peer = peer

    async def peer(self, *, window: int | None = None, connection_window: int | None = None) -> Peer[Any]:
        """Connect a raw client.

        Args:
            window: of each response, never widened but by the test.
            connection_window: of all together, likewise: 65,535, as every connection has at first.
        """
        return await self._peer(window, connection_window)


class Version(abc.ABC):
    """HTTP/2 or HTTP/3.

    Attributes:
        number: as ``http_version`` tells it.
        url: of servers.
        codes: error codes.
        GET, POST: requests for ``/``.
        latency_seconds: of the network, each way.
        shut: the least window that lets heads through.
    """

    number: str
    url: str
    codes: Codes
    GET: Fields
    POST: Fields
    latency_seconds: float
    shut: int

    def id_of(self, number: int) -> int:
        """Return the stream of a request, counted from 0."""
        return 2 * number + 1 if self.number == "2" else 4 * number

    def path(self, path: bytes, method: bytes = b"GET") -> Fields:
        """Return a request for a path."""
        return [(b":method", method), *self.GET[1:3], (b":path", path)]

    def at(self, seconds: float) -> Any:
        """Return what a time compares equal to: exactly, or as exactly as the network's latency lets it be."""
        return pytest.approx(seconds, abs=0.1 if self.latency_seconds else 0)

    @abc.abstractmethod
    def serving(
        self, handler: Handler, *, peers: trio.Nursery | None = None, **options: Any
    ) -> contextlib.AbstractAsyncContextManager[Serving]:
        """Run a server for a block; afterwards nothing of it may be left.

        Args:
            peers: where raw peers run that outlive the server.
            options: of ``serve``.
        """

    @contextlib.asynccontextmanager
    async def connected(
        self,
        script: Callable[[Peer[Any]], Awaitable[object]] | None = None,
        *,
        window: int | None = None,
        streams: int | None = None,
        **options: Any,
    ) -> AsyncIterator[tuple[HTTPConnection, Peer[Any]]]:
        """Connect the client under test to a raw server, which runs ``script`` beside the block, if there is one.

        After the block nothing may be left of the connection.

        Args:
            script: what the server does.
            window: of each request, never widened but by the test.
            streams: how many may be open at a time.
            options: of ``connect``; and ``nursery``, the connection's, if it is not to be one of its own.
        """
        async with (
            self._connected(window, streams, options) as (connection, peer),
            trio.open_nursery() as scripts,
        ):
            if script is not None:
                scripts.start_soon(script, peer)
            yield connection, peer

    @abc.abstractmethod
    def _connected(
        self, window: int | None, streams: int | None, options: dict[str, Any]
    ) -> contextlib.AbstractAsyncContextManager[tuple[HTTPConnection, Peer[Any]]]: ...

    @abc.abstractmethod
    def listening(
        self, handle: Callable[[HTTPConnection], Awaitable[object]]
    ) -> contextlib.AbstractAsyncContextManager[Callable[[trio.Nursery], Awaitable[HTTPConnection]]]:
        """Listen for a block, and let ``handle`` have each connection; the value connects to it. Nothing is left bound."""

    @abc.abstractmethod
    def listeners(self, network: MemoryNetworking) -> list[object]:
        """Return the addresses at which a network has somebody listening, or connected."""


class _Version2(Version):
    number = "2"
    url = http2.URL
    codes = CODES_2
    GET = Peer2.GET
    POST = Peer2.POST
    latency_seconds = 0
    shut = 0

    @contextlib.asynccontextmanager
    async def serving(
        self, handler: Handler, *, peers: trio.Nursery | None = None, **options: Any
    ) -> AsyncIterator[Serving]:
        async with http2.serving2(handler, **options) as s:

            async def peer(window: int | None, connection_window: int | None) -> Peer[Any]:
                raw = await s.peer(_settings(window if connection_window is None else 2**31 - 1))
                raw.credits_streams = window is None
                raw.credits_connection = connection_window is None
                return Peer2(raw)

            yield Serving(s, peer)

    @contextlib.asynccontextmanager
    async def _connected(
        self, window: int | None, streams: int | None, options: dict[str, Any]
    ) -> AsyncIterator[tuple[HTTPConnection, Peer2]]:
        async with http2.connected(settings=_settings(window, streams), **options) as (connection, raw):
            raw.credits_streams = window is None
            yield connection, Peer2(raw)

    @contextlib.asynccontextmanager
    async def listening(
        self, handle: Callable[[HTTPConnection], Awaitable[object]]
    ) -> AsyncIterator[Callable[[trio.Nursery], Awaitable[HTTPConnection]]]:
        network = MemoryNetworking()
        listener = await HTTPOverTCPListener.create(HTTP2ServerFactory(), ADDRESS, networking=network)
        connect = functools.partial(hface_trio.connect, http_versions=["2"], networking=network)
        async with _listening(listener, handle):
            yield lambda nursery: connect(nursery, self.url)
        assert self.listeners(network) == []

    def listeners(self, network: MemoryNetworking) -> list[object]:
        return list(network._listeners)


def _settings(window: int | None = None, streams: int | None = None) -> dict[int, int]:
    return {name: value for name, value in ((4, window), (3, streams)) if value is not None}


class _Version3(Version):
    number = "3"
    url = http3.URL
    codes = CODES_3
    GET = Peer3.GET
    POST = Peer3.POST
    latency_seconds = 0.005
    shut = 100

    @contextlib.asynccontextmanager
    async def serving(
        self, handler: Handler, *, peers: trio.Nursery | None = None, **options: Any
    ) -> AsyncIterator[Serving]:
        async with http3.serving3(handler, **options) as s:
            s.nursery = peers or s.nursery

            async def peer(window: int | None, connection_window: int | None) -> Peer[Any]:
                return Peer3(await s.peer(window=_window(window, connection_window)))

            yield Serving(s, peer)

    @contextlib.asynccontextmanager
    async def _connected(
        self, window: int | None, streams: int | None, options: dict[str, Any]
    ) -> AsyncIterator[tuple[HTTPConnection, Peer3]]:
        raw_options = {} if streams is None else {"streams": streams}
        async with http3.connected(window=_window(window), raw=raw_options, **options) as (connection, raw):
            yield connection, Peer3(raw)

    @contextlib.asynccontextmanager
    async def listening(
        self, handle: Callable[[HTTPConnection], Awaitable[object]]
    ) -> AsyncIterator[Callable[[trio.Nursery], Awaitable[HTTPConnection]]]:
        network = MemoryNetworking(to_servers=http3.LATENCY, to_clients=http3.LATENCY)
        factory = HTTP3ServerFactory(server_tls())
        listener = await HTTPOverQUICListener.create(factory, http3.ADDRESS, networking=network)
        options: dict[str, Any] = {"http_versions": ["3"], "tls_config": client_tls(), "networking": network}
        connect = functools.partial(hface_trio.connect, **options)
        async with _listening(listener, handle):
            yield lambda nursery: connect(nursery, self.url)
        assert self.listeners(network) == []

    def listeners(self, network: MemoryNetworking) -> list[object]:
        return list(network._links.sockets)


def _window(window: int | None, connection_window: int | None = None) -> Window | None:
    if connection_window is not None:
        return Window(connection=connection_window)
    return None if window is None else Window(stream=window)


@contextlib.asynccontextmanager
async def _listening(
    listener: HTTPOverTCPListener | HTTPOverQUICListener, handle: Callable[[HTTPConnection], Awaitable[object]]
) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(listener.serve, handle)
        yield
        await listener.aclose()


VERSIONS: dict[str, Version] = {"2": _Version2(), "3": _Version3()}
