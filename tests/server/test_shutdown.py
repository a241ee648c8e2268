from __future__ import annotations

import functools

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream
from hface_trio.testing import MemoryNetworking

from ..connections.harness import ADDRESS, GET, Outcomes, Peer, serving

Clock = trio.testing.MockClock


async def hello(stream: HTTPStream) -> None:
    await stream.send_response(200, body=b"hello")


async def test_a_request_under_way_is_finished_and_its_connection_closed(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        await stream.draining.wait()
        await trio.sleep(3)
        await hello(stream)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET)
        assert await outcomes.next() == "started"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(s.server.shutdown, 10)
            answer = await peer.read_to_end()
            await peer.close()
        assert b"\r\nconnection: close\r\n" in answer.lower()
        assert answer.endswith(b"hello")
        assert trio.current_time() == pytest.approx(3, abs=0.2)


async def test_idle_connections_are_closed_at_once(autojump_clock: Clock) -> None:
    async with serving(hello) as s:
        peer = await s.connect()
        await peer.send(GET)
        await peer.read_until(b"hello")
        await trio.sleep(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(s.server.shutdown, 10)
            assert await peer.read_to_end() == b""
            await peer.close()
        assert trio.current_time() < 1.1


async def test_a_client_that_has_just_read_an_answer_gets_the_next_one_too(autojump_clock: Clock) -> None:
    """Its request may be on the way: nothing has told it that there would be no further answer."""
    async with serving(hello) as s:
        peer = await s.connect()
        await peer.send(GET)
        await peer.read_until(b"hello")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(s.server.shutdown, 10)
            await trio.sleep(0.3)
            await peer.send(GET)
            answer = await peer.read_to_end()
            await peer.close()
        assert b"\r\nconnection: close\r\n" in answer.lower()
        assert answer.endswith(b"hello")
        assert trio.current_time() < 0.5


async def test_an_answer_whose_head_has_left_is_followed_by_one_that_says_close(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        if stream.path != b"/slow":
            await hello(stream)
            return
        await stream.send_headers([(b":status", b"200"), (b"content-length", b"5")])
        outcomes.note("begun")
        await stream.draining.wait()
        await trio.sleep(3)
        await stream.send_data(b"whole", end_stream=True)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET.replace(b"GET /", b"GET /slow"))
        assert await outcomes.next() == "begun"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(s.server.shutdown, 10)
            first = await peer.read_until(b"whole")
            assert b"connection: close" not in first.lower()
            await peer.send(GET)
            answer = await peer.read_to_end()
            await peer.close()
        assert b"\r\nconnection: close\r\n" in answer.lower()
        assert answer.endswith(b"hello")
        assert trio.current_time() == pytest.approx(3, abs=0.2)


async def test_a_client_that_asks_for_nothing_more_is_not_waited_for_long(autojump_clock: Clock) -> None:
    async with serving(hello) as s:
        peer = await s.connect()
        await peer.send(GET)
        await peer.read_until(b"hello")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(s.server.shutdown, 10)
            assert await peer.read_to_end() == b""
            await peer.close()
        assert trio.current_time() == pytest.approx(1, abs=0.1)


async def test_a_short_grace_is_kept(autojump_clock: Clock) -> None:
    async with serving(hello) as s:
        peer = await s.connect()
        await peer.send(GET)
        await peer.read_until(b"hello")
        await s.server.shutdown(0.2)
        assert trio.current_time() == pytest.approx(0.2, abs=0.05)
        await peer.close()


async def test_a_connection_that_was_just_made_still_gets_its_first_answer(autojump_clock: Clock) -> None:
    async with serving(hello) as s:
        peer = await s.connect()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(s.server.shutdown, 10)
            await trio.sleep(0.3)
            await peer.send(GET)
            answer = await peer.read_to_end()
            await peer.close()
        assert b"\r\nconnection: close\r\n" in answer.lower()
        assert answer.endswith(b"hello")


async def test_at_the_deadline_handlers_are_cancelled(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async with serving(outcomes.sleep) as s:
        peer = await s.connect()
        await peer.send(GET)
        assert await outcomes.next() == "started"
        await s.server.shutdown(4)
        assert trio.current_time() == pytest.approx(4, abs=0.1)
        assert await outcomes.next() == ("cancelled", type(None))
        await peer.close()


async def test_new_connections_are_refused_while_draining(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(3)
        await hello(stream)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET)
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(s.server.shutdown, 10)
            await trio.sleep(0.1)
            with pytest.raises(hface_trio.ConnectError):
                await s.network.connect_tcp(ADDRESS)
            assert (await peer.read_to_end()).endswith(b"hello")
            await peer.close()


async def test_shutting_down_twice_waits_for_the_same_end(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(3)
        await hello(stream)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET)
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(s.server.shutdown, 10)
            nursery.start_soon(s.server.shutdown, 1)
        assert trio.current_time() == pytest.approx(1, abs=0.1)
        await peer.close()


async def test_cancelling_serve_closes_everything(autojump_clock: Clock) -> None:
    network = MemoryNetworking()
    outcomes = Outcomes()

    async with trio.open_nursery() as nursery:
        serve = functools.partial(hface_trio.serve, networking=network)
        server = await nursery.start(serve, outcomes.sleep, "http://localhost:80")
        idle = Peer(await network.connect_tcp(ADDRESS))
        busy = Peer(await network.connect_tcp(ADDRESS))
        await busy.send(GET)
        assert await outcomes.next() == "started"
        nursery.cancel_scope.cancel()
    assert await outcomes.next() == ("cancelled", type(None))
    assert await busy.read_to_end() == b""
    assert await idle.read_to_end() == b""
    assert server.statistics().connections == 0
    assert server.statistics().buffered_octets == 0


async def test_a_cancelled_server_flushes_what_is_complete(autojump_clock: Clock) -> None:
    network = MemoryNetworking(buffer_octets=1000)
    body = b"x" * 60000

    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=body)

    async with trio.open_nursery() as nursery, trio.open_nursery() as server_nursery:
        serve = functools.partial(hface_trio.serve, networking=network)
        await server_nursery.start(serve, handler, "http://localhost:80")
        peer = Peer(await network.connect_tcp(ADDRESS))
        await peer.send(GET)
        await trio.testing.wait_all_tasks_blocked()

        async def read() -> None:
            await trio.sleep(0.1)
            assert (await peer.read_to_end()).endswith(body)

        nursery.start_soon(read)
        server_nursery.cancel_scope.cancel()


async def test_a_cancelled_server_gives_up_on_a_peer_that_takes_nothing(autojump_clock: Clock) -> None:
    network = MemoryNetworking(buffer_octets=1000)

    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=b"x" * 60000)

    async with trio.open_nursery() as nursery:
        serve = functools.partial(hface_trio.serve, networking=network)
        await nursery.start(serve, handler, "http://localhost:80")
        peer = Peer(await network.connect_tcp(ADDRESS))
        await peer.send(GET)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert trio.current_time() == pytest.approx(1, abs=0.1)
    with pytest.raises(trio.BrokenResourceError):
        await peer.read_to_end()


@pytest.mark.parametrize("passes", range(6))
async def test_a_second_call_may_come_at_any_time_with_no_grace_at_all(passes: int) -> None:
    for _ in range(10):  # the order of tasks in a pass is random, and time has to go on in it
        async with serving(hello) as s:
            peer = await s.connect()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(s.server.shutdown, 60)
                for _ in range(passes):
                    await trio.lowlevel.checkpoint()
                await s.server.shutdown(0)
            await peer.close()
