"""The end of a server, frame by frame."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from ..multiplexed.served import SLOW_BODY, slow
from .harness import hello, serving2
from .raw import NO_ERROR

Clock = trio.testing.MockClock
LAST = 2**31 - 1


async def test_the_wire_of_a_drain(autojump_clock: Clock) -> None:
    """GOAWAY that excludes nothing, PING; with its acknowledgement the last id; what is above is ignored, what is below ends."""
    async with serving2(slow) as s, trio.open_nursery() as nursery:
        peer = await s.peer()
        first = await peer.request()
        await peer.read_for(30)
        assert await peer.response(first) == (200, SLOW_BODY)
        second = await peer.request()
        await peer.alive()
        peer.acknowledges_pings = False
        nursery.start_soon(s.server.shutdown, 20)
        began = trio.current_time()
        await peer.until(peer.goaways)
        assert peer.goaways() == [(LAST, NO_ERROR)]
        crossing = await peer.request()  # the client has not heard yet
        await peer.read_for(0.5)
        assert len(peer.goaways()) == 1
        await peer.until(lambda: len(peer.goaways()) == 2)
        assert trio.current_time() == pytest.approx(began + 1, abs=0.01)
        assert peer.goaways()[1] == (crossing, NO_ERROR)
        late = await peer.request()
        assert await peer.response(second) == (200, SLOW_BODY)
        assert await peer.response(crossing) == (200, SLOW_BODY)
        await peer.read_to_end()
        assert late not in peer.sections
        assert peer.resets() == []
        await peer.close()


async def test_a_request_that_crosses_the_goaway_of_an_idle_connection_is_served(autojump_clock: Clock) -> None:
    async with serving2(hello) as s, trio.open_nursery() as nursery:
        peer = await s.peer()
        peer.acknowledges_pings = False
        await peer.response(await peer.request())
        await peer.read_for(20)
        nursery.start_soon(s.server.shutdown, 10)
        await peer.until(peer.goaways)
        await peer.read_for(0.3)
        assert await peer.response(await peer.request()) == (200, b"hello")
        await peer.read_to_end()
        assert peer.goaways() == [(LAST, NO_ERROR), (3, NO_ERROR)]
        await peer.close()


async def test_a_client_that_never_closes_its_side_is_left_after_the_linger(autojump_clock: Clock) -> None:
    async with serving2(hello) as s:
        peer = await s.peer()
        await peer.response(await peer.request())
        await trio.sleep(5)
        await s.server.shutdown(10)
        assert trio.current_time() < 9
        await peer.read_to_end()
        await peer.close()
