"""Peers that take nothing of what is sent: what waits for them, they do not hold for ever, whatever else they send."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream, StreamError, Timeouts

from .harness import Outcomes, Served, hello, serving3
from .raw import RawPeer, Window

Clock = trio.testing.MockClock


async def ping_on(s: Served, peer: RawPeer) -> None:
    """Send a ping every 10 s, so that the connection is never silent."""

    async def ping() -> None:
        for number in range(1000):
            if peer.at_end:
                return
            peer.quic.send_ping(number)
            peer.flush()
            await trio.sleep(10)

    s.nursery.start_soon(ping)


async def acknowledge_nothing(peer: RawPeer) -> None:
    def write_nothing(builder, space, now) -> None:
        space.ack_at = None

    peer.quic._write_ack_frame = write_nothing


@pytest.mark.parametrize("window", [0, 100])
async def test_responses_behind_a_shut_window_are_given_up(window: int, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=b"x" * 200)

    async with serving3(handler, timeouts=Timeouts(idle_seconds=1000)) as s:
        peer = await s.peer(window=Window(stream=window))
        await ping_on(s, peer)
        stream_ids = [await peer.request() for _ in range(10)]
        await peer.until(lambda: len(peer.resets()) == 10)
        assert trio.current_time() < 60
        assert sorted(stream_id for stream_id, _ in peer.resets()) == stream_ids
        assert s.server.statistics().connections == 1
        await peer.close()


async def test_a_peer_that_acknowledges_nothing_loses_its_connection(autojump_clock: Clock) -> None:
    async with serving3(hello, timeouts=Timeouts(idle_seconds=1000)) as s:
        peer = await s.peer()
        await trio.sleep(1)
        await acknowledge_nothing(peer)
        await ping_on(s, peer)
        await peer.request()
        await trio.sleep(60)
        assert s.server.statistics().connections == 0
        await peer.vanish()


@pytest.mark.parametrize("window", [0, 100])
async def test_an_idle_connection_ends_whatever_the_peer_leaves_untaken(window: int, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(204)

    async with serving3(handler, timeouts=Timeouts(idle_seconds=75)) as s:
        peer = await s.peer(window=Window(stream=window))
        await ping_on(s, peer)
        for _ in range(20):
            await peer.request()
        await trio.sleep(75 + 60)
        assert s.server.statistics().connections == 0
        await peer.vanish()


@pytest.mark.parametrize("acknowledges", [True, False])
async def test_a_shutdown_without_a_grace_ends_nevertheless(acknowledges: bool, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(204)

    async with serving3(handler) as s:
        peer = await s.peer(window=Window(stream=0))
        await trio.sleep(1)
        if not acknowledges:
            await acknowledge_nothing(peer)
        await ping_on(s, peer)
        await peer.request()
        await trio.sleep(1)
        with trio.fail_after(90):
            await s.server.shutdown()
        await peer.vanish()


async def test_a_flush_that_the_peer_holds_up_fails(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(b"x" * 50_000)
        with pytest.raises((StreamError, hface_trio.HTTPConnectionError)):
            await stream.flush()
        outcomes.note("failed")

    async with serving3(handler, on_peer_gone="raise") as s:
        peer = await s.peer()
        await trio.sleep(1)
        await acknowledge_nothing(peer)
        await ping_on(s, peer)
        await peer.request()
        with trio.fail_after(60):
            assert await outcomes.next() == "failed"
        await peer.vanish()


async def test_heads_for_a_shut_window_hold_up_their_handler(autojump_clock: Clock) -> None:
    sent: list[int] = []

    async def handler(stream: HTTPStream) -> None:
        link = b"x" * 800
        for number in range(10_000):
            await stream.send_informational([(b":status", b"103"), (b"link", link)])
            sent.append(number)

    async with serving3(handler) as s:
        peer = await s.peer(window=Window(stream=0))
        await ping_on(s, peer)
        await peer.request()
        await trio.sleep(10)
        assert 10 < len(sent) < 100
        await peer.close()


async def test_a_slow_trickle_that_is_taken_is_no_stall(autojump_clock: Clock) -> None:
    """Little is sent, and acknowledged late: that is all the progress there can be."""

    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        for _ in range(100):
            await stream.send_data(b"tick")
            await trio.sleep(1)
        await stream.send_data(b"", end_stream=True)

    async with serving3(handler) as s, s.client() as client:
        response = await client.get("https://localhost:443/")
        assert response.body == b"tick" * 100
