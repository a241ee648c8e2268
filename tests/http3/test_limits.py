"""Credit for streams, breaches and deadlines as QUIC has them."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream, Limits, StreamResetError, Timeouts
from hface_trio.protocols.http3 import HTTP3Settings
from hface_trio.protocols.quic import QUICSettings

from .harness import Outcomes, hello, serving3, started
from .raw import GET, POST, Code, Window, data, headers, pack_frame, pack_varint

Clock = trio.testing.MockClock
SMALL = Window(stream=100)
IDLE = HTTP3Settings(quic=QUICSettings(idle_timeout_seconds=10))


# Credit for streams


async def test_resets_give_no_credit_for_further_streams_while_the_handlers_run(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        with trio.CancelScope(shield=True):
            await trio.sleep(10)
        await stream.send_response(200)

    async with serving3(handler, limits=Limits(concurrent_streams=3)) as s:
        peer = await s.peer()
        assert peer.streams_allowed == 3
        for _ in range(3):
            stream_id = await peer.request(POST, end=False)
            await started(outcomes)
            await peer.reset(stream_id)
        await peer.request()  # within the stock peer: it was allowed three
        await peer.read_for(1)
        assert peer.streams_allowed == 3
        await peer.until(lambda: peer.streams_allowed > 3)
        assert trio.current_time() == pytest.approx(10, abs=0.5)
        await peer.close()


async def test_a_slot_is_held_until_the_response_has_left(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=b"x" * 50_000)

    async with serving3(handler, limits=Limits(concurrent_streams=2)) as s:
        peer = await s.peer(window=SMALL)
        first, second = await peer.request(), await peer.request()
        third = await peer.request()
        await peer.read_for(5)
        assert s.server.statistics().handlers == 0
        assert peer.sections(third) == []
        await peer.credit(first, 100_000)
        await peer.response(first)
        await peer.until(lambda: peer.body_octets(third))
        for stream_id in (second, third):
            await peer.credit(stream_id, 100_000)
            assert await peer.response(stream_id) == (200, b"x" * 50_000)
        await peer.close()


async def test_credit_for_streams_returns_as_slots_free(autojump_clock: Clock) -> None:
    async with serving3(hello, limits=Limits(concurrent_streams=4)) as s:
        peer = await s.peer()
        for count in range(60):
            await peer.response(await peer.request())
            assert peer.streams_allowed <= 4 + count + 1
        await peer.until(lambda: peer.streams_allowed > 60)
        await peer.close()


async def test_streams_beyond_the_credit_end_the_connection(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async with serving3(outcomes.sleep, limits=Limits(concurrent_streams=2)) as s:
        peer = await s.peer()
        peer.quic._remote_max_streams_bidi = 100
        await peer.request()
        await started(outcomes)
        for _ in range(3):
            await peer.request()
        while (outcome := await outcomes.next()) == "started":
            pass
        assert outcome == ("cancelled", StreamResetError)
        await peer.read_to_end()
        assert peer.closed_with == 0x4  # STREAM_LIMIT_ERROR
        await peer.close()


# Breaches


BREACHES = {
    "DATA before the head": (lambda peer: peer.send(peer.next_id(), data(b"x")), Code.FRAME_UNEXPECTED),
    "SETTINGS on a request": (lambda peer: peer.request(GET, pack_frame(4, b"")), Code.FRAME_UNEXPECTED),
    "a frame of HTTP/2": (lambda peer: peer.request(GET, pack_frame(6, b"")), Code.FRAME_UNEXPECTED),
    "a section that is none": (lambda peer: peer.send(peer.next_id(), pack_frame(1, b"\xff" * 9)), 0x200),
    "an end within a frame": (lambda peer: peer.send(peer.next_id(), headers()[:9], end=True), Code.FRAME_ERROR),
    "the end of the control stream": (lambda peer: peer.send(peer.control, end=True), Code.CLOSED_CRITICAL_STREAM),
    "a second control stream": (lambda peer: _uni(peer, 0), Code.STREAM_CREATION_ERROR),
    "a push stream": (lambda peer: _uni(peer, 1), Code.STREAM_CREATION_ERROR),
    "a second SETTINGS": (lambda peer: peer.send(peer.control, pack_frame(4, b"")), Code.FRAME_UNEXPECTED),
    "a GOAWAY that rises": (lambda peer: _goaways(peer, 4, 8), Code.ID_ERROR),
}


async def _uni(peer, stream_type: int) -> None:
    peer.uni(stream_type, pack_varint(0))


async def _goaways(peer, *stream_ids: int) -> None:
    for stream_id in stream_ids:
        await peer.goaway(stream_id)


@pytest.mark.parametrize("breach", BREACHES.values(), ids=BREACHES)
async def test_a_breach_on_the_connection_cancels_all_handlers(autojump_clock: Clock, breach) -> None:
    act, code = breach
    outcomes = Outcomes()

    async with serving3(outcomes.sleep) as s:
        peer = await s.peer()
        await peer.request()
        await peer.request(POST, end=False)
        await started(outcomes, 2)
        await act(peer)
        seen = [await outcomes.next(), await outcomes.next()]
        if "started" in seen:  # by the stream that then breaks it
            seen.append(await outcomes.next())
        assert seen.count(("cancelled", StreamResetError)) >= 2
        await peer.read_to_end()
        assert peer.closed_with == code
        await trio.sleep(5)
        assert s.server.statistics().connections == 0
        await peer.close()


async def test_a_spent_budget_ends_the_connection_and_its_handlers(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            if stream.method == b"GET":
                outcomes.note("started")
            await trio.sleep_forever()

    settings = HTTP3Settings(abuse_tokens=50, abuse_tokens_per_second=0)
    async with serving3(handler, http3_settings=settings, limits=Limits(concurrent_streams=20)) as s:
        peer = await s.peer()
        await peer.request()
        await started(outcomes)
        count = 0
        while not peer.at_end:
            if peer.streams_allowed <= peer.next_id() // 4:
                await peer.read_for(0.02)
                continue
            stream_id = await peer.request(POST, end=False)
            await peer.reset(stream_id)
            await trio.sleep(0.001)
            count += 1
            assert count < 200
        assert peer.closed_with == Code.EXCESSIVE_LOAD
        assert 45 <= count <= 80
        s.assert_nothing_left()
        await peer.close()


# Deadlines


async def test_a_connection_with_a_stream_outlives_the_idle_timeout_of_quic(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(60)
        await hello(stream)

    async with serving3(handler, http3_settings=IDLE) as s:
        peer = await s.peer()
        assert await peer.response(await peer.request()) == (200, b"hello")
        assert trio.current_time() >= 60
        await peer.close()


async def test_a_head_that_takes_too_long_is_answered_408(autojump_clock: Clock) -> None:
    async with serving3(hello, timeouts=Timeouts(request_head_seconds=3)) as s:
        peer = await s.peer()
        stream_id = peer.next_id()
        await peer.send(stream_id, headers()[:5])
        assert (await peer.response(stream_id))[0] == 408
        assert trio.current_time() == pytest.approx(3, abs=0.5)
        assert await peer.response(await peer.request()) == (200, b"hello")
        await peer.close()
