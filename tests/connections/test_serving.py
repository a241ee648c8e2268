"""What handlers and peers see of each other over HTTP/1.1, in memory and in virtual time."""

from __future__ import annotations

import contextvars

import trio
import trio.testing

from hface_trio import HTTPStream
from hface_trio.events import DataReceived, TrailersReceived

from .harness import GET, hello, serving

Clock = trio.testing.MockClock


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
