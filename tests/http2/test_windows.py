"""Windows of every kind, through the connection: nothing hangs, nothing drifts."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from hyperframe.frame import DataFrame

from hface_trio import HTTPStream, StreamResetError, Timeouts

from .harness import Outcomes, hello, serving2
from .raw import CANCEL, FLOW_CONTROL_ERROR, GET, INITIAL_WINDOW_SIZE, NO_ERROR, POST, RawPeer

Clock = trio.testing.MockClock
PATIENT = Timeouts(write_progress_seconds=1000)


async def body_of_path(stream: HTTPStream) -> None:
    await stream.send_response(200, body=b"x" * int(stream.path[1:]))


def get(octets: int) -> list[tuple[bytes, bytes]]:
    return [*GET[:3], (b":path", b"/%d" % octets)]


async def upload(
    peer: RawPeer, stream_id: int, octets: int, *, frame_octets: int = 16_000, pad: int | None = None, others: int = 0
) -> None:
    """Send a body within the windows of the stream and of the connection; ``others`` is what went on other streams."""
    overhead = 0 if pad is None else pad + 1
    sent = 0

    def fits() -> bool:
        needed = sent + frame_octets + overhead
        return needed <= 65_536 + peer.credit(stream_id) and needed + others <= 65_535 + peer.credit(0)

    for _ in range(octets // frame_octets):
        await peer.until(fits)
        await peer.send(peer.data(stream_id, b"x" * frame_octets, pad=pad))
        sent += frame_octets + overhead
    await peer.send(peer.data(stream_id, end=True))


async def test_a_response_through_windows_of_one_octet(autojump_clock: Clock) -> None:
    async with serving2(body_of_path) as s:
        peer = await s.peer({INITIAL_WINDOW_SIZE: 1})
        stream_id = await peer.request(get(2000))
        assert await peer.response(stream_id) == (200, b"x" * 2000)
        assert {len(frame.data) for frame in peer.all(DataFrame)} <= {0, 1}
        await peer.close()


async def test_an_upload_in_frames_of_one_octet(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(1)  # the octets pile up first
        await stream.send_response(200, body=b"%d" % len(await stream.read_body()))

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.send(*(peer.data(stream_id, b"x") for _ in range(5000)), peer.data(stream_id, end=True))
        assert await peer.response(stream_id) == (200, b"5000")
        await peer.close()


async def test_a_window_that_shrinks_below_what_is_in_flight(autojump_clock: Clock) -> None:
    async with serving2(body_of_path) as s:
        peer = await s.peer({INITIAL_WINDOW_SIZE: 50_000})
        peer.credits_streams = False
        ids = [await peer.request(get(100_000)) for _ in range(4)]
        # 200,000 octets in flight are more than the connection's window
        await peer.until(lambda: all(len(peer.body(stream_id)) == 50_000 for stream_id in ids))
        await peer.send(peer.settings({INITIAL_WINDOW_SIZE: 10}))
        await peer.alive()
        # each window is at -49,990 now
        for stream_id in ids:
            await peer.send(peer.window(stream_id, 49_990))
        await peer.read_for(1)
        assert all(len(peer.body(stream_id)) == 50_000 for stream_id in ids)
        for stream_id in ids:
            await peer.send(peer.window(stream_id, 1))
        await peer.read_for(1)
        assert all(len(peer.body(stream_id)) == 50_001 for stream_id in ids)
        await peer.send(peer.settings({INITIAL_WINDOW_SIZE: 60_000}))
        for stream_id in ids:
            assert await peer.response(stream_id) == (200, b"x" * 100_000)
        s.assert_nothing_left()
        await peer.close()


async def test_a_window_of_zero_for_ever_costs_its_streams_and_nobody_else(autojump_clock: Clock) -> None:
    async with serving2(body_of_path, timeouts=Timeouts(write_progress_seconds=10)) as s:
        peer, neighbour = await s.peer({INITIAL_WINDOW_SIZE: 0}), await s.peer()
        ids = [await peer.request(get(octets)) for octets in (10, 1000, 100_000, 1_000_000)]
        assert await neighbour.response(await neighbour.request(get(100_000))) == (200, b"x" * 100_000)
        assert await peer.response(await peer.request(get(0))) == (200, b"")
        await peer.read_for(20)
        assert sorted(peer.resets()) == [(stream_id, CANCEL) for stream_id in ids]
        s.assert_nothing_left()
        await peer.alive()
        await peer.close()
        await neighbour.close()


async def test_a_connection_window_of_zero_for_ever(autojump_clock: Clock) -> None:
    async with serving2(body_of_path, timeouts=Timeouts(write_progress_seconds=10)) as s:
        peer = await s.peer({INITIAL_WINDOW_SIZE: 2**31 - 1})
        peer.credits_connection = False
        ids = [await peer.request(get(50_000)) for _ in range(5)]
        await peer.read_for(25)
        assert sum(len(peer.body(stream_id)) for stream_id in ids) == 65_535
        assert len(peer.resets()) == 4
        s.assert_nothing_left()
        await peer.send(peer.window(0, 100_000))
        assert await peer.response(await peer.request(get(50_000))) == (200, b"x" * 50_000)
        await peer.close()


async def test_a_window_dripping_an_octet_at_a_time_is_no_progress(autojump_clock: Clock) -> None:
    async with serving2(body_of_path, timeouts=Timeouts(write_progress_seconds=10)) as s:
        peer = await s.peer({INITIAL_WINDOW_SIZE: 0})
        peer.credits_streams = False
        stream_id = await peer.request(get(100_000))
        for _ in range(30):
            if peer.resets():
                break
            await peer.send(peer.window(stream_id, 1))
            await peer.read_for(1)
        assert peer.resets() == [(stream_id, CANCEL)]
        s.assert_nothing_left()
        await peer.close()


@pytest.mark.parametrize("victim", ["stream", "connection"])
async def test_a_window_that_overflows(autojump_clock: Clock, victim: str) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await trio.sleep_forever()

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        await peer.alive()
        await peer.send(peer.window(stream_id if victim == "stream" else 0, 2**31 - 1))
        assert await outcomes.next() == ("cancelled", StreamResetError)
        if victim == "stream":
            await peer.alive()
            assert peer.resets() == [(stream_id, FLOW_CONTROL_ERROR)]
        else:
            await peer.read_to_end()
            assert [code for _, code in peer.goaways()] == [FLOW_CONTROL_ERROR]
        await peer.close()


async def test_more_data_than_the_window_ends_its_stream(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        if stream.method == b"GET":
            await hello(stream)
            return
        with outcomes.watching(stream):
            await trio.sleep_forever()

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.alive()
        await peer.send(*(peer.data(stream_id, b"x" * 16_384) for _ in range(5)))
        assert await outcomes.next() == ("cancelled", StreamResetError)
        assert await peer.response(await peer.request()) == (200, b"hello")
        assert peer.resets() == [(stream_id, FLOW_CONTROL_ERROR)]
        await peer.close()


async def test_uploads_nobody_reads_do_not_hold_up_one_that_is_read(autojump_clock: Clock) -> None:
    """99 streams fill their windows; the hundredth sends 5 MB through."""

    async def handler(stream: HTTPStream) -> None:
        if stream.path == b"/sleep":
            await trio.sleep_forever()
        octets = 0
        async for chunk in stream.iter_data():
            octets += len(chunk)
        await stream.send_response(200, body=b"%d" % octets)

    async with serving2(handler) as s:
        peer = await s.peer()
        for _ in range(99):
            stream_id = await peer.request([*POST[:3], (b":path", b"/sleep")], end=False)
            await peer.send(*(peer.data(stream_id, b"x" * 16_384) for _ in range(4)))
        read = await peer.request(POST, end=False)
        octets = 20_000_000
        await upload(peer, read, octets, others=99 * 65_536)
        assert await peer.response(read) == (200, b"%d" % octets)
        assert s.server.statistics().buffered_octets == 99 * 65_536
        assert trio.current_time() == 0
        await peer.close()


async def test_padding_is_credited(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=b"%d" % len(await stream.read_body()))

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await upload(peer, stream_id, 900_000, frame_octets=200, pad=255)
        assert await peer.response(stream_id) == (200, b"900000")
        assert peer.goaways() == []
        await peer.close()


async def test_the_window_of_a_slow_reader_does_not_grow(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        for _ in range(2):  # half a window, then the other half; each late
            await trio.sleep(3)
            await stream.receive()
            await stream.receive()
        await stream.read_body()
        await stream.send_response(200)

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.alive()
        await peer.send(*(peer.data(stream_id, bytes(16_384)) for _ in range(4)))
        await peer.read_for(30)
        assert peer.credit(stream_id) <= 65_536
        await peer.send(peer.data(stream_id, end=True))
        await peer.response(stream_id)
        await peer.close()


STATES = [
    "upload open",
    "upload ended",
    "response waits for window",
    "response ended, upload open",
    "reset by the peer",
]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("code", [NO_ERROR, 2])
async def test_a_clients_goaway_in_every_state_of_a_stream(autojump_clock: Clock, state: str, code: int) -> None:
    """A client that says GOAWAY opens no pushes any more; its requests are finished, then the connection ends."""

    async def handler(stream: HTTPStream) -> None:
        if state == "response ended, upload open":
            await stream.send_response(200, body=b"hello")
        if state != "response waits for window":
            await stream.read_body()
        if state != "response ended, upload open":
            await stream.send_response(200, body=b"x" * 100_000)

    async with serving2(handler, timeouts=PATIENT) as s:
        peer = await s.peer({INITIAL_WINDOW_SIZE: 100_000 if state != "response waits for window" else 0})
        stream_id = await peer.request(POST, end=state in {"upload ended", "response waits for window"})
        if state == "response ended, upload open":
            await peer.response(stream_id)
        if state == "reset by the peer":
            await peer.send(peer.reset(stream_id))
        await peer.alive()
        await peer.send(peer.goaway(0, code))
        await peer.read_for(1)
        if state in {"upload open", "response ended, upload open"} and not peer.at_end:
            await peer.send(peer.data(stream_id, b"x", end=True))
        if state == "response waits for window":
            await peer.send(peer.window(stream_id, 100_000))
        if state not in {"reset by the peer", "response ended, upload open"}:
            assert await peer.response(stream_id) == (200, b"x" * 100_000)
        await peer.read_to_end()
        await peer.close()
        await trio.sleep(5)
        s.assert_nothing_left()
        assert s.server.statistics().connections == 0
