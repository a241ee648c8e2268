"""Flushing waits for what congestion or a window holds back."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream, StreamError

from .served import Outcomes
from .version import Version

Clock = trio.testing.MockClock
BODY = b"x" * 60_000


async def test_flush_waits_until_all_has_left(version: Version, autojump_clock: Clock) -> None:
    flushed: list[int] = []

    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(BODY)
        await stream.flush()
        flushed.append(stream.connection.statistics().octets_sent)
        await stream.send_data(b"", end_stream=True)

    async with version.serving(handler) as s, s.client() as client:
        response = await client.get(s.url)
        assert response.body == BODY
    assert flushed[0] > len(BODY)


async def test_a_peer_whose_window_stays_shut_holds_up_a_flush_until_it_leaves(
    version: Version, autojump_clock: Clock
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(b"x" * 5_000)
        outcomes.note("sent")
        with pytest.raises(StreamError):
            await stream.flush()
        outcomes.note("failed")
        await trio.lowlevel.checkpoint()

    async with version.serving(handler, on_peer_gone="raise") as s:
        peer = await s.peer(window=1_000)
        stream_id = await peer.request()
        assert await outcomes.next() == "sent"
        await trio.sleep(5)
        assert outcomes.empty()
        await peer.reset(stream_id)
        assert await outcomes.next() == "failed"
        await peer.close()
