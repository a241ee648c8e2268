"""Connections used raw: events and stream ids on both sides, without streams."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPConnection, LocalProtocolError
from hface_trio.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    HeadersReceived,
    InformationalReceived,
    StreamResetReceived,
    TrailersReceived,
)

from .version import Version

Clock = trio.testing.MockClock
RESPONSE = [(b":status", b"200")]


async def exchange(
    version: Version,
    server: Callable[[HTTPConnection], Awaitable[object]],
    client: Callable[[HTTPConnection], Awaitable[object]],
) -> None:
    """Run a script on each side of a connection."""

    async def handle(connection: HTTPConnection) -> None:
        async with connection:
            await server(connection)

    with trio.fail_after(500):
        async with trio.open_nursery() as nursery, version.listening(handle) as connect:
            async with await connect(nursery) as connection:
                await client(connection)


async def events_of(connection: HTTPConnection, **options: bool) -> list[Event]:
    """All events up to the end."""
    found: list[Event] = []
    with pytest.raises(trio.EndOfChannel):
        while True:
            found.append(await connection.receive_event(**options))
    return found


async def test_an_exchange(version: Version, autojump_clock: Clock) -> None:
    stream_id = version.id_of(0)
    of_server: list[Event] = []

    async def server(connection: HTTPConnection) -> None:
        while True:
            event = await connection.receive_event()
            if not isinstance(event, HeadersReceived | DataReceived | TrailersReceived):
                continue
            of_server.append(event)
            if isinstance(event, TrailersReceived):
                break
        await connection.send_headers(stream_id, [(b":status", b"103")])
        await connection.send_headers(stream_id, RESPONSE)
        await connection.send_data(stream_id, b"x" * 200_000)
        await connection.send_trailers(stream_id, [(b"x-end", b"1")])
        await events_of(connection)

    async def client(connection: HTTPConnection) -> None:
        assert connection.get_available_stream_id() == stream_id
        await connection.send_headers(stream_id, version.POST)
        await connection.send_data(stream_id, b"abc")
        await connection.send_trailers(stream_id, [(b"x-up", b"1")])
        found: list[Event] = []
        octets = 0
        while not found or not isinstance(found[-1], TrailersReceived):
            event = await connection.receive_event()
            if isinstance(event, DataReceived):
                octets += len(event.data)
            elif isinstance(event, InformationalReceived | HeadersReceived | TrailersReceived):
                found.append(event)
        assert octets == 200_000
        assert found == [
            InformationalReceived(stream_id, [(b":status", b"103")]),
            HeadersReceived(stream_id, RESPONSE, False),
            TrailersReceived(stream_id, [(b"x-end", b"1")]),
        ]

    await exchange(version, server, client)
    assert of_server == [
        HeadersReceived(stream_id, version.POST, False),
        DataReceived(stream_id, b"abc", False),
        TrailersReceived(stream_id, [(b"x-up", b"1")]),
    ]


async def test_credit_by_hand(version: Version, autojump_clock: Clock) -> None:
    """What is not acknowledged stops its sender at the window."""
    stream_id = version.id_of(0)

    async def server(connection: HTTPConnection) -> None:
        octets = 0
        with trio.move_on_after(5):
            while True:
                event = await connection.receive_event(auto_acknowledge=False)
                if isinstance(event, DataReceived):
                    octets += len(event.data)
        assert 60_000 < octets <= 65_536
        connection.acknowledge(stream_id, octets)
        with trio.move_on_after(5):
            while octets < 100_000:
                event = await connection.receive_event(auto_acknowledge=False)
                if isinstance(event, DataReceived):
                    octets += len(event.data)
        assert octets == 100_000
        await connection.send_headers(stream_id, RESPONSE, end_stream=True)
        await events_of(connection)

    async def client(connection: HTTPConnection) -> None:
        await connection.send_headers(connection.get_available_stream_id(), version.POST)
        await connection.send_data(stream_id, bytes(100_000), end_stream=True)
        while not isinstance(await connection.receive_event(), HeadersReceived):
            pass

    await exchange(version, server, client)


async def test_streams_that_ended_give_their_credit_back(version: Version, autojump_clock: Clock) -> None:
    async def server(connection: HTTPConnection) -> None:
        with pytest.raises(trio.EndOfChannel):
            while True:
                event = await connection.receive_event()
                if isinstance(event, HeadersReceived):
                    await connection.send_headers(event.stream_id, RESPONSE, end_stream=True)

    async def client(connection: HTTPConnection) -> None:
        for number in range(250):
            stream_id = connection.get_available_stream_id()
            assert stream_id == version.id_of(number)
            await connection.send_headers(stream_id, version.GET, end_stream=True)
            while not isinstance(await connection.receive_event(), HeadersReceived):
                pass

    await exchange(version, server, client)


async def test_resets_of_either_side(version: Version, autojump_clock: Clock) -> None:
    first, second = version.id_of(0), version.id_of(1)
    resets: list[Event] = []

    async def server(connection: HTTPConnection) -> None:
        with pytest.raises(trio.EndOfChannel):
            while True:
                event = await connection.receive_event()
                if isinstance(event, StreamResetReceived):
                    resets.append(event)
                elif isinstance(event, HeadersReceived) and event.stream_id == second:
                    await connection.send_stream_reset(second, 4711)

    async def client(connection: HTTPConnection) -> None:
        await connection.send_headers(connection.get_available_stream_id(), version.POST)
        await connection.send_headers(connection.get_available_stream_id(), version.POST)
        await connection.send_stream_reset(first, 4712)
        while not isinstance(event := await connection.receive_event(), StreamResetReceived):
            pass
        assert event == StreamResetReceived(second, 4711)
        await trio.sleep(1)

    await exchange(version, server, client)
    assert resets == [StreamResetReceived(first, 4712)]


async def test_the_end_is_the_last_event_and_calls_raise_behind_it(version: Version, autojump_clock: Clock) -> None:
    async def server(connection: HTTPConnection) -> None:
        await connection.receive_event()
        await connection.aclose()

    async def client(connection: HTTPConnection) -> None:
        await connection.send_headers(connection.get_available_stream_id(), version.POST)
        found = await events_of(connection)
        assert isinstance(found[-1], ConnectionTerminated)
        with pytest.raises((hface_trio.ConnectionLostError, trio.ClosedResourceError, LocalProtocolError)):
            await connection.send_data(version.id_of(0), b"x")

    await exchange(version, server, client)
