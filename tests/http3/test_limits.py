"""Slots, limits, breaches and deadlines of a server, row by row of the table of causes and effects."""

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
BIG = b"x" * 1_000_000
SMALL = Window(stream=100)
IDLE = HTTP3Settings(quic=QUICSettings(idle_timeout_seconds=10))


# Slots


async def test_a_slot_is_held_until_the_handler_has_returned(autojump_clock: Clock) -> None:
    """The peer's resets free no slot, and so give no credit for further streams."""
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
        waiting = [await peer.request() for _ in range(3)]  # within the stock peer: it was allowed three
        await peer.read_for(1)
        assert outcomes.empty()
        assert peer.streams_allowed == 3
        assert s.server.statistics().handlers == 3
        for stream_id in waiting:
            await peer.response(stream_id)
        assert trio.current_time() == pytest.approx(20, abs=0.5)
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

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            outcomes.note("started")
            await trio.sleep_forever()

    async with serving3(handler, limits=Limits(concurrent_streams=2)) as s:
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


async def test_requests_beyond_the_servers_handlers_are_rejected(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(5)
        await stream.send_response(200)

    async with serving3(handler, limits=Limits(handlers=2)) as s:
        one, other = await s.peer(), await s.peer()
        first, second = await one.request(), await other.request()
        await other.alive()
        third = await other.request(POST, end=False)
        await other.until(other.resets)
        assert other.resets() == other.stops() == [(third, Code.REQUEST_REJECTED)]
        await one.response(first)
        await other.response(second)
        await other.response(await other.request())
        await one.close()
        await other.close()


async def test_a_rejected_stream_gives_its_credit_back(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        if stream.path != b"/now":
            await trio.sleep(1)
        await hello(stream)

    async with serving3(handler, limits=Limits(handlers=1, concurrent_streams=4)) as s:
        peer = await s.peer()
        held = await peer.request()
        await peer.alive()
        for _ in range(20):
            stream_id = await peer.request()
            await peer.until(lambda stream_id=stream_id: (stream_id, Code.REQUEST_REJECTED) in peer.resets())
        await peer.response(held)
        assert await peer.response(await peer.request([*GET[:3], (b":path", b"/now")])) == (200, b"hello")
        await peer.close()


async def test_memory_shortage_refuses_new_streams_then_sheds_the_largest_holder(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        if stream.method == b"GET":
            await hello(stream)
            return
        with outcomes.watching(stream):
            outcomes.note("started")
            await trio.sleep_forever()

    async with serving3(handler, limits=Limits(buffered_octets=80_000)) as s:
        peer = await s.peer()
        large, small = await peer.request(POST, end=False), await peer.request(POST, end=False)
        await started(outcomes, 2)
        await peer.send(large, data(b"x" * 60_000))
        await peer.send(small, data(b"x" * 24_000))
        await peer.read_for(1)
        assert peer.resets() == []
        refused = await peer.request()
        await peer.until(peer.resets)
        assert peer.resets() == [(refused, Code.REQUEST_REJECTED)]
        await peer.send(small, data(b"x" * 16_000))
        assert await outcomes.next() == ("cancelled", StreamResetError)
        await peer.until(lambda: len(peer.resets()) == 2)
        assert peer.resets()[1] == (large, Code.EXCESSIVE_LOAD)
        assert await peer.response(await peer.request()) == (200, b"hello")
        assert s.server.statistics().peak_buffered_octets <= 80_000 * 9 / 8 + 16_384
        await peer.close()


# Limits and breaches


async def test_a_section_over_the_limit_is_answered_431(autojump_clock: Clock) -> None:
    async with serving3(hello, limits=Limits(header_section_octets=1000, header_fields=10)) as s:
        peer = await s.peer()
        assert (await peer.response(await peer.request([*GET, (b"x", b"y" * 1200)])))[0] == 431
        assert (await peer.response(await peer.request([*GET, *[(b"x", b"y")] * 10])))[0] == 431
        assert await peer.response(await peer.request()) == (200, b"hello")
        await peer.close()


async def test_a_section_far_over_the_limit_ends_the_connection(autojump_clock: Clock) -> None:
    async with serving3(hello, limits=Limits(header_section_octets=1000)) as s:
        peer = await s.peer()
        await peer.request([*GET, (b"x", b"y" * 4000)])
        await peer.read_to_end()
        assert peer.closed_with == Code.EXCESSIVE_LOAD
        await peer.close()


async def test_a_malformed_request_ends_its_stream_alone(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            outcomes.note("started")
            await trio.sleep(1)
            await hello(stream)

    async with serving3(handler) as s:
        peer = await s.peer()
        good = await peer.request()
        bad = await peer.request([*GET, (b"Upper", b"x")])
        assert await peer.response(good) == (200, b"hello")
        assert peer.resets() == [(bad, Code.MESSAGE_ERROR)]
        await started(outcomes)
        assert await outcomes.next() == "done"
        await peer.close()


async def test_a_breach_on_a_served_stream_cancels_its_handler_alone(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            outcomes.note("started")
            await stream.read_body()
            await hello(stream)

    async with serving3(handler) as s:
        peer = await s.peer()
        good = await peer.request(POST, end=False)
        bad = await peer.request([*POST, (b"content-length", b"5")], data(b"abc"), end=False)
        await started(outcomes, 2)
        await peer.send(bad, data(b"defg"))
        assert await outcomes.next() == ("cancelled", StreamResetError)
        await peer.until(peer.resets)
        assert peer.resets() == [(bad, Code.MESSAGE_ERROR)]
        await peer.send(good, end=True)
        assert await peer.response(good) == (200, b"hello")
        await peer.close()


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

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            outcomes.note("started")
            await trio.sleep_forever()

    async with serving3(handler) as s:
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


async def test_a_body_without_progress_cancels_the_handler_that_waits_for_it(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await stream.read_body()

    async with serving3(handler, timeouts=Timeouts(body_progress_seconds=8)) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await trio.sleep(5)
        await peer.send(stream_id, data(b"x"))
        outcome, at = await outcomes.next_with_time()
        assert outcome == ("cancelled", StreamResetError)
        assert 13 <= at <= 13 + 8 / 2
        await peer.until(peer.resets)
        assert peer.resets() == peer.stops() == [(stream_id, Code.REQUEST_CANCELLED)]
        await peer.alive()
        await peer.close()


async def test_a_body_that_drips_is_not_cut_off_and_neither_is_one_nobody_waits_for(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        if stream.path == b"/sleep":
            await trio.sleep(60)
        body = await stream.read_body()
        await stream.send_response(200, body=b"%d" % len(body))

    async with serving3(handler, timeouts=Timeouts(body_progress_seconds=8)) as s:
        peer = await s.peer()
        drips = await peer.request(POST, end=False)
        slept = await peer.request([*POST[:3], (b":path", b"/sleep")], end=False)
        for _ in range(10):
            await peer.read_for(6)
            await peer.send(drips, data(b"x"))
        await peer.send(drips, end=True)
        await peer.send(slept, end=True)
        assert await peer.response(drips) == (200, b"10")
        assert await peer.response(slept) == (200, b"0")
        await peer.close()


@pytest.mark.parametrize("request_open", [False, True])
@pytest.mark.parametrize("body", [b"x" * 50_000, BIG], ids=["handler has returned", "handler waits"])
async def test_a_window_that_stays_shut_ends_the_stream_alone(
    autojump_clock: Clock, body: bytes, request_open: bool
) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=body if stream.path == b"/" else b"")

    async with serving3(handler, timeouts=Timeouts(write_progress_seconds=8)) as s:
        peer = await s.peer(window=SMALL)
        stream_id = await peer.request(POST, end=not request_open)
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, Code.REQUEST_CANCELLED)]
        assert 8 <= trio.current_time() <= 12.5
        await peer.alive()
        s.assert_nothing_left()
        assert peer.stops() == ([(stream_id, Code.REQUEST_CANCELLED)] if request_open else [])
        assert (await peer.response(await peer.request([*GET[:3], (b":path", b"/empty")])))[0] == 200
        await peer.close()


async def test_an_idle_connection_is_closed_in_order(autojump_clock: Clock) -> None:
    async with serving3(hello, timeouts=Timeouts(idle_seconds=20)) as s:
        peer = await s.peer()
        await peer.read_for(10)
        await peer.response(await peer.request())
        at = trio.current_time()
        await peer.read_to_end()
        assert peer.closed_with == Code.NO_ERROR
        assert at + 20 <= trio.current_time() <= at + 25
        await peer.close()


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
