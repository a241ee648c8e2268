"""httpx over HTTP/2 against the server."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator

import httpx
import pytest
import trio

from ._payload import MIB, chunks, digest
from ._process import ServerProcess

LARGE = 16 * MIB


@pytest.fixture(params=["http", "https"])
def client(request: pytest.FixtureRequest, server: ServerProcess) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=server.cafile)
    url = server.url(request.param)
    # over cleartext, prior knowledge is what httpx does without HTTP/1.1
    options = {"base_url": url, "verify": context, "timeout": 20, "trust_env": False}
    with httpx.Client(http1=request.param == "https", http2=True, **options) as client:
        yield client


def test_get(client: httpx.Client) -> None:
    response = client.get("/hello")
    assert (response.status_code, response.http_version, response.content) == (200, "HTTP/2", b"hello\n")
    assert response.headers["content-length"] == "6"


def test_methods_and_statuses(client: httpx.Client) -> None:
    assert client.get("/missing").status_code == 404
    assert client.get("/empty").status_code == 204
    assert client.head("/hello").headers["content-length"] == "6"
    assert client.post("/echo", content=b"hello").content == b"hello"
    assert client.put("/echo", content=b"").content == b""


def test_upload(client: httpx.Client) -> None:
    shown = client.post("/digest", content=chunks(LARGE)).json()
    assert (shown["octets"], shown["sha256"]) == (LARGE, digest(LARGE))


def test_download(client: httpx.Client) -> None:
    sha = hashlib.sha256()
    with client.stream("GET", "/bytes", params={"n": LARGE}) as response:
        for chunk in response.iter_raw():
            sha.update(chunk)
    assert sha.hexdigest() == digest(LARGE)


def test_trailers_and_early_hints_leave_the_connection_in_order(server: ServerProcess, client: httpx.Client) -> None:
    assert client.get("/trailers").content == b"with trailers\n"
    assert client.get("/hints").content == b"hinted\n"
    assert client.get("/hello").content == b"hello\n"
    assert server.statistics()["connections"] == 1


def test_a_response_left_in_the_middle_leaves_the_connection_in_order(
    server: ServerProcess, client: httpx.Client
) -> None:
    with client.stream("GET", "/bytes", params={"n": LARGE}) as response:
        next(response.iter_raw())
    assert client.get("/hello").content == b"hello\n"
    assert server.statistics()["connections"] == 1


async def test_two_hundred_requests_at_once_share_a_connection(server: ServerProcess) -> None:
    context = ssl.create_default_context(cafile=server.cafile)
    async with httpx.AsyncClient(http2=True, verify=context, timeout=20, trust_env=False) as client:

        async def post(i: int) -> None:
            body = b"%d" % i * 1000
            assert (await client.post(f"{server.https_url}/echo", content=body)).content == body

        await post(0)
        async with trio.open_nursery() as nursery:
            for i in range(200):
                nursery.start_soon(post, i)
        assert server.statistics()["connections"] == 1
