"""What handlers and raw clients see of each other over HTTP/3, row by row of the table of causes and effects."""

from __future__ import annotations

import contextvars
import logging
import time

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream, Limits, LocalProtocolError, SendingStoppedError, StreamResetError, Timeouts
from hface_trio.events import DataReceived, PriorityUpdateReceived, TrailersReceived
from hface_trio.protocols.http3 import HTTP3Settings
from hface_trio.protocols.quic import QUICSettings

from .harness import Outcomes, hello, serving3, started
from .raw import GET, POST, Code, Window, data, headers, pack_frame, pack_varint, section

Clock = trio.testing.MockClock
BIG = b"x" * 1_000_000
SMALL = Window(stream=100)
IDLE = HTTP3Settings(quic=QUICSettings(idle_timeout_seconds=10))


async def test_a_request_is_answered(autojump_clock: Clock) -> None:
    async with serving3(hello) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, b"hello")
        fields = dict(peer.sections(stream_id)[0])
        assert fields[b"content-length"] == b"5"
        assert b"date" in fields
        await peer.close()


async def test_what_a_handler_knows_of_its_request(autojump_clock: Clock) -> None:
    seen: list[object] = []

    async def handler(stream: HTTPStream) -> None:
        seen.extend(
            [stream.method, stream.scheme, stream.authority, stream.path, stream.http_version, stream.stream_id]
        )
        attributes = stream.extra_attributes
        seen.extend([attributes.tls_version, attributes.alpn_protocol, stream.local_address, stream.remote_address])
        await stream.send_response(204)

    async with serving3(handler) as s:
        peer = await s.peer()
        await peer.response(await peer.request())
        address = peer.socket.local_address
        await peer.close()
    assert seen == [b"GET", b"https", b"localhost", b"/", "3", 0, "TLSv1.3", "h3", ("localhost", 443), address]


async def test_interim_responses_data_and_trailers_go_out_in_order(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_informational([(b":status", b"103"), (b"link", b"</a>")])
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(b"body")
        await stream.send_trailers([(b"x-sum", b"4")])

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, b"body")
        heads = [fields[0] for fields in peer.sections(stream_id)]
        assert heads == [(b":status", b"103"), (b":status", b"200"), (b"x-sum", b"4")]
        await peer.close()


async def test_trailers_follow_a_large_body(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(BIG)
        await stream.send_trailers([(b"x-sum", b"4")])

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, BIG)
        assert peer.sections(stream_id)[-1] == [(b"x-sum", b"4")]
        await peer.close()


async def test_a_request_body_and_its_trailers_arrive_as_events(autojump_clock: Clock) -> None:
    events: list[object] = []

    async def handler(stream: HTTPStream) -> None:
        async for event in stream:
            events.append(event)
        await stream.send_response(200)

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, data(b"abc"), headers([(b"x-sum", b"7")]))
        await peer.response(stream_id)
        await peer.close()
    assert events == [DataReceived(0, b"abc"), TrailersReceived(0, [(b"x-sum", b"7")])]


async def test_full_duplex(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        async for chunk in stream.iter_data():
            await stream.send_data(chunk)
        await stream.send_data(b"", end_stream=True)

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        for i in range(1, 5):
            await peer.send(stream_id, data(b"ping"))
            await peer.until(lambda i=i: peer.body_octets(stream_id) == 4 * i)
        await peer.send(stream_id, end=True)
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

    async with serving3(handler) as s:
        peer = await s.peer(window=SMALL)
        stream_id = await peer.request(POST, end=False)
        await started(outcomes)
        await peer.read_for(1)
        await peer.reset(stream_id)
        assert await outcomes.next() == ("cancelled", StreamResetError)
        await peer.alive()
        s.assert_nothing_left()
        assert peer.resets() == [(stream_id, Code.REQUEST_CANCELLED)]  # of the response, and nothing else
        assert peer.stops() == []
        await peer.close()


@pytest.mark.parametrize("waiting_for", ["sleep", "send"])
async def test_stop_sending_with_the_request_complete_cancels_the_handler(
    autojump_clock: Clock, waiting_for: str
) -> None:
    """A cancelled GET is this alone: its own reset is no longer possible."""
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            outcomes.note("started")
            if waiting_for == "sleep":
                await trio.sleep_forever()
            await stream.send_headers([(b":status", b"200")])
            await stream.send_data(BIG)

    async with serving3(handler) as s:
        peer = await s.peer(window=SMALL)
        stream_id = await peer.request()
        await started(outcomes)
        await peer.read_for(1)
        await peer.stop(stream_id, 4711)
        assert await outcomes.next() == ("cancelled", StreamResetError)
        await peer.alive()
        s.assert_nothing_left()
        assert peer.resets() == [(stream_id, 4711)]
        await peer.close()


async def test_stop_sending_with_the_request_open_ends_sending_alone(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        await stream.send_headers([(b":status", b"200")])
        for part in (BIG, b"again"):
            try:
                await stream.send_data(part)
            except SendingStoppedError as exc:
                outcomes.note(exc.error_code)
        outcomes.note(await stream.read_body())

    async with serving3(handler) as s:
        peer = await s.peer(window=SMALL)
        stream_id = await peer.request(POST, data(b"one "), end=False)
        await started(outcomes)
        await peer.read_for(1)
        await peer.stop(stream_id, 4711)
        for _ in range(2):
            assert await outcomes.next() == 4711
        await peer.send(stream_id, data(b"two"), end=True)
        assert await outcomes.next() == b"one two"
        await peer.alive()
        assert peer.resets() == [(stream_id, 4711)]
        s.assert_nothing_left()
        await peer.close()


async def test_a_handler_that_ends_after_stop_sending_is_no_failure(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        await stream.send_headers([(b":status", b"200")])
        try:
            await stream.read_body()
            await stream.send_data(b"too late")
        except SendingStoppedError:
            outcomes.note("stopped")

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await started(outcomes)
        await peer.stop(stream_id)
        await peer.send(stream_id, data(b"x"), end=True)
        assert await outcomes.next() == "stopped"
        await peer.alive()
        s.assert_nothing_left()
        await peer.close()
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


async def test_the_cause_of_a_cancellation_tells_the_code(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        try:
            await trio.sleep_forever()
        finally:
            outcomes.note((type(stream.cause), stream.cause and stream.cause.error_code))

    async with serving3(handler) as s:
        peer = await s.peer()
        reset = await peer.request(POST, end=False)
        await started(outcomes)
        await peer.reset(reset, 4711)
        assert await outcomes.next() == (StreamResetError, 4711)
        stopped = await peer.request()
        await started(outcomes)
        await peer.stop(stopped, 4712)
        assert await outcomes.next() == (StreamResetError, 4712)
        await peer.close()


@pytest.mark.parametrize("end", ["close", "close with a code", "vanish", "goaway and close", "the server's socket"])
async def test_the_loss_of_the_connection_cancels_all_handlers(autojump_clock: Clock, end: str) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            outcomes.note("started")
            await trio.sleep_forever()

    async with serving3(handler, http3_settings=IDLE) as s:
        peer = await s.peer()
        for _ in range(5):
            await peer.request()
        await started(outcomes, 5)
        began = trio.current_time()
        if end == "vanish":
            await peer.vanish()
        elif end == "the server's socket":
            await s.network._links.sockets["localhost", 443].aclose()
        else:
            if end == "goaway and close":
                await peer.goaway(0)
            await peer.close(Code.INTERNAL_ERROR if end == "close with a code" else Code.NO_ERROR)
        for _ in range(5):
            assert await outcomes.next() == ("cancelled", StreamResetError)
        assert trio.current_time() - began <= (11 if end == "vanish" else 1)
        await trio.sleep(3)
        assert s.server.statistics().connections == 0
        s.assert_nothing_left()


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

    async with serving3(handler, on_peer_gone="raise") as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await started(outcomes)
        await peer.reset(stream_id)
        for _ in range(3):
            assert await outcomes.next() == Code.REQUEST_CANCELLED
        await peer.alive()
        s.assert_nothing_left()
        await peer.close()


async def test_with_on_peer_gone_raise_a_waiting_call_raises_at_once(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        with outcomes.watching(stream):
            await stream.read_body()

    async with serving3(handler, on_peer_gone="raise") as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await started(outcomes)
        began = trio.current_time()
        await peer.reset(stream_id)
        assert isinstance(await outcomes.next(), StreamResetError)
        assert trio.current_time() - began < 0.1
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

    async with serving3(handler, on_peer_gone="raise") as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.alive()  # what is reset in the same read as it was opened never starts
        await peer.send(stream_id, data(b"abc"))
        await peer.send(stream_id, data(b"def"))
        await peer.reset(stream_id)
        await trio.sleep(2)
        await peer.close()
    assert received == [b"abc", b"def", "reset"]


@pytest.mark.parametrize("gone", ["reset", "stop", "close", "vanish"])
async def test_the_tail_of_a_handler_runs_on_when_the_peer_leaves_after_the_response(
    autojump_clock: Clock, gone: str
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=b"hello")
        outcomes.note("answered")
        with outcomes.watching(stream):
            await trio.sleep(20)

    async with serving3(handler, http3_settings=IDLE) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.response(stream_id)
        assert await outcomes.next() == "answered"
        if gone == "reset":
            await peer.reset(stream_id)
        elif gone == "stop":
            await peer.stop(stream_id)
        elif gone == "close":
            await peer.close()
        else:
            await peer.vanish()
        outcome, at = await outcomes.next_with_time()
        assert outcome == "done"
        assert at >= 20
        await peer.close()


async def test_a_stop_while_the_last_data_wait_for_room_is_no_failure(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        try:
            await stream.send_response(200, body=BIG)
        finally:
            outcomes.note("ended")

    async with serving3(handler) as s:
        peer = await s.peer(window=SMALL)
        stream_id = await peer.request()
        await started(outcomes)
        await peer.until(lambda: peer.body_octets(stream_id))
        await peer.stop(stream_id)
        assert await outcomes.next() == "ended"
        await peer.alive()
        s.assert_nothing_left()
        await peer.close()
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


# The handler ends


@pytest.mark.parametrize("request_open", [False, True])
async def test_a_handler_that_raises_before_the_head_is_answered_with_500_and_logged_once(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture, request_open: bool
) -> None:
    async def handler(stream: HTTPStream) -> None:
        raise ValueError("a secret")

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=not request_open)
        assert await peer.response(stream_id) == (500, b"")
        assert not any(b"secret" in value for _, value in peer.sections(stream_id)[0])
        await peer.alive()
        assert peer.stops() == ([(stream_id, Code.NO_ERROR)] if request_open else [])
        assert peer.resets() == []
        await peer.close()
    errors = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert errors[0].exc_info is not None


@pytest.mark.parametrize("request_open", [False, True])
async def test_a_handler_that_raises_after_the_head_resets_with_internal_error(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture, request_open: bool
) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(b"part")
        raise ValueError

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=not request_open)
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, Code.INTERNAL_ERROR)]
        assert not peer.ended(stream_id)
        await peer.alive()
        assert peer.stops() == ([(stream_id, Code.INTERNAL_ERROR)] if request_open else [])
        await peer.close()
    assert len(caplog.records) == 1


@pytest.mark.parametrize("sent", ["nothing", "head"])
async def test_a_handler_that_returns_without_finishing_is_logged(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture, sent: str
) -> None:
    async def handler(stream: HTTPStream) -> None:
        if sent == "head":
            await stream.send_headers([(b":status", b"200")])

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        if sent == "head":
            await peer.until(peer.resets)
            assert peer.resets() == [(stream_id, Code.INTERNAL_ERROR)]
        else:
            assert (await peer.response(stream_id))[0] == 500
        await peer.alive()
        await peer.close()
    assert ["without finishing" in r.message for r in caplog.records] == [True]


@pytest.mark.parametrize("request_open", [False, True])
@pytest.mark.parametrize("sent", ["nothing", "head", "data that wait"])
async def test_a_cancelled_handler_resets_with_cancel(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture, sent: str, request_open: bool
) -> None:
    async def handler(stream: HTTPStream) -> None:
        if sent != "nothing":
            await stream.send_headers([(b":status", b"200")])
        if sent == "data that wait":
            await stream.send_data(BIG)
        await trio.sleep_forever()

    async with serving3(handler, timeouts=Timeouts(handler_seconds=5)) as s:
        peer = await s.peer(window=SMALL)
        stream_id = await peer.request(POST, end=not request_open)
        began = trio.current_time()
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, Code.REQUEST_CANCELLED)]
        assert trio.current_time() - began == pytest.approx(5, abs=0.1)
        await peer.alive()
        assert peer.stops() == ([(stream_id, Code.REQUEST_CANCELLED)] if request_open else [])
        s.assert_nothing_left()
        await peer.close()
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


async def test_a_stream_cancelled_by_itself_resets_with_cancel(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        stream.cancel()
        await trio.sleep_forever()

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, Code.REQUEST_CANCELLED)]
        await peer.close()


async def test_a_reset_by_the_handler_carries_its_code(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        stream.reset(4711)

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, 4711)]
        await peer.alive()
        await peer.close()


async def test_an_answer_without_reading_stops_the_upload_with_no_error(autojump_clock: Clock) -> None:
    async with serving3(hello) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, data(b"x" * 10_000), end=False)
        assert await peer.response(stream_id) == (200, b"hello")
        await peer.until(peer.stops)
        assert peer.stops() == [(stream_id, Code.NO_ERROR)]
        assert peer.resets() == []
        await peer.alive()
        s.assert_nothing_left()
        await peer.close()


async def test_credit_of_data_nobody_read_returns_to_the_connection(autojump_clock: Clock) -> None:
    """And so do the streams: 16 MB, on 250 of them, through a window of 5 MB."""

    async with serving3(hello, limits=Limits(concurrent_streams=10)) as s:
        peer = await s.peer()
        for _ in range(250):
            await peer.response(await peer.request(POST, data(b"x" * 64_000)[:65_000], end=False))
        await peer.alive()
        assert peer.quic._remote_max_data > 16_000_000
        await peer.close()


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


# Surroundings of a handler


async def test_each_handler_has_context_variables_of_its_own(autojump_clock: Clock) -> None:
    variable = contextvars.ContextVar("variable", default=0)
    seen: list[int] = []

    async def handler(stream: HTTPStream) -> None:
        seen.append(variable.get())
        variable.set(1)
        await trio.sleep(1)
        await stream.send_response(200)

    async with serving3(handler, limits=Limits(concurrent_streams=1)) as s:
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
        async with serving3(handler) as s:
            peer = await s.peer()
            await peer.request()
            await trio.sleep_forever()
    matched, rest = caught.value.split(exception)
    assert matched is not None
    assert rest is None


async def test_a_group_of_exceptions_ends_its_stream_alone(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(stream: HTTPStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_headers, [(b":status", b"nonsense")])

    async with serving3(handler) as s:
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
    "a final status as interim": lambda s: s.send_informational([(b":status", b"200")]),
    "data before the head": lambda s: s.send_data(b"x"),
    "trailers before the head": lambda s: s.send_trailers([(b"a", b"b")]),
    "a field with a line break": lambda s: s.send_headers([(b":status", b"200"), (b"a", b"b\r\nc: d")]),
    "an end with content-length": lambda s: s.send_headers([(b":status", b"200"), (b"content-length", b"5")], True),
    "a body with 204": lambda s: s.send_response(204, body=b"x"),
    "a push": lambda s: s.push(GET).__aenter__(),
    "a client's call": lambda s: s.receive_response(),
}


@pytest.mark.parametrize("misuse", MISUSES.values(), ids=MISUSES)
async def test_misuse_is_refused_with_nothing_sent(autojump_clock: Clock, misuse) -> None:
    async def handler(stream: HTTPStream) -> None:
        with pytest.raises(LocalProtocolError):
            await misuse(stream)
        await stream.send_response(200, body=b"still here")

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, b"still here")
        assert len(peer.sections(stream_id)) == 1
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

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, b"four")
        assert [fields[0] for fields in peer.sections(stream_id)] == [(b":status", b"200"), (b"a", b"b")]
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

    async with serving3(handler) as s:
        peer = await s.peer(window=SMALL)
        stream_id = await peer.request()
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, Code.INTERNAL_ERROR)]
        assert not peer.ended(stream_id)
        await peer.close()


async def test_head_responses_have_no_body(autojump_clock: Clock) -> None:
    async with serving3(hello) as s:
        peer = await s.peer()
        stream_id = await peer.request([(b":method", b"HEAD"), *GET[1:]])
        assert await peer.response(stream_id) == (200, b"")
        assert (b"content-length", b"5") in peer.sections(stream_id)[0]
        await peer.close()


@pytest.mark.parametrize("extended", [False, True])
async def test_connect_makes_a_tunnel_that_the_client_may_fill_and_end_at_once(
    autojump_clock: Clock, extended: bool
) -> None:
    async def handler(stream: HTTPStream) -> None:
        assert stream.protocol == (b"websocket" if extended else None)
        await stream.send_headers([(b":status", b"200")])
        assert stream.tunnel
        async for chunk in stream.iter_data():
            await stream.send_data(chunk.upper())
        await stream.send_data(b"", end_stream=True)

    fields = [(b":method", b"CONNECT"), (b":authority", b"example.test:443")]
    if extended:
        fields = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:]]
    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(fields, data(b"through"))
        assert await peer.response(stream_id) == (200, b"THROUGH")
        await peer.close()


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_cancelled_server_says_connection_close(autojump_clock: Clock, stubborn: bool) -> None:
    """Even if a handler takes its time."""
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            outcomes.note("started")
            with trio.CancelScope(shield=stubborn):
                await trio.sleep(5)
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with serving3(handler) as s:
                s.nursery = nursery  # the peer outlives the server
                peer = await s.peer()
                await peer.request()
                await started(outcomes)
                scope.cancel()
                await trio.sleep_forever()
        await peer.read_to_end()
        assert peer.closed_with in {Code.NO_ERROR, Code.REQUEST_CANCELLED}
        assert trio.current_time() < 6
        assert await outcomes.next() == ("cancelled", type(None))


async def test_the_observer_hears_of_each_stream_once(autojump_clock: Clock) -> None:
    opened: list[int] = []
    closed: list[tuple[int, int | None, int | None]] = []
    connections: list[tuple[str, int | None]] = []

    class Observer(hface_trio.Observer):
        def stream_opened(self, record) -> None:
            opened.append(record.stream_id)

        def stream_closed(self, record) -> None:
            closed.append((record.stream_id, record.status, record.error_code))

        def connection_closed(self, record) -> None:
            connections.append((record.http_version, record.error_code))
            assert record.octets_received > 1200
            assert record.octets_sent > 1200

    async def handler(stream: HTTPStream) -> None:
        if stream.path == b"/wait":
            await trio.sleep_forever()
        await hello(stream)

    async with serving3(handler, observer=Observer()) as s:
        peer = await s.peer()
        await peer.response(await peer.request())
        waits = await peer.request([*GET[:3], (b":path", b"/wait")])
        await peer.alive()
        await peer.stop(waits, 4711)
        await peer.alive()
        await peer.close()
    assert opened == [0, 4]
    assert closed == [(0, 200, None), (4, None, 4711)]
    assert connections == [("3", 0)]


async def test_of_many_priority_updates_a_handler_gets_the_latest(autojump_clock: Clock) -> None:
    received: list[object] = []

    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(1)
        async for event in stream:
            received.append(event)
        await stream.send_response(200)

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.alive()
        for i in range(50):
            await peer.send(peer.control, pack_frame(0xF0700, pack_varint(stream_id) + b"u=%d" % (i % 8)))
        await peer.alive()
        await peer.send(stream_id, data(b"x"), end=True)
        await peer.response(stream_id)
        await peer.close()
    assert received == [PriorityUpdateReceived(0, b"u=1"), DataReceived(0, b"x", True)]


async def test_urgent_responses_overtake(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=b"x" * 200_000)

    async with serving3(handler) as s:
        peer = await s.peer()
        late = await peer.request([*GET, (b"priority", b"u=7")])
        early = await peer.request([*GET, (b"priority", b"u=0")])
        await peer.response(early)
        assert peer.body_octets(late) < 150_000
        await peer.response(late)
        await peer.close()


async def test_hundreds_of_requests_on_one_connection_cost_no_time_at_all(autojump_clock: Clock) -> None:
    async with serving3(hello) as s:
        peer = await s.peer()
        began = time.perf_counter()
        for _ in range(300):
            assert await peer.response(await peer.request()) == (200, b"hello")
        assert time.perf_counter() - began < 10
        await peer.close()


async def test_a_qpack_block_that_needs_a_dynamic_table_is_refused(autojump_clock: Clock) -> None:
    async with serving3(hello) as s:
        peer = await s.peer()
        await peer.send(peer.next_id(), pack_frame(1, b"\x02\x00" + section(GET)[2:]), end=True)
        await peer.read_to_end()
        assert peer.closed_with == 0x200
        await peer.close()
