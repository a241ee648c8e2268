"""Exchanges that end early for a caller of the client: given up here, or there, or with the connection."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio import (
    ConnectionLostError,
    HfaceError,
    HTTPConnection,
    RequestNotProcessedError,
    SendingStoppedError,
    StreamResetError,
)
from hface_trio.events import DataReceived

from .peer import Peer
from .version import IDLE, Version

Clock = trio.testing.MockClock
BIG = b"x" * 1_000_000
RESPONSE = [(b":status", b"200")]


# Given up by the caller


async def test_a_cancelled_request_is_given_up_and_the_connection_kept(version: Version, autojump_clock: Clock) -> None:
    async with version.connected() as (connection, peer):
        with trio.move_on_after(1) as scope:
            async with connection.open_stream(version.GET, end_stream=True) as stream:
                await stream.receive_response()
        assert scope.cancelled_caught
        await peer.until(peer.stops)
        assert peer.stops() == [(version.id_of(0), version.codes.cancelled)]
        assert peer.resets() == []  # the request was complete
        await peer.alive()
        assert connection.is_available()
        async with connection.open_stream(version.GET, end_stream=True) as stream:
            await peer.answer(version.id_of(1))
            assert await stream.receive_response()
            assert await stream.read_body() == b"hello"
        assert len(peer.stops()) == 1


async def test_what_was_on_its_way_on_a_cancelled_stream_is_dropped(version: Version, autojump_clock: Clock) -> None:
    stream_id = version.id_of(0)
    async with version.connected() as (connection, peer):
        async with connection.open_stream(version.GET, end_stream=True) as stream:
            await peer.request_of(stream_id)
            await peer.headers(stream_id, RESPONSE)
            await peer.data(stream_id, b"x" * 40_000)
            await stream.receive_response()
        await peer.until(peer.stops)
        await peer.alive()
        assert connection.statistics().buffered_octets == 0
        assert connection.is_available()


@pytest.mark.parametrize("left_at", ["head", "body", "upload"])
async def test_leaving_the_block_early_cancels_what_is_open_of_the_request(
    version: Version, autojump_clock: Clock, left_at: str
) -> None:
    stream_id = version.id_of(0)
    async with version.connected(window=100) as (connection, peer):
        async with connection.open_stream(version.POST) as stream:
            if left_at == "upload":
                with trio.move_on_after(1):
                    await stream.send_data(BIG)
            else:
                await stream.send_data(b"", end_stream=True)
                await peer.request_of(stream_id)
                await peer.headers(stream_id, RESPONSE)
                await stream.receive_response()
            if left_at == "body":
                await peer.data(stream_id, b"part")
                await stream.receive()
        await peer.until(peer.stops)
        await peer.alive()
        assert peer.stops() == [(stream_id, version.codes.cancelled)]
        assert peer.resets() == ([(stream_id, version.codes.cancelled)] if left_at == "upload" else [])


async def test_the_bodys_own_exception_leaves_the_block_as_itself(version: Version, autojump_clock: Clock) -> None:
    async with version.connected() as (connection, peer):
        with pytest.raises(ZeroDivisionError):
            async with connection.open_stream(version.GET, end_stream=True):
                raise ZeroDivisionError
        await peer.until(peer.stops)
        assert peer.stops() == [(version.id_of(0), version.codes.cancelled)]


# Given up by the server


async def test_a_reset_raises_in_the_waiting_call_behind_what_arrived(version: Version, autojump_clock: Clock) -> None:
    stream_id = version.id_of(0)
    async with version.connected() as (connection, peer):
        async with connection.open_stream(version.GET, end_stream=True) as stream:
            await peer.request_of(stream_id)
            await peer.headers(stream_id, RESPONSE)
            await peer.data(stream_id, b"part")
            await peer.reset(stream_id, 4711)
            await trio.sleep(1)
            await stream.receive_response()
            assert await stream.receive() == DataReceived(stream_id, b"part", False)
            for _ in range(2):
                with pytest.raises(StreamResetError) as caught:
                    await stream.receive()
                assert caught.value.error_code == 4711
                assert not caught.value.retryable
        await peer.alive()
        assert peer.resets() == peer.stops() == []


async def test_a_refused_request_may_be_sent_again(version: Version, autojump_clock: Clock) -> None:
    async with version.connected() as (connection, peer):
        async with connection.open_stream(version.POST) as stream:
            await peer.request_of(version.id_of(0))
            await peer.refuse(version.id_of(0))
            with pytest.raises(RequestNotProcessedError) as caught:
                await stream.receive_response()
            assert caught.value.retryable
            with pytest.raises(RequestNotProcessedError):
                await stream.send_data(b"x")
        assert connection.is_available()


async def test_a_server_that_has_heard_enough_stops_the_upload_and_is_heard(
    version: Version, autojump_clock: Clock
) -> None:
    stream_id = version.id_of(0)
    async with version.connected(window=100) as (connection, peer):
        async with connection.open_stream(version.POST) as stream, trio.open_nursery() as nursery:

            async def upload() -> None:
                with pytest.raises(SendingStoppedError):
                    await stream.send_data(BIG)
                with pytest.raises(SendingStoppedError):
                    await stream.send_data(b"x")

            nursery.start_soon(upload)
            await peer.until(lambda: peer.body_octets(stream_id))
            await peer.answer_early(stream_id)
            await stream.receive_response()
            assert await stream.read_body() == b"hello"
        await peer.alive()
        # where the directions end each for itself, the request is reset, and nothing else; elsewhere nothing is
        assert peer.resets() == ([(stream_id, version.codes.no_error)] if peer.halves else [])
        assert peer.stops() == []


# Lost with the connection

ENDS = {
    "close": lambda peer: peer.close(),
    "close with a code": lambda peer: peer.close(peer.codes.internal_error),
    "vanish": lambda peer: peer.vanish(),
    "a breach": lambda peer: peer.breach(),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_a_lost_connection_fails_every_waiting_call_with_an_exception_of_its_own(
    version: Version, autojump_clock: Clock, end
) -> None:
    failures: list[HfaceError] = []

    async def get(connection: HTTPConnection) -> None:
        with pytest.raises(ConnectionLostError) as caught:
            async with connection.open_stream(version.GET, end_stream=True) as stream:
                await stream.receive_response()
        failures.append(caught.value)

    async with version.connected(http3_settings=IDLE) as (connection, peer):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(get, connection)
            await peer.request_of(version.id_of(2))
            await end(peer)
        assert len({id(failure) for failure in failures}) == 3
        assert not any(failure.retryable for failure in failures)
        assert connection.has_expired()
        with pytest.raises(ConnectionLostError) as caught:
            async with connection.open_stream(version.GET, end_stream=True):
                pass
        assert caught.value.retryable  # nothing was sent
        assert trio.current_time() < 25


@pytest.mark.parametrize("how", ["aclose", "cancel"])
async def test_a_connection_that_is_given_up_says_so(version: Version, autojump_clock: Clock, how: str) -> None:
    async def hold(task_status: trio.TaskStatus[trio.Nursery] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            task_status.started(nursery)
            await trio.sleep_forever()

    async def exchange(connection: HTTPConnection, peer: Peer, nursery: trio.Nursery) -> None:
        async with connection.open_stream(version.GET, end_stream=True):
            await peer.request_of(version.id_of(0))
            if how == "aclose":
                await connection.aclose()
            else:
                nursery.cancel_scope.cancel()
                await trio.sleep_forever()

    async with trio.open_nursery() as holders:
        nursery = await holders.start(hold)
        async with version.connected(nursery=nursery) as (connection, peer):
            began = trio.current_time()
            nursery.start_soon(exchange, connection, peer, nursery)
            await trio.sleep(0.5)
            await peer.read_to_end()
            assert peer.closed_with in {version.codes.no_error, version.codes.cancelled}
            assert trio.current_time() < began + 1
        holders.cancel_scope.cancel()
