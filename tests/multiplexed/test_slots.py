"""Slots and memory: what a server has no room for waits, is refused, or goes."""

from __future__ import annotations

import trio
import trio.testing

from hface_trio import HTTPStream, Limits, StreamResetError

from .served import Outcomes, hello, started
from .version import Version

Clock = trio.testing.MockClock


async def test_a_slot_is_held_until_the_handler_has_returned(version: Version, autojump_clock: Clock) -> None:
    """The peer's resets free no slot: the handlers run on, and what comes meanwhile waits."""
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        with trio.CancelScope(shield=True):
            await trio.sleep(10)
        await stream.send_response(200)

    async with version.serving(handler, limits=Limits(concurrent_streams=3)) as s:
        peer = await s.peer()
        began = trio.current_time()
        for _ in range(3):
            stream_id = await peer.request(version.POST, end=False)
            await started(outcomes)
            await peer.reset(stream_id)
        waiting = [await peer.request() for _ in range(3)]
        await peer.read_for(1)
        assert outcomes.empty()
        assert s.server.statistics().handlers == 3
        for stream_id in waiting:
            await peer.response(stream_id)
        assert trio.current_time() == version.at(began + 20)
        await peer.close()


async def test_bodies_of_waiting_streams_are_kept_within_their_windows(version: Version, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        body = await stream.read_body()
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
        await stream.send_response(200, body=b"%d" % len(body))

    async with version.serving(handler, limits=Limits(concurrent_streams=1)) as s:
        peer = await s.peer()
        first = await peer.request()
        await trio.sleep(1)
        await peer.reset(first)
        second = await peer.request(version.POST, b"x" * 64_000)
        assert await peer.response(second) == (200, b"64000")
        await peer.close()


async def test_requests_beyond_the_servers_handlers_are_refused(version: Version, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(5)
        await stream.send_response(200)

    async with version.serving(handler, limits=Limits(handlers=2)) as s:
        one, other = await s.peer(), await s.peer()
        first, second = await one.request(), await other.request()
        await other.alive()
        third = await other.request(version.POST, end=False)
        await other.until(other.resets)
        assert other.resets() == other.stops() == [(third, version.codes.refused)]
        await one.response(first)
        await other.response(second)
        await other.response(await other.request())
        await one.close()
        await other.close()


async def test_a_refused_request_leaves_no_slot_taken(version: Version, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        if stream.path != b"/now":
            await trio.sleep(1)
        await hello(stream)

    async with version.serving(handler, limits=Limits(handlers=1, concurrent_streams=4)) as s:
        peer = await s.peer()
        held = await peer.request()
        await peer.alive()
        for _ in range(20):
            stream_id = await peer.request()
            await peer.until(lambda stream_id=stream_id: (stream_id, version.codes.refused) in peer.resets())
        await peer.response(held)
        assert await peer.response(await peer.request(version.path(b"/now"))) == (200, b"hello")
        await peer.close()


async def test_memory_shortage_refuses_new_streams_then_sheds_the_largest_holder(
    version: Version, autojump_clock: Clock
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        if stream.method == b"GET":
            await hello(stream)
            return
        with outcomes.watching(stream):
            outcomes.note("started")
            await trio.sleep_forever()

    async with version.serving(handler, limits=Limits(buffered_octets=80_000)) as s:
        peer = await s.peer()
        large, small = await peer.request(version.POST, end=False), await peer.request(version.POST, end=False)
        await started(outcomes, 2)
        await peer.data(large, b"x" * 64_000)
        await peer.data(small, b"x" * 16_384)
        await peer.read_for(1)
        assert peer.resets() == []
        refused = await peer.request()
        await peer.until(peer.resets)
        assert peer.resets() == [(refused, version.codes.refused)]
        await peer.data(small, b"x" * 16_000)
        assert await outcomes.next() == ("cancelled", StreamResetError)
        await peer.until(lambda: len(peer.resets()) == 2)
        assert peer.resets()[1] == (large, version.codes.excessive_load)
        assert await peer.response(await peer.request()) == (200, b"hello")
        assert s.server.statistics().peak_buffered_octets <= 80_000 * 9 / 8 + 16_384
        await peer.close()
