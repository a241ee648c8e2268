"""HTTPConnection used raw, event by event."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPConnection
from hface_trio.client import RequestURL, request_headers
from hface_trio.connections import HTTPOverTCPListener, HTTPOverTCPOpener
from hface_trio.events import ConnectionTerminated, DataReceived, HeadersReceived, StreamResetReceived, TrailersReceived
from hface_trio.protocols import HTTP1ClientFactory, HTTP1ServerFactory
from hface_trio.testing import MemoryNetworking

from .harness import ADDRESS, GET, Peer

Clock = trio.testing.MockClock


async def echo_events(connection: HTTPConnection) -> None:
    """Answer every request with its own body, from events."""
    async with connection:
        while True:
            event = await connection.receive_event()
            if isinstance(event, ConnectionTerminated):
                return
            if isinstance(event, HeadersReceived):
                await connection.send_headers(event.stream_id, [(b":status", b"200")], end_stream=event.end_stream)
            elif isinstance(event, DataReceived):
                await connection.send_data(event.stream_id, event.data, end_stream=event.end_stream)
            elif isinstance(event, TrailersReceived):
                await connection.send_trailers(event.stream_id, event.headers)


async def listen(network: MemoryNetworking) -> HTTPOverTCPListener:
    return await HTTPOverTCPListener.create(HTTP1ServerFactory(), ADDRESS, networking=network)


async def test_a_server_and_a_client_speak_by_events(autojump_clock: Clock) -> None:
    network = MemoryNetworking()
    async with trio.open_nursery() as nursery:
        listener = await listen(network)
        assert await nursery.start(listener.serve, echo_events) == (ADDRESS,)
        opener = HTTPOverTCPOpener(HTTP1ClientFactory(), networking=network)
        async with await opener(ADDRESS) as connection:
            assert (connection.http_version, connection.multiplexed) == ("1.1", False)
            assert connection.remote_address == ADDRESS
            for i in range(3):
                stream_id = connection.get_available_stream_id()
                headers = request_headers("POST", RequestURL.parse("http://localhost/"))
                await connection.send_headers(stream_id, headers)
                assert isinstance(await connection.receive_event(), HeadersReceived)
                await connection.send_data(stream_id, b"x" * 300_000)
                got = 0
                while got < 300_000:
                    event = await connection.receive_event()
                    assert isinstance(event, DataReceived)
                    got += len(event.data)
                await connection.send_trailers(stream_id, [(b"x-round", b"%d" % i)])
                assert await connection.receive_event() == TrailersReceived(stream_id, [(b"x-round", b"%d" % i)])
                assert connection.is_available()
        assert connection.has_expired()
        nursery.cancel_scope.cancel()


async def test_without_acknowledgement_the_peer_stops_at_the_window(autojump_clock: Clock) -> None:
    network = MemoryNetworking()
    taken: list[int] = []

    async def handler(connection: HTTPConnection) -> None:
        async with connection:
            head = await connection.receive_event(auto_acknowledge=False)
            assert isinstance(head, HeadersReceived)
            total = 0
            with trio.move_on_after(1):
                while True:
                    event = await connection.receive_event(auto_acknowledge=False)
                    assert isinstance(event, DataReceived)
                    total += len(event.data)
            taken.append(total)
            connection.acknowledge(head.stream_id, total)
            event = await connection.receive_event()
            assert isinstance(event, DataReceived)
            await connection.send_headers(head.stream_id, [(b":status", b"204")], end_stream=True)
            await connection.aclose()

    async with trio.open_nursery() as nursery:
        listener = await listen(network)
        await nursery.start(listener.serve, handler)
        peer = Peer(await network.connect_tcp(ADDRESS))
        await peer.send(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n")
        with trio.move_on_after(5):
            await peer.send(b"x" * 1_000_000)
        assert (await peer.read_head()).startswith(b"HTTP/1.1 204 ")
        await peer.close()
        nursery.cancel_scope.cancel()
    assert 65536 * 3 // 4 <= taken[0] <= 65536  # the last quarter of a window is not worth a read


async def test_the_departure_of_the_peer_is_told_by_events(autojump_clock: Clock) -> None:
    network = MemoryNetworking()
    events: list[object] = []

    async def handler(connection: HTTPConnection) -> None:
        async with connection:
            try:
                while True:
                    events.append(await connection.receive_event())
            except trio.EndOfChannel:
                events.append("end")

    async with trio.open_nursery() as nursery:
        listener = await listen(network)
        await nursery.start(listener.serve, handler)
        peer = Peer(await network.connect_tcp(ADDRESS))
        await peer.send(GET)
        await trio.testing.wait_all_tasks_blocked()
        await peer.close()
        await trio.sleep(3)
        nursery.cancel_scope.cancel()
    head, reset, terminated, end = events
    assert isinstance(head, HeadersReceived)
    assert isinstance(reset, StreamResetReceived)
    assert isinstance(terminated, ConnectionTerminated)
    assert end == "end"


async def test_the_two_ways_of_use_do_not_mix(autojump_clock: Clock) -> None:
    network = MemoryNetworking()
    headers = request_headers("GET", RequestURL.parse("http://localhost/"))

    async with trio.open_nursery() as nursery:
        listener = await listen(network)
        await nursery.start(listener.serve, echo_events)
        opener = HTTPOverTCPOpener(HTTP1ClientFactory(), networking=network)
        async with await opener(ADDRESS) as connection:
            async with connection.open_stream(headers, end_stream=True) as stream:
                await stream.receive_response()
            with pytest.raises(hface_trio.LocalProtocolError, match="by streams"):
                await connection.receive_event()
        async with await opener(ADDRESS) as connection:
            await connection.send_headers(1, headers, end_stream=True)
            with pytest.raises(hface_trio.LocalProtocolError, match="raw"):
                connection.open_stream(headers)
        nursery.cancel_scope.cancel()


async def test_a_connection_that_does_not_run_says_so(autojump_clock: Clock) -> None:
    network = MemoryNetworking()
    async with await listen(network):
        connection = await HTTPOverTCPOpener(HTTP1ClientFactory(), networking=network)(ADDRESS)
        with pytest.raises(hface_trio.LocalProtocolError, match="does not run"):
            await connection.receive_event()
        await connection.aclose()


async def test_a_blocks_own_exception_leaves_it_as_itself(autojump_clock: Clock) -> None:
    network = MemoryNetworking()
    async with await listen(network):
        opener = HTTPOverTCPOpener(HTTP1ClientFactory(), networking=network)
        with pytest.raises(ValueError, match="mine"):
            async with await opener(ADDRESS):
                raise ValueError("mine")
