"""What handlers and peers see of each other over HTTP/1.1, in memory and in virtual time."""

from __future__ import annotations

import contextvars
import logging

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream, Limits, Timeouts
from hface_trio.events import DataReceived, TrailersReceived

from .harness import GET, POST_100K, Outcomes, serving

Clock = trio.testing.MockClock


async def hello(stream: HTTPStream) -> None:
    await stream.send_response(200, [(b"content-type", b"text/plain")], b"hello " + stream.path)


async def test_a_request_is_answered_and_the_connection_kept(autojump_clock: Clock) -> None:
    async with serving(hello) as s:
        peer = await s.connect()
        for path in (b"/a", b"/b", b"/c"):
            await peer.send(b"GET %b HTTP/1.1\r\nhost: localhost\r\n\r\n" % path)
            head = await peer.read_head()
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"\r\ndate: " in head.lower()
            assert await peer.read_exactly(8) == b"hello " + path
        await peer.close()


async def test_pipelined_requests_are_answered_in_order(autojump_clock: Clock) -> None:
    async with serving(hello) as s:
        peer = await s.connect()
        await peer.send(b"".join(b"GET /%d HTTP/1.1\r\nhost: localhost\r\n\r\n" % i for i in range(10)))
        for i in range(10):
            await peer.read_head()
            assert await peer.read_exactly(8) == b"hello /%d" % i
        await peer.close()


async def test_what_a_handler_knows_of_its_request(autojump_clock: Clock) -> None:
    seen: list[object] = []

    async def handler(stream: HTTPStream) -> None:
        seen.extend([stream.method, stream.scheme, stream.authority, stream.path, stream.http_version, stream.upgrade])
        seen.extend([stream.local_address, (b"x-a", b"1") in stream.headers, stream.client_side])
        await stream.send_response(204)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(b"PUT /a?b HTTP/1.1\r\nHost: localhost:80\r\nX-A: 1\r\ncontent-length: 0\r\n\r\n")
        assert (await peer.read_head()).startswith(b"HTTP/1.1 204 ")
        await peer.close()
    assert seen == [b"PUT", b"http", b"localhost:80", b"/a?b", "1.1", None, ("localhost", 80), True, False]


async def test_a_body_with_trailers_arrives_as_events(autojump_clock: Clock) -> None:
    events: list[object] = []

    async def handler(stream: HTTPStream) -> None:
        async for event in stream:
            events.append(event)
        assert stream.trailers == [(b"x-sum", b"7")]
        await stream.send_response(200)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(
            b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n"
        )
        await peer.read_head()
        await peer.close()
    assert events == [DataReceived(1, b"abc"), TrailersReceived(1, [(b"x-sum", b"7")])]


async def test_head_responses_keep_their_length_and_drop_their_body(autojump_clock: Clock) -> None:
    async with serving(hello) as s:
        peer = await s.connect()
        await peer.send(b"HEAD /a HTTP/1.1\r\nhost: localhost\r\n\r\n" + GET)
        assert b"\r\ncontent-length: 8\r\n" in (await peer.read_head()).lower()
        assert (await peer.read_head()).startswith(b"HTTP/1.1 200 ")
        assert await peer.read_exactly(7) == b"hello /"
        await peer.close()


async def test_interim_responses_and_trailers_are_sent(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_informational([(b":status", b"103"), (b"link", b"</a.css>")])
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(b"abc")
        await stream.send_trailers([(b"x-sum", b"7")])

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET)
        assert (await peer.read_head()).lower().startswith(b"http/1.1 103 early hints\r\nlink: </a.css>\r\n")
        assert b"\r\ntransfer-encoding: chunked\r\n" in (await peer.read_head()).lower()
        assert await peer.read_until(b"\r\n\r\n") == b"3\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n"
        await peer.close()


async def test_100_is_said_when_the_handler_first_reads_and_not_before(autojump_clock: Clock) -> None:
    may_read = trio.Event()

    async def handler(stream: HTTPStream) -> None:
        await may_read.wait()
        await stream.send_response(200, body=await stream.read_body())

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(b"POST / HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
        await trio.testing.wait_all_tasks_blocked()
        assert peer.stream.unread_octets == 0
        may_read.set()
        assert (await peer.read_head()).startswith(b"HTTP/1.1 100 ")
        await peer.send(b"abc")
        assert (await peer.read_head()).startswith(b"HTTP/1.1 200 ")
        assert await peer.read_exactly(3) == b"abc"
        await peer.close()


async def test_an_answer_without_100_closes_the_connection(autojump_clock: Clock) -> None:
    async with serving(hello) as s:
        peer = await s.connect()
        await peer.send(b"POST / HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
        head = await peer.read_head()
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nconnection: close\r\n" in head.lower()
        assert await peer.read_to_end() == b"hello /"
        await peer.close()


async def test_an_http10_request_gets_a_body_that_ends_with_the_connection(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(b"abc")
        await stream.send_data(b"def", end_stream=True)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(b"GET / HTTP/1.0\r\n\r\n")
        assert b"transfer-encoding" not in (await peer.read_head()).lower()
        assert await peer.read_to_end() == b"abcdef"
        await peer.close()


async def test_every_handler_call_starts_from_a_fresh_context(autojump_clock: Clock) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
    seen: list[int] = []

    async def handler(stream: HTTPStream) -> None:
        seen.append(variable.get())
        variable.set(variable.get() + 1)
        await stream.send_response(200)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET * 3)  # pipelined: no parking between the first calls
        for _ in range(3):
            await peer.read_head()
        await peer.send(GET)
        await peer.read_head()
        await peer.close()
    assert seen == [0, 0, 0, 0]


# The peer leaves


@pytest.mark.parametrize("leave", ["fin", "reset"])
@pytest.mark.parametrize("pipelined", [b"", GET, GET + b"GET / HT"])
async def test_a_sleeping_handler_is_cancelled_at_once_when_its_peer_leaves(
    autojump_clock: Clock, leave: str, pipelined: bytes
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            outcomes.note("started")
            await trio.sleep(1000)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET + pipelined)
        assert await outcomes.next() == "started"
        left_at = trio.current_time()
        if leave == "fin":
            await peer.close()
        else:
            peer.reset()
        outcome, at = await outcomes.next_with_time()
        assert outcome == ("cancelled", hface_trio.StreamResetError)
        assert at - left_at < 0.01
    assert outcomes.empty()  # no pipelined request was started


async def test_a_handler_in_a_full_send_is_cancelled_when_its_peer_leaves(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await stream.send_headers([(b":status", b"200")])
            while True:
                await stream.send_data(b"x" * 50000)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET)
        await peer.read_head()
        await trio.testing.wait_all_tasks_blocked()
        assert s.server.statistics().buffered_octets <= 64 * 1024 + 128 * 1024
        await peer.close()
        assert await outcomes.next() == ("cancelled", hface_trio.StreamResetError)


@pytest.mark.parametrize("leave", ["fin", "reset"])
async def test_departure_is_noticed_behind_a_body_that_nobody_reads(autojump_clock: Clock, leave: str) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await trio.sleep(1000)

    async with serving(handler, buffer_octets=1024 * 1024) as s:
        peer = await s.connect()
        await peer.send(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 500000)
        await trio.testing.wait_all_tasks_blocked()
        left_at = trio.current_time()
        if leave == "fin":
            await peer.close()
        else:
            peer.reset()
        outcome, at = await outcomes.next_with_time()
        assert outcome == ("cancelled", hface_trio.StreamResetError)
        assert at - left_at < 0.01


async def test_the_tail_of_a_handler_runs_on_when_its_peer_leaves_behind_the_response(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await stream.send_response(200, body=b"bye")
            await trio.sleep(3)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET)
        await peer.read_until(b"bye")
        await peer.close()
        outcome, at = await outcomes.next_with_time()
        assert outcome == "done"
        assert at >= 3


@pytest.mark.parametrize(
    "request_octets",
    [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"],
)
async def test_a_last_request_with_a_fin_right_behind_it_is_served_for_the_grace(
    autojump_clock: Clock, request_octets: bytes
) -> None:
    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(0.9)
        await hello(stream)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(request_octets)
        await peer.stream.send_eof()
        assert (await peer.read_to_end()).endswith(b"hello /")
        await peer.close()


async def test_after_the_grace_the_handler_of_a_half_closed_request_is_cancelled(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await trio.sleep(1000)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(b"GET / HTTP/1.0\r\n\r\n")
        await peer.stream.send_eof()
        outcome, at = await outcomes.next_with_time()
        assert outcome == ("cancelled", hface_trio.StreamResetError)
        assert at == pytest.approx(1, abs=0.1)
        await peer.close()


async def test_a_quick_handler_answers_a_request_with_a_fin_right_behind_it(autojump_clock: Clock) -> None:
    async with serving(hello) as s:
        for _ in range(50):  # the order of tasks within a scheduler pass is random
            peer = await s.connect()
            await peer.send(GET)
            await peer.stream.send_eof()
            assert (await peer.read_to_end()).endswith(b"hello /")
            await peer.close()


async def test_with_raise_the_next_call_hears_of_the_departure(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await trio.sleep(3)
            await stream.send_response(200)

    async with serving(handler, on_peer_gone="raise") as s:
        peer = await s.connect()
        await peer.send(GET)
        await trio.testing.wait_all_tasks_blocked()
        await peer.close()
        outcome, at = await outcomes.next_with_time()
        assert isinstance(outcome, hface_trio.StreamResetError)
        assert at == pytest.approx(3, abs=0.1)


async def test_what_arrived_before_the_departure_is_delivered_first(autojump_clock: Clock) -> None:
    received: list[bytes] = []
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await trio.sleep(1)
            async for data in stream.iter_data():
                received.append(data)

    async with serving(handler, on_peer_gone="raise") as s:
        peer = await s.connect()
        await peer.send(POST_100K + b"abc")
        await trio.testing.wait_all_tasks_blocked()
        await peer.close()
        assert isinstance(await outcomes.next(), hface_trio.StreamResetError)
    assert received == [b"abc"]


async def test_a_request_whose_peer_is_gone_before_its_turn_is_not_started() -> None:
    started: list[bytes] = []

    async def handler(stream: HTTPStream) -> None:
        started.append(stream.path)
        await stream.send_response(200)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n")
        assert (await peer.read_head()).startswith(b"HTTP/1.1 400 ")
        await peer.close()
    assert started == []


# The handler fails


async def test_an_exception_before_the_head_is_logged_once_and_answered_with_500(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(stream: HTTPStream) -> None:
        raise ValueError("a secret")

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET)
        answer = await peer.read_to_end()
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert b"secret" not in answer
        assert b"Traceback" not in answer
        await peer.close()
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


async def test_an_exception_behind_the_head_ends_in_a_reset(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(b"part")
        raise ValueError

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET)
        with pytest.raises(trio.BrokenResourceError):
            await peer.read_to_end()
        await peer.close()
    assert len(caplog.records) == 1


@pytest.mark.parametrize("head_sent", [False, True])
async def test_returning_without_finishing_is_logged_as_a_mistake(
    autojump_clock: Clock, head_sent: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(stream: HTTPStream) -> None:
        if head_sent:
            await stream.send_headers([(b":status", b"200")])

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET)
        if head_sent:
            with pytest.raises(trio.BrokenResourceError):
                await peer.read_to_end()
        else:
            assert (await peer.read_to_end()).startswith(b"HTTP/1.1 500 ")
        await peer.close()
    assert "without finishing" in caplog.text


async def test_a_group_of_exceptions_ends_its_own_stream_only(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise ValueError

    async def handler(stream: HTTPStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            nursery.start_soon(trio.sleep, 1000)

    async with serving(handler) as s:
        peer, other = await s.connect(), await s.connect()
        await peer.send(GET)
        assert (await peer.read_to_end()).startswith(b"HTTP/1.1 500 ")
        await other.send(GET)
        assert (await other.read_to_end()).startswith(b"HTTP/1.1 500 ")
        await peer.close()
        await other.close()
    assert len(caplog.records) == 2


@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit])
async def test_keyboard_interrupt_and_system_exit_go_up(autojump_clock: Clock, failure: type[BaseException]) -> None:
    async def handler(stream: HTTPStream) -> None:
        raise failure

    with pytest.raises(BaseExceptionGroup) as caught:
        async with serving(handler) as s:
            peer = await s.connect()
            await peer.send(GET)
            await trio.sleep(1)
    leaves: list[BaseException] = []

    def collect(exc: BaseException) -> None:
        if isinstance(exc, BaseExceptionGroup):
            for inner in exc.exceptions:
                collect(inner)
        else:
            leaves.append(exc)

    collect(caught.value)
    assert [type(leaf) for leaf in leaves if not isinstance(leaf, trio.Cancelled)] == [failure]


@pytest.mark.parametrize("head_sent", [False, True])
async def test_a_cancelled_handler_closes_its_connection(autojump_clock: Clock, head_sent: bool) -> None:
    async def handler(stream: HTTPStream) -> None:
        if head_sent:
            await stream.send_headers([(b":status", b"200")])
            await stream.send_data(b"part")
        stream.cancel()
        await trio.sleep(1000)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET)
        if head_sent:
            with pytest.raises(trio.BrokenResourceError):
                await peer.read_to_end()
        else:
            assert await peer.read_to_end() == b""
        await peer.close()


async def test_a_handler_past_its_deadline_is_cancelled(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await trio.sleep(1000)

    async with serving(handler, timeouts=Timeouts(handler_seconds=5)) as s:
        peer = await s.connect()
        await peer.send(GET)
        outcome, at = await outcomes.next_with_time()
        assert outcome == ("cancelled", type(None))
        assert at == pytest.approx(5, abs=0.1)
        assert await peer.read_to_end() == b""
        await peer.close()


async def test_a_body_that_is_too_large_for_the_handler_is_answered_with_413(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=await stream.read_body(max_size=1000))

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(POST_100K + b"x" * 2000)
        assert (await peer.read_head()).startswith(b"HTTP/1.1 413 ")
        await peer.close()


# Unread bodies


async def test_a_small_unread_body_is_dropped_and_the_connection_kept(autojump_clock: Clock) -> None:
    async with serving(hello) as s:
        peer = await s.connect()
        await peer.send(b"POST /a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 20000\r\n\r\n")
        await peer.read_head()
        await peer.send(b"x" * 20000 + GET)
        assert await peer.read_exactly(8) == b"hello /a"
        assert (await peer.read_head()).startswith(b"HTTP/1.1 200 ")
        await peer.close()


@pytest.mark.parametrize("options", [b"", b"connection: close\r\n"])
async def test_a_handler_may_read_on_behind_its_response(autojump_clock: Clock, options: bytes) -> None:
    read: list[int] = []

    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=b"early")
        read.append(len(await stream.read_body()))

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(b"POST / HTTP/1.1\r\nhost: a\r\n%bcontent-length: 200000\r\n\r\n" % options)
        await peer.read_until(b"early")
        await peer.send(b"x" * 200000)
        if options:
            assert await peer.read_to_end() == b""
        else:
            await peer.send(GET)
            await peer.read_until(b"early")
        await peer.close()
    assert read[0] == 200000


async def test_a_large_unread_body_closes_the_connection_after_the_answer(autojump_clock: Clock) -> None:
    async with serving(hello) as s:
        peer = await s.connect()
        await peer.send(b"POST /a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000000\r\n\r\n" + b"x" * 10000)
        assert (await peer.read_to_end()).endswith(b"hello /a")
        await peer.close()


async def test_an_answer_arrives_although_the_peer_goes_on_sending(autojump_clock: Clock) -> None:
    async with serving(hello) as s:
        peer = await s.connect()
        await peer.send(b"POST /a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000000\r\n\r\n")
        with trio.move_on_after(1):
            while True:
                await peer.send(b"x" * 10000)
                await trio.sleep(0.01)
        assert (await peer.read_to_end()).endswith(b"hello /a")
        await peer.close()


async def test_a_handler_that_does_not_read_holds_up_its_peer_at_the_window(autojump_clock: Clock) -> None:
    done = trio.Event()

    async def handler(stream: HTTPStream) -> None:
        await done.wait()
        n_octets = 0
        async for data in stream.iter_data():
            n_octets += len(data)
        await stream.send_response(200, body=b"%d" % n_octets)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.send, b"x" * 1000000)
            await trio.testing.wait_all_tasks_blocked()
            assert 0 < s.server.statistics().buffered_octets <= 128 * 1024
            done.set()
        assert await peer.read_until(b"1000000")
        await peer.close()


# Bad input and slow peers


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nhost: a\n\n", 400),
        (b"GET / HTTP/2.0\r\nhost: a\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 200000 + b"\r\n\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", 400),
    ],
)
async def test_bad_input_is_answered_and_the_connection_closed(
    autojump_clock: Clock, octets: bytes, status: int
) -> None:
    started: list[bytes] = []

    async def handler(stream: HTTPStream) -> None:
        started.append(stream.path)
        await stream.send_response(200)

    async with serving(handler, buffer_octets=1024 * 1024) as s:
        peer = await s.connect()
        await peer.send(octets)
        assert (await peer.read_head()).startswith(b"HTTP/1.1 %d " % status)
        await peer.stream.send_eof()
        await peer.read_to_end()
        await peer.close()
        healthy = await s.connect()
        await healthy.send(GET)
        assert (await healthy.read_head()).startswith(b"HTTP/1.1 200 ")
        await healthy.close()
    assert started == [b"/"]


async def test_a_body_that_breaks_the_protocol_cancels_the_handler_and_is_answered_with_400(
    autojump_clock: Clock,
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await stream.read_body()

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        await trio.testing.wait_all_tasks_blocked()
        await peer.send(b"xyz\r\n")
        assert (await peer.read_head()).startswith(b"HTTP/1.1 400 ")
        assert await outcomes.next() == ("cancelled", hface_trio.StreamResetError)
        await peer.close()


async def test_a_head_that_takes_too_long_is_answered_with_408(autojump_clock: Clock) -> None:
    async with serving(hello) as s:
        peer = await s.connect()
        async with trio.open_nursery() as nursery:

            async def dribble() -> None:
                for octet in b"GET / HTTP/1.1\r\nx: " + b"y" * 1000:
                    await peer.send(bytes([octet]))
                    await trio.sleep(1)

            nursery.start_soon(dribble)
            assert (await peer.read_head()).startswith(b"HTTP/1.1 408 ")
            assert trio.current_time() == pytest.approx(10, abs=0.5)
            nursery.cancel_scope.cancel()
        await peer.close()


async def test_an_idle_connection_is_closed(autojump_clock: Clock) -> None:
    async with serving(hello, timeouts=Timeouts(idle_seconds=20)) as s:
        peer = await s.connect()
        await peer.send(GET)
        await peer.read_until(b"hello /")
        assert await peer.read_to_end() == b""
        assert trio.current_time() == pytest.approx(20, abs=0.5)
        await peer.close()


async def test_a_body_without_progress_is_answered_with_408(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await stream.read_body()

    async with serving(handler, timeouts=Timeouts(body_progress_seconds=5)) as s:
        peer = await s.connect()
        await peer.send(POST_100K)
        for _ in range(3):
            await trio.sleep(4)
            await peer.send(b"x")
        head = await peer.read_head()
        assert head.startswith(b"HTTP/1.1 408 ")
        assert trio.current_time() == pytest.approx(17, abs=0.2)
        assert await outcomes.next() == ("cancelled", hface_trio.StreamResetError)
        await peer.close()


async def test_a_body_that_nobody_waits_for_may_pause(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(100)
        await stream.send_response(200, body=await stream.read_body())

    async with serving(handler, timeouts=Timeouts(body_progress_seconds=5)) as s:
        peer = await s.connect()
        await peer.send(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n\r\n")
        await trio.sleep(99)
        await peer.send(b"abc")
        assert (await peer.read_head()).startswith(b"HTTP/1.1 200 ")
        await peer.close()


async def test_a_peer_that_takes_nothing_is_given_up(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await stream.send_headers([(b":status", b"200")])
            while True:
                await stream.send_data(b"x" * 50000)

    async with serving(handler, timeouts=Timeouts(write_progress_seconds=7)) as s:
        peer = await s.connect()
        await peer.send(GET)
        outcome, at = await outcomes.next_with_time()
        assert outcome == ("cancelled", hface_trio.StreamResetError)
        assert at == pytest.approx(7, abs=0.1)
        await peer.close()


# Sending


async def test_a_large_body_is_sent_whole_to_a_slow_reader(autojump_clock: Clock) -> None:
    body = bytes(range(256)) * 4000

    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=body)

    async with serving(handler, buffer_octets=1000) as s:
        peer = await s.connect()
        await peer.send(GET)
        await peer.read_head()
        assert await peer.read_exactly(len(body)) == body
        await peer.close()


async def test_cancelling_a_send_breaks_the_sending_side_and_the_response_has_no_clean_end(
    autojump_clock: Clock,
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await stream.send_headers([(b":status", b"200")])
            with trio.move_on_after(1):
                await stream.send_data(b"x" * 1000000)
            await stream.send_data(b"more", end_stream=True)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET)
        assert isinstance(await outcomes.next(), trio.BrokenResourceError)
        with pytest.raises(trio.BrokenResourceError):
            await peer.read_to_end()
        await peer.close()


async def test_a_cancelled_send_headers_sent_nothing(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await stream.send_headers([(b":status", b"200")])
        await stream.send_response(201)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET)
        assert (await peer.read_head()).startswith(b"HTTP/1.1 201 ")
        await peer.close()


async def test_a_second_sender_and_a_second_receiver_are_told_that_it_is_busy(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_data, b"x" * 1000000)
            nursery.start_soon(stream.receive)
            await trio.sleep(0.1)
            with pytest.raises(trio.BusyResourceError):
                await stream.send_data(b"y")
            with pytest.raises(trio.BusyResourceError):
                await stream.receive()
        await stream.send_data(b"", end_stream=True)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(POST_100K)
        await trio.sleep(1)
        await peer.send(b"x" * 1000)
        assert b"\r\n0\r\n\r\n" in await peer.read_until(b"\r\n0\r\n\r\n")
        await peer.close()


@pytest.mark.parametrize(
    "misuse",
    [
        lambda s: s.send_data(b"x"),
        lambda s: s.send_trailers([]),
        lambda s: s.send_headers([(b"x", b"y")]),
        lambda s: s.send_headers([(b":status", b"103")]),
        lambda s: s.send_informational([(b":status", b"200")]),
        lambda s: s.send_headers([(b":status", b"200"), (b"X-Upper", b"y")]),
        lambda s: s.send_headers([(b":status", b"200"), (b"x", b"a\r\nb: c")]),
        lambda s: s.send_headers([(b":status", b"200"), (b"content-length", b"5")], end_stream=True),
        lambda s: s.send_headers([(b":status", b"200"), (b"transfer-encoding", b"chunked")]),
        lambda s: s.send_response(204, body=b"x"),
    ],
)
async def test_misuse_is_refused_and_nothing_is_sent(autojump_clock: Clock, misuse: object) -> None:
    async def handler(stream: HTTPStream) -> None:
        with pytest.raises(hface_trio.LocalProtocolError):
            await misuse(stream)  # type: ignore[operator]
        await stream.send_response(200, body=b"fine")

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET)
        assert (await peer.read_head()).startswith(b"HTTP/1.1 200 ")
        assert await peer.read_exactly(4) == b"fine"
        await peer.close()


@pytest.mark.parametrize("body", [b"123", b"1234567"])
async def test_a_body_unlike_its_content_length_is_refused(autojump_clock: Clock, body: bytes) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200"), (b"content-length", b"5")])
        with pytest.raises(hface_trio.LocalProtocolError):
            await stream.send_data(body, end_stream=True)
        await stream.send_data(b"12345", end_stream=True)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET)
        await peer.read_until(b"\r\n\r\n12345")
        await peer.close()


# Tunnels


@pytest.mark.parametrize("first", [b"", b"early"])
async def test_an_upgrade_makes_a_tunnel_that_closes_by_halves(autojump_clock: Clock, first: bytes) -> None:
    async def handler(stream: HTTPStream) -> None:
        assert stream.upgrade == b"echo"
        await stream.send_headers([(b":status", b"101"), (b"upgrade", b"echo")])
        async for data in stream.iter_data():
            await stream.send_data(data)
        await stream.send_data(b" bye", end_stream=True)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n" + first)
        head = (await peer.read_head()).lower()
        assert head.startswith(b"http/1.1 101 ")
        assert b"\r\nconnection: upgrade\r\n" in head
        await peer.send(b" and late")
        await peer.stream.send_eof()
        assert await peer.read_to_end() == first + b" and late bye"
        await peer.close()


async def test_connect_makes_a_tunnel(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        assert (stream.method, stream.authority, stream.path) == (b"CONNECT", b"example.org:443", b"")
        await stream.send_headers([(b":status", b"200")])
        event = await stream.receive()
        assert isinstance(event, DataReceived)
        await stream.send_data(event.data.upper(), end_stream=True)
        assert await stream.read_body() == b""

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(b"CONNECT example.org:443 HTTP/1.1\r\nhost: example.org:443\r\n\r\n")
        assert b"content-length" not in (await peer.read_head()).lower()
        await peer.send(b"raw")
        assert await peer.read_to_end() == b"RAW"
        await peer.stream.send_eof()
        await peer.close()


async def test_a_refused_upgrade_goes_on_with_http(autojump_clock: Clock) -> None:
    async with serving(hello) as s:
        peer = await s.connect()
        await peer.send(b"GET /a HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n" + GET)
        await peer.read_head()
        assert await peer.read_exactly(8) == b"hello /a"
        await peer.read_head()
        assert await peer.read_exactly(7) == b"hello /"
        await peer.close()


async def test_a_tunnel_whose_peer_resets_cancels_its_handler(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await stream.send_headers([(b":status", b"101"), (b"upgrade", b"echo")])
            await trio.sleep(1000)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
        await peer.read_head()
        peer.reset()
        assert await outcomes.next() == ("cancelled", hface_trio.StreamResetError)


# Limits


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
