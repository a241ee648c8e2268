from __future__ import annotations

import functools
import gc
import weakref
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream
from hface_trio.events import HeadersReceived
from hface_trio.testing import MemoryNetworking

from ..connections.harness import ADDRESS, Outcomes, Peer, serving

Clock = trio.testing.MockClock
URL = "http://localhost:80"


async def echo(stream: HTTPStream) -> None:
    await stream.send_headers([(b":status", b"200"), (b"x-method", stream.method)])
    async for data in stream.iter_data():
        await stream.send_data(data)
    await stream.send_data(b"", end_stream=True)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        await trio.sleep(0.01)
        yield part


async def test_requests_share_a_connection(autojump_clock: Clock) -> None:
    async with serving(echo) as s, s.client() as client:
        for i in range(5):
            response = await client.request("POST", f"{URL}/", content=b"%d" % i)
            assert (response.status, response.body, response.header(b"x-method")) == (200, b"%d" % i, b"POST")
        assert s.server.statistics().connections == 1


@pytest.mark.parametrize("size", [0, 1, 20_000, 1_000_000])
async def test_content_of_any_size_comes_back(size: int, autojump_clock: Clock) -> None:
    content = bytes(size)
    async with serving(echo) as s, s.client() as client:
        for _ in range(2):
            response = await client.request("POST", f"{URL}/", content=content)
            assert response.body == content
        assert s.server.statistics().connections == 1


async def test_iterable_content_is_sent_while_the_response_is_received(autojump_clock: Clock) -> None:
    async with serving(echo) as s, s.client() as client:
        async with client.stream("POST", f"{URL}/", content=chunks(b"a", b"b", b"c")) as response:
            assert [chunk async for chunk in response] == [b"a", b"b", b"c"]
        assert (await client.get(f"{URL}/")).status == 200
        assert s.server.statistics().connections == 1


async def test_leaving_early_cancels_the_request(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await stream.send_headers([(b":status", b"200")])
            while True:
                await stream.send_data(b"x")
                await trio.sleep(1)

    async with serving(handler) as s, s.client() as client:
        async with client.stream("GET", f"{URL}/") as response:
            async for _ in response:
                break
        assert await outcomes.next() == ("cancelled", hface_trio.StreamResetError)


async def test_a_cancelled_request_frees_its_connection(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await trio.sleep(1000)

    async with serving(handler) as s, s.client() as client:
        with trio.move_on_after(1) as scope:
            await client.get(f"{URL}/")
        assert scope.cancelled_caught
        assert await outcomes.next() == ("cancelled", hface_trio.StreamResetError)
        await trio.sleep(3)
        assert s.server.statistics().connections == 0


async def test_an_exception_leaves_the_blocks_as_itself(autojump_clock: Clock) -> None:
    async with serving(echo) as s:
        with pytest.raises(ValueError, match="mine"):
            async with s.client() as client, client.stream("POST", f"{URL}/", content=chunks(b"a", b"b")):
                raise ValueError("mine")


async def test_content_that_fails_fails_the_request(autojump_clock: Clock) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"a"
        raise ValueError("mine")

    async with serving(echo) as s, s.client() as client:
        with pytest.raises(ValueError, match="mine"):
            await client.request("POST", f"{URL}/", content=content())


async def test_an_early_answer_is_received_although_the_upload_is_not_taken(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(403, body=b"no")

    async with serving(handler) as s, s.client() as client:
        response = await client.request("POST", f"{URL}/", content=bytes(10_000_000))
        assert (response.status, response.body) == (403, b"no")


async def test_interim_responses_and_trailers_are_received(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_informational([(b":status", b"103"), (b"link", b"</a>")])
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(b"abc")
        await stream.send_trailers([(b"x-sum", b"7")])

    async with serving(handler) as s, s.client() as client:
        response = await client.get(f"{URL}/")
        assert response.informational == [[(b":status", b"103"), (b"link", b"</a>")]]
        assert response.body == b"abc"
        assert response.trailers == [(b"x-sum", b"7")]


async def test_a_body_beyond_the_bound_is_refused(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=bytes(100_000))

    async with serving(handler) as s, s.client() as client:
        with pytest.raises(hface_trio.BodyTooLargeError):
            await client.get(f"{URL}/", max_size=1000)


@pytest.mark.parametrize(
    "url",
    [
        "localhost",
        "ftp://localhost/",
        "http:///",
        "http://a b/",
        "http://user:pass@localhost/",
        "http://localhost:x/",
        "http://localhost/\udcff",
    ],
)
async def test_a_malformed_url_is_refused_in_one_line(url: str) -> None:
    async with hface_trio.open_client() as client:
        with pytest.raises(hface_trio.ConfigurationError) as caught:
            await client.get(url)
    assert "\n" not in str(caught.value)


async def test_nobody_listening_is_a_connect_error(autojump_clock: Clock) -> None:
    async with serving(echo) as s, s.client() as client:
        with pytest.raises(hface_trio.ConnectError) as caught:
            await client.get("http://localhost:81/")
        assert caught.value.retryable


async def test_a_connection_closed_between_requests_is_not_used_again(autojump_clock: Clock) -> None:
    async with serving(echo, timeouts=hface_trio.Timeouts(idle_seconds=1)) as s, s.client() as client:
        for _ in range(3):
            assert (await client.get(f"{URL}/")).status == 200
            await trio.sleep(5)


@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_a_connection_that_ended_is_not_held(version: str, autojump_clock: Clock) -> None:
    timeouts = hface_trio.Timeouts(idle_seconds=1)
    async with (
        serving(echo, timeouts=timeouts, http_versions=[version]) as s,
        hface_trio.open_client(networking=s.network, http_versions=[version]) as client,
    ):
        held: list[weakref.ref[object]] = []
        for _ in range(2):
            async with client.stream("GET", f"{URL}/") as response:
                held.append(weakref.ref(response.stream.connection))
                await response.read()
            del response
            await trio.sleep(0.5)
            gc.collect()
            assert held[-1]() is not None
            await trio.sleep(5)
            gc.collect()
            assert held[-1]() is None


# A server that speaks raw octets


class RawServer:
    """Accepts connections on a network in memory, for scripts."""

    def __init__(self) -> None:
        self.network = hface_trio.testing.MemoryNetworking()

    async def listen(self) -> RawServer:
        (self.listener,) = await self.network.listen_tcp(ADDRESS)
        return self

    async def accept(self) -> Peer:
        return Peer(await self.listener.accept())  # type: ignore[arg-type]


async def test_a_request_that_crossed_the_end_of_a_kept_connection_is_repeated(autojump_clock: Clock) -> None:
    server = await RawServer().listen()
    seen: list[bytes] = []

    async def serve() -> None:
        first = await server.accept()
        seen.append(await first.read_head())
        await first.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na")
        seen.append(await first.read_head())
        await first.close()  # without an answer
        second = await server.accept()
        seen.append(await second.read_head())
        await second.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nb")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with hface_trio.open_client(networking=server.network) as client:
            assert (await client.get(f"{URL}/")).body == b"a"
            assert (await client.get(f"{URL}/")).body == b"b"
    assert len(seen) == 3


async def test_a_post_is_not_repeated(autojump_clock: Clock) -> None:
    server = await RawServer().listen()

    async def serve() -> None:
        first = await server.accept()
        await first.read_head()
        await first.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na")
        await first.read_head()
        await first.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with hface_trio.open_client(networking=server.network) as client:
            await client.get(f"{URL}/")
            with pytest.raises(hface_trio.ConnectionLostError):
                await client.request("POST", f"{URL}/", content=b"x")


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    "answer",
    [
        b"H",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\nx: y\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000,
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    ],
)
async def test_a_request_is_not_repeated_once_an_answer_began_to_come(
    answer: bytes, reset: bool, autojump_clock: Clock
) -> None:
    server = await RawServer().listen()

    async def serve() -> None:
        peer = await server.accept()
        await peer.read_head()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na")
        await peer.read_head()
        await peer.send(answer)
        await trio.sleep(1)
        if reset:
            peer.reset()
        else:
            await peer.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with hface_trio.open_client(networking=server.network) as client:
            await client.get(f"{URL}/")
            with pytest.raises(hface_trio.ConnectionLostError):
                await client.get(f"{URL}/")
    with trio.move_on_after(1):
        await server.accept()
        raise AssertionError("the request came twice")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    ],
)
async def test_an_answer_that_is_cut_off_or_malformed_raises(answer: bytes, autojump_clock: Clock) -> None:
    server = await RawServer().listen()

    async def serve() -> None:
        peer = await server.accept()
        await peer.read_head()
        await peer.send(answer)
        await peer.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with hface_trio.open_client(networking=server.network) as client:
            with pytest.raises(hface_trio.ConnectionLostError):
                await client.get(f"{URL}/")


@pytest.mark.parametrize("clean", [True, False])
async def test_a_body_that_ends_with_the_connection_ends_cleanly_only_with_a_fin(
    clean: bool, autojump_clock: Clock
) -> None:
    server = await RawServer().listen()

    async def serve() -> None:
        peer = await server.accept()
        await peer.read_head()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nabc")
        await trio.sleep(1)
        if clean:
            await peer.close()
        else:
            peer.reset()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with hface_trio.open_client(networking=server.network) as client:
            if clean:
                assert (await client.get(f"{URL}/")).body == b"abc"
            else:
                with pytest.raises(hface_trio.ConnectionLostError):
                    await client.get(f"{URL}/")


# One connection


async def test_a_connection_in_the_callers_nursery_never_raises_into_it(autojump_clock: Clock) -> None:
    server = await RawServer().listen()
    headers = hface_trio.client.request_headers("GET", hface_trio.client.RequestURL.parse(f"{URL}/"))
    async with trio.open_nursery() as nursery:
        connection = await hface_trio.connect(nursery, URL, networking=server.network)
        peer = await server.accept()
        async with connection.open_stream(headers, end_stream=True) as stream:
            peer.reset()
            with pytest.raises(hface_trio.ConnectionLostError) as first:
                await stream.receive_response()
            with pytest.raises(hface_trio.ConnectionLostError) as second:
                await stream.receive_response()
            assert first.value is not second.value
            assert first.value.__cause__ is not None
        with pytest.raises(hface_trio.ConnectionLostError) as late:
            async with connection.open_stream(headers, end_stream=True):
                pass
        assert late.value.retryable
        assert connection.has_expired()


async def test_a_failed_connect_leaves_nothing(autojump_clock: Clock) -> None:
    async with serving(echo) as s, trio.open_nursery() as nursery:
        with pytest.raises(hface_trio.ConnectError):
            await hface_trio.connect(nursery, "http://localhost:81", networking=s.network)
        with pytest.raises(hface_trio.ConfigurationError, match="HTTP version"):
            await hface_trio.connect(nursery, URL, networking=s.network, http_versions=["0.9"])
        assert not nursery.child_tasks


async def test_streams_of_one_connection_take_turns(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(1)
        await stream.send_response(200, body=stream.path)

    got: list[bytes] = []

    async with serving(handler) as s, trio.open_nursery() as nursery:
        connection = await hface_trio.connect(nursery, URL, networking=s.network)
        async with connection:

            async def fetch(path: str) -> None:
                url = hface_trio.client.RequestURL.parse(f"{URL}{path}")
                headers = hface_trio.client.request_headers("GET", url)
                async with connection.open_stream(headers, end_stream=True) as stream:
                    head = await stream.receive_response()
                    assert isinstance(head, HeadersReceived)
                    got.append(await stream.read_body())

            async with trio.open_nursery() as fetchers:
                for path in ("/a", "/b", "/c"):
                    fetchers.start_soon(fetch, path)
        assert connection.has_expired()
    assert sorted(got) == [b"/a", b"/b", b"/c"]
    assert trio.current_time() == pytest.approx(3, abs=0.2)


async def test_cancelling_the_nursery_closes_the_connection(autojump_clock: Clock) -> None:
    async with serving(echo) as s:
        async with trio.open_nursery() as nursery:
            await hface_trio.connect(nursery, URL, networking=s.network)
            await trio.testing.wait_all_tasks_blocked()
            assert s.server.statistics().connections == 1
            nursery.cancel_scope.cancel()
        await trio.sleep(0.1)
        assert s.server.statistics().connections == 0


@pytest.mark.parametrize("engine", ["h11", "httptools"])
async def test_an_engine_is_chosen_by_its_name(engine: str, autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetworking()

    async def handler(stream: hface_trio.HTTPStream) -> None:
        await stream.send_response(200, body=await stream.read_body())

    async with trio.open_nursery() as nursery:
        serve = functools.partial(hface_trio.serve, networking=network, engines={"1.1": engine})
        server = await nursery.start(serve, handler, "http://localhost:80")
        async with hface_trio.open_client(networking=network, engines={"1.1": engine}) as client:
            response = await client.request("POST", "http://localhost:80/", content=b"hello")
            assert (response.status, response.body) == (200, b"hello")
        await server.shutdown()


@pytest.mark.parametrize("engines", [{"1.1": "none"}, {"3": "aioquic"}, {"4": "h2"}])
async def test_an_engine_that_there_is_not_is_refused(engines: dict[str, str]) -> None:
    with pytest.raises(hface_trio.ConfigurationError, match="engine"):
        hface_trio.open_client(engines=engines)
    with pytest.raises(hface_trio.ConfigurationError, match="engine"):
        await hface_trio.serve(None, "http://localhost:0", engines=engines)
