"""Windows that shrink, overflow, or open by SETTINGS; padding, which they count."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from hyperframe.frame import DataFrame

from hface_trio import HTTPStream, StreamResetError

from ..multiplexed.served import body_of_path
from .harness import Outcomes, hello, serving2
from .raw import FLOW_CONTROL_ERROR, GET, INITIAL_WINDOW_SIZE, POST

Clock = trio.testing.MockClock


def get(octets: int) -> list[tuple[bytes, bytes]]:
    return [*GET[:3], (b":path", b"/%d" % octets)]


async def test_a_response_through_windows_of_one_octet(autojump_clock: Clock) -> None:
    async with serving2(body_of_path) as s:
        peer = await s.peer({INITIAL_WINDOW_SIZE: 1})
        stream_id = await peer.request(get(2000))
        assert await peer.response(stream_id) == (200, b"x" * 2000)
        assert {len(frame.data) for frame in peer.all(DataFrame)} <= {0, 1}
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


async def test_padding_is_credited(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=b"%d" % len(await stream.read_body()))

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.offer(stream_id, 900_000, frame_octets=200, pad=255)
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
