"""The bounds of an endpoint of QUIC: connections in all, and datagrams that wait for one."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio import Limits

from ..multiplexed.served import count
from .harness import hello, serving3
from .raw import POST, Code, data
from .strangers import serving_quic

CONNECTION_REFUSED = 0x2

Clock = trio.testing.MockClock


@pytest.mark.parametrize(
    "limits", [Limits(connections=2), Limits(connections_per_address=2)], ids=["in all", "of an address"]
)
async def test_connections_beyond_the_limit_are_refused(autojump_clock: Clock, limits: Limits) -> None:
    async with serving_quic(hello, limits=limits) as s:
        one, other = await s.peer(), await s.peer()
        third = await s.raw()
        await third.read_to_end()
        assert third.closed_with == CONNECTION_REFUSED
        await one.close()
        await trio.sleep(5)
        third = await s.peer()
        assert await third.response(await third.request()) == (200, b"hello")
        for peer in (other, third):
            await peer.close()


async def test_connections_over_tcp_count_for_the_limit_too(autojump_clock: Clock) -> None:
    async with serving3(hello, limits=Limits(connections=1)) as s, trio.open_nursery() as nursery:
        over_tcp = await s.connect(nursery, http_versions=["2"])
        peer = await s.raw()
        await peer.read_to_end()
        assert peer.closed_with == CONNECTION_REFUSED
        await over_tcp.aclose()
        await trio.sleep(5)
        peer = await s.peer()
        await peer.close()


async def test_a_flood_of_datagrams_to_a_busy_connection_is_dropped_and_counted(autojump_clock: Clock) -> None:
    async with serving_quic(count) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.alive()
        (connection,) = s.server._context.connections
        link = connection._transport
        sample = bytes([0x40]) + peer.quic._peer_cid.cid + bytes(1000)
        for _ in range(1000):
            link.keep((sample, peer.socket.local_address))
        assert link.dropped >= 744
        assert len(link.waiting) <= 256
        assert link._waiting_octets <= 512 * 1024
        await peer.read_for(1)
        await peer.send(stream_id, data(b"x"), end=True)
        assert await peer.response(stream_id) == (200, b"1")
        await peer.close(Code.NO_ERROR)
