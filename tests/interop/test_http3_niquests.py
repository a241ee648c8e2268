"""niquests, whose HTTP/3 is qh3, against the server.

It ends an upload without END_STREAM when it sees the head of the response first, so nothing here answers before it has read.
"""

from __future__ import annotations

import hashlib
import urllib.parse
from collections.abc import Iterator
from typing import Any

import niquests
import pytest

from ._payload import MIB, chunks, digest
from ._process import ServerProcess

LARGE = 4 * MIB
SECONDS = 30


def new_session(server: ServerProcess, **options: Any) -> niquests.Session:
    session = niquests.Session(base_url=server.https_url, timeout=SECONDS, **options)
    session.verify = server.cafile
    session.trust_env = False
    return session


@pytest.fixture
def session(server: ServerProcess) -> Iterator[niquests.Session]:
    """A session that speaks HTTP/3 from its first request on."""
    with new_session(server, disable_http1=True, disable_http2=True, multiplexed=True) as session:
        parts = urllib.parse.urlsplit(server.https_url)
        cache: Any = session.quic_cache_layer
        cache.add_domain(parts.hostname, parts.port)
        yield session


def test_get(session: niquests.Session) -> None:
    response = session.get("/hello")
    assert (response.status_code, response.http_version, response.content) == (200, 30, b"hello\n")
    assert response.headers["content-length"] == "6"


def test_methods_and_statuses(session: niquests.Session) -> None:
    assert session.get("/missing").status_code == 404
    assert session.get("/empty").status_code == 204
    assert session.head("/hello").headers["content-length"] == "6"
    assert session.put("/digest", data=b"hello").json()["octets"] == 5
    assert session.post("/digest", data=b"").json()["octets"] == 0


def test_upload(session: niquests.Session) -> None:
    shown = session.post("/digest", data=b"".join(chunks(LARGE))).json()
    assert (shown["octets"], shown["sha256"]) == (LARGE, digest(LARGE))


def test_download(session: niquests.Session) -> None:
    body = session.get(f"/bytes?n={LARGE}").content or b""
    assert hashlib.sha256(body).hexdigest() == digest(LARGE)


def test_trailers_and_early_hints(session: niquests.Session) -> None:
    response = session.get("/trailers")
    assert response.content == b"with trailers\n"
    assert response.trailers["x-sha256"] == hashlib.sha256(b"with trailers\n").hexdigest()
    hints: list[tuple[int | None, str]] = []

    def take(early: Any) -> None:
        hints.append((early.status_code, early.headers["link"]))

    assert session.get("/hints", hooks={"early_response": [take]}).content == b"hinted\n"
    assert hints == [(103, "</style.css>; rel=preload")]


def test_sixty_requests_at_once_share_a_connection(server: ServerProcess, session: niquests.Session) -> None:
    bodies = [b"%d" % i * 1000 for i in range(60)]
    responses = [session.post("/digest", data=body) for body in bodies]
    session.gather(*responses)
    assert [response.json()["sha256"] for response in responses] == [
        hashlib.sha256(body).hexdigest() for body in bodies
    ]
    assert server.statistics()["connections"] == 1


def test_a_response_left_in_the_middle_leaves_the_session_in_order(session: niquests.Session) -> None:
    response = session.get(f"/bytes?n={LARGE}", stream=True)
    assert len(next(response.iter_content(1000))) == 1000
    response.close()
    assert session.get("/hello").content == b"hello\n"


def test_the_second_request_follows_alt_svc(server: ServerProcess) -> None:
    with new_session(server) as session:
        first, second = session.get("/hello"), session.get("/hello")
    assert first.http_version in {11, 20}
    assert "h3=" in first.headers["alt-svc"]
    assert (second.http_version, second.content) == (30, b"hello\n")
