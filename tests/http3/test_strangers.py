"""Datagrams of nobody, or of nobody known yet: met with silence, negotiated, or asked to prove their address."""

from __future__ import annotations

import random

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream
from hface_trio.protocols.quic import DropReason, QUICRouterSettings

from .harness import ADDRESS, hello
from .raw import GET
from .strangers import record, router, serving_quic, stranger, tasks

Clock = trio.testing.MockClock


async def test_garbage_is_met_with_silence_and_counted(autojump_clock: Clock) -> None:
    chance = random.Random(1)
    garbage = [chance.randbytes(chance.randrange(1, 1500)) for _ in range(300)]
    garbage = [datagram for datagram in garbage if not (datagram[0] & 0x80 and len(datagram) >= 1200)]
    async with serving_quic(hello) as s:
        before = tasks()
        assert await (await stranger(s)).answers(*garbage, b"") == []
        assert sum(router(s).drops.values()) == len(garbage) + 1
        assert router(s).connections == 0
        assert tasks() == before
        peer = await s.peer()
        assert await peer.response(await peer.request()) == (200, b"hello")
        await peer.close()


async def test_truncated_initials_are_met_with_silence(autojump_clock: Clock) -> None:
    async with serving_quic(hello) as s:
        peer = await s.raw()
        (initial, _), *_ = peer.quic.datagrams_to_send(now=trio.current_time())
        await peer.vanish()
        assert len(initial) >= 1200
        whole = len(initial)
        found = await (await stranger(s)).answers(*(initial[:n] for n in range(0, 1200, 7)), seconds=5)
        assert found == []
        assert router(s).drops[DropReason.SMALL_INITIAL] > 150
        assert router(s).accepted == 0
        assert whole >= 1200


async def test_replayed_datagrams_change_nothing(autojump_clock: Clock) -> None:
    seen: list[bytes] = []

    async def handler(stream: HTTPStream) -> None:
        seen.append(stream.path)
        await hello(stream)

    async with serving_quic(handler) as s:
        peer = await s.raw()
        sent = record(peer)
        await peer.start()
        for _ in range(3):
            await peer.response(await peer.request())
        replays = list(sent)
        other = await stranger(s)
        await other.answers(*replays)
        peer.socket.send_nowait([(datagram, ADDRESS) for datagram in replays])
        await peer.read_for(1)
        assert len(seen) == 3
        assert router(s).connections == 1
        assert await peer.response(await peer.request()) == (200, b"hello")
        await peer.close()


async def test_a_version_that_is_not_spoken_is_negotiated_but_never_version_zero(autojump_clock: Clock) -> None:
    async with serving_quic(hello) as s:
        peer = await stranger(s)
        ids = b"\x08" + b"d" * 8 + b"\x04" + b"srcs"
        unknown = b"\xc0\x1a\x2a\x3a\x4a" + ids + bytes(1200)
        (answer,) = await peer.answers(unknown)
        assert answer[1:5] == bytes(4)
        assert b"srcs" in answer
        assert b"d" * 8 in answer
        assert await peer.answers(b"\xc0" + bytes(4) + ids + bytes(1200)) == []
        assert await peer.answers(unknown[:1100]) == []
        assert len(await peer.answers(*[unknown] * 100)) <= 10
        assert router(s).accepted == 0


@pytest.mark.parametrize("ours", [False, True])
async def test_retry(autojump_clock: Clock, ours: bool) -> None:
    settings = QUICRouterSettings(retry="always")
    async with serving_quic(hello, quic_router_settings=settings) as s, trio.open_nursery() as nursery:
        if ours:
            async with await s.connect(nursery) as connection:
                async with connection.open_stream(GET, end_stream=True) as stream:
                    await stream.receive_response()
        else:
            peer = await s.peer()
            assert await peer.response(await peer.request()) == (200, b"hello")
            await peer.close()
        assert router(s).retries == 1
        assert router(s).accepted == 1


async def test_half_open_connections_make_others_prove_their_address(autojump_clock: Clock) -> None:
    settings = QUICRouterSettings(retry_half_open=5)
    async with serving_quic(hello, quic_router_settings=settings) as s:
        for _ in range(8):
            peer = await s.raw()
            peer.flush()
            await peer.vanish()
        await trio.sleep(0.5)
        assert router(s).half_open == 5
        assert router(s).retries == 3
        peer = await s.peer()
        assert router(s).retries == 4
        assert await peer.response(await peer.request()) == (200, b"hello")
        await peer.close()
