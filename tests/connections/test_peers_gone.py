"""What becomes of a handler when its peer leaves: over HTTP/1.1, in memory and in virtual time."""

from __future__ import annotations

import gc
import socket
import struct
import weakref

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream

from .harness import GET, POST_100K, Outcomes, hello, serving

Clock = trio.testing.MockClock


@pytest.mark.parametrize("leave", ["fin", "reset"])
@pytest.mark.parametrize("pipelined", [b"", GET, GET + b"GET / HT"])
async def test_a_sleeping_handler_is_cancelled_at_once_when_its_peer_leaves(
    autojump_clock: Clock, leave: str, pipelined: bytes
) -> None:
    outcomes = Outcomes()

    async with serving(outcomes.sleep) as s:
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

    async with serving(outcomes.sleep, buffer_octets=1024 * 1024) as s:
        peer = await s.connect()
        await peer.send(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 500000)
        await trio.testing.wait_all_tasks_blocked()
        left_at = trio.current_time()
        if leave == "fin":
            await peer.close()
        else:
            peer.reset()
        assert await outcomes.next() == "started"
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

    async with serving(outcomes.sleep) as s:
        peer = await s.connect()
        await peer.send(b"GET / HTTP/1.0\r\n\r\n")
        await peer.stream.send_eof()
        assert await outcomes.next() == "started"
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


@pytest.mark.parametrize("passes", range(8))
async def test_a_departure_is_not_forgotten_when_a_deadline_falls_into_it(passes: int, autojump_clock: Clock) -> None:
    """A reader's deadline is moved late, so one may come that means nothing, also while the end waits to be told."""
    outcomes = Outcomes()
    async with serving(outcomes.sleep) as s:
        peer = await s.connect()
        await peer.send(GET)
        assert await outcomes.next() == "started"
        (connection,) = s.server._context.connections
        await peer.close()
        for _ in range(passes):
            await trio.lowlevel.checkpoint()
        connection._driver._read_scope.cancel()
        with trio.fail_after(1):
            assert await outcomes.next() == ("cancelled", hface_trio.StreamResetError)


@pytest.mark.parametrize("sent", [GET, POST_100K[:2000]], ids=["idle", "in a body"])
async def test_a_connection_that_was_reset_is_gone_without_the_garbage_collector(sent: bytes) -> None:
    """Over a real socket, whose errors have tracebacks."""
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        await stream.read_body()
        await hello(stream)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            server = await nursery.start(hface_trio.serve, handler, "http://127.0.0.1:0")
            client = await trio.open_tcp_stream("127.0.0.1", server.endpoints[0].port)
            await client.send_all(sent)
            await outcomes.next()
            if sent == GET:
                await client.receive_some()
            (gone,) = [weakref.ref(connection._driver) for connection in server._context.connections]
            gc.collect()
            gc.disable()
            try:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.socket.close()
                while server.statistics().connections:
                    await trio.sleep(0.001)
                assert gone() is None
            finally:
                gc.enable()
            await server.shutdown(1)
