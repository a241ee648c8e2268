"""httpx against the server."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator

import httpx
import pytest

from ._payload import MIB, chunks, digest
from ._process import ServerProcess

LARGE = 32 * MIB


@pytest.fixture(params=["http", "https"])
def client(request: pytest.FixtureRequest, server: ServerProcess) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=server.cafile)
    url = server.url(request.param)
    with httpx.Client(base_url=url, verify=context, timeout=20, trust_env=False) as client:
        yield client


def test_get(client: httpx.Client) -> None:
    response = client.get("/hello")
    assert (response.status_code, response.http_version, response.content) == (200, "HTTP/1.1", b"hello\n")
    assert response.headers["content-length"] == "6"
    assert "date" in response.headers


def test_methods_and_statuses(client: httpx.Client) -> None:
    assert client.get("/missing").status_code == 404
    assert client.get("/empty").status_code == 204
    assert client.head("/hello").headers["content-length"] == "6"
    assert client.post("/echo", content=b"hello").content == b"hello"
    assert client.put("/echo", content=b"").content == b""


def test_repeated_fields_and_queries_arrive(client: httpx.Client) -> None:
    shown = client.get("/headers", params={"a": "ü"}, headers=[("x-field", "1"), ("x-field", "2")]).json()
    assert [":path", "/headers?a=%C3%BC"] in shown["headers"]
    assert [value for name, value in shown["headers"] if name == "x-field"] == ["1", "2"]


def test_chunked_upload(client: httpx.Client) -> None:
    shown = client.post("/digest", content=chunks(LARGE)).json()
    assert (shown["octets"], shown["sha256"]) == (LARGE, digest(LARGE))


@pytest.mark.parametrize("length", ["yes", "no"])
def test_large_download(client: httpx.Client, length: str) -> None:
    sha = hashlib.sha256()
    with client.stream("GET", "/bytes", params={"n": LARGE, "length": length}) as response:
        for chunk in response.iter_raw():
            sha.update(chunk)
    assert sha.hexdigest() == digest(LARGE)


def test_a_response_with_trailers_and_early_hints_leaves_the_connection_in_order(client: httpx.Client) -> None:
    assert client.get("/trailers").content == b"with trailers\n"
    assert client.get("/hints").content == b"hinted\n"
    assert client.get("/hello").content == b"hello\n"


def test_requests_share_one_connection(server: ServerProcess, client: httpx.Client) -> None:
    for _ in range(100):
        assert client.post("/echo", content=b"x").content == b"x"
    assert server.statistics()["connections"] == 1


def test_a_refused_upload_does_not_harm_the_next_request(client: httpx.Client) -> None:
    assert client.post("/refuse", content=b"x" * 40_000).status_code == 403
    assert client.get("/hello").content == b"hello\n"
