"""A server on a network in memory, and a peer that speaks raw octets to it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import trio

import hface_trio
from hface_trio.server import Server
from hface_trio.testing import MemoryByteStream, MemoryNetworking

ADDRESS = ("localhost", 80)
GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
POST_100K = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n"

Handler = Callable[[hface_trio.HTTPStream], Awaitable[object]]


async def hello(stream: hface_trio.HTTPStream) -> None:
    await stream.send_response(200, [(b"content-type", b"text/plain")], b"hello " + stream.path)


class Serving:
    """What a test needs of a running server."""

    def __init__(self, server: Server, network: MemoryNetworking) -> None:
        self.server = server
        self.network = network

    async def connect(self) -> Peer:
        return Peer(await self.network.connect_tcp(ADDRESS))

    def client(self, **options: Any) -> hface_trio.Client:
        return hface_trio.open_client(networking=self.network, **options)


class Peer:
    """A client that sends and reads octets."""

    def __init__(self, stream: MemoryByteStream) -> None:
        self.stream = stream
        self.received = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def read_until(self, marker: bytes) -> bytes:
        """Read up to and with ``marker``; keep the rest."""
        while marker not in self.received:
            data = await self.stream.receive_some()
            if not data:
                raise AssertionError(f"no {marker!r} in {self.received!r} before the end")
            self.received += data
        end = self.received.index(marker) + len(marker)
        taken, self.received = self.received[:end], self.received[end:]
        return taken

    async def read_head(self) -> bytes:
        return await self.read_until(b"\r\n\r\n")

    async def read_exactly(self, n_octets: int) -> bytes:
        while len(self.received) < n_octets:
            data = await self.stream.receive_some()
            assert data, f"only {len(self.received)} octets before the end"
            self.received += data
        taken, self.received = self.received[:n_octets], self.received[n_octets:]
        return taken

    async def read_to_end(self) -> bytes:
        """Read until the server ends its side in order; a reset raises ``trio.BrokenResourceError``."""
        while data := await self.stream.receive_some():
            self.received += data
        return self.received

    async def close(self) -> None:
        await self.stream.aclose()

    def reset(self) -> None:
        self.stream.abort()


@contextlib.asynccontextmanager
async def serving(handler: Handler, *, buffer_octets: int = 65536, **options: Any) -> AsyncIterator[Serving]:
    """Run a server for a block; afterwards nothing of it may be left."""
    network = MemoryNetworking(buffer_octets=buffer_octets)
    async with trio.open_nursery() as nursery:
        serve = functools.partial(hface_trio.serve, networking=network, **options)
        server = await nursery.start(serve, handler, "http://localhost:80")
        yield Serving(server, network)
        await server.shutdown(5)
        statistics = server.statistics()
        assert statistics.connections == 0
        assert statistics.handlers == 0
        assert statistics.buffered_octets == 0


class Outcomes:
    """Notes what happened to handlers, for a test to wait for."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[tuple[object, float]](1000)

    def note(self, outcome: object) -> None:
        self._send.send_nowait((outcome, trio.current_time()))

    async def next(self) -> object:
        return (await self._receive.receive())[0]

    async def next_with_time(self) -> tuple[object, float]:
        return await self._receive.receive()

    def empty(self) -> bool:
        return self._receive.statistics().current_buffer_used == 0

    @contextlib.contextmanager
    def watching(self, stream: hface_trio.HTTPStream) -> Any:
        """Note how a handler ends: done, cancelled with the stream's cause, or the exception."""
        try:
            yield
        except trio.Cancelled:
            self.note(("cancelled", type(stream.cause)))
            raise
        except Exception as exc:
            self.note(exc)
            raise
        else:
            self.note("done")

    async def sleep(self, stream: hface_trio.HTTPStream) -> None:
        """A handler that says that it has started, and sleeps until it is cancelled."""
        with self.watching(stream):
            self.note("started")
            await trio.sleep(1000)
