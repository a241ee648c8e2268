"""HTTP/3 connections used raw: events and stream ids on both sides, without streams."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPConnection, LocalProtocolError
from hface_trio.connections import HTTPOverQUICListener
from hface_trio.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    HeadersReceived,
    InformationalReceived,
    StreamResetReceived,
    TrailersReceived,
)
from hface_trio.protocols.http3 import HTTP3ServerFactory
from hface_trio.testing import MemoryNetworking

from ..protocols.quic.network import client_tls, server_tls
from .harness import ADDRESS, LATENCY, URL
from .raw import GET, POST, RESPONSE

Clock = trio.testing.MockClock


async def exchange(
    server: Callable[[HTTPConnection], Awaitable[object]], client: Callable[[HTTPConnection], Awaitable[object]]
) -> None:
    """Run a script on each side of a connection."""
    network = MemoryNetworking(to_servers=LATENCY, to_clients=LATENCY)
    factory = HTTP3ServerFactory(server_tls())
    listener = await HTTPOverQUICListener.create(factory, ADDRESS, networking=network)

    async def handle(connection: HTTPConnection) -> None:
        async with connection:
            await server(connection)

    with trio.fail_after(500):
        async with trio.open_nursery() as nursery:
            await nursery.start(listener.serve, handle)
            connect = functools.partial(hface_trio.connect, http_versions=["3"], tls_config=client_tls())
            async with await connect(nursery, URL, networking=network) as connection:
                await client(connection)
            await listener.aclose()
        assert network._links.sockets == {}


async def events_of(connection: HTTPConnection, **options: bool) -> list[Event]:
    """All events up to the end."""
    found: list[Event] = []
    with pytest.raises(trio.EndOfChannel):
        while True:
            found.append(await connection.receive_event(**options))
    return found


async def test_an_exchange(autojump_clock: Clock) -> None:
    of_server: list[Event] = []

    async def server(connection: HTTPConnection) -> None:
        while True:
            event = await connection.receive_event()
            if not isinstance(event, HeadersReceived | DataReceived | TrailersReceived):
                continue
            of_server.append(event)
            if isinstance(event, TrailersReceived):
                break
        await connection.send_headers(0, [(b":status", b"103")])
        await connection.send_headers(0, RESPONSE)
        await connection.send_data(0, b"x" * 200_000)
        await connection.send_trailers(0, [(b"x-end", b"1")])
        await events_of(connection)

    async def client(connection: HTTPConnection) -> None:
        stream_id = connection.get_available_stream_id()
        assert stream_id == 0
        await connection.send_headers(stream_id, POST)
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
            InformationalReceived(0, [(b":status", b"103")]),
            HeadersReceived(0, RESPONSE, False),
            TrailersReceived(0, [(b"x-end", b"1")]),
        ]

    await exchange(server, client)
    assert of_server == [
        HeadersReceived(0, POST, False),
        DataReceived(0, b"abc", False),
        TrailersReceived(0, [(b"x-up", b"1")]),
    ]


async def test_credit_by_hand(autojump_clock: Clock) -> None:
    """What is not acknowledged stops its sender at the window."""

    async def server(connection: HTTPConnection) -> None:
        octets = 0
        with trio.move_on_after(5):
            while True:
                event = await connection.receive_event(auto_acknowledge=False)
                if isinstance(event, DataReceived):
                    octets += len(event.data)
        assert 60_000 < octets <= 65_536
        connection.acknowledge(0, octets)
        with trio.move_on_after(5):
            while octets < 100_000:
                event = await connection.receive_event(auto_acknowledge=False)
                if isinstance(event, DataReceived):
                    octets += len(event.data)
        assert octets == 100_000
        await connection.send_headers(0, RESPONSE, end_stream=True)
        await events_of(connection)

    async def client(connection: HTTPConnection) -> None:
        await connection.send_headers(connection.get_available_stream_id(), POST)
        await connection.send_data(0, bytes(100_000), end_stream=True)
        while not isinstance(await connection.receive_event(), HeadersReceived):
            pass

    await exchange(server, client)


async def test_streams_that_ended_give_their_credit_back(autojump_clock: Clock) -> None:
    async def server(connection: HTTPConnection) -> None:
        with pytest.raises(trio.EndOfChannel):
            while True:
                event = await connection.receive_event()
                if isinstance(event, HeadersReceived):
                    await connection.send_headers(event.stream_id, RESPONSE, end_stream=True)

    async def client(connection: HTTPConnection) -> None:
        for number in range(250):
            stream_id = connection.get_available_stream_id()
            assert stream_id == 4 * number
            await connection.send_headers(stream_id, GET, end_stream=True)
            while not isinstance(await connection.receive_event(), HeadersReceived):
                pass

    await exchange(server, client)


async def test_resets_of_either_side(autojump_clock: Clock) -> None:
    resets: list[Event] = []

    async def server(connection: HTTPConnection) -> None:
        with pytest.raises(trio.EndOfChannel):
            while True:
                event = await connection.receive_event()
                if isinstance(event, StreamResetReceived):
                    resets.append(event)
                elif isinstance(event, HeadersReceived) and event.stream_id == 4:
                    await connection.send_stream_reset(4, 4711)

    async def client(connection: HTTPConnection) -> None:
        await connection.send_headers(connection.get_available_stream_id(), POST)
        await connection.send_headers(connection.get_available_stream_id(), POST)
        await connection.send_stream_reset(0, 4712)
        while not isinstance(event := await connection.receive_event(), StreamResetReceived):
            pass
        assert event == StreamResetReceived(4, 4711)
        await trio.sleep(1)

    await exchange(server, client)
    assert resets == [StreamResetReceived(0, 4712)]


async def test_the_end_is_the_last_event_and_calls_raise_behind_it(autojump_clock: Clock) -> None:
    async def server(connection: HTTPConnection) -> None:
        await connection.receive_event()
        await connection.aclose()

    async def client(connection: HTTPConnection) -> None:
        await connection.send_headers(connection.get_available_stream_id(), POST)
        found = await events_of(connection)
        assert isinstance(found[-1], ConnectionTerminated)
        with pytest.raises((hface_trio.ConnectionLostError, trio.ClosedResourceError, LocalProtocolError)):
            await connection.send_data(0, b"x")

    await exchange(server, client)
