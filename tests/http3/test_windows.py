"""The windows of QUIC: how far they grow, who breaks them, and that nothing drifts."""

from __future__ import annotations

import trio
import trio.testing

from hface_trio import HTTPStream, Limits, StreamResetError

from .harness import Outcomes, Served, hello, serving3
from .raw import POST, RawPeer, data

Clock = trio.testing.MockClock


async def test_more_data_than_the_window_ends_the_connection(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await trio.sleep_forever()

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.alive()
        peer.quic._streams[stream_id].max_stream_data_remote = 10**9
        peer.quic._remote_max_data = 10**9
        await peer.send(stream_id, data(bytes(200_000)))
        assert await outcomes.next() == ("cancelled", StreamResetError)
        await peer.read_to_end()
        assert peer.closed_with == 0x3  # FLOW_CONTROL_ERROR
        await peer.close()


def credit_of(peer: RawPeer, stream_id: int) -> int:
    """What the peer was allowed to send in all."""
    return peer.quic._streams[stream_id].max_stream_data_remote


async def test_the_window_of_a_fast_reader_grows_to_a_megabyte(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        async for _ in stream:
            pass
        await stream.send_response(200)

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, data(bytes(4_000_000)), end=False)
        await peer.read_for(20)
        ahead = credit_of(peer, stream_id) - 4_000_000
        assert 400_000 < ahead <= 2**20
        await peer.send(stream_id, end=True)
        await peer.response(stream_id)
        await peer.close()


async def test_the_connections_credit_does_not_drift(autojump_clock: Clock) -> None:
    """Exchanges of all kinds end with all credit given back."""

    async def handler(stream: HTTPStream) -> None:
        if stream.path == b"/read":
            await stream.read_body()
        elif stream.path == b"/reset":
            await stream.receive()
            stream.reset(4711)
            return
        await hello(stream)

    async with serving3(handler, limits=Limits(concurrent_streams=5)) as s:
        peer = await s.peer()
        for round_number in range(20):
            ids = []
            for path in (b"/read", b"/reset", b"/leave"):
                fields = [*POST[:3], (b":path", path)]
                ids.append(await peer.request(fields, data(bytes(30_000)), end=path == b"/read"))
            if round_number % 2:
                await peer.read_for(0.006)  # a part of it has arrived
                await peer.reset(ids[0])
            await peer.read_for(0.2)
        await settled(peer, s)
        (connection,) = s.server._context.connections
        ledger = connection._protocol.quic.ledger
        assert ledger.held == 0
        assert ledger._consumed == peer.quic._remote_max_data_used > 1_000_000
        assert peer.streams_allowed >= 60
        await peer.close()


async def settled(peer: RawPeer, s: Served) -> None:
    await peer.read_for(2)
    await peer.alive()
    s.assert_nothing_left()
