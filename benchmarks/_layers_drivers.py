"""Servers on a network in memory: all of it but sockets and TLS. What the client's codec takes is not counted."""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

import trio
from _application import BODY, handler
from _client_http2 import HTTP2Client
from _client_http3 import HTTP3Client
from _layers import Layer, Stopwatch, best_of_async
from _layers_engines import GET

import hface_trio
from hface_trio.models import AddressType, DatagramType
from hface_trio.testing import MemoryDatagramSocket, MemoryNetworking

__all__ = ["measure_drivers"]

_COUNT = 1600
_BATCH = 16
_HOST = "localhost"
_PORT = 443


@contextlib.asynccontextmanager
async def _serving(certificate: tuple[str, str] | None) -> AsyncGenerator[tuple[MemoryNetworking, tuple[str, int]]]:
    """Run a server for the length of the block."""
    network = MemoryNetworking()
    tls = hface_trio.ServerTLSConfig(*certificate) if certificate else None
    serve = functools.partial(hface_trio.serve, networking=network, tls_config=tls)
    async with trio.open_nursery() as nursery:
        scheme = "https" if certificate else "http"
        await nursery.start(serve, handler, f"{scheme}://{_HOST}:{_PORT}")
        yield network, (_HOST, _PORT)
        nursery.cancel_scope.cancel()


async def _http1(count: int, watch: Stopwatch) -> None:
    async with _serving(None) as (network, address):
        stream = await network.connect_tcp(address)
        watch.start()
        for _ in range(count):
            await stream.send_all(GET)
            while not (await stream.receive_some()).endswith(BODY):
                pass
        watch.stop()
        stream.abort()


async def _http2(count: int, watch: Stopwatch) -> None:
    async with _serving(None) as (network, address):
        stream = await network.connect_tcp(address)
        client = HTTP2Client(_HOST, "http")
        for _ in range(count // _BATCH):
            exchanges = [client.open("GET", "/") for _ in range(_BATCH)]
            while not all(exchange.outcome for exchange in exchanges):
                output = b"".join(client.take_output())
                watch.start()
                if output:
                    await stream.send_all(output)
                data = await stream.receive_some()
                watch.stop()
                client.receive(bytes(data))
        stream.abort()


def _http3(cafile: str, certificate: tuple[str, str]) -> Callable[[int, Stopwatch], Awaitable[None]]:
    async def act(count: int, watch: Stopwatch) -> None:
        async with _serving(certificate) as (network, address):
            datagrams = await network.bind_udp(address)
            (remote,) = await network.resolve_udp(address)
            client = HTTP3Client(_HOST, cafile, ("127.0.0.1", _PORT))
            while not client.ready:
                await _exchange(client, datagrams, remote, Stopwatch())
            for _ in range(count // _BATCH):
                exchanges = [client.open("GET", "/") for _ in range(_BATCH)]
                while not all(exchange.outcome for exchange in exchanges):
                    await _exchange(client, datagrams, remote, watch)
            await datagrams.aclose()

    return act


async def _exchange(
    client: HTTP3Client, datagrams: MemoryDatagramSocket, remote: AddressType, watch: Stopwatch
) -> None:
    output = [(data, remote) for data in client.take_output()]
    timer = client.get_timer()
    seconds = math.inf if timer is None else max(0.0, timer - time.monotonic())
    received: list[DatagramType] = []
    watch.start()
    if output:
        datagrams.send_nowait(output)
    with trio.move_on_after(seconds):
        received = await datagrams.receive()
    watch.stop()
    if received:
        client.receive_many([data for data, _ in received])
    else:
        client.handle_timer()


def measure_drivers(cafile: str, certificate: tuple[str, str]) -> Iterator[Layer]:
    """Measure all three versions."""
    group = "server in memory"
    yield best_of_async(group, "HTTP/1.1, one request at a time", _COUNT, _http1)
    yield best_of_async(group, f"HTTP/2, {_BATCH} requests at a time", _COUNT, _http2)
    yield best_of_async(group, f"HTTP/3, {_BATCH} requests at a time", _COUNT, _http3(cafile, certificate))
