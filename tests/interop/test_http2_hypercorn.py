"""The client over HTTP/2 against hypercorn."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Generator

import pytest
import trio

import hface_trio
from hface_trio import HTTPConnection
from hface_trio.testing import Authority

from ._payload import MIB, chunks, digest
from ._peers import running_peer

LARGE = 128 * MIB


@pytest.fixture(scope="module")
def url(authority: Authority) -> Generator[str]:
    with running_peer("hypercorn", certificate=authority.issue("127.0.0.1")) as url:
        yield url


@pytest.fixture
async def connection(url: str, authority: Authority) -> AsyncIterator[HTTPConnection]:
    async with trio.open_nursery() as nursery:
        tls_config = hface_trio.ClientTLSConfig(cafile=authority.cafile)
        connection = await hface_trio.connect(nursery, url, tls_config=tls_config)
        assert connection.http_version == "2"  # what both sides prefer
        with trio.fail_after(50):
            yield connection
        await connection.aclose()
        assert connection.statistics().buffered_octets == 0


def head(method: bytes, path: bytes) -> list[tuple[bytes, bytes]]:
    return [(b":method", method), (b":scheme", b"https"), (b":authority", b"127.0.0.1"), (b":path", path)]


async def test_get(connection: HTTPConnection) -> None:
    async with connection.open_stream(head(b"GET", b"/hello"), end_stream=True) as stream:
        await stream.receive_response()
        assert (stream.status, await stream.read_body()) == (200, b"hello\n")


async def test_a_large_upload(connection: HTTPConnection) -> None:
    async with connection.open_stream(head(b"POST", b"/digest")) as stream:
        for chunk in chunks(LARGE):
            await stream.send_data(chunk)
        await stream.send_data(b"", end_stream=True)
        await stream.receive_response()
        assert json.loads(await stream.read_body()) == {"octets": LARGE, "sha256": digest(LARGE)}


async def test_a_large_download(connection: HTTPConnection) -> None:
    sha = hashlib.sha256()
    async with connection.open_stream(head(b"GET", b"/bytes?n=%d" % LARGE), end_stream=True) as stream:
        await stream.receive_response()
        async for chunk in stream.iter_data():
            sha.update(chunk)
    assert sha.hexdigest() == digest(LARGE)


async def test_three_hundred_requests_a_hundred_at_once(connection: HTTPConnection) -> None:
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


async def test_a_request_given_up_leaves_the_connection(connection: HTTPConnection) -> None:
    async with connection.open_stream(head(b"GET", b"/bytes?n=%d" % LARGE), end_stream=True) as stream:
        await stream.receive_response()
        await stream.receive()
    async with connection.open_stream(head(b"GET", b"/hello"), end_stream=True) as stream:
        await stream.receive_response()
        assert await stream.read_body() == b"hello\n"
