"""What clients meet where RST_STREAM, SETTINGS and GOAWAY say it."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio import (
    StreamResetError,
)

from .harness import connected
from .raw import (
    CANCEL,
    GET,
    MAX_CONCURRENT_STREAMS,
    NO_ERROR,
    POST,
    RESPONSE,
    RawPeer,
)

Clock = trio.testing.MockClock


async def answer(peer: RawPeer, stream_id: int, body: bytes = b"hello") -> None:
    await peer.send(peer.headers(stream_id, RESPONSE, end=False), peer.data(stream_id, body, end=True))


async def request_of(peer: RawPeer, stream_id: int) -> list[tuple[bytes, bytes]]:
    await peer.until(lambda: stream_id in peer.sections)
    return peer.sections[stream_id][0]


async def test_an_answer_that_comes_after_the_reset_of_its_request_is_dropped(autojump_clock: Clock) -> None:
    async with connected() as (connection, peer):
        with trio.move_on_after(1) as scope:
            async with connection.open_stream(GET, end_stream=True) as stream:
                await stream.receive_response()
        assert scope.cancelled_caught
        await peer.until(peer.resets)
        assert peer.resets() == [(1, CANCEL)]
        await answer(peer, 1)
        await peer.alive()
        assert connection.is_available()
        assert len(peer.resets()) == 1


async def test_no_error_before_the_response_is_complete_is_a_reset(autojump_clock: Clock) -> None:
    async with connected() as (connection, peer), connection.open_stream(POST) as stream:
        await peer.send(peer.headers(1, RESPONSE, end=False), peer.reset(1, NO_ERROR))
        await stream.receive_response()
        with pytest.raises(StreamResetError):
            await stream.read_body()


async def test_a_limit_lowered_below_what_is_in_flight_neither_hangs_nor_drifts(autojump_clock: Clock) -> None:
    """Streams in flight go on; new ones wait until the count has come down."""
    done: list[int] = []

    async def get(connection) -> None:
        async with connection.open_stream(GET, end_stream=True) as stream:
            await stream.receive_response()
            await stream.read_body()
            done.append(stream.stream_id)

    async with connected(settings={MAX_CONCURRENT_STREAMS: 10}) as (connection, peer):
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(get, connection)
            await request_of(peer, 19)
            await peer.send(peer.settings({MAX_CONCURRENT_STREAMS: 2}))
            await peer.alive()
            for i, stream_id in enumerate(range(1, 41, 2)):
                await request_of(peer, stream_id)
                await peer.read_for(0.1)
                in_flight = len(peer.sections) - i
                assert in_flight <= max(10 - i, 2)
                await answer(peer, stream_id)
        assert sorted(done) == list(range(1, 41, 2))
        assert connection.is_available()


async def test_a_cancelled_connection_resets_and_says_goaway(autojump_clock: Clock) -> None:
    peer = None
    async with trio.open_nursery() as outer:
        async with connected() as (connection, peer), connection.open_stream(GET, end_stream=True):
            await peer.alive()
            await connection.aclose()
            await peer.read_to_end()
            assert [stream_id for stream_id, _ in peer.resets()] == [1]
            assert len(peer.goaways()) == 1
        outer.cancel_scope.cancel()
