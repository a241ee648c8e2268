"""Our client against other projects' servers."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
import trio

import hface_trio
from hface_trio.server import ConnectionRecord
from hface_trio.testing import Authority

from ._payload import MIB, chunks, digest
from ._peers import NAMES, running_peer

LARGE = 32 * MIB
SECONDS = 30


class Connections(hface_trio.Observer):
    """Counts the connections of a client, and lets a test wait for their ends."""

    def __init__(self) -> None:
        self.opened = 0
        self._closed = trio.Semaphore(0)

    def connection_opened(self, record: ConnectionRecord) -> None:
        self.opened += 1

    def connection_closed(self, record: ConnectionRecord) -> None:
        self._closed.release()

    async def wait_closed(self) -> None:
        """Wait until one more connection was closed."""
        await self._closed.acquire()


@pytest.fixture(scope="module", params=NAMES)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with running_peer(request.param) as url:
        yield url


@pytest.fixture(scope="module", params=NAMES)
def secure_url(request: pytest.FixtureRequest, authority: Authority) -> Iterator[str]:
    with running_peer(request.param, certificate=authority.issue("localhost", "127.0.0.1")) as url:
        yield url


async def test_get(url: str) -> None:
    with trio.fail_after(SECONDS):
        async with hface_trio.open_client() as client:
            response = await client.get(f"{url}/hello")
    assert (response.status, response.http_version, response.body) == (200, "1.1", b"hello\n")
    assert response.header(b"content-type") == b"text/plain"


async def test_the_server_finds_method_path_and_fields(url: str) -> None:
    with trio.fail_after(SECONDS):
        async with hface_trio.open_client() as client:
            response = await client.request("DELETE", f"{url}/headers?a=1", headers=[(b"x-field", b"value")])
    shown = json.loads(response.body)
    assert (shown["method"], shown["path"]) == ("DELETE", "/headers")
    assert ["x-field", "value"] in shown["headers"]
    assert ["host", url.removeprefix("http://")] in shown["headers"]


async def test_a_missing_page_is_404(url: str) -> None:
    with trio.fail_after(SECONDS):
        async with hface_trio.open_client() as client:
            response = await client.get(f"{url}/missing")
    assert (response.status, response.body) == (404, b"there is nothing here\n")


async def test_responses_without_a_body_leave_the_connection_in_order(url: str) -> None:
    connections = Connections()
    with trio.fail_after(SECONDS):
        async with hface_trio.open_client(observer=connections) as client:
            head = await client.request("HEAD", f"{url}/hello")
            empty = await client.get(f"{url}/empty")
            last = await client.get(f"{url}/hello")
    assert (head.status, head.body, head.header(b"content-length")) == (200, b"", b"6")
    assert (empty.status, empty.body) == (204, b"")
    assert last.body == b"hello\n"
    assert connections.opened == 1


async def test_post_with_a_body(url: str) -> None:
    body = b"".join(chunks(3 * MIB))
    with trio.fail_after(SECONDS):
        async with hface_trio.open_client() as client:
            response = await client.request("POST", f"{url}/digest", content=body)
            small = await client.request("POST", f"{url}/echo", content=b"hello")
    assert json.loads(response.body) == {"octets": len(body), "sha256": digest(len(body))}
    assert small.body == b"hello"


async def test_chunked_upload(url: str) -> None:
    async def content() -> AsyncIterator[bytes]:
        for chunk in chunks(LARGE):
            yield chunk

    with trio.fail_after(SECONDS):
        async with hface_trio.open_client() as client:
            response = await client.request("POST", f"{url}/digest", content=content())
    assert json.loads(response.body) == {"octets": LARGE, "sha256": digest(LARGE)}


async def test_both_directions_at_once(url: str) -> None:
    """Each piece is sent only when the one before has come back."""
    send_channel, content = trio.open_memory_channel[bytes](0)
    with trio.fail_after(SECONDS):
        async with (
            hface_trio.open_client() as client,
            client.stream("POST", f"{url}/echo", content=content) as response,
        ):
            for number in range(100):
                piece = b"%d " % number * 100
                await send_channel.send(piece)
                received = b""
                while len(received) < len(piece):
                    received += await anext(response)
                assert received == piece
            await send_channel.aclose()
            with pytest.raises(StopAsyncIteration):
                await anext(response)


@pytest.mark.parametrize("length", ["yes", "no"])
async def test_large_download(url: str, length: str) -> None:
    sha = hashlib.sha256()
    with trio.fail_after(SECONDS):
        async with (
            hface_trio.open_client() as client,
            client.stream("GET", f"{url}/bytes?n={LARGE}&length={length}") as response,
        ):
            async for chunk in response:
                sha.update(chunk)
    assert sha.hexdigest() == digest(LARGE)


async def test_a_hundred_requests_share_one_connection(url: str) -> None:
    connections = Connections()
    with trio.fail_after(SECONDS):
        async with hface_trio.open_client(observer=connections) as client:
            for _ in range(50):
                assert (await client.get(f"{url}/hello")).body == b"hello\n"
                assert (await client.request("POST", f"{url}/echo", content=b"x")).body == b"x"
    assert connections.opened == 1


async def test_requests_at_the_same_time_have_connections_of_their_own(url: str) -> None:
    connections = Connections()
    bodies: list[bytes] = []

    async def fetch(client: hface_trio.Client) -> None:
        bodies.append((await client.get(f"{url}/bytes?n={MIB}")).body)

    with trio.fail_after(SECONDS):
        async with hface_trio.open_client(observer=connections) as client:
            async with trio.open_nursery() as nursery:
                for _ in range(5):
                    nursery.start_soon(fetch, client)
            assert (await client.get(f"{url}/hello")).body == b"hello\n"
    assert {hashlib.sha256(body).hexdigest() for body in bodies} == {digest(MIB)}
    assert connections.opened == 5


async def test_one_connection_in_ones_own_nursery(url: str) -> None:
    authority = url.removeprefix("http://").encode()
    headers = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", authority), (b":path", b"/hello")]
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery, await hface_trio.connect(nursery, url) as connection:
            for _ in range(3):
                async with connection.open_stream(headers, end_stream=True) as stream:
                    assert (await stream.receive_response()).headers[0] == (b":status", b"200")
                    assert await stream.read_body() == b"hello\n"
            assert connection.statistics().streams == 3


async def test_a_connection_that_the_server_ends_with_its_answer_is_not_used_again(url: str) -> None:
    connections = Connections()
    with trio.fail_after(SECONDS):
        async with hface_trio.open_client(observer=connections) as client:
            for _ in range(3):
                assert (await client.get(f"{url}/close")).body == b"bye\n"
    assert connections.opened == 3


async def test_an_upload_that_is_refused_still_has_its_answer(url: str) -> None:
    """The server answers before it has read the body, and may close the connection."""
    with trio.fail_after(SECONDS):
        async with hface_trio.open_client() as client:
            response = await client.request("POST", f"{url}/refuse", content=b"x" * (4 * MIB))
            assert (response.status, response.body) == (403, b"no\n")
            assert (await client.get(f"{url}/hello")).body == b"hello\n"


def refuse_and_reset(listener: socket.socket) -> None:
    """Answer each connection while its body is on the way, and close: octets that nobody read make that a reset."""
    with contextlib.suppress(OSError):  # the listener was closed: the end
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1)
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n")


async def test_an_answer_with_a_reset_right_behind_it_is_not_lost() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, trio.fail_after(SECONDS):
        threading.Thread(target=refuse_and_reset, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        for _ in range(50):
            async with hface_trio.open_client() as client:
                response = await client.request("POST", url, content=b"x" * (8 * MIB))
                assert (response.status, response.body) == (403, b"no\n")
        listener.shutdown(socket.SHUT_RDWR)


async def test_a_response_that_is_given_up_does_not_harm_the_next_request(url: str) -> None:
    with trio.fail_after(SECONDS):
        async with hface_trio.open_client() as client:
            async with client.stream("GET", f"{url}/bytes?n={LARGE}") as response:
                await anext(response)
            assert (await client.get(f"{url}/hello")).body == b"hello\n"


@pytest.mark.parametrize("name", NAMES)
async def test_a_kept_connection_that_the_server_has_closed_is_replaced(name: str) -> None:
    connections = Connections()
    with running_peer(name, keep_alive_seconds=1) as url, trio.fail_after(SECONDS):
        async with hface_trio.open_client(observer=connections) as client:
            assert (await client.get(f"{url}/hello")).body == b"hello\n"
            await connections.wait_closed()
            assert (await client.request("POST", f"{url}/echo", content=b"x")).body == b"x"
    assert connections.opened == 2


async def serve_one_answer(requests: list[bytes], stream: trio.SocketStream) -> None:
    """Answer a connection's first request, and end the connection when the second one arrives: they have crossed."""
    async with stream:
        for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""):
            request = b""
            while not request.endswith((b"\r\n\r\n", b"body")):
                request += await stream.receive_some()
            requests.append(request.split()[0])
            await stream.send_all(answer)


async def test_a_request_that_crosses_with_the_end_of_its_connection_is_repeated_if_it_may_be() -> None:
    requests: list[bytes] = []
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery, hface_trio.open_client() as client:
            serve = functools.partial(serve_one_answer, requests)
            listeners = await nursery.start(functools.partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
            url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/"
            assert (await client.get(url)).status == 200
            assert (await client.get(url)).status == 200
            assert requests == [b"GET"] * 3
            with pytest.raises(hface_trio.ConnectionLostError):
                await client.request("POST", url, headers=[(b"content-length", b"4")], content=b"body")
            assert requests == [b"GET"] * 3 + [b"POST"]
            nursery.cancel_scope.cancel()


async def test_tls(secure_url: str, authority: Authority) -> None:
    connections = Connections()
    with trio.fail_after(SECONDS):
        async with hface_trio.open_client(tls_config=authority.client_config(), observer=connections) as client:
            assert (await client.get(f"{secure_url}/hello")).body == b"hello\n"
            response = await client.request("POST", f"{secure_url}/digest", content=b"".join(chunks(3 * MIB)))
            assert json.loads(response.body) == {"octets": 3 * MIB, "sha256": digest(3 * MIB)}
            body = (await client.get(f"{secure_url}/bytes?n={8 * MIB}")).body
            assert hashlib.sha256(body).hexdigest() == digest(8 * MIB)
    assert connections.opened == 1


async def test_a_certificate_of_an_unknown_authority_is_refused(secure_url: str) -> None:
    with trio.fail_after(SECONDS):
        async with hface_trio.open_client() as client:
            with pytest.raises(hface_trio.TLSHandshakeError):
                await client.get(f"{secure_url}/hello")
