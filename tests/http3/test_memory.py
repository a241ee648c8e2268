"""What a peer can make a whole server hold: measured as the peak of everything allocated while it acts."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream, Limits, Timeouts
from hface_trio.testing import DatagramConditions, MemoryNetworking

from .harness import Served, hello, serving3
from .raw import GET, POST, Code, RawPeer, Window, data, headers, pack_frame, pack_varint

Clock = trio.testing.MockClock
MIB = 1024 * 1024
PATIENT = Timeouts(write_progress_seconds=1000, body_progress_seconds=1000)


async def peak_during(act: Callable[[], Awaitable[object]]) -> int:
    """Return the most that was allocated at a time beyond what there was, by server, network and peer together."""
    tracemalloc.start()
    try:
        await act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def settled(peer: RawPeer, seconds: float = 3) -> None:
    with trio.move_on_after(seconds):
        await peer.read_to_end()


async def sleeping(stream: HTTPStream) -> None:
    await trio.sleep_forever()


async def warmed_up(s: Served) -> RawPeer:
    """Connect, and exchange something: what is imported and cached at first use is not counted."""
    peer = await s.peer()
    await peer.alive()
    return peer


async def test_what_is_sent_to_a_handler_that_reads_nothing_stops_at_the_window(autojump_clock: Clock) -> None:
    async with serving3(sleeping, timeouts=PATIENT) as s:
        peer = await warmed_up(s)
        stream_id = await peer.request(POST, end=False)
        await peer.alive()
        peer.put(stream_id, data(bytes(24 * 1000 * 1000)))

        async def act() -> None:
            peer.flush()
            await peer.read_for(20)

        assert await peak_during(act) < MIB
        assert 60_000 < s.server.statistics().buffered_octets <= 65_536
        assert peer.quic._streams[stream_id].sender.highest_offset <= 65_536
        await peer.close()


async def test_a_large_response_to_a_peer_that_does_not_read_is_not_buffered(autojump_clock: Clock) -> None:
    body = bytes(128 * MIB)
    chunk = memoryview(body)

    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        if stream.path == b"/whole":
            await stream.send_data(chunk, end_stream=True)
        else:
            for start in range(0, len(body), MIB):
                await stream.send_data(chunk[start : start + MIB])

    async with serving3(handler, timeouts=PATIENT) as s:
        for path in (b"/whole", b"/parts"):
            peer = await s.peer(window=Window(stream=256 * 1024))
            await peer.alive()

            async def act(peer: RawPeer = peer, path: bytes = path) -> None:
                await peer.request([*GET[:3], (b":path", path)])
                await peer.read_for(10)

            # what the peer holds itself is counted with it
            assert await peak_during(act) < MIB + 2 * 256 * 1024
            assert s.server.statistics().buffered_octets <= len(body)
            await peer.close()
            await trio.sleep(5)


@pytest.mark.parametrize("sent_by", ["a handler that waits", "a handler that is done"])
async def test_a_response_whose_acknowledgements_are_lost_is_held_within_bounds(
    autojump_clock: Clock, sent_by: str
) -> None:
    async def handler(stream: HTTPStream) -> None:
        if sent_by == "a handler that waits":
            await stream.send_response(200, body=bytes(20 * MIB))
        else:
            await stream.send_response(200, body=bytes(60_000))

    async with serving3(handler, timeouts=PATIENT) as s:
        peer = await warmed_up(s)

        async def act() -> None:
            await peer.request()
            await peer.read_for(0.015)
            peer.silent = True
            await peer.read_for(20)

        await act()
        (connection,) = s.server._context.connections
        assert connection._protocol.quic.sender.unacknowledged <= MIB
        await peer.vanish()
        await trio.sleep(40)
        s.assert_nothing_left()


async def test_sparse_streams(autojump_clock: Clock) -> None:
    """Of each stream all but the last octet is held back: what is missing is not reserved."""
    async with serving3(sleeping, timeouts=PATIENT) as s:
        peer = await warmed_up(s)
        request = headers(POST) + data(bytes(64_000))
        ids = [peer.next_id() + 4 * number for number in range(60)]
        for stream_id in ids:
            peer.put(stream_id, request)
            peer.quic._streams[stream_id].sender._pending.subtract(0, len(request) - 1)

        async def act() -> None:
            peer.flush()
            await peer.read_for(2)

        assert await peak_during(act) < MIB
        await peer.close()


@pytest.mark.parametrize("where", ["head", "trailers"])
async def test_a_qpack_bomb(autojump_clock: Clock, where: str) -> None:
    async with serving3(sleeping) as s:
        peer = await warmed_up(s)
        bomb = pack_frame(1, b"\x00\x00" + b"\xff\x15" * 20_000)  # 40 kB of wire, 20,000 fields
        before = headers(POST) if where == "trailers" else b""
        peer.put(peer.next_id(), before, bomb, end=True)

        async def act() -> None:
            peer.flush()
            await settled(peer)

        assert await peak_during(act) < MIB
        assert peer.closed_with == Code.EXCESSIVE_LOAD
        await peer.close()


async def test_endless_headers(autojump_clock: Clock) -> None:
    async with serving3(hello) as s:
        peer = await warmed_up(s)
        peer.put(peer.next_id(), b"\x01" + pack_varint(2**30), bytes(2_000_000))

        async def act() -> None:
            peer.flush()
            await settled(peer)

        assert await peak_during(act) < MIB
        assert peer.closed_with == Code.EXCESSIVE_LOAD
        await peer.close()


async def test_endless_headers_within_the_limit_on_many_streams(autojump_clock: Clock) -> None:
    """Sections that never come to an end hold what one stream may hold each, and end at their deadline."""
    limits = Limits(concurrent_streams=8)
    async with serving3(hello, limits=limits) as s:
        peer = await warmed_up(s)
        for number in range(8):
            peer.put(4 * number, b"\x01" + pack_varint(120_000), bytes(100_000))

        async def act() -> None:
            peer.flush()
            await peer.read_for(5)

        assert await peak_during(act) < 3 * MIB
        await peer.read_for(10)
        (connection,) = s.server._context.connections
        assert connection._protocol.open_streams == 0
        await peer.alive()
        await peer.close()


async def test_initials_of_clients_that_vanish(autojump_clock: Clock) -> None:
    """A half-open connection costs what a TLS handshake costs, and nothing once it is given up."""
    network = MemoryNetworking(to_clients=DatagramConditions(drop=1))
    async with serving3(hello, network=network, http_versions=["3"]) as s:

        async def some(count: int) -> None:
            for _ in range(count):
                peer = await s.raw()
                peer.flush()
                await peer.vanish()
            await trio.sleep(0.1)

        await some(3)
        await trio.sleep(11)
        tracemalloc.start()
        await some(15)
        await trio.sleep(11)
        gc.collect()
        current, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert s.server.statistics().connections == 0
        assert peak < 15 * 250_000  # the clients' own halves with it
        assert current < 200_000


async def test_connections_that_come_and_go_leave_no_memory(autojump_clock: Clock) -> None:
    async with serving3(hello, http_versions=["3"]) as s:

        async def some(count: int) -> None:
            for _ in range(count):
                peer = await s.peer()
                await peer.response(await peer.request())
                await peer.close()
            await trio.sleep(5)

        await some(5)
        tracemalloc.start()
        await some(20)
        gc.collect()
        current, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert current < 20 * 5000
