"""A server in memory and a client that speaks one version with it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import trio

import hface_trio
from hface_trio import HTTPStream
from hface_trio.connections import HTTPConnection
from hface_trio.testing import MemoryNetworking

from ..protocols.quic.network import client_tls, server_tls

Handler = Callable[[HTTPStream], Awaitable[object]]


class Version:
    """A version of HTTP, and where it is served.

    Args:
        number: ``"1.1"``, ``"2"`` or ``"3"``.
    """

    def __init__(self, number: str) -> None:
        self.number = number
        self.scheme = "https" if number == "3" else "http"
        self.url = f"{self.scheme}://localhost:8000"
        self.cancelled = {"1.1": 0, "2": 0x8, "3": 0x10C}[number]
        """The code that cancels a request."""

    def request(self, method: bytes = b"GET", path: bytes = b"/") -> list[tuple[bytes, bytes]]:
        """Return the head of a request."""
        scheme = self.scheme.encode()
        return [(b":method", method), (b":scheme", scheme), (b":authority", b"localhost:8000"), (b":path", path)]

    @contextlib.asynccontextmanager
    async def connected(
        self, handler: Handler, **options: Any
    ) -> AsyncGenerator[tuple[HTTPConnection, hface_trio.Server]]:
        """Serve ``handler`` and connect to it. At the end nothing may be left."""
        network = MemoryNetworking()
        secure = self.number == "3"
        async with trio.open_nursery() as nursery:
            serve = functools.partial(
                hface_trio.serve, networking=network, tls_config=server_tls() if secure else None, **options
            )
            server: hface_trio.Server = await nursery.start(serve, handler, self.url)
            connection = await hface_trio.connect(
                nursery,
                self.url,
                networking=network,
                http_versions=[self.number],
                tls_config=client_tls() if secure else None,
            )
            async with connection:
                yield connection, server
            with trio.fail_after(60):
                await server.shutdown(1)
            statistics = server.statistics()
            assert (statistics.handlers, statistics.buffered_octets) == (0, 0)
