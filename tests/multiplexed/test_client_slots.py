"""How many requests a client has on their way: as many as the server allows, and not one less for those given up."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio import HTTPConnection

from .version import Version

Clock = trio.testing.MockClock


async def get(connection: HTTPConnection, version: Version) -> None:
    async with connection.open_stream(version.GET, end_stream=True) as stream:
        await stream.receive_response()
        await stream.read_body()


async def test_the_client_obeys_the_limit_on_streams(version: Version, autojump_clock: Clock) -> None:
    ids = [version.id_of(number) for number in range(5)]
    async with version.connected(streams=2) as (connection, peer), trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(get, connection, version)
        await peer.request_of(ids[1])
        await peer.read_for(1)
        assert sorted(peer.requests()) == ids[:2]
        assert not connection.is_available()
        for stream_id in ids:
            await peer.answer(stream_id)


async def test_a_limit_that_rises_lets_waiting_requests_go(version: Version, autojump_clock: Clock) -> None:
    async with version.connected(streams=0) as (connection, peer), trio.open_nursery() as nursery:
        nursery.start_soon(get, connection, version)
        await peer.read_for(1)
        assert peer.requests() == []
        await peer.allow_streams(1)
        await peer.answer(version.id_of(0))


async def test_cancelled_waiters_leave_no_slot_taken(version: Version, autojump_clock: Clock) -> None:
    async with version.connected(streams=1) as (connection, peer):
        async with connection.open_stream(version.GET, end_stream=True) as stream:
            with trio.move_on_after(1):
                async with connection.open_stream(version.GET, end_stream=True):
                    pytest.fail("there is no slot")
            await peer.answer(version.id_of(0))
            await stream.receive_response()
            await stream.read_body()
        for stream_id in map(version.id_of, range(1, 4)):
            with trio.move_on_after(1):
                async with connection.open_stream(version.GET, end_stream=True) as stream:
                    await stream.receive_response()
            await peer.until(lambda stream_id=stream_id: (stream_id, version.codes.cancelled) in peer.stops())
            if peer.halves:
                await peer.reset(stream_id)
        await peer.read_for(1)
        assert connection.is_available()
