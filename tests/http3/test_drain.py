"""The end of a server, frame by frame, and of its handshakes."""

from __future__ import annotations

import trio
import trio.testing

from ..multiplexed.served import SLOW_BODY, slow
from .harness import hello, serving3
from .raw import LAST, Code

Clock = trio.testing.MockClock


async def test_the_wire_of_a_drain(autojump_clock: Clock) -> None:
    """GOAWAY that excludes nothing, PING; a second later the last id; what is above is rejected, what is below ends."""
    async with serving3(slow) as s, trio.open_nursery() as nursery:
        peer = await s.peer()
        first = await peer.request()
        await peer.read_for(10)
        assert await peer.response(first) == (200, SLOW_BODY)
        second = await peer.request()
        await peer.alive()
        nursery.start_soon(s.server.shutdown, 20)
        began = trio.current_time()
        await peer.until(peer.goaways)
        assert peer.goaways() == [LAST]
        crossing = await peer.request()  # the client has not heard yet
        await peer.until(lambda: len(peer.goaways()) == 2)
        assert trio.current_time() <= began + 1
        assert peer.goaways()[1] == crossing + 4
        late = await peer.request()
        await peer.until(lambda: dict(peer.resets()).get(late) == Code.REQUEST_REJECTED)
        assert await peer.response(second) == (200, SLOW_BODY)
        assert await peer.response(crossing) == (200, SLOW_BODY)
        await peer.read_to_end()
        assert peer.closed_with == Code.NO_ERROR
        assert [stream_id for stream_id, _ in peer.resets()] == [late]
        await peer.close()


async def test_a_ping_that_is_not_acknowledged_is_waited_for_a_second(autojump_clock: Clock) -> None:
    async with serving3(hello) as s, trio.open_nursery() as nursery:
        peer = await s.peer()
        await peer.response(await peer.request())
        await peer.read_for(5)
        peer.silent = True
        nursery.start_soon(s.server.shutdown, 10)
        began = trio.current_time()
        await peer.until(lambda: len(peer.goaways()) == 2)
        assert began + 1 <= trio.current_time() <= began + 1.5
        peer.silent = False
        await peer.read_to_end()
        await peer.close()


async def test_a_handshake_that_crosses_the_shutdown_is_finished_and_served(autojump_clock: Clock) -> None:
    async with serving3(hello) as s, trio.open_nursery() as nursery:
        peer = await s.raw()
        await peer.read_for(0.008)  # the Initial is there
        assert s.server.statistics().connections == 1
        nursery.start_soon(s.server.shutdown, 10)
        await peer.start()
        assert await peer.response(await peer.request()) == (200, b"hello")
        await peer.read_to_end()
        assert peer.closed_with == Code.NO_ERROR
        await peer.close()


async def test_a_server_that_drains_takes_no_new_connections(autojump_clock: Clock) -> None:
    async with serving3(slow) as s, trio.open_nursery() as nursery:
        peer = await s.peer()
        stream_id = await peer.request()
        await peer.alive()
        nursery.start_soon(s.server.shutdown, 10)
        late = await s.raw()
        await late.read_to_end()
        assert late.closed_with == 0x2  # CONNECTION_REFUSED
        assert await peer.response(stream_id) == (200, SLOW_BODY)
        await peer.close()
