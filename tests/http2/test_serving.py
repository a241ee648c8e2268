"""What serving has of its own where one connection of octets carries all: frames of one read, padding, late data, refusals."""

from __future__ import annotations

import trio
import trio.testing

from hface_trio import HTTPStream, Limits, StreamResetError, Timeouts
from hface_trio.events import DataReceived, TrailersReceived

from .harness import Outcomes, hello, serving2, started
from .raw import NO_ERROR, POST, REFUSED_STREAM

Clock = trio.testing.MockClock


async def test_padding_is_no_part_of_a_body(autojump_clock: Clock) -> None:
    events: list[object] = []

    async def handler(stream: HTTPStream) -> None:
        async for event in stream:
            events.append(event)
        await stream.send_response(200)

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.send(peer.data(stream_id, b"abc", pad=20), peer.headers(stream_id, [(b"x-sum", b"7")]))
        await peer.response(stream_id)
        await peer.close()
    assert events == [DataReceived(1, b"abc"), TrailersReceived(1, [(b"x-sum", b"7")])]


async def test_what_arrived_in_one_read_with_a_reset_is_delivered_first(autojump_clock: Clock) -> None:
    received: list[object] = []

    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(1)
        try:
            async for chunk in stream.iter_data():
                received.append(chunk)
        except StreamResetError:
            received.append("reset")

    async with serving2(handler, on_peer_gone="raise") as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.alive()  # what is reset in the same read as it was opened never starts
        await peer.send(peer.data(stream_id, b"abc"), peer.data(stream_id, b"def"), peer.reset(stream_id))
        await trio.sleep(2)
        await peer.close()
    assert received == [b"abc", b"def", "reset"]


async def test_data_that_come_after_an_answer_without_reading_are_answered_by_nothing(autojump_clock: Clock) -> None:
    async with serving2(hello) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.send(peer.data(stream_id, b"x" * 10_000))
        assert await peer.response(stream_id) == (200, b"hello")
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, NO_ERROR)]
        # what was on its way is dropped and credited, and answered by nothing
        await peer.send(*(peer.data(stream_id, b"x" * 10_000) for _ in range(5)))
        await peer.alive()
        assert peer.resets() == [(stream_id, NO_ERROR)]
        s.assert_nothing_left()
        await peer.close()


async def test_a_waiting_stream_that_is_reset_never_starts(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note(stream.stream_id)
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
        await stream.send_response(200)

    async with serving2(handler, limits=Limits(concurrent_streams=1)) as s:
        peer = await s.peer()
        first = await peer.request()
        assert await outcomes.next() == first
        await peer.send(peer.reset(first))
        second = await peer.request()
        await peer.send(peer.reset(second))
        third = await peer.request()
        await peer.response(third)
        assert await outcomes.next() == third
        await peer.close()


async def test_the_surplus_is_refused_and_the_connection_lives(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        await trio.sleep(5)
        await stream.send_response(200)

    async with serving2(handler, limits=Limits(concurrent_streams=3)) as s:
        peer = await s.peer()
        accepted = [await peer.request() for _ in range(3)]
        refused = [await peer.request() for _ in range(4)]
        await started(outcomes, 3)
        for stream_id in accepted:
            await peer.response(stream_id)
        assert peer.resets() == [(stream_id, REFUSED_STREAM) for stream_id in refused]
        assert outcomes.empty()
        assert (await peer.response(await peer.request()))[0] == 200
        await peer.close()


async def test_a_peer_that_takes_no_octet_loses_its_connection(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await stream.send_headers([(b":status", b"200")])
            while True:
                await stream.send_data(b"x" * 10_000)

    async with serving2(handler, timeouts=Timeouts(write_progress_seconds=8), buffer_octets=1000) as s:
        peer = await s.peer({4: 2**31 - 1})
        await peer.send(peer.window(0, 2**30))
        await peer.request()
        await trio.sleep(20)
        assert outcomes.empty() is False
        assert s.server.statistics().connections == 0
        await peer.close()


async def test_the_server_is_unhurt_by_a_cancelled_nursery(autojump_clock: Clock) -> None:
    """A finished handler's data wait, another stream waits for its slot: nothing starts while everything ends."""
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note(stream.stream_id)
        if stream.stream_id == 1:
            await stream.send_response(200, body=b"x" * 50_000)
        else:
            with trio.CancelScope(shield=True):
                await trio.sleep(5)

    with trio.CancelScope() as scope:
        async with serving2(handler, limits=Limits(concurrent_streams=2)) as s:
            peer = await s.peer({4: 0})
            await peer.request()
            assert await outcomes.next() == 1
            await peer.request()
            assert await outcomes.next() == 3
            await peer.send(peer.reset(3))
            await peer.request()
            await peer.alive()
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_a_cancelled_server_says_goaway(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    peer = None
    with trio.CancelScope() as scope:
        async with serving2(outcomes.sleep) as s:
            peer = await s.peer()
            await peer.request()
            await started(outcomes)
            scope.cancel()
            await trio.sleep_forever()
    assert peer is not None
    await peer.read_to_end()
    assert len(peer.goaways()) == 1
    assert [stream_id for stream_id, _ in peer.resets()] == [1]
    await peer.close()
