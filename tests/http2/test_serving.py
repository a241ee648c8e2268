"""What handlers and raw clients see of each other over HTTP/2, row by row of the table of causes and effects."""

from __future__ import annotations

import contextvars
import logging
import struct

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream, Limits, LocalProtocolError, StreamResetError, Timeouts
from hface_trio.events import DataReceived, PriorityUpdateReceived, TrailersReceived

from .harness import Outcomes, hello, serving2, started
from .raw import CANCEL, GET, INTERNAL_ERROR, NO_ERROR, POST, REFUSED_STREAM

Clock = trio.testing.MockClock
BIG = b"x" * 1_000_000


async def test_a_request_is_answered(autojump_clock: Clock) -> None:
    async with serving2(hello) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, b"hello")
        section = dict(peer.sections[stream_id][0])
        assert section[b"content-length"] == b"5"
        assert b"date" in section
        await peer.close()


async def test_what_a_handler_knows_of_its_request(autojump_clock: Clock) -> None:
    seen: list[object] = []

    async def handler(stream: HTTPStream) -> None:
        seen.extend(
            [stream.method, stream.scheme, stream.authority, stream.path, stream.http_version, stream.stream_id]
        )
        await stream.send_response(204)

    async with serving2(handler) as s:
        peer = await s.peer()
        await peer.response(await peer.request())
        await peer.close()
    assert seen == [b"GET", b"http", b"localhost", b"/", "2", 1]


async def test_interim_responses_data_and_trailers_go_out_in_order(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_informational([(b":status", b"103"), (b"link", b"</a>")])
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(b"body")
        await stream.send_trailers([(b"x-sum", b"4")])

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, b"body")
        heads = [section[0] for section in peer.sections[stream_id]]
        assert heads == [(b":status", b"103"), (b":status", b"200"), (b"x-sum", b"4")]
        await peer.close()


async def test_trailers_follow_a_large_body(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(BIG)
        await stream.send_trailers([(b"x-sum", b"4")])

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, BIG)
        assert peer.sections[stream_id][-1] == [(b"x-sum", b"4")]
        await peer.close()


async def test_a_request_body_and_its_trailers_arrive_as_events(autojump_clock: Clock) -> None:
    events: list[object] = []

    async def handler(stream: HTTPStream) -> None:
        async for event in stream:
            events.append(event)
        await stream.send_response(200)

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.send(peer.data(stream_id, b"abc", pad=20), peer.headers(stream_id, [(b"x-sum", b"7")]))
        await peer.response(stream_id)
        await peer.close()
    assert events == [DataReceived(1, b"abc"), TrailersReceived(1, [(b"x-sum", b"7")])]


async def test_full_duplex(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        async for chunk in stream.iter_data():
            await stream.send_data(chunk)
        await stream.send_data(b"", end_stream=True)

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        for i in range(1, 5):
            await peer.send(peer.data(stream_id, b"ping"))
            await peer.until(lambda i=i: len(peer.body(stream_id)) == 4 * i)
        await peer.send(peer.data(stream_id, end=True))
        assert await peer.response(stream_id) == (200, b"ping" * 4)
        await peer.close()


# The peer abandons the exchange


@pytest.mark.parametrize("waiting_for", ["sleep", "receive", "send"])
async def test_a_reset_cancels_the_handler_whatever_it_waits_for(autojump_clock: Clock, waiting_for: str) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            outcomes.note("started")
            if waiting_for == "sleep":
                await trio.sleep_forever()
            elif waiting_for == "receive":
                await stream.read_body()
            else:
                await stream.send_headers([(b":status", b"200")])
                await stream.send_data(BIG)

    async with serving2(handler) as s:
        peer = await s.peer({4: 100})
        peer.credits_streams = False
        stream_id = await peer.request(POST, end=False)
        await started(outcomes)
        await peer.read_for(1)
        await peer.send(peer.reset(stream_id))
        assert await outcomes.next() == ("cancelled", StreamResetError)
        await peer.alive()
        s.assert_nothing_left()
        assert peer.resets() == []  # a reset is not answered by one
        await peer.close()


async def test_the_cause_of_a_cancellation_tells_the_code(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        try:
            await trio.sleep_forever()
        finally:
            outcomes.note((type(stream.cause), stream.cause and stream.cause.error_code))

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        await started(outcomes)
        await peer.send(peer.reset(stream_id, 4711))
        assert await outcomes.next() == (StreamResetError, 4711)
        await peer.close()


@pytest.mark.parametrize("end", ["close", "abort", "goaway and close"])
async def test_the_loss_of_the_connection_cancels_all_handlers(autojump_clock: Clock, end: str) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            outcomes.note("started")
            await trio.sleep_forever()

    async with serving2(handler) as s:
        peer = await s.peer()
        for _ in range(5):
            await peer.request()
        await started(outcomes, 5)
        if end == "abort":
            peer.stream.abort()
        else:
            if end == "goaway and close":
                await peer.send(peer.goaway(0))
            await peer.close()
        for _ in range(5):
            assert await outcomes.next() == ("cancelled", StreamResetError)
        await trio.sleep(3)
        assert s.server.statistics().connections == 0


async def test_with_on_peer_gone_raise_the_next_call_raises(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        await trio.sleep(5)
        for call in (stream.receive(), stream.send_response(200), stream.flush()):
            try:
                await call
            except StreamResetError as exc:
                outcomes.note(exc.error_code)

    async with serving2(handler, on_peer_gone="raise") as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await started(outcomes)
        await peer.send(peer.reset(stream_id))
        for _ in range(3):
            assert await outcomes.next_with_time() == (CANCEL, 5)
        await peer.alive()
        s.assert_nothing_left()
        await peer.close()


async def test_with_on_peer_gone_raise_a_waiting_call_raises_at_once(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        with outcomes.watching(stream):
            await stream.read_body()

    async with serving2(handler, on_peer_gone="raise") as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await started(outcomes)
        await peer.send(peer.reset(stream_id))
        assert isinstance(await outcomes.next(), StreamResetError)
        await peer.close()


async def test_what_arrived_before_a_reset_is_delivered_first(autojump_clock: Clock) -> None:
    received: list[object] = []

    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(1)
        try:
            async for chunk in stream.iter_data():
                received.append(chunk)
        except StreamResetError:
            received.append("reset")

    async with serving2(handler, on_peer_gone="raise") as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.alive()  # what is reset in the same read as it was opened never starts
        await peer.send(peer.data(stream_id, b"abc"), peer.data(stream_id, b"def"), peer.reset(stream_id))
        await trio.sleep(2)
        await peer.close()
    assert received == [b"abc", b"def", "reset"]


@pytest.mark.parametrize("gone", ["reset", "abort"])
async def test_the_tail_of_a_handler_runs_on_when_the_peer_leaves_after_the_response(
    autojump_clock: Clock, gone: str
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=b"hello")
        outcomes.note("answered")
        with outcomes.watching(stream):
            await trio.sleep(5)

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.response(stream_id)
        assert await outcomes.next() == "answered"
        if gone == "reset":
            await peer.send(peer.reset(stream_id))
        else:
            peer.stream.abort()
        assert await outcomes.next_with_time() == ("done", 5)
        await peer.close()


async def test_a_reset_while_the_last_data_wait_for_room_is_no_failure(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        try:
            await stream.send_response(200, body=BIG)
        finally:
            outcomes.note("ended")

    async with serving2(handler) as s:
        peer = await s.peer({4: 10})
        peer.credits_streams = False
        stream_id = await peer.request()
        await started(outcomes)
        await peer.until(lambda: len(peer.body(stream_id)) == 10)
        await peer.send(peer.reset(stream_id))
        assert await outcomes.next() == "ended"
        await peer.alive()
        s.assert_nothing_left()
        await peer.close()
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


# The handler ends


async def test_a_handler_that_raises_before_the_head_is_answered_with_500_and_logged_once(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(stream: HTTPStream) -> None:
        raise ValueError("a secret")

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (500, b"")
        assert not any(b"secret" in value for _, value in peer.sections[stream_id][0])
        await peer.alive()
        await peer.close()
    errors = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert errors[0].exc_info is not None


async def test_a_handler_that_raises_with_the_request_open_is_answered_with_500_and_the_upload_stopped(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(stream: HTTPStream) -> None:
        raise ValueError

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        assert (await peer.response(stream_id))[0] == 500
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, NO_ERROR)]
        await peer.close()
    assert len(caplog.records) == 1


async def test_a_handler_that_raises_after_the_head_resets_with_internal_error(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(b"part")
        raise ValueError

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, INTERNAL_ERROR)]
        assert not peer.ended(stream_id)
        await peer.alive()
        await peer.close()
    assert len(caplog.records) == 1


@pytest.mark.parametrize("sent", ["nothing", "head"])
async def test_a_handler_that_returns_without_finishing_is_logged(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture, sent: str
) -> None:
    async def handler(stream: HTTPStream) -> None:
        if sent == "head":
            await stream.send_headers([(b":status", b"200")])

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        if sent == "head":
            await peer.until(peer.resets)
            assert peer.resets() == [(stream_id, INTERNAL_ERROR)]
        else:
            assert (await peer.response(stream_id))[0] == 500
        await peer.alive()
        await peer.close()
    assert ["without finishing" in r.message for r in caplog.records] == [True]


@pytest.mark.parametrize("sent", ["nothing", "head", "data that wait"])
async def test_a_cancelled_handler_resets_with_cancel(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture, sent: str
) -> None:
    async def handler(stream: HTTPStream) -> None:
        if sent != "nothing":
            await stream.send_headers([(b":status", b"200")])
        if sent == "data that wait":
            await stream.send_data(BIG)
        await trio.sleep_forever()

    async with serving2(handler, timeouts=Timeouts(handler_seconds=5)) as s:
        peer = await s.peer({4: 10})
        peer.credits_streams = False
        stream_id = await peer.request()
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, CANCEL)]
        assert trio.current_time() == 5
        await peer.alive()
        s.assert_nothing_left()
        await peer.close()
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


async def test_a_stream_cancelled_by_itself_resets_with_cancel(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        stream.cancel()
        await trio.sleep_forever()

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, CANCEL)]
        await peer.close()


async def test_a_reset_by_the_handler_carries_its_code(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        stream.reset(4711)

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, 4711)]
        await peer.alive()
        await peer.close()


async def test_an_answer_without_reading_ends_the_upload_with_no_error(autojump_clock: Clock) -> None:
    async with serving2(hello) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.send(peer.data(stream_id, b"x" * 10_000))
        assert await peer.response(stream_id) == (200, b"hello")
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, NO_ERROR)]
        # what was on its way is dropped and credited, and answered by nothing
        await peer.send(*(peer.data(stream_id, b"x" * 10_000) for _ in range(5)))
        await peer.alive()
        assert peer.resets() == [(stream_id, NO_ERROR)]
        s.assert_nothing_left()
        await peer.close()


async def test_credit_of_data_nobody_read_returns_to_the_connection(autojump_clock: Clock) -> None:
    async with serving2(hello) as s:
        peer = await s.peer()
        for _ in range(400):
            stream_id = await peer.request(POST, end=False)
            await peer.send(*(peer.data(stream_id, b"x" * 16_000) for _ in range(4)))
            await peer.response(stream_id)
        # 25 MB through a connection window of some 10 MB
        await peer.alive()
        assert peer.goaways() == []
        await peer.close()


# Slots


async def test_streams_within_the_limit_wait_while_all_slots_are_held(autojump_clock: Clock) -> None:
    """The peer's resets free no slot: the handler runs on."""
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        with trio.CancelScope(shield=True):
            await trio.sleep(10)
        await stream.send_response(200)

    async with serving2(handler, limits=Limits(concurrent_streams=3)) as s:
        peer = await s.peer()
        for _ in range(3):
            stream_id = await peer.request()
            await started(outcomes)
            await peer.send(peer.reset(stream_id))
        waiting = [await peer.request() for _ in range(3)]
        await peer.read_for(1)
        assert outcomes.empty()
        assert s.server.statistics().handlers == 3
        for stream_id in waiting:
            await peer.response(stream_id)
        assert trio.current_time() == pytest.approx(20, abs=0.1)
        await peer.close()


async def test_bodies_of_waiting_streams_are_kept_within_their_windows(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        body = await stream.read_body()
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
        await stream.send_response(200, body=b"%d" % len(body))

    async with serving2(handler, limits=Limits(concurrent_streams=1)) as s:
        peer = await s.peer()
        first = await peer.request()
        await trio.sleep(1)
        await peer.send(peer.reset(first))
        second = await peer.request(POST, end=False)
        await peer.send(*(peer.data(second, b"x" * 16_000) for _ in range(4)), peer.data(second, end=True))
        assert await peer.response(second) == (200, b"64000")
        await peer.close()


async def test_a_waiting_stream_that_is_reset_never_starts(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note(stream.stream_id)
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
        await stream.send_response(200)

    async with serving2(handler, limits=Limits(concurrent_streams=1)) as s:
        peer = await s.peer()
        first = await peer.request()
        assert await outcomes.next() == first
        await peer.send(peer.reset(first))
        second = await peer.request()
        await peer.send(peer.reset(second))
        third = await peer.request()
        await peer.response(third)
        assert await outcomes.next() == third
        await peer.close()


async def test_the_surplus_is_refused_and_the_connection_lives(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        await trio.sleep(5)
        await stream.send_response(200)

    async with serving2(handler, limits=Limits(concurrent_streams=3)) as s:
        peer = await s.peer()
        accepted = [await peer.request() for _ in range(3)]
        refused = [await peer.request() for _ in range(4)]
        await started(outcomes, 3)
        for stream_id in accepted:
            await peer.response(stream_id)
        assert peer.resets() == [(stream_id, REFUSED_STREAM) for stream_id in refused]
        assert outcomes.empty()
        assert (await peer.response(await peer.request()))[0] == 200
        await peer.close()


async def test_requests_beyond_the_servers_handlers_are_refused(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(5)
        await stream.send_response(200)

    async with serving2(handler, limits=Limits(handlers=2)) as s:
        one, other = await s.peer(), await s.peer()
        first, second = await one.request(), await other.request()
        third = await other.request()
        await other.until(other.resets)
        assert other.resets() == [(third, REFUSED_STREAM)]
        await one.response(first)
        await other.response(second)
        await other.response(await other.request())
        await one.close()
        await other.close()


async def test_memory_shortage_refuses_new_streams_then_sheds_the_largest_holder(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        if stream.method == b"GET":
            await hello(stream)
            return
        with outcomes.watching(stream):
            outcomes.note("started")
            await trio.sleep_forever()

    async with serving2(handler, limits=Limits(buffered_octets=80_000)) as s:
        peer = await s.peer()
        large = await peer.request(POST, end=False)
        small = await peer.request(POST, end=False)
        await started(outcomes, 2)
        await peer.send(*(peer.data(large, b"x" * 16_000) for _ in range(4)))
        await peer.send(peer.data(small, b"x" * 16_384))
        await peer.alive()
        assert peer.resets() == []
        refused = await peer.request()
        await peer.until(peer.resets)
        assert peer.resets() == [(refused, REFUSED_STREAM)]
        await peer.send(peer.data(small, b"x" * 16_000))
        assert await outcomes.next() == ("cancelled", StreamResetError)
        await peer.until(lambda: len(peer.resets()) == 2)
        stream_id, code = peer.resets()[1]
        assert stream_id == large
        assert code in {CANCEL, 11, INTERNAL_ERROR}, f"no code of HTTP/2: {code}"
        assert await peer.response(await peer.request()) == (200, b"hello")
        assert s.server.statistics().peak_buffered_octets <= 80_000 * 9 / 8 + 16_384
        await peer.close()


# Deadlines


async def test_a_body_without_progress_cancels_the_handler_that_waits_for_it(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await stream.read_body()

    async with serving2(handler, timeouts=Timeouts(body_progress_seconds=8)) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await trio.sleep(5)
        await peer.send(peer.data(stream_id, b"x"))
        outcome, at = await outcomes.next_with_time()
        assert outcome == ("cancelled", StreamResetError)
        assert 13 <= at <= 13 + 8 / 2
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, CANCEL)]
        await peer.alive()
        await peer.close()


async def test_a_body_that_drips_is_not_cut_off_and_neither_is_one_nobody_waits_for(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        if stream.path == b"/sleep":
            await trio.sleep(60)
        body = await stream.read_body()
        await stream.send_response(200, body=b"%d" % len(body))

    async with serving2(handler, timeouts=Timeouts(body_progress_seconds=8)) as s:
        peer = await s.peer()
        drips = await peer.request(POST, end=False)
        slept = await peer.request([*POST[:3], (b":path", b"/sleep")], end=False)
        for _ in range(10):
            await peer.read_for(6)
            await peer.send(peer.data(drips, b"x"))
        await peer.send(peer.data(drips, end=True), peer.data(slept, end=True))
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

    async with serving2(handler, timeouts=Timeouts(write_progress_seconds=8)) as s:
        peer = await s.peer({4: 0})
        stream_id = await peer.request(POST, end=not request_open)
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, CANCEL)]  # never NO_ERROR: the response is not complete
        assert 8 <= trio.current_time() <= 12
        s.assert_nothing_left()
        await peer.alive()
        assert (await peer.response(await peer.request([*GET[:3], (b":path", b"/empty")])))[0] == 200
        await peer.close()


async def test_a_peer_that_takes_no_octet_loses_its_connection(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await stream.send_headers([(b":status", b"200")])
            while True:
                await stream.send_data(b"x" * 10_000)

    async with serving2(handler, timeouts=Timeouts(write_progress_seconds=8), buffer_octets=1000) as s:
        peer = await s.peer({4: 2**31 - 1})
        await peer.send(peer.window(0, 2**30))
        await peer.request()
        await trio.sleep(20)
        assert outcomes.empty() is False
        assert s.server.statistics().connections == 0
        await peer.close()


async def test_an_idle_connection_is_closed_in_order(autojump_clock: Clock) -> None:
    async with serving2(hello, timeouts=Timeouts(idle_seconds=20)) as s:
        peer = await s.peer()
        await peer.read_for(10)
        await peer.response(await peer.request())
        at = trio.current_time()
        await peer.read_to_end()
        assert [code for _, code in peer.goaways()] == [NO_ERROR, NO_ERROR]
        assert at + 20 <= trio.current_time() <= at + 25
        await peer.close()


async def test_the_idle_time_begins_with_the_end_of_the_last_stream(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(25)
        await stream.send_response(200)

    async with serving2(handler, timeouts=Timeouts(idle_seconds=5)) as s:
        peer = await s.peer()
        await peer.response(await peer.request())
        await peer.read_for(4)
        assert peer.goaways() == []
        await peer.close()


# Surroundings of a handler


async def test_each_handler_has_context_variables_of_its_own(autojump_clock: Clock) -> None:
    variable = contextvars.ContextVar("variable", default=0)
    seen: list[int] = []

    async def handler(stream: HTTPStream) -> None:
        seen.append(variable.get())
        variable.set(1)
        await trio.sleep(1)
        await stream.send_response(200)

    async with serving2(handler, limits=Limits(concurrent_streams=1)) as s:
        peer = await s.peer()
        for _ in range(3):
            await peer.response(await peer.request())
        await peer.close()
    assert seen == [0, 0, 0]


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit])
async def test_what_ends_a_program_passes(autojump_clock: Clock, exception: type[BaseException]) -> None:
    async def handler(stream: HTTPStream) -> None:
        raise exception

    with pytest.raises(BaseExceptionGroup) as caught:
        async with serving2(handler) as s:
            peer = await s.peer()
            await peer.request()
            await trio.sleep_forever()
    matched, rest = caught.value.split(exception)
    assert matched is not None
    assert rest is None


async def test_groups_are_split_at_the_barrier(autojump_clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(stream: HTTPStream) -> None:
        raise BaseExceptionGroup("both", [ValueError("mine"), KeyboardInterrupt()])

    with pytest.raises(BaseExceptionGroup) as caught:
        async with serving2(handler) as s:
            peer = await s.peer()
            await peer.request()
            await trio.sleep_forever()
    assert caught.value.split(KeyboardInterrupt)[1] is None
    assert "mine" in caplog.text


async def test_a_group_of_exceptions_ends_its_stream_alone(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(stream: HTTPStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_headers, [(b":status", b"nonsense")])

    async with serving2(handler) as s:
        peer = await s.peer()
        assert (await peer.response(await peer.request()))[0] == 500
        await peer.alive()
        await peer.close()
    assert len(caplog.records) == 1


MISUSES = {
    "a status that is none": lambda s: s.send_headers([(b":status", b"20")]),
    "no status": lambda s: s.send_headers([(b"a", b"b")]),
    "an interim status as final": lambda s: s.send_headers([(b":status", b"103")]),
    "101": lambda s: s.send_headers([(b":status", b"101")]),
    "101 as interim": lambda s: s.send_informational([(b":status", b"101")]),
    "a final status as interim": lambda s: s.send_informational([(b":status", b"200")]),
    "data before the head": lambda s: s.send_data(b"x"),
    "trailers before the head": lambda s: s.send_trailers([(b"a", b"b")]),
    "a field with a line break": lambda s: s.send_headers([(b":status", b"200"), (b"a", b"b\r\nc: d")]),
    "a field with NUL": lambda s: s.send_headers([(b":status", b"200"), (b"a", b"b\0")]),
    "a field name with a space": lambda s: s.send_headers([(b":status", b"200"), (b"a b", b"c")]),
    "an empty field name": lambda s: s.send_headers([(b":status", b"200"), (b"", b"c")]),
    "a pseudo-header of requests": lambda s: s.send_headers([(b":status", b"200"), (b":path", b"/")]),
    "an end with content-length": lambda s: s.send_headers([(b":status", b"200"), (b"content-length", b"5")], True),
    "a body with 204": lambda s: s.send_response(204, body=b"x"),
    "a client's call": lambda s: s.receive_response(),
}


@pytest.mark.parametrize("misuse", MISUSES.values(), ids=MISUSES)
async def test_misuse_is_refused_with_nothing_sent(autojump_clock: Clock, misuse) -> None:
    async def handler(stream: HTTPStream) -> None:
        with pytest.raises(LocalProtocolError):
            await misuse(stream)
        await stream.send_response(200, body=b"still here")

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, b"still here")
        assert len(peer.sections[stream_id]) == 1
        await peer.close()


async def test_misuse_behind_the_head_is_refused_with_nothing_sent(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200"), (b"content-length", b"4")])
        for misuse in (
            stream.send_headers([(b":status", b"200")]),
            stream.send_informational([(b":status", b"103")]),
            stream.send_data(b"too long"),
            stream.send_data(b"a", end_stream=True),
            stream.send_trailers([(b"a", b"b")]),
        ):
            with pytest.raises(LocalProtocolError):
                await misuse
        await stream.send_data(b"four")
        for fields in ([(b":status", b"200")], [(b"a", b"b\n")], [(b"A B", b"c")]):
            with pytest.raises(LocalProtocolError):
                await stream.send_trailers(fields)
        await stream.send_trailers([(b"a", b"b")])
        for misuse in (stream.send_data(b"x"), stream.send_trailers([(b"a", b"b")])):
            with pytest.raises(LocalProtocolError):
                await misuse

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, b"four")
        assert [section[0] for section in peer.sections[stream_id]] == [(b":status", b"200"), (b"a", b"b")]
        await peer.close()


async def test_two_tasks_may_not_receive_or_send_at_once(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.receive)
            nursery.start_soon(stream.send_data, BIG)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await stream.receive()
            with pytest.raises(trio.BusyResourceError):
                await stream.send_data(b"x")
        await stream.send_data(b"", end_stream=True)

    async with serving2(handler) as s:
        peer = await s.peer({4: 100})
        peer.credits_streams = False
        stream_id = await peer.request(POST, end=False)
        await peer.read_for(1)
        peer.credits_streams = True
        await peer.send(peer.window(stream_id, 100_000), peer.data(stream_id, b"x", end=True))
        assert await peer.response(stream_id) == (200, BIG)
        await peer.close()


async def test_a_cancelled_part_of_a_body_breaks_the_sending_side(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        with trio.move_on_after(1) as scope:
            await stream.send_data(BIG)
        assert scope.cancelled_caught
        for call in (stream.send_data(b"x"), stream.send_trailers([(b"a", b"b")])):
            with pytest.raises(trio.BrokenResourceError):
                await call

    async with serving2(handler) as s:
        peer = await s.peer({4: 100})
        peer.credits_streams = False
        stream_id = await peer.request()
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, INTERNAL_ERROR)]
        assert not peer.ended(stream_id)
        await peer.close()


async def test_head_responses_have_no_body(autojump_clock: Clock) -> None:
    async with serving2(hello) as s:
        peer = await s.peer()
        stream_id = await peer.request([(b":method", b"HEAD"), *GET[1:]])
        assert await peer.response(stream_id) == (200, b"")
        assert (b"content-length", b"5") in peer.sections[stream_id][0]
        await peer.close()


async def test_connect_makes_a_tunnel_that_the_client_may_fill_and_end_at_once(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        assert stream.tunnel
        async for chunk in stream.iter_data():
            await stream.send_data(chunk.upper())
        await stream.send_data(b"", end_stream=True)

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request([(b":method", b"CONNECT"), (b":authority", b"example.test:443")], end=False)
        await peer.send(peer.data(stream_id, b"through"), peer.data(stream_id, end=True))
        assert await peer.response(stream_id) == (200, b"THROUGH")
        await peer.close()


async def test_the_server_is_unhurt_by_a_cancelled_nursery(autojump_clock: Clock) -> None:
    """A finished handler's data wait, another stream waits for its slot: nothing starts while everything ends."""
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note(stream.stream_id)
        if stream.stream_id == 1:
            await stream.send_response(200, body=b"x" * 50_000)
        else:
            with trio.CancelScope(shield=True):
                await trio.sleep(5)

    with trio.CancelScope() as scope:
        async with serving2(handler, limits=Limits(concurrent_streams=2)) as s:
            peer = await s.peer({4: 0})
            await peer.request()
            assert await outcomes.next() == 1
            await peer.request()
            assert await outcomes.next() == 3
            await peer.send(peer.reset(3))
            await peer.request()
            await peer.alive()
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_a_cancelled_server_says_goaway(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            outcomes.note("started")
            await trio.sleep_forever()

    peer = None
    with trio.CancelScope() as scope:
        async with serving2(handler) as s:
            peer = await s.peer()
            await peer.request()
            await started(outcomes)
            scope.cancel()
            await trio.sleep_forever()
    assert peer is not None
    await peer.read_to_end()
    assert len(peer.goaways()) == 1
    assert [stream_id for stream_id, _ in peer.resets()] == [1]
    await peer.close()


async def test_connections_do_not_share_a_flood_of_slots(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        if stream.path != b"/now":
            await trio.sleep(30)
        await hello(stream)

    async with serving2(handler) as s:
        busy, free = await s.peer(), await s.peer()
        for _ in range(100):
            await busy.request()
        assert await free.response(await free.request([*GET[:3], (b":path", b"/now")])) == (200, b"hello")
        assert trio.current_time() == 0
        await busy.close()
        await free.close()


async def test_the_observer_hears_of_each_stream_once(autojump_clock: Clock) -> None:
    opened: list[int] = []
    closed: list[tuple[int, int | None, int | None]] = []

    class Observer(hface_trio.Observer):
        def stream_opened(self, record) -> None:
            opened.append(record.stream_id)

        def stream_closed(self, record) -> None:
            closed.append((record.stream_id, record.status, record.error_code))

    async def handler(stream: HTTPStream) -> None:
        if stream.path == b"/wait":
            await trio.sleep_forever()
        await hello(stream)

    async with serving2(handler, observer=Observer()) as s:
        peer = await s.peer()
        await peer.response(await peer.request())
        waits = await peer.request([*GET[:3], (b":path", b"/wait")])
        await peer.alive()
        await peer.send(peer.reset(waits, CANCEL))
        await peer.alive()
        await peer.close()
    assert opened == [1, 3]
    assert closed == [(1, 200, None), (3, None, CANCEL)]


async def test_of_many_priority_updates_a_handler_gets_the_latest(autojump_clock: Clock) -> None:
    received: list[object] = []

    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(1)
        async for event in stream:
            received.append(event)
        await stream.send_response(200)

    async with serving2(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.alive()
        for i in range(50):
            value = b"u=%d" % (i % 8)
            await peer.send(struct.pack(">HBBBLL", 0, 4 + len(value), 0x10, 0, 0, stream_id) + value)
        await peer.send(peer.data(stream_id, b"x", end=True))
        await peer.response(stream_id)
        await peer.close()
    assert received == [PriorityUpdateReceived(1, b"u=1"), DataReceived(1, b"x", True)]
