"""The port that HTTP/3 shares with TCP, and its advertisement there."""

from __future__ import annotations

import functools

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream

from ..protocols.quic.network import server_tls
from .harness import ADDRESS, hello, serving3

Clock = trio.testing.MockClock


class Answers:
    """What the ``alt-svc`` field of responses says."""

    @staticmethod
    def of(response) -> list[bytes]:
        return [value for name, value in response.headers if name == b"alt-svc"]


async def plain_or_own(stream: HTTPStream) -> None:
    own = [(b"alt-svc", b"clear")] if stream.path == b"/own" else []
    await stream.send_response(200, own)


@pytest.mark.parametrize(
    ("version", "path", "expected"),
    [
        ("1.1", "/", [b'h3=":443"; ma=86400']),
        ("2", "/", [b'h3=":443"; ma=86400']),
        ("3", "/", []),
        ("1.1", "/own", [b"clear"]),
        ("2", "/own", [b"clear"]),
        ("3", "/own", [b"clear"]),
    ],
)
async def test_http3_is_advertised_on_the_port_it_shares(
    autojump_clock: Clock, version: str, path: str, expected: list[bytes]
) -> None:
    async with serving3(plain_or_own) as s, s.client(http_versions=[version]) as client:
        response = await client.get(f"https://localhost:443{path}")
        assert response.http_version == version
        assert Answers.of(response) == expected


async def test_http3_is_not_advertised_where_it_is_not_spoken(autojump_clock: Clock) -> None:
    async with serving3(plain_or_own, http_versions=["2", "1.1"]) as s, s.client(http_versions=["2"]) as client:
        assert Answers.of(await client.get("https://localhost:443/")) == []


async def test_http3_is_not_advertised_in_the_clear(autojump_clock: Clock) -> None:
    network = hface_trio.testing.MemoryNetworking()
    async with trio.open_nursery() as nursery:
        serve = functools.partial(hface_trio.serve, networking=network, tls_config=server_tls())
        server = await nursery.start(serve, plain_or_own, ["http://localhost:80", "https://localhost:443"])
        async with hface_trio.open_client(networking=network, http_versions=["1.1"]) as client:
            assert Answers.of(await client.get("http://localhost:80/")) == []
        await server.shutdown(5)


async def test_a_port_of_zero_is_one_port_for_both(autojump_clock: Clock) -> None:
    network = hface_trio.testing.MemoryNetworking()
    async with trio.open_nursery() as nursery:
        serve = functools.partial(hface_trio.serve, networking=network, tls_config=server_tls())
        server = await nursery.start(serve, plain_or_own, "https://localhost:0")
        (endpoint,) = server.endpoints
        assert ("localhost", endpoint.port) in network._links.sockets
        assert ("localhost", endpoint.port) in network._listeners
        await server.shutdown(5)
        assert network._links.sockets == {}


async def test_a_port_that_is_taken_on_udp_leaves_nothing_bound(autojump_clock: Clock) -> None:
    network = hface_trio.testing.MemoryNetworking()
    (taken,) = await network.listen_udp(ADDRESS)
    with pytest.raises(OSError, match="in use"):
        await hface_trio.serve(hello, "https://localhost:443", networking=network, tls_config=server_tls())
    assert network._listeners == {}
    await taken.aclose()
