"""Peers that are slow to send or to take have deadlines; peers that nobody waits for have time."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream, Timeouts

from .harness import GET, POST_100K, Outcomes, hello, serving

Clock = trio.testing.MockClock


async def test_a_head_that_takes_too_long_is_answered_with_408(autojump_clock: Clock) -> None:
    async with serving(hello) as s:
        peer = await s.connect()
        async with trio.open_nursery() as nursery:

            async def dribble() -> None:
                for octet in b"GET / HTTP/1.1\r\nx: " + b"y" * 1000:
                    await peer.send(bytes([octet]))
                    await trio.sleep(1)

            nursery.start_soon(dribble)
            assert (await peer.read_head()).startswith(b"HTTP/1.1 408 ")
            assert trio.current_time() == pytest.approx(10, abs=0.5)
            nursery.cancel_scope.cancel()
        await peer.close()


async def test_an_idle_connection_is_closed(autojump_clock: Clock) -> None:
    async with serving(hello, timeouts=Timeouts(idle_seconds=20)) as s:
        peer = await s.connect()
        await peer.send(GET)
        await peer.read_until(b"hello /")
        assert await peer.read_to_end() == b""
        assert trio.current_time() == pytest.approx(20, abs=0.5)
        await peer.close()


async def test_a_body_without_progress_is_answered_with_408(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await stream.read_body()

    async with serving(handler, timeouts=Timeouts(body_progress_seconds=5)) as s:
        peer = await s.connect()
        await peer.send(POST_100K)
        for _ in range(3):
            await trio.sleep(4)
            await peer.send(b"x")
        head = await peer.read_head()
        assert head.startswith(b"HTTP/1.1 408 ")
        assert trio.current_time() == pytest.approx(17, abs=0.2)
        assert await outcomes.next() == ("cancelled", hface_trio.StreamResetError)
        await peer.close()


async def test_a_body_that_nobody_waits_for_may_pause(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(100)
        await stream.send_response(200, body=await stream.read_body())

    async with serving(handler, timeouts=Timeouts(body_progress_seconds=5)) as s:
        peer = await s.connect()
        await peer.send(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n\r\n")
        await trio.sleep(99)
        await peer.send(b"abc")
        assert (await peer.read_head()).startswith(b"HTTP/1.1 200 ")
        await peer.close()


async def test_a_peer_that_takes_nothing_is_given_up(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await stream.send_headers([(b":status", b"200")])
            while True:
                await stream.send_data(b"x" * 50000)

    async with serving(handler, timeouts=Timeouts(write_progress_seconds=7)) as s:
        peer = await s.connect()
        await peer.send(GET)
        outcome, at = await outcomes.next_with_time()
        assert outcome == ("cancelled", hface_trio.StreamResetError)
        assert at == pytest.approx(7, abs=0.1)
        await peer.close()
