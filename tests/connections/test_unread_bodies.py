"""Bodies that a handler does not read neither stop the connection without need nor fill the memory."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream

from .harness import GET, hello, serving

Clock = trio.testing.MockClock


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
