"""Input that waits inside HTTP/3 for octets that do not come: the server's ledger counts it, and time bounds it."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream, Limits, Timeouts
from hface_trio.events import StreamEvent

from .harness import Served, hello, serving3
from .raw import POST, Code, RawPeer, data, headers, pack_varint

Clock = trio.testing.MockClock
MIB = 2**20


def hold_back(peer: RawPeer, stream_id: int, octets: bytes, start: int = 0, stop: int = 1) -> None:
    """Send octets, without some of them."""
    peer.put(stream_id, octets)
    peer.quic._streams[stream_id].sender._pending.subtract(start, stop)
    peer.flush()


async def withhold_first_octets(peer: RawPeer, streams: int) -> None:
    for _ in range(streams):
        if peer.at_end:
            return
        hold_back(peer, peer.next_id(), bytes(64_000))
        await trio.sleep(0.2)


async def settled(s: Served, connections: int) -> None:
    await trio.sleep(30)
    statistics = s.server.statistics()
    assert (statistics.connections, statistics.buffered_octets) == (connections, 0)


async def test_octets_behind_missing_ones_are_counted_and_given_up_in_time(autojump_clock: Clock) -> None:
    async with serving3(hello, timeouts=Timeouts(request_head_seconds=5)) as s:
        peer = await s.peer()
        await withhold_first_octets(peer, 10)
        await trio.sleep(1)
        assert 600_000 < s.server.statistics().buffered_octets < 700_000
        for _ in range(5):  # the connection is not idle meanwhile
            await peer.response(await peer.request())
            await trio.sleep(1)
        assert s.server.statistics().buffered_octets == 0
        assert [peer.status(stream_id) for stream_id in range(0, 40, 4)] == [408] * 10
        await peer.alive()
        await peer.close()


async def test_parts_of_sections_are_counted_and_given_up_in_time(autojump_clock: Clock) -> None:
    async with serving3(hello) as s:
        peer = await s.peer()
        for _ in range(10):
            await peer.send(peer.next_id(), b"\x01" + pack_varint(120_000) + bytes(60_000))
            await trio.sleep(0.2)
        assert s.server.statistics().buffered_octets == 600_000
        await trio.sleep(12)
        assert s.server.statistics().buffered_octets == 0
        assert [peer.status(stream_id) for stream_id in range(0, 40, 4)] == [408] * 10
        await peer.alive()
        await peer.close()


@pytest.mark.parametrize("how", ["holes", "sections"])
async def test_whoever_makes_a_server_hold_most_loses_its_connection(autojump_clock: Clock, how: str) -> None:
    async with serving3(hello, limits=Limits(buffered_octets=MIB)) as s:
        modest, greedy = await s.peer(), await s.peer()
        await withhold_first_octets(modest, 1)
        if how == "holes":
            await withhold_first_octets(greedy, 30)
        else:
            for _ in range(30):
                if not greedy.at_end:
                    await greedy.send(greedy.next_id(), b"\x01" + pack_varint(120_000) + bytes(60_000))
                    await trio.sleep(0.1)
        await greedy.read_to_end()
        assert greedy.closed_with == Code.EXCESSIVE_LOAD
        statistics = s.server.statistics()
        assert 60_000 < statistics.buffered_octets < 70_000
        assert statistics.peak_buffered_octets < 1.3 * MIB
        await modest.alive()
        await modest.close()
        await settled(s, 0)


async def test_a_gap_in_a_body_is_given_up_although_nobody_reads_it(autojump_clock: Clock) -> None:
    ended: list[float] = []

    async def handler(stream: HTTPStream) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    async with serving3(handler, timeouts=Timeouts(body_progress_seconds=20)) as s:
        peer = await s.peer()
        request = headers(POST) + data(bytes(50_000))
        began = trio.current_time()
        hold_back(peer, peer.next_id(), request, 1000, 1001)
        while not ended:
            await peer.alive()
            await trio.sleep(1)
        assert 20 <= ended[0] - began < 22
        await peer.alive()
        assert s.server.statistics().buffered_octets == 0
        assert peer.resets() == [(0, Code.REQUEST_CANCELLED)]
        await peer.close()


async def test_octets_that_come_after_all_are_served(autojump_clock: Clock) -> None:
    received: list[StreamEvent] = []

    async def handler(stream: HTTPStream) -> None:
        async for event in stream:
            received.append(event)
        await stream.send_response(200)

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = peer.next_id()
        request = headers(POST) + data(bytes(50_000))
        hold_back(peer, stream_id, request)
        await trio.sleep(8)
        assert s.server.statistics().buffered_octets > 50_000
        sender = peer.quic._streams[stream_id].sender
        sender._pending.add(0, 1)
        sender.buffer_is_empty = False
        await peer.send(stream_id, end=True)
        assert await peer.response(stream_id) == (200, b"")
        assert sum(len(event.data) for event in received if hasattr(event, "data")) == 50_000
        assert s.server.statistics().buffered_octets == 0
        await peer.close()
