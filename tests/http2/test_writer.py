"""In which order a server sends what many streams have: priorities as seen on the wire (RFC 9218)."""

from __future__ import annotations

import struct

import trio.testing
from hyperframe.frame import DataFrame

from hface_trio import HTTPStream

from .harness import serving2
from .raw import GET, INITIAL_WINDOW_SIZE, RawPeer

Clock = trio.testing.MockClock
LONG = 400_000
WHOLE_WINDOW = {INITIAL_WINDOW_SIZE: 2**30}


async def long_body(stream: HTTPStream) -> None:
    await stream.send_response(200, body=bytes(LONG))


def with_priority(value: bytes) -> list[tuple[bytes, bytes]]:
    return [*GET, (b"priority", value)]


def order(peer: RawPeer) -> list[int]:
    """The streams of the DATA frames, in order, each run of frames once."""
    streams: list[int] = []
    for frame in peer.all(DataFrame):
        if frame.data and (not streams or streams[-1] != frame.stream_id):
            streams.append(frame.stream_id)
    return streams


async def fetch(peer: RawPeer, priorities: list[bytes | None]) -> list[int]:
    """Open requests while the connection's window is shut, then open it; return their ids."""
    ids = [peer.next_id() for _ in priorities]
    frames = [
        peer.headers(stream_id, GET if priority is None else with_priority(priority))
        for stream_id, priority in zip(ids, priorities, strict=True)
    ]
    await peer.send(*frames)
    await peer.until(lambda: all(stream_id in peer.sections for stream_id in ids))
    return ids


async def open_window(peer: RawPeer, ids: list[int]) -> None:
    """All responses have queued their data: let them flow, and take them."""
    peer.log.clear()
    await peer.send(peer.window(0, 2**30))
    for stream_id in ids:
        await peer.response(stream_id)


async def shut(s, **options) -> RawPeer:
    """A peer whose connection window is used up."""
    peer = await s.peer(WHOLE_WINDOW)
    peer.credits_connection = peer.credits_streams = False
    first = await peer.request()
    await peer.until(lambda: len(peer.body(first)) == 65_535)
    await peer.send(peer.reset(first))
    return peer


async def test_lower_urgency_goes_first(autojump_clock: Clock) -> None:
    async with serving2(long_body) as s:
        peer = await shut(s)
        ids = await fetch(peer, [b"u=7", b"u=0", b"u=3", b"u=1"])
        await open_window(peer, ids)
        assert order(peer) == [ids[1], ids[3], ids[2], ids[0]]
        await peer.close()


async def test_within_an_urgency_sequential_responses_follow_one_another_in_the_order_of_requests(
    autojump_clock: Clock,
) -> None:
    async with serving2(long_body) as s:
        peer = await shut(s)
        ids = await fetch(peer, [b"u=2", b"u=2", b"u=2", b"u=2"])
        await open_window(peer, ids)
        assert order(peer) == ids
        await peer.close()


async def test_incremental_responses_take_turns(autojump_clock: Clock) -> None:
    async with serving2(long_body) as s:
        peer = await shut(s)
        ids = await fetch(peer, [b"u=2, i"] * 4)
        await open_window(peer, ids)
        turns = [frame.stream_id for frame in peer.all(DataFrame) if frame.data]
        # at any time the shares differ by little
        for end in range(4, len(turns) - 4):
            shares = [turns[:end].count(stream_id) for stream_id in ids]
            assert max(shares) - min(shares) <= 2
        await peer.close()


async def test_requests_that_say_nothing_take_turns(autojump_clock: Clock) -> None:
    async with serving2(long_body) as s:
        peer = await shut(s)
        ids = await fetch(peer, [None] * 8)
        await open_window(peer, ids)
        half = [frame.stream_id for frame in peer.all(DataFrame) if frame.data][: 8 * LONG // 16_384 // 2]
        shares = [half.count(stream_id) for stream_id in ids]
        assert max(shares) - min(shares) <= 2
        await peer.close()


async def test_a_small_response_is_not_held_up_by_large_ones(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        if stream.path == b"/small":
            await stream.send_response(200, body=b"small")
        else:
            await stream.send_response(200, body=bytes(4_000_000))

    async with serving2(handler) as s:
        peer = await s.peer(WHOLE_WINDOW)
        await peer.send(peer.window(0, 2**30))
        large = [await peer.request() for _ in range(8)]
        await peer.until(lambda: all(peer.body(stream_id) for stream_id in large))
        peer.log.clear()
        small = await peer.request([*GET[:3], (b":path", b"/small")])
        await peer.response(small)
        between = sum(len(frame.data) for frame in peer.all(DataFrame))
        assert between <= 1_000_000  # of some 32 MB
        await peer.close()


async def test_priority_update_acts_on_what_waits(autojump_clock: Clock) -> None:
    async with serving2(long_body) as s:
        peer = await shut(s)
        ids = await fetch(peer, [b"u=3", b"u=3", b"u=7"])
        await peer.send(priority_update(ids[2], b"u=0"), peer.ping())
        await peer.alive()
        await open_window(peer, ids)
        assert order(peer) == [ids[2], ids[0], ids[1]]
        await peer.close()


async def test_priority_update_acts_while_data_flow(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=bytes(4_000_000))

    async with serving2(handler, buffer_octets=1000) as s:
        peer = await s.peer(WHOLE_WINDOW)
        await peer.send(peer.window(0, 2**30))
        (first,) = await fetch(peer, [b"u=3"])
        await peer.until(lambda: len(peer.body(first)) > 100_000)  # so that it has data whenever the second has some
        (second,) = await fetch(peer, [b"u=5"])
        await peer.until(lambda: len(peer.body(first)) > 400_000)
        assert not peer.body(second)
        peer.log.clear()
        await peer.send(priority_update(second, b"u=1"))
        await peer.response(second)
        assert len(peer.body(first)) < 500_000  # more, since the log was cleared
        await peer.response(first)
        await peer.close()


async def test_priority_update_may_come_before_its_request(autojump_clock: Clock) -> None:
    async with serving2(long_body) as s:
        peer = await shut(s)
        await peer.send(priority_update(peer._next_id + 2, b"u=0"))
        ids = await fetch(peer, [b"u=3", b"u=3"])
        await open_window(peer, ids)
        assert order(peer) == [ids[1], ids[0]]
        await peer.close()


async def test_a_reset_drops_what_is_queued(autojump_clock: Clock) -> None:
    async with serving2(long_body) as s:
        peer = await shut(s)
        ids = await fetch(peer, [b"u=1", b"u=2"])
        await peer.send(peer.reset(ids[0]))
        await peer.alive()
        await open_window(peer, ids[1:])
        assert order(peer) == ids[1:]
        s.assert_nothing_left()
        await peer.close()


async def test_an_urgent_stream_without_window_lets_the_others_pass(autojump_clock: Clock) -> None:
    async with serving2(long_body) as s:
        peer = await s.peer({INITIAL_WINDOW_SIZE: 100})
        peer.credits_streams = False
        ids = await fetch(peer, [b"u=0", b"u=5"])
        await peer.send(peer.window(0, 2**30), peer.window(ids[1], 2**30))
        await peer.response(ids[1])
        assert len(peer.body(ids[0])) == 100
        await peer.send(peer.window(ids[0], 2**30))
        await peer.response(ids[0])
        await peer.close()


def priority_update(stream_id: int, value: bytes) -> bytes:
    return struct.pack(">HBBBLL", 0, 4 + len(value), 0x10, 0, 0, stream_id) + value
