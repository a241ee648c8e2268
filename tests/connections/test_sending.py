"""What a handler sends arrives whole or without a clean end, and what it must not send does not go."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream

from .harness import GET, POST_100K, Outcomes, serving

Clock = trio.testing.MockClock


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
