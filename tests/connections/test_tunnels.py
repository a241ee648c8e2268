"""Upgrades and CONNECT over HTTP/1.1 make tunnels of octets."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream
from hface_trio.events import DataReceived

from .harness import GET, Outcomes, hello, serving

Clock = trio.testing.MockClock


@pytest.mark.parametrize("first", [b"", b"early"])
async def test_an_upgrade_makes_a_tunnel_that_closes_by_halves(autojump_clock: Clock, first: bytes) -> None:
    async def handler(stream: HTTPStream) -> None:
        assert stream.upgrade == b"echo"
        await stream.send_headers([(b":status", b"101"), (b"upgrade", b"echo")])
        async for data in stream.iter_data():
            await stream.send_data(data)
        await stream.send_data(b" bye", end_stream=True)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n" + first)
        head = (await peer.read_head()).lower()
        assert head.startswith(b"http/1.1 101 ")
        assert b"\r\nconnection: upgrade\r\n" in head
        await peer.send(b" and late")
        await peer.stream.send_eof()
        assert await peer.read_to_end() == first + b" and late bye"
        await peer.close()


async def test_connect_makes_a_tunnel(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        assert (stream.method, stream.authority, stream.path) == (b"CONNECT", b"example.org:443", b"")
        await stream.send_headers([(b":status", b"200")])
        event = await stream.receive()
        assert isinstance(event, DataReceived)
        await stream.send_data(event.data.upper(), end_stream=True)
        assert await stream.read_body() == b""

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(b"CONNECT example.org:443 HTTP/1.1\r\nhost: example.org:443\r\n\r\n")
        assert b"content-length" not in (await peer.read_head()).lower()
        await peer.send(b"raw")
        assert await peer.read_to_end() == b"RAW"
        await peer.stream.send_eof()
        await peer.close()


async def test_a_refused_upgrade_goes_on_with_http(autojump_clock: Clock) -> None:
    async with serving(hello) as s:
        peer = await s.connect()
        await peer.send(b"GET /a HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n" + GET)
        await peer.read_head()
        assert await peer.read_exactly(8) == b"hello /a"
        await peer.read_head()
        assert await peer.read_exactly(7) == b"hello /"
        await peer.close()


async def test_a_tunnel_whose_peer_resets_cancels_its_handler(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await stream.send_headers([(b":status", b"101"), (b"upgrade", b"echo")])
            await trio.sleep(1000)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
        await peer.read_head()
        peer.reset()
        assert await outcomes.next() == ("cancelled", hface_trio.StreamResetError)
