"""Deadlines of a server: bodies and responses without progress, connections that idle."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream, StreamResetError, Timeouts

from .served import Outcomes, hello
from .version import Version

Clock = trio.testing.MockClock
BIG = b"x" * 1_000_000


async def test_a_body_without_progress_cancels_the_handler_that_waits_for_it(
    version: Version, autojump_clock: Clock
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await stream.read_body()

    async with version.serving(handler, timeouts=Timeouts(body_progress_seconds=8)) as s:
        peer = await s.peer()
        stream_id = await peer.request(version.POST, end=False)
        await trio.sleep(5)
        await peer.data(stream_id, b"x")
        outcome, at = await outcomes.next_with_time()
        assert outcome == ("cancelled", StreamResetError)
        assert 13 <= at <= 13 + 8 / 2
        await peer.until(peer.resets)
        assert peer.resets() == peer.stops() == [(stream_id, version.codes.cancelled)]
        await peer.alive()
        await peer.close()


async def test_a_body_that_drips_is_not_cut_off_and_neither_is_one_nobody_waits_for(
    version: Version, autojump_clock: Clock
) -> None:
    async def handler(stream: HTTPStream) -> None:
        if stream.path == b"/sleep":
            await trio.sleep(60)
        body = await stream.read_body()
        await stream.send_response(200, body=b"%d" % len(body))

    async with version.serving(handler, timeouts=Timeouts(body_progress_seconds=8)) as s:
        peer = await s.peer()
        drips = await peer.request(version.POST, end=False)
        slept = await peer.request(version.path(b"/sleep", b"POST"), end=False)
        for _ in range(10):
            await peer.read_for(6)
            await peer.data(drips, b"x")
        await peer.data(drips, end=True)
        await peer.data(slept, end=True)
        assert await peer.response(drips) == (200, b"10")
        assert await peer.response(slept) == (200, b"0")
        await peer.close()


@pytest.mark.parametrize("request_open", [False, True])
@pytest.mark.parametrize("body", [b"x" * 50_000, BIG], ids=["handler has returned", "handler waits"])
async def test_a_window_that_stays_shut_ends_the_stream_alone(
    version: Version, autojump_clock: Clock, body: bytes, request_open: bool
) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=body if stream.path == b"/" else b"")

    async with version.serving(handler, timeouts=Timeouts(write_progress_seconds=8)) as s:
        peer = await s.peer(window=version.shut)
        stream_id = await peer.request(version.POST, end=not request_open)
        await peer.until(peer.resets)
        # never with what says no error: the response is not complete
        assert peer.resets() == [(stream_id, version.codes.cancelled)]
        assert 8 <= trio.current_time() <= (12.5 if version.latency_seconds else 12)
        await peer.alive()
        s.assert_nothing_left()
        assert peer.stops() == ([(stream_id, version.codes.cancelled)] if request_open else [])
        assert (await peer.response(await peer.request(version.path(b"/empty"))))[0] == 200
        await peer.close()


async def test_an_idle_connection_is_closed_in_order(version: Version, autojump_clock: Clock) -> None:
    async with version.serving(hello, timeouts=Timeouts(idle_seconds=20)) as s:
        peer = await s.peer()
        await peer.read_for(10)
        await peer.response(await peer.request())
        at = trio.current_time()
        await peer.read_to_end()
        assert len(peer.goaways()) == 2
        assert peer.closed_with == version.codes.no_error
        assert at + 20 <= trio.current_time() <= at + 25
        await peer.close()


async def test_the_idle_time_begins_with_the_end_of_the_last_stream(version: Version, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(25)
        await stream.send_response(200)

    async with version.serving(handler, timeouts=Timeouts(idle_seconds=5)) as s:
        peer = await s.peer()
        await peer.response(await peer.request())
        await peer.read_for(4)
        assert not peer.at_end
        assert peer.goaways() == []
        await peer.close()
