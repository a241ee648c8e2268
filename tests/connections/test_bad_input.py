"""What breaks the protocol is answered, and ends the connection."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream

from .harness import GET, Outcomes, serving

Clock = trio.testing.MockClock


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nhost: a\n\n", 400),
        (b"GET / HTTP/2.0\r\nhost: a\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 200000 + b"\r\n\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", 400),
    ],
)
async def test_bad_input_is_answered_and_the_connection_closed(
    autojump_clock: Clock, octets: bytes, status: int
) -> None:
    started: list[bytes] = []

    async def handler(stream: HTTPStream) -> None:
        started.append(stream.path)
        await stream.send_response(200)

    async with serving(handler, buffer_octets=1024 * 1024) as s:
        peer = await s.connect()
        await peer.send(octets)
        assert (await peer.read_head()).startswith(b"HTTP/1.1 %d " % status)
        await peer.stream.send_eof()
        await peer.read_to_end()
        await peer.close()
        healthy = await s.connect()
        await healthy.send(GET)
        assert (await healthy.read_head()).startswith(b"HTTP/1.1 200 ")
        await healthy.close()
    assert started == [b"/"]


async def test_a_body_that_breaks_the_protocol_cancels_the_handler_and_is_answered_with_400(
    autojump_clock: Clock,
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await stream.read_body()

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        await trio.testing.wait_all_tasks_blocked()
        await peer.send(b"xyz\r\n")
        assert (await peer.read_head()).startswith(b"HTTP/1.1 400 ")
        assert await outcomes.next() == ("cancelled", hface_trio.StreamResetError)
        await peer.close()
