"""What HTTP/2 has beyond the common model, between our server and our client."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPConnection, HTTPStream
from hface_trio.client import RequestURL, request_headers
from hface_trio.events import (
    AlternativeServiceReceived,
    GoawayReceived,
    PushPromiseReceived,
    SettingsAcknowledged,
    SettingsReceived,
)
from hface_trio.protocols.http2 import HTTP2Setting, HTTP2Settings

from ..connections.harness import Serving, serving

Clock = trio.testing.MockClock
URL = "http://localhost:80"


def request(path: str = "/") -> list[tuple[bytes, bytes]]:
    return request_headers("GET", RequestURL.parse(URL + path))


@contextlib.asynccontextmanager
async def connected(s: Serving, **options: object) -> AsyncIterator[HTTPConnection]:
    async with trio.open_nursery() as nursery:
        connect = functools.partial(hface_trio.connect, nursery, URL, networking=s.network)
        async with await connect(**{"http_versions": ["2"], **options}) as connection:  # type: ignore[arg-type]
            yield connection


async def hello(stream: HTTPStream) -> None:
    await stream.send_response(200, body=stream.http_version.encode() + stream.path)


async def fetch(connection: HTTPConnection, path: str = "/") -> bytes:
    async with connection.open_stream(request(path), end_stream=True) as stream:
        await stream.receive_response()
        return await stream.read_body()


async def test_a_ping_tells_the_round_trip(autojump_clock: Clock) -> None:
    async with serving(hello) as s, connected(s) as connection:
        assert connection.http2 is not None
        assert 0 <= await connection.http2.ping() < 0.1


async def test_a_ping_on_a_connection_that_ends_raises(autojump_clock: Clock) -> None:
    network = hface_trio.testing.MemoryNetworking()
    (listener,) = await network.listen_tcp(("localhost", 80))
    async with trio.open_nursery() as nursery:
        connection = await hface_trio.connect(nursery, URL, networking=network, http_versions=["2"])
        peer = await listener.accept()

        async def close() -> None:
            await trio.sleep(1)
            await peer.aclose()

        nursery.start_soon(close)
        assert connection.http2 is not None
        with pytest.raises(hface_trio.ConnectionLostError):
            await connection.http2.ping()


async def test_settings_are_changed_and_told_to_both_sides(autojump_clock: Clock) -> None:
    seen: list[object] = []

    async def handler(stream: HTTPStream) -> None:
        with stream.connection.subscribe() as events:
            await stream.send_headers([(b":status", b"200")])
            async for event in events:
                if isinstance(event, SettingsReceived):
                    seen.append(event)
                    break
        await stream.send_data(b"", end_stream=True)

    async with serving(handler) as s, connected(s) as connection:
        assert connection.http2 is not None
        with connection.subscribe() as events:
            async with connection.open_stream(request(), end_stream=True) as stream:
                await stream.receive_response()
                connection.http2.update_settings({HTTP2Setting.INITIAL_WINDOW_SIZE: 100_000})
                await stream.read_body()
            acknowledged = [event async for event in until(events, SettingsAcknowledged)][-1]
    assert isinstance(acknowledged, SettingsAcknowledged)
    assert acknowledged.settings[HTTP2Setting.INITIAL_WINDOW_SIZE] == 100_000
    assert isinstance(seen[0], SettingsReceived)
    assert seen[0].settings[HTTP2Setting.INITIAL_WINDOW_SIZE] == 100_000


async def until(events: AsyncIterator[object], last: type) -> AsyncIterator[object]:
    async for event in events:
        yield event
        if isinstance(event, last) and (not isinstance(event, SettingsAcknowledged) or len(event.settings) == 1):
            return


async def test_a_handler_pushes_to_a_client_that_takes_it(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        async with stream.push(request("/pushed")) as pushed:
            await pushed.send_response(200, body=b"promised " + pushed.path)
        await stream.send_response(200, body=b"asked")

    settings = HTTP2Settings(accept_push=True)
    async with serving(handler) as s, connected(s, http2_settings=settings) as connection:
        with connection.subscribe() as events:
            assert await fetch(connection) == b"asked"
            promise = [event async for event in until(events, PushPromiseReceived)][-1]
            assert isinstance(promise, PushPromiseReceived)
            assert (b":path", b"/pushed") in promise.headers
            async with connection.pushed_stream(promise.promised_stream_id) as stream:
                await stream.receive_response()
                assert await stream.read_body() == b"promised /pushed"
            with pytest.raises(hface_trio.LocalProtocolError):
                connection.pushed_stream(promise.promised_stream_id)


async def test_a_push_to_a_client_that_takes_none_is_refused(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        with pytest.raises(hface_trio.LocalProtocolError):
            stream.push(request("/pushed"))
        await hello(stream)

    async with serving(handler) as s, connected(s) as connection:
        assert await fetch(connection) == b"2/"


async def test_a_push_that_is_left_unfinished_is_reset(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        async with stream.push(request("/pushed")) as pushed:
            await pushed.send_headers([(b":status", b"200")])
        await hello(stream)

    settings = HTTP2Settings(accept_push=True)
    async with serving(handler) as s, connected(s, http2_settings=settings) as connection:
        assert await fetch(connection) == b"2/"


async def test_goaway_by_hand_carries_its_data_and_ends_the_connection(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        http2 = stream.connection.http2
        assert http2 is not None
        http2.goaway(error_code=0, additional_data=b"maintenance")
        await hello(stream)

    async with serving(handler) as s, connected(s) as connection:
        with connection.subscribe() as events:
            assert await fetch(connection) == b"2/"
            goaway = [event async for event in until(events, GoawayReceived)][-1]
        assert isinstance(goaway, GoawayReceived)
        assert goaway.additional_data == b"maintenance"
        with pytest.raises(hface_trio.ConnectionLostError) as caught:
            await fetch(connection)
        assert caught.value.retryable


async def test_an_alternative_service_is_advertised(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        http2 = stream.connection.http2
        assert http2 is not None
        http2.advertise(b'h3=":443"', origin=b"http://localhost")
        await hello(stream)

    async with serving(handler) as s, connected(s) as connection:
        with connection.subscribe() as events:
            await fetch(connection)
            assert (await events.receive()) is not None
            found = [event async for event in until(events, AlternativeServiceReceived)][-1]
    assert found == AlternativeServiceReceived(b"http://localhost", b'h3=":443"')


async def test_windows_can_be_asked_for(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        http2 = stream.connection.http2
        assert http2 is not None
        assert http2.receive_window() >= 100 * 65536
        assert http2.send_window(stream.stream_id) > 0
        await hello(stream)

    async with serving(handler) as s, connected(s) as connection:
        await fetch(connection)
        assert connection.http2 is not None
        assert connection.http2.peer_settings[HTTP2Setting.MAX_CONCURRENT_STREAMS] == 100


async def test_a_ring_that_is_not_read_drops_the_oldest(autojump_clock: Clock) -> None:
    async with serving(hello) as s, connected(s) as connection:
        assert connection.http2 is not None
        with connection.subscribe() as events:
            for _ in range(100):
                await connection.http2.ping()
            assert events.dropped >= 36
            for _ in range(64):
                await events.receive()


@pytest.mark.parametrize("versions", [["2", "1.1"], ["1.1"]])
async def test_an_upgrade_is_asked_for_and_taken_or_not(versions: list[str], autojump_clock: Clock) -> None:
    async with serving(hello, http_versions=versions) as s, connected(s, upgrade_h2c=True) as connection:
        assert connection.http_version == versions[0]
        for path in ("/a", "/b"):
            assert await fetch(connection, path) == (versions[0] + path).encode()


async def test_http11_has_none_of_it(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        assert stream.connection.http2 is None
        with pytest.raises(hface_trio.LocalProtocolError):
            stream.push(request("/pushed"))
        await hello(stream)

    async with serving(handler) as s, connected(s, http_versions=["1.1"]) as connection:
        assert connection.http2 is None
        assert await fetch(connection) == b"1.1/"


async def test_a_ping_over_a_quick_network_takes_some_time_nevertheless() -> None:
    """In real time: an acknowledgement may come before anything else asks for the time."""

    async def serve_and_ping() -> None:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(hface_trio.serve, hello, "http://127.0.0.1:0")
            connection = await hface_trio.connect(nursery, str(server.endpoints[0]), http_versions=["2"])
            async with connection:
                assert connection.http2 is not None
                began = trio.current_time()
                trips = [await connection.http2.ping() for _ in range(20)]
                assert min(trips) > 0
                assert sum(trips) <= trio.current_time() - began
            await server.shutdown(1)

    with trio.fail_after(10):
        await serve_and_ping()
