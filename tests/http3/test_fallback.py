"""A client that prefers HTTP/3 goes over to TCP where there is none, and soon."""

from __future__ import annotations

import functools

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import ConfigurationError, ConnectError
from hface_trio.testing import DatagramConditions, MemoryNetworking

from ..protocols.quic.network import client_tls, server_tls
from .harness import URL, hello

Clock = trio.testing.MockClock
DEAF = DatagramConditions(drop=1)


def client(network: MemoryNetworking, versions: list[str]) -> hface_trio.Client:
    return hface_trio.open_client(http_versions=versions, tls_config=client_tls(), networking=network)


async def fetch(network: MemoryNetworking, versions: list[str], url: str = URL) -> tuple[str, float]:
    began = trio.current_time()
    async with client(network, versions) as c:
        response = await c.get(url)
    return response.http_version, trio.current_time() - began


async def start(nursery: trio.Nursery, network: MemoryNetworking, url: str = URL, **options) -> hface_trio.Server:
    serve = functools.partial(hface_trio.serve, networking=network, tls_config=server_tls(), **options)
    return await nursery.start(serve, hello, url)


@pytest.mark.parametrize("versions", [["3", "2", "1.1"], ["3", "1.1"]])
async def test_http3_is_spoken_where_it_can_be(versions: list[str], autojump_clock: Clock) -> None:
    network = MemoryNetworking()
    async with trio.open_nursery() as nursery:
        server = await start(nursery, network)
        version, _ = await fetch(network, versions)
        assert version == "3"
        await server.shutdown()


async def test_where_no_datagram_arrives_tcp_is_tried_soon(autojump_clock: Clock) -> None:
    network = MemoryNetworking(to_servers=DEAF)
    async with trio.open_nursery() as nursery:
        server = await start(nursery, network)
        version, seconds = await fetch(network, ["3", "2", "1.1"])
        assert version == "2"
        assert seconds < 3
        await server.shutdown()


async def test_what_failed_is_remembered(autojump_clock: Clock) -> None:
    network = MemoryNetworking(to_servers=DEAF)
    async with trio.open_nursery() as nursery:
        server = await start(nursery, network)
        async with client(network, ["3", "1.1"]) as c:
            await c.get(URL)
            began = trio.current_time()
            async with trio.open_nursery() as requests:  # each needs a connection of its own
                for _ in range(3):
                    requests.start_soon(c.get, URL)
            assert trio.current_time() - began < 0.5
        await server.shutdown()


async def test_without_tls_only_tcp_is_tried(autojump_clock: Clock) -> None:
    network = MemoryNetworking()
    async with trio.open_nursery() as nursery:
        server = await start(nursery, network, "http://localhost:80")
        version, seconds = await fetch(network, ["3", "2", "1.1"], "http://localhost:80")
        assert (version, seconds) == ("1.1", 0)
        await server.shutdown()
    with pytest.raises(ConnectError):
        await fetch(network, ["2", "3"], "http://localhost:81")
    with pytest.raises(ConfigurationError, match="https"):
        await fetch(network, ["3"], "http://localhost:80")


@pytest.mark.parametrize(("status", "advertised"), [(200, True), (404, True), (421, False)])
async def test_an_alternative_is_advertised_but_not_where_one_was_in_vain(
    status: int, advertised: bool, autojump_clock: Clock
) -> None:
    async def handler(stream: hface_trio.HTTPStream) -> None:
        await stream.send_response(status, body=b"x")

    network = MemoryNetworking()
    async with trio.open_nursery() as nursery:
        serve = functools.partial(hface_trio.serve, networking=network, tls_config=server_tls())
        server = await nursery.start(serve, handler, URL)
        for version in ("1.1", "2"):
            async with client(network, [version]) as c:
                response = await c.get(URL)
                assert (b"alt-svc" in dict(response.headers)) is advertised
        await server.shutdown()
