"""Requests whose handlers have not started yet, because the read that brought them is still being parsed."""

from __future__ import annotations

import struct

import pytest
import trio
from hpack import Encoder

from hface_trio import HTTPStream, Limits, Observer

from ..http2.harness import serving2

DATA, HEADERS, PING = 0, 1, 6
END_STREAM, END_HEADERS = 1, 4
ROUNDS = 20
Clock = trio.testing.MockClock
REQUEST = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/")]


def frame(frame_type: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    return struct.pack(">L", len(payload))[1:] + bytes([frame_type, flags]) + struct.pack(">L", stream_id) + payload


def requests(count: int, *, body: bytes = b"") -> bytes:
    """As many requests as may be open at a time, with the beginning of their bodies, in one read."""
    block = Encoder().encode(REQUEST)
    flags = END_HEADERS if body else END_HEADERS | END_STREAM
    octets: list[bytes] = []
    for stream_id in range(1, 2 * count, 2):
        octets.append(frame(HEADERS, flags, stream_id, block))
        if body:
            octets.append(frame(DATA, 0, stream_id, body))
    return b"".join(octets)


@pytest.mark.parametrize("end", ["breach", "vanish", "close"])
async def test_they_are_settled_when_the_connection_ends_before(end: str, autojump_clock: Clock) -> None:
    """Which task learns of the end first is up to the scheduler: hence the rounds."""
    opened: list[int] = []
    closed: list[int] = []

    class Counting(Observer):
        def stream_opened(self, stream) -> None:
            opened.append(stream.stream_id)

        def stream_closed(self, stream) -> None:
            closed.append(stream.stream_id)

    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=await stream.read_body())

    octets = frame(PING, 0, 0, bytes(8)) + requests(100, body=b"x" * 300)  # the answer does not arrive any more
    if end == "breach":
        octets += frame(DATA, 0, 0, b"of no stream")
    assert len(octets) < 64 * 1024
    async with serving2(handler, buffer_octets=2**20, observer=Counting()) as s:
        for round_ in range(ROUNDS):
            opened.clear()
            closed.clear()
            peer = await s.peer()
            await trio.sleep(1)
            await peer.stream.send_all(octets)
            if end != "breach":
                while not opened:  # the first of several turns
                    await trio.lowlevel.checkpoint()
                for _ in range(round_ % 4):
                    await trio.lowlevel.checkpoint()
                if end == "vanish":
                    peer.stream.abort()
                else:
                    (connection,) = s.server._context.connections
                    await connection.aclose()
            await trio.sleep(60)
            s.assert_nothing_left()
            assert opened
            assert sorted(opened) == sorted(closed)
            if end != "vanish":
                await peer.close()


async def test_they_count_as_handlers_of_the_server(autojump_clock: Clock) -> None:
    running = most = 0

    async def handler(stream: HTTPStream) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await trio.sleep(1)
        await stream.send_response(200)
        running -= 1

    async with serving2(handler, limits=Limits(handlers=20), buffer_octets=2**20) as s:
        peers = [await s.peer() for _ in range(10)]
        await trio.sleep(1)
        async with trio.open_nursery() as nursery:
            for peer in peers:
                nursery.start_soon(peer.stream.send_all, requests(100))
        await trio.sleep(10)
        assert most == 20
        s.assert_nothing_left()
        for peer in peers:
            await peer.close()
