"""Handlers, connections and buffered octets of a server are limited, and who is within the limits does not feel it."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream, Limits

from .harness import GET, POST_100K, Outcomes, hello, serving

Clock = trio.testing.MockClock


async def test_requests_beyond_the_handlers_of_a_server_are_answered_with_503(autojump_clock: Clock) -> None:
    release = trio.Event()

    async def handler(stream: HTTPStream) -> None:
        await release.wait()
        await stream.send_response(200)

    async with serving(handler, limits=Limits(handlers=2)) as s:
        peers = [await s.connect() for _ in range(3)]
        for peer in peers:
            await peer.send(GET)
            await trio.testing.wait_all_tasks_blocked()
        assert (await peers[2].read_head()).startswith(b"HTTP/1.1 503 ")
        release.set()
        for peer in peers[:2]:
            assert (await peer.read_head()).startswith(b"HTTP/1.1 200 ")
        for peer in peers:
            await peer.close()


async def test_connections_beyond_the_limit_are_closed_and_counted(autojump_clock: Clock) -> None:
    async with serving(hello, limits=Limits(connections=2)) as s:
        peers = [await s.connect() for _ in range(3)]
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BrokenResourceError):
            await peers[2].read_to_end()
        assert s.server.statistics().connections_refused == 1
        await peers[0].close()
        await trio.sleep(0.1)
        again = await s.connect()
        await again.send(GET)
        assert (await again.read_head()).startswith(b"HTTP/1.1 200 ")
        await again.close()
        await peers[1].close()
        await peers[2].close()


async def test_over_the_ledger_the_largest_holder_is_reset_and_the_others_go_on(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        if stream.method == b"GET":
            await hello(stream)
            return
        with outcomes.watching(stream):
            await trio.sleep(1000)

    limits = Limits(buffered_octets=100_000)
    async with serving(handler, limits=limits) as s:
        holders = [await s.connect() for _ in range(3)]
        for n_octets, holder in zip((30_000, 60_000, 40_000), holders, strict=True):
            await holder.send(POST_100K + b"x" * n_octets)
            await trio.testing.wait_all_tasks_blocked()
        outcome = await outcomes.next()
        assert outcome == ("cancelled", hface_trio.StreamResetError)
        assert (await holders[1].read_head()).startswith(b"HTTP/1.1 503 ")
        assert outcomes.empty()
        peer = await s.connect()
        await peer.send(GET)
        assert (await peer.read_head()).startswith(b"HTTP/1.1 200 ")
        for p in [*holders, peer]:
            await p.close()
