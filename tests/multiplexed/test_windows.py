"""Windows of every kind, through the connection: nothing hangs, nothing drifts."""

from __future__ import annotations

import trio
import trio.testing

from hface_trio import HTTPStream, Limits, Timeouts

from .served import body_of_path, count
from .version import Version

Clock = trio.testing.MockClock
PATIENT = Timeouts(write_progress_seconds=1000, body_progress_seconds=1000)
HASTY = Timeouts(write_progress_seconds=10)


async def test_a_response_through_a_window_that_opens_an_octet_at_a_time(
    version: Version, autojump_clock: Clock
) -> None:
    async with version.serving(body_of_path, timeouts=PATIENT) as s:
        peer = await s.peer(window=version.shut)
        stream_id = await peer.request(version.path(b"/500"))
        while not peer.ended(stream_id):
            await peer.credit(stream_id, 1)
            await peer.read_for(0.02)
        assert await peer.response(stream_id) == (200, b"x" * 500)
        await peer.close()


async def test_an_upload_in_frames_of_one_octet(version: Version, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(1)  # the octets pile up first
        await stream.send_response(200, body=b"%d" % len(await stream.read_body()))

    async with version.serving(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(version.POST, end=False)
        await peer.offer(stream_id, 5000, frame_octets=1)
        assert await peer.response(stream_id) == (200, b"5000")
        await peer.close()


async def test_a_window_of_zero_for_ever_costs_its_streams_and_nobody_else(
    version: Version, autojump_clock: Clock
) -> None:
    async with version.serving(body_of_path, timeouts=HASTY) as s:
        peer, neighbour = await s.peer(window=version.shut), await s.peer()
        ids = [await peer.request(version.path(b"/%d" % octets)) for octets in (200, 1000, 100_000, 1_000_000)]
        assert await neighbour.response(await neighbour.request(version.path(b"/100000"))) == (200, b"x" * 100_000)
        assert await peer.response(await peer.request(version.path(b"/0"))) == (200, b"")
        await peer.read_for(20)
        assert sorted(peer.resets()) == [(stream_id, version.codes.cancelled) for stream_id in ids]
        s.assert_nothing_left()
        await peer.alive()
        await peer.close()
        await neighbour.close()


async def test_a_connection_window_of_zero_for_ever(version: Version, autojump_clock: Clock) -> None:
    """The first response fits; the others share what is left, which is enough for none of them."""
    async with version.serving(body_of_path, timeouts=HASTY) as s:
        peer = await s.peer(connection_window=65_535)
        path = version.path(b"/50000")
        first = await peer.request(path)
        assert await peer.response(first) == (200, b"x" * 50_000)
        ids = [await peer.request(path) for _ in range(4)]
        await peer.read_for(25)
        octets = 50_000 + sum(peer.body_octets(stream_id) for stream_id in ids)
        # heads and the heads of frames take of the window where it is one of QUIC
        assert octets == 65_535 if version.number == "2" else 65_000 < octets < 65_535
        assert sorted(peer.resets()) == [(stream_id, version.codes.cancelled) for stream_id in ids]
        s.assert_nothing_left()
        await peer.credit_connection(200_000)
        assert await peer.response(await peer.request(path)) == (200, b"x" * 50_000)
        await peer.close()


async def test_a_window_dripping_an_octet_at_a_time_is_no_progress(version: Version, autojump_clock: Clock) -> None:
    async with version.serving(body_of_path, timeouts=HASTY) as s:
        peer = await s.peer(window=version.shut)
        stream_id = await peer.request(version.path(b"/100000"))
        for _ in range(30):
            if peer.resets():
                break
            await peer.credit(stream_id, 1)
            await peer.read_for(1)
        assert peer.resets() == [(stream_id, version.codes.cancelled)]
        s.assert_nothing_left()
        await peer.close()


async def test_the_window_of_a_slow_reader_does_not_grow(version: Version, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        async for _ in stream:
            await trio.sleep(0.2)

    async with version.serving(handler, timeouts=PATIENT) as s:
        peer = await s.peer()
        stream_id = await peer.request(version.POST, end=False)
        await peer.offer(stream_id, 800_000, frame_octets=4000, end=False)
        await peer.read_for(10)
        taken = int(10 / 0.2) * 4100
        assert peer.allowed(stream_id) <= 2 * 65_536 + taken
        await peer.close()


async def test_no_window_grows_while_memory_is_short(version: Version, autojump_clock: Clock) -> None:
    """Short of it, but not so short that anybody is made to give up what it holds."""
    async with version.serving(count, limits=Limits(buffered_octets=640_000), timeouts=PATIENT) as s:
        peer = await s.peer()
        read = await peer.request(version.POST, end=False)
        asleep = [await peer.request(version.path(b"/sleep", b"POST"), end=False) for _ in range(10)]
        for stream_id in asleep:
            await peer.data(stream_id, bytes(65_000))
        await peer.read_for(1)
        assert s.server.statistics().buffered_octets > 640_000
        await peer.offer(read, 2_000_000, end=False)
        await peer.read_for(20)
        assert peer.allowed(read) - 2_000_000 <= 65_536 + 1000
        assert s.server.statistics().buffered_octets > 640_000
        assert s.server.statistics().handlers == 11
        await peer.close()
