"""The client over HTTP/2 against hypercorn, and over HTTP/3 against aioquic's server and hypercorn's.

What hypercorn does not survive over HTTP/3 is not tried on it: STOP_SENDING on a response, and a hundred echoes at once, of which it loses pieces
whoever the client is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator

import pytest
import trio

import hface_trio
from hface_trio import HTTPConnection
from hface_trio.testing import Authority

from ._http3_peers import running_http3_peer
from ._payload import MIB, chunks, digest
from ._peers import running_peer

LARGE = {"2": 128 * MIB, "3": 4 * MIB}
SECONDS = 50
PEERS = [("2", "hypercorn"), ("3", "aioquic"), ("3", "hypercorn")]
STEADFAST = pytest.mark.parametrize("peer", PEERS[:2], indirect=True, ids=" ".join)


@pytest.fixture(scope="module", params=PEERS, ids=" ".join)
def peer(request: pytest.FixtureRequest, authority: Authority) -> Iterator[tuple[str, str]]:
    """A running server: what is spoken to it, and its URL."""
    version, name = request.param
    certificate = authority.issue("127.0.0.1")
    if version == "2":
        with running_peer(name, certificate=certificate) as url:
            yield version, url
    else:
        with running_http3_peer(name, certificate) as running:
            yield version, running.url


@pytest.fixture
async def connection(peer: tuple[str, str], authority: Authority) -> AsyncIterator[HTTPConnection]:
    version, url = peer
    # over TCP, HTTP/2 is what both sides prefer
    versions = {} if version == "2" else {"http_versions": [version]}
    async with trio.open_nursery() as nursery:
        connection = await hface_trio.connect(nursery, url, tls_config=authority.client_config(), **versions)
        assert connection.http_version == version
        with trio.fail_after(SECONDS):
            yield connection
        await connection.aclose()
        assert connection.statistics().buffered_octets == 0


def head(method: bytes, path: bytes) -> list[tuple[bytes, bytes]]:
    return [(b":method", method), (b":scheme", b"https"), (b":authority", b"127.0.0.1"), (b":path", path)]


async def fetch(connection: HTTPConnection, path: bytes) -> tuple[int, bytes]:
    async with connection.open_stream(head(b"GET", path), end_stream=True) as stream:
        await stream.receive_response()
        return stream.status or 0, await stream.read_body()


async def test_get(connection: HTTPConnection) -> None:
    assert await fetch(connection, b"/hello") == (200, b"hello\n")
    assert await fetch(connection, b"/missing") == (404, b"there is nothing here\n")
    assert await fetch(connection, b"/empty") == (204, b"")


async def test_a_large_upload(connection: HTTPConnection) -> None:
    large = LARGE[connection.http_version]
    async with connection.open_stream(head(b"POST", b"/digest")) as stream:
        for chunk in chunks(large):
            await stream.send_data(chunk)
        await stream.send_data(b"", end_stream=True)
        await stream.receive_response()
        assert json.loads(await stream.read_body()) == {"octets": large, "sha256": digest(large)}


async def test_a_large_download(connection: HTTPConnection) -> None:
    large = LARGE[connection.http_version]
    sha = hashlib.sha256()
    async with connection.open_stream(head(b"GET", b"/bytes?n=%d" % large), end_stream=True) as stream:
        await stream.receive_response()
        async for chunk in stream.iter_data():
            sha.update(chunk)
    assert sha.hexdigest() == digest(large)


async def test_both_ways_at_once(connection: HTTPConnection) -> None:
    sha = hashlib.sha256()
    async with connection.open_stream(head(b"POST", b"/echo")) as stream, trio.open_nursery() as nursery:

        async def upload() -> None:
            for chunk in chunks(MIB):
                await stream.send_data(chunk)
            await stream.send_data(b"", end_stream=True)

        nursery.start_soon(upload)
        await stream.receive_response()
        async for chunk in stream.iter_data():
            sha.update(chunk)
    assert sha.hexdigest() == digest(MIB)


@STEADFAST
async def test_three_hundred_echoes_a_hundred_at_once(connection: HTTPConnection) -> None:
    slots = trio.CapacityLimiter(100)
    done = 0

    async def echo(i: int) -> None:
        nonlocal done
        body = b"%d" % i * 50
        async with slots, connection.open_stream(head(b"POST", b"/echo")) as stream:
            await stream.send_data(body, end_stream=True)
            await stream.receive_response()
            assert await stream.read_body() == body
            done += 1

    async with trio.open_nursery() as nursery:
        for i in range(300):
            nursery.start_soon(echo, i)
    assert done == 300


async def test_three_hundred_downloads_a_hundred_at_once(connection: HTTPConnection) -> None:
    slots = trio.CapacityLimiter(100)
    done = 0

    async def download(i: int) -> None:
        nonlocal done
        async with slots:
            status, body = await fetch(connection, b"/bytes?n=%d" % (i * 10))
            assert (status, body) == (200, b"".join(chunks(i * 10)))
            done += 1

    async with trio.open_nursery() as nursery:
        for i in range(300):
            nursery.start_soon(download, i)
    assert done == 300


@STEADFAST
async def test_requests_given_up_leave_the_connection(connection: HTTPConnection) -> None:
    large = LARGE[connection.http_version]
    for _ in range(5):
        async with connection.open_stream(head(b"GET", b"/bytes?n=%d" % large), end_stream=True) as stream:
            await stream.receive_response()
            await stream.receive()
        async with connection.open_stream(head(b"POST", b"/digest")) as stream:
            await stream.send_data(b"x" * MIB)
        assert await fetch(connection, b"/hello") == (200, b"hello\n")
