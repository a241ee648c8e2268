"""Peers that connect to an ``https`` endpoint and say nothing, or the first octet of a handshake only."""

from __future__ import annotations

import contextlib
import functools

import pytest
import trio

import hface_trio
from hface_trio import HTTPStream, Limits
from hface_trio.testing import Authority, MemoryNetworking

Clock = trio.testing.MockClock
ENDPOINTS = ["https://localhost:443", "http://localhost:80"]


async def hello(stream: HTTPStream) -> None:
    await stream.send_response(200, body=b"hello")


@pytest.mark.parametrize("octets", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
async def test_they_hold_up_nobody(octets: bytes, authority: Authority, autojump_clock: Clock) -> None:
    network = MemoryNetworking()
    serve = functools.partial(
        hface_trio.serve,
        networking=network,
        tls_config=authority.server_config("localhost"),
        limits=Limits(handshakes=20),
        http_versions=["2", "1.1"],
    )
    async with trio.open_nursery() as nursery, contextlib.AsyncExitStack() as stack:
        server: hface_trio.Server = await nursery.start(serve, hello, ENDPOINTS)
        for _ in range(20):
            peer = await stack.enter_async_context(await network.connect_tcp(("localhost", 443)))
            if octets:
                await peer.send_all(octets)
        await trio.sleep(1)
        async with hface_trio.open_client(networking=network, tls_config=authority.client_config()) as client:
            with trio.fail_after(3.1):
                for endpoint in ENDPOINTS:
                    assert (await client.get(f"{endpoint}/")).body == b"hello"
        began = trio.current_time()
        await server.shutdown(60)
        assert trio.current_time() - began < 5


@pytest.mark.parametrize("octets", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
async def test_they_are_cut_off_in_time(octets: bytes, authority: Authority, autojump_clock: Clock) -> None:
    network = MemoryNetworking()
    serve = functools.partial(
        hface_trio.serve, networking=network, tls_config=authority.server_config("localhost"), http_versions=["1.1"]
    )
    async with trio.open_nursery() as nursery:
        server: hface_trio.Server = await nursery.start(serve, hello, ENDPOINTS[0])
        async with await network.connect_tcp(("localhost", 443)) as peer:
            if octets:
                await peer.send_all(octets)
            began = trio.current_time()
            with contextlib.suppress(trio.BrokenResourceError):
                while await peer.receive_some():
                    pass
            assert 9 <= trio.current_time() - began <= 12
        await server.shutdown(1)
