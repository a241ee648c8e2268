"""Node's http2 module, as client of the server and as server of the client."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
import trio

import hface_trio
from hface_trio import HTTPConnection, RequestNotProcessedError, StreamResetError
from hface_trio.events import DataReceived
from hface_trio.testing import Authority

from ._payload import MIB, chunks, digest
from ._process import ServerProcess

HERE = Path(__file__).parent
LARGE = 128 * MIB


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_node_as_client(server: ServerProcess, scheme: str) -> None:
    """Trailers, 103, 128 MiB both ways, a thousand streams, full duplex, refused uploads, resets and pings."""
    command = ["node", str(HERE / "_http2_client.mjs"), server.url(scheme), server.cafile]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    shown = json.loads(done.stdout)
    assert shown["sha256"] == digest(LARGE)
    assert shown["settings"]["maxConcurrentStreams"] == 100
    assert shown["settings"]["enableConnectProtocol"] is True


@contextlib.contextmanager
def node_server(authority: Authority | None) -> Generator[str]:
    """Run Node's server for the length of the block; the value is its URL."""
    files = authority.issue("127.0.0.1") if authority is not None else ()
    command = ["node", str(HERE / "_http2_server.mjs"), *files]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            yield f"{'https' if authority is not None else 'http'}://127.0.0.1:{port}"
        finally:
            process.kill()


@pytest.fixture(scope="module", params=["http", "https"])
def node_url(request: pytest.FixtureRequest, authority: Authority) -> Generator[str]:
    with node_server(authority if request.param == "https" else None) as url:
        yield url


@pytest.fixture
async def connection(node_url: str, authority: Authority) -> AsyncIterator[HTTPConnection]:
    async with trio.open_nursery() as nursery:
        tls_config = hface_trio.ClientTLSConfig(cafile=authority.cafile)
        limits = hface_trio.Limits(concurrent_streams=1000)
        connection = await hface_trio.connect(
            nursery, node_url, http_versions=["2"], tls_config=tls_config, limits=limits
        )
        with trio.fail_after(50):
            yield connection
        await connection.aclose()
        assert connection.statistics().buffered_octets == 0


def head(connection: HTTPConnection, method: bytes, path: bytes) -> list[tuple[bytes, bytes]]:
    scheme = b"https" if connection.extra_attributes.tls_version else b"http"
    return [(b":method", method), (b":scheme", scheme), (b":authority", b"127.0.0.1"), (b":path", path)]


async def fetch(connection: HTTPConnection, path: bytes) -> tuple[int, bytes]:
    async with connection.open_stream(head(connection, b"GET", path), end_stream=True) as stream:
        await stream.receive_response()
        return stream.status or 0, await stream.read_body()


async def test_get_hints_and_trailers(connection: HTTPConnection) -> None:
    assert connection.http_version == "2"
    assert await fetch(connection, b"/hello") == (200, b"hello\n")
    assert await fetch(connection, b"/missing") == (404, b"")
    async with connection.open_stream(head(connection, b"GET", b"/hints"), end_stream=True) as stream:
        await stream.receive_response()
        assert stream.informational[0][0] == (b":status", b"103")
        assert await stream.read_body() == b"hinted\n"
    async with connection.open_stream(head(connection, b"GET", b"/trailers"), end_stream=True) as stream:
        await stream.receive_response()
        assert await stream.read_body() == b"with trailers\n"
        assert stream.trailers == [(b"x-end", b"1")]


async def test_an_upload_with_trailers(connection: HTTPConnection) -> None:
    async with connection.open_stream(head(connection, b"POST", b"/digest")) as stream:
        await stream.send_data(b"abc")
        await stream.send_trailers([(b"x-up", b"here")])
        await stream.receive_response()
        shown = json.loads(await stream.read_body())
    assert (shown["octets"], shown["trailers"]) == (3, "here")


async def test_128_mib_both_ways_at_once(connection: HTTPConnection) -> None:
    sha = hashlib.sha256()
    async with connection.open_stream(head(connection, b"POST", b"/echo")) as stream, trio.open_nursery() as nursery:

        async def upload() -> None:
            for chunk in chunks(LARGE):
                await stream.send_data(chunk)
            await stream.send_data(b"", end_stream=True)

        nursery.start_soon(upload)
        await stream.receive_response()
        async for chunk in stream.iter_data():
            sha.update(chunk)
    assert sha.hexdigest() == digest(LARGE)


@pytest.mark.parametrize("at_once", [100, 1000])
async def test_a_thousand_streams(connection: HTTPConnection, at_once: int) -> None:
    slots = trio.CapacityLimiter(at_once)
    done = 0

    async def echo(i: int) -> None:
        nonlocal done
        body = b"%d" % i * 100
        async with (
            slots,
            connection.open_stream(head(connection, b"POST", b"/echo")) as stream,
        ):
            await stream.send_data(body, end_stream=True)
            await stream.receive_response()
            assert await stream.read_body() == body
            done += 1

    async with trio.open_nursery() as nursery:
        for i in range(1000):
            nursery.start_soon(echo, i)
    assert done == 1000


async def test_full_duplex(connection: HTTPConnection) -> None:
    async with connection.open_stream(head(connection, b"POST", b"/echo")) as stream:
        await stream.receive_response()
        for _ in range(20):
            await stream.send_data(b"ping")
            event = await stream.receive()
            assert isinstance(event, DataReceived)
            assert event.data == b"ping"
        await stream.send_data(b"", end_stream=True)
        assert await stream.read_body() == b""


async def test_resets_and_refusals_leave_the_connection(connection: HTTPConnection) -> None:
    with pytest.raises(StreamResetError) as reset:
        await fetch(connection, b"/reset")
    assert reset.value.error_code == 11
    with pytest.raises(RequestNotProcessedError):
        await fetch(connection, b"/refused-stream")
    async with connection.open_stream(head(connection, b"POST", b"/refuse")) as stream:
        await stream.receive_response()
        assert stream.status == 403
        assert await stream.read_body() == b"no\n"
    async with connection.open_stream(head(connection, b"POST", b"/echo")) as stream:
        await stream.send_data(b"left in the middle")
    assert await fetch(connection, b"/hello") == (200, b"hello\n")


async def test_goaway_ends_the_connection_behind_its_last_stream(connection: HTTPConnection) -> None:
    assert await fetch(connection, b"/goaway") == (200, b"hello\n")
    with pytest.raises(hface_trio.ConnectionLostError) as lost:
        await fetch(connection, b"/hello")
    assert lost.value.retryable
