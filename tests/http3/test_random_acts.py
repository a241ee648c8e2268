"""Peers that do what is allowed in any order, at random: nothing is left, nothing is logged, nobody waits for ever."""

from __future__ import annotations

import contextlib
import logging
import random

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HfaceError, HTTPStream, Limits, Timeouts
from hface_trio.testing import DatagramConditions, MemoryNetworking

from .harness import connected, hello, serving3
from .raw import POST, RESPONSE, RawPeer, Window, data, headers

Clock = trio.testing.MockClock
SEEDS = range(20)


async def erratic(stream: HTTPStream) -> None:
    """A handler whose ways depend on the path."""
    chance = random.Random(stream.path)
    way = chance.randrange(7)
    with contextlib.suppress(HfaceError):
        if way == 0:
            await hello(stream)
        elif way == 1:
            await stream.send_response(200, body=await stream.read_body(10_000_000))
        elif way == 2:
            await stream.send_headers([(b":status", b"200")])
            for _ in range(chance.randrange(5)):
                await stream.send_data(bytes(chance.randrange(40_000)))
                await trio.sleep(chance.random() * 0.02)
            await stream.send_trailers([(b"a", b"b")])
        elif way == 3:
            stream.reset(4711)
        elif way == 4:
            await trio.sleep(chance.random() * 3)
            await hello(stream)
        elif way == 5:
            with trio.move_on_after(chance.random() * 0.05):
                await stream.read_body()
            await hello(stream)
        else:
            await stream.send_headers([(b":status", b"200")])
            async for chunk in stream.iter_data():
                await stream.send_data(chunk)
            await stream.send_data(b"", end_stream=True)


async def act(peer: RawPeer, chance: random.Random, stream_id: int) -> None:
    """Do something on a stream; what the peer's own machine does not allow any more is not done."""
    kind = chance.randrange(8)
    with contextlib.suppress(ValueError, KeyError, AssertionError, RuntimeError):
        if kind < 3:
            await peer.send(stream_id, data(bytes(chance.randrange(30_000))), end=chance.random() < 0.3)
        elif kind == 3:
            await peer.reset(stream_id, chance.randrange(1, 5000))
        elif kind == 4:
            await peer.stop(stream_id, chance.randrange(1, 5000))
        elif kind == 5:
            await peer.credit(stream_id, chance.randrange(50_000))
        elif kind == 6:
            await trio.sleep(chance.random() * 0.1)
        elif peer.client and chance.random() < 0.2:
            peer.socket.rebind()


def conditions(chance: random.Random) -> DatagramConditions:
    return DatagramConditions(
        drop=chance.choice([0, 0.05]),
        delay_seconds=0.005,
        jitter_seconds=chance.choice([0, 0.01]),
        reorder=chance.choice([0, 0.1]),
    )


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_client(autojump_clock: Clock, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(seed)
    network = MemoryNetworking(to_servers=conditions(chance), to_clients=conditions(chance), seed=seed)
    limits = Limits(concurrent_streams=chance.choice([3, 20]))
    timeouts = Timeouts(handler_seconds=chance.choice([0.5, 100]))
    async with serving3(erratic, network=network, limits=limits, timeouts=timeouts) as s:
        peer = await s.peer(window=chance.choice([None, Window(stream=3000)]))
        ids: list[int] = []
        for _ in range(chance.randrange(40, 120)):
            if peer.at_end:
                break
            if chance.random() < 0.3 and peer.next_id() // 4 < peer.streams_allowed:
                fields = [*POST[:3], (b":path", b"/%d" % chance.randrange(10**6))]
                body = data(bytes(chance.randrange(3000)))
                ids.append(await peer.request(fields, body, end=chance.random() < 0.5))
            elif ids:
                await act(peer, chance, chance.choice(ids))
        await trio.sleep(chance.random() * 5)
        await chance.choice([peer.close, peer.vanish, lambda: s.server.shutdown(3)])()
        await trio.sleep(120)
        assert s.server.statistics().connections == 0
        s.assert_nothing_left()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_server(autojump_clock: Clock, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(seed)
    endings: list[str] = []

    async def exchange(connection: hface_trio.HTTPConnection, number: int) -> None:
        await trio.sleep(chance.random())
        try:
            with trio.move_on_after(chance.choice([0.1, 5])):
                async with connection.open_stream(POST) as stream:
                    await stream.send_data(bytes(chance.randrange(100_000)), end_stream=chance.random() < 0.7)
                    await stream.receive_response()
                    await stream.read_body(10_000_000)
        except HfaceError as exc:
            endings.append(type(exc).__name__)
        else:
            endings.append("done")

    async def serve(peer: RawPeer) -> None:
        for _ in range(100):
            if peer.at_end:
                return
            if not (ids := peer.requests()):
                await trio.sleep(0.05)
                continue
            stream_id = chance.choice(ids)
            with contextlib.suppress(ValueError, KeyError, AssertionError, RuntimeError):
                if chance.random() < 0.3 and stream_id not in answered:
                    answered.add(stream_id)
                    await peer.send(stream_id, headers(RESPONSE))
            if stream_id in answered:
                await act(peer, chance, stream_id)
            await trio.sleep(chance.random() * 0.05)
        if chance.random() < 0.5:
            await peer.goaway(chance.randrange(0, 80, 4))
        await chance.choice([peer.close, peer.vanish])()

    answered: set[int] = set()
    window = chance.choice([None, Window(stream=3000)])
    async with connected(serve, window=window, raw={"streams": chance.choice([3, 100])}) as (connection, _):
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(exchange, connection, number)
        assert len(endings) == 20
    assert connection.statistics().buffered_octets == 0
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
