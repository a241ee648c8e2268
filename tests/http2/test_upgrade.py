"""What a client takes for an answer to its wish to upgrade from HTTP/1.1."""

from __future__ import annotations

import functools

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio.testing import MemoryNetworking

from ..connections.harness import ADDRESS, Peer

Clock = trio.testing.MockClock
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n"
REFUSED = b"HTTP/1.1 200 OK\r\n"


async def answered(answer: bytes) -> str:
    """Connect to a server that answers so; return which version the connection speaks, or why there is none."""
    network = MemoryNetworking()
    (listener,) = await network.listen_tcp(ADDRESS)

    async def serve() -> None:
        peer = Peer(await listener.accept())  # type: ignore[arg-type]
        assert b"\r\nupgrade: h2c\r\n" in await peer.read_head()
        try:
            await peer.send(answer)
            await peer.read_to_end()
        except trio.BrokenResourceError:
            return

    with trio.fail_after(10):
        async with trio.open_nursery() as servers, trio.open_nursery() as clients:
            servers.start_soon(serve)
            connect = functools.partial(hface_trio.connect, http_versions=["2", "1.1"], upgrade_h2c=True)
            try:
                async with await connect(clients, "http://localhost:80", networking=network) as connection:
                    return connection.http_version
            except hface_trio.ConnectError as exc:
                return exc.message
    raise AssertionError


@pytest.mark.parametrize("fields", [b"upgrade: h2c\r\n", b"Upgrade:\tH2C \r\n"])
async def test_a_switch_to_h2c_is_taken(fields: bytes, autojump_clock: Clock) -> None:
    assert await answered(SWITCHED + fields + b"\r\n") == "2"


@pytest.mark.parametrize(
    "fields", [b"", b"upgrade: websocket\r\n", b"upgrade: h2c, websocket\r\n", b"upgrade: h2c\r\nupgrade: foo\r\n"]
)
async def test_a_switch_to_anything_else_is_not_taken(fields: bytes, autojump_clock: Clock) -> None:
    assert "another protocol" in await answered(SWITCHED + fields + b"\r\n")


async def test_a_refusal_with_a_body_is_read(autojump_clock: Clock) -> None:
    assert await answered(REFUSED + b"content-length: 65536\r\n\r\n" + bytes(65536)) == "1.1"


@pytest.mark.parametrize("framing", [b"content-length: 1000000\r\n", b""])
async def test_a_refusal_is_not_read_without_end(framing: bytes, autojump_clock: Clock) -> None:
    assert "too long" in await answered(REFUSED + framing + b"\r\n" + bytes(100_000))
