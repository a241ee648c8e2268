"""Odd timing and odd use, each once found the hard way."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPConnection, HTTPStream, Limits
from hface_trio.client import RequestURL, request_headers
from hface_trio.connections import HTTPOverTCPListener, HTTPOverTCPOpener
from hface_trio.events import DataReceived, HeadersReceived, TrailersReceived
from hface_trio.protocols import HTTP1ClientFactory, HTTP2ClientFactory, HTTP2ServerFactory
from hface_trio.testing import MemoryNetworking

from .harness import ADDRESS, GET, Peer, serving

Clock = trio.testing.MockClock
URL = "http://localhost:80"


def request(method: str = "GET", path: str = "/") -> list[tuple[bytes, bytes]]:
    return request_headers(method, RequestURL.parse(URL + path))


async def hello(stream: HTTPStream) -> None:
    await stream.send_response(200, body=b"hello " + stream.path)


@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_a_group_of_cancellation_and_failure_harms_no_neighbour(version: str, autojump_clock: Clock) -> None:
    async def fail_in_cleanup() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("clean-up failed")

    async def handler(stream: HTTPStream) -> None:
        if stream.path == b"/bad":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail_in_cleanup)
                await trio.sleep_forever()
        await trio.sleep(3)
        await hello(stream)

    async with serving(handler) as s, s.client(http_versions=[version]) as client, trio.open_nursery() as nursery:

        async def give_up() -> None:
            with trio.move_on_after(1):
                await client.get(f"{URL}/bad")

        nursery.start_soon(give_up)
        assert (await client.get(f"{URL}/good")).body == b"hello /good"


@pytest.mark.parametrize("factory", [HTTP1ClientFactory, HTTP2ClientFactory])
async def test_entering_a_connection_while_cancelled_leaves_trio_sane(
    factory: type[HTTP1ClientFactory], autojump_clock: Clock
) -> None:
    async with serving(hello) as s:
        connection = await HTTPOverTCPOpener(factory(), networking=s.network)(ADDRESS)
        with trio.CancelScope() as scope:
            scope.cancel()
            async with connection:
                raise AssertionError("not to be reached")
        assert scope.cancelled_caught
        await trio.sleep(1)
        await connection.aclose()


@pytest.mark.parametrize("delay", [0, 0.5])
async def test_a_cancelled_block_around_a_connection_is_just_cancelled(delay: float, autojump_clock: Clock) -> None:
    async with serving(hello) as s:
        for _ in range(20):
            with trio.move_on_after(delay):
                async with trio.open_nursery() as nursery:
                    async with await hface_trio.connect(nursery, URL, networking=s.network) as connection:
                        async with connection.open_stream(request(), end_stream=True) as stream:
                            await stream.receive_response()
                            await trio.sleep_forever()


async def test_octets_behind_an_upgrade_wait_within_bounds(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=bytes(60_000))

    async with serving(handler, buffer_octets=20_000) as s:
        peer = await s.connect()
        upgrade = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n"
        await peer.send(GET + b"GET /b HTTP/1.1\r\nhost: a\r\n" + upgrade)
        with trio.move_on_after(20):
            while True:
                await peer.send(bytes(10_000))
        assert s.server.statistics().buffered_octets < 300_000
        peer.reset()


async def test_a_client_sends_and_receives_in_an_upgraded_tunnel(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"101"), (b"upgrade", b"echo")])
        async for data in stream.iter_data():
            await stream.send_data(data.upper())
        await stream.send_data(b"", end_stream=True)

    async with serving(handler) as s, trio.open_nursery() as nursery:
        async with await hface_trio.connect(nursery, URL, networking=s.network, http_versions=["1.1"]) as connection:
            async with connection.open_stream([*request(), (b"upgrade", b"echo")], end_stream=True) as stream:
                assert (await stream.receive_response()).headers[0] == (b":status", b"101")
                assert stream.tunnel
                await stream.send_data(b"hello")
                event = await stream.receive()
                assert isinstance(event, DataReceived)
                assert event.data == b"HELLO"
                await stream.send_data(b"", end_stream=True)
                assert await stream.read_body() == b""


async def test_handlers_of_a_server_are_counted_from_their_request_on(autojump_clock: Clock) -> None:
    running = peak = 0

    async def handler(stream: HTTPStream) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await trio.sleep(1)
        running -= 1
        await hello(stream)

    async with serving(handler, limits=Limits(handlers=2)) as s:
        peers = [await s.connect() for _ in range(10)]
        for peer in peers:
            await peer.send(GET)  # all before any handler runs
        answers = sorted([(await peer.read_head())[9:12] for peer in peers])
        assert answers == [b"200"] * 2 + [b"503"] * 8
        assert peak == 2
        for peer in peers:
            await peer.close()


async def test_connection_limits_hold_for_all_endpoints_together(autojump_clock: Clock) -> None:
    network = MemoryNetworking()
    async with trio.open_nursery() as nursery:
        serve = functools.partial(hface_trio.serve, networking=network, limits=Limits(connections=2))
        server = await nursery.start(serve, hello, ["http://localhost:80", "http://localhost:81"])
        peers = [Peer(await network.connect_tcp(("localhost", port))) for port in (80, 80, 81, 81)]
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().connections == 2
        assert server.statistics().connections_refused == 2
        for peer in peers:
            await peer.close()
        await server.shutdown(1)


@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_receiving_when_the_stream_is_over_raises(version: str, autojump_clock: Clock) -> None:
    kept: list[HTTPStream] = []

    async def handler(stream: HTTPStream) -> None:
        kept.append(stream)
        await hello(stream)

    async with serving(handler) as s, s.client(http_versions=[version]) as client:
        async with client.stream("POST", f"{URL}/", content=endless()) as response:
            await response.read()
        await trio.sleep(1)
        with trio.fail_after(5), pytest.raises((trio.ClosedResourceError, hface_trio.StreamResetError)):
            await kept[0].receive()


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x"
        await trio.sleep(0.1)


@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_a_handler_may_close_its_own_connection(version: str, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await hello(stream)
        await stream.flush()
        await stream.connection.aclose()

    async with serving(handler) as s, s.client(http_versions=[version]) as client:
        assert (await client.get(f"{URL}/a")).body == b"hello /a"
        await trio.sleep(5)
        assert s.server.statistics().connections == 0


async def test_a_cancelled_shutdown_goes_on(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(3)
        await hello(stream)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET)
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0):
            await s.server.shutdown(60)
        with trio.move_on_after(0.01):
            await s.server.shutdown(60)
        with trio.fail_after(10):
            assert (await peer.read_to_end()).endswith(b"hello /")
        await peer.close()
        with trio.fail_after(1):
            await s.server.shutdown()


@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_requests_to_an_origin_that_cannot_be_reached_fail_together(version: str, autojump_clock: Clock) -> None:
    class Slow(MemoryNetworking):
        async def connect_tcp(self, address: tuple[str, int]) -> hface_trio.testing.MemoryByteStream:
            await trio.sleep(10)
            raise hface_trio.ConnectError("nobody there")

    failed: list[float] = []

    async with hface_trio.open_client(networking=Slow(), http_versions=[version]) as client:

        async def fetch() -> None:
            with pytest.raises(hface_trio.ConnectError):
                await client.get(f"{URL}/")
            failed.append(trio.current_time())

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(fetch)
    assert failed == pytest.approx([10] * 5)


async def test_a_request_that_an_http2_server_has_refused_is_repeated(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        if stream.stream_id == 1:
            stream.reset(7)
            return
        await hello(stream)

    async with serving(handler) as s, s.client(http_versions=["2"]) as client:
        response = await client.request("POST", f"{URL}/a", content=b"x")
        assert (response.status, response.body) == (200, b"hello /a")


async def test_content_is_closed_with_its_request(autojump_clock: Clock) -> None:
    closed: list[float] = []

    async def content() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
                await trio.sleep(0.1)
        finally:
            closed.append(trio.current_time())

    async with serving(hello) as s, s.client() as client:
        async with client.stream("POST", f"{URL}/", content=content()) as response:
            assert response.status == 200
        assert closed


async def test_raw_trailers_come_behind_all_data(autojump_clock: Clock) -> None:
    network = MemoryNetworking()
    body = bytes(300_000)

    async def serve(connection: HTTPConnection) -> None:
        async with connection:
            try:
                while True:
                    event = await connection.receive_event()
                    if isinstance(event, HeadersReceived):
                        await connection.send_headers(event.stream_id, [(b":status", b"200")])
                        await connection.send_data(event.stream_id, body)
                        await connection.send_trailers(event.stream_id, [(b"x-sum", b"0")])
            except trio.EndOfChannel:
                return

    async with trio.open_nursery() as nursery:
        listener = await HTTPOverTCPListener.create(HTTP2ServerFactory(), ADDRESS, networking=network)
        await nursery.start(listener.serve, serve)
        async with await HTTPOverTCPOpener(HTTP2ClientFactory(), networking=network)(ADDRESS) as connection:
            for stream_id in (1, 3, 5):
                await connection.send_headers(stream_id, request(), end_stream=True)
                received = 0
                while True:
                    event = await connection.receive_event()
                    if isinstance(event, DataReceived):
                        received += len(event.data)
                    elif isinstance(event, TrailersReceived):
                        break
                assert received == len(body)
        nursery.cancel_scope.cancel()


async def test_a_handshake_that_ends_during_the_shutdown_is_drained(autojump_clock: Clock) -> None:
    async with serving(hello) as s, trio.open_nursery() as nursery:
        peer = await s.connect()  # has not said which version it speaks
        nursery.start_soon(s.server.shutdown, 20)
        await trio.sleep(0.5)
        client = HTTPOverTCPOpener(HTTP2ClientFactory(), networking=_Taken(peer))
        async with await client(ADDRESS) as connection:
            async with connection.open_stream(request(), end_stream=True) as stream:
                await stream.receive_response()
                assert await stream.read_body() == b"hello /"
            await trio.sleep(2)
            assert connection.has_expired()
        assert trio.current_time() < 5


class _Taken(MemoryNetworking):
    """Hands out a connection that was made before."""

    def __init__(self, peer: Peer) -> None:
        super().__init__()
        self._peer = peer

    async def connect_tcp(self, address: tuple[str, int]) -> hface_trio.testing.MemoryByteStream:
        await trio.lowlevel.checkpoint()
        return self._peer.stream
