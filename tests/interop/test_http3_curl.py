"""libcurl over HTTP/3 (ngtcp2 and nghttp3, in curl_cffi's wheel) against the server.

Debian's curl has no HTTP/3; this one is driven by its own options, without what curl_cffi adds to be taken for a browser.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from curl_cffi import Curl, CurlECode, CurlError, CurlHttpVersion, CurlInfo, CurlOpt
from curl_cffi.requests import AsyncSession

from hface_trio.testing import throwaway_authority

from ._payload import MIB, chunks, digest
from ._process import ServerProcess

LARGE = 16 * MIB
SECONDS = 30
ALTSVC_FROM_HTTP3 = 1 << 5


@dataclass
class Answer:
    status: int
    version: CurlHttpVersion
    head: str
    body: bytes
    new_connections: int


class Client:
    """A handle of libcurl's; it keeps its connections from one request to the next."""

    def __init__(self, server: ServerProcess) -> None:
        self._url = server.https_url
        self._cafile = server.cafile
        self._curl = Curl()

    def close(self) -> None:
        self._curl.close()

    def request(self, path: str, options: Mapping[CurlOpt, object] | None = None) -> Answer:
        head, body = io.BytesIO(), io.BytesIO()
        self._curl.reset()
        defaults = {
            CurlOpt.URL: self._url + path,
            CurlOpt.CAINFO: self._cafile,
            CurlOpt.PROXY: "",
            CurlOpt.HTTP_VERSION: CurlHttpVersion.V3ONLY,
            CurlOpt.TIMEOUT: SECONDS,
            CurlOpt.HEADERDATA: head,
            CurlOpt.WRITEDATA: body,
        }
        for option, value in {**defaults, **(options or {})}.items():
            self._curl.setopt(option, value)
        self._curl.perform(clear_headers=False)
        return Answer(
            status=self._information(CurlInfo.RESPONSE_CODE),
            version=CurlHttpVersion(self._information(CurlInfo.HTTP_VERSION)),
            head=head.getvalue().decode("latin-1").replace("\r\n", "\n"),
            body=body.getvalue(),
            new_connections=self._information(CurlInfo.NUM_CONNECTS),
        )

    def _information(self, name: CurlInfo) -> int:
        value = self._curl.getinfo(name)
        assert isinstance(value, int)
        return value


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with contextlib.closing(Client(server)) as client:
        yield client


def post(body: bytes) -> dict[CurlOpt, object]:
    return {CurlOpt.POST: 1, CurlOpt.POSTFIELDSIZE_LARGE: len(body), CurlOpt.POSTFIELDS: body}


def test_get(client: Client) -> None:
    answer = client.request("/hello")
    assert (answer.status, answer.version, answer.body) == (200, CurlHttpVersion.V3, b"hello\n")
    assert "\ncontent-length: 6\n" in answer.head


def test_methods_and_statuses_on_one_connection(client: Client) -> None:
    assert client.request("/missing").status == 404
    assert client.request("/empty").status == 204
    head = client.request("/hello", {CurlOpt.NOBODY: 1})
    assert "\ncontent-length: 6\n" in head.head
    assert client.request("/echo", post(b"hello")).body == b"hello"
    assert client.request("/echo", post(b"")).body == b""
    assert client.request("/hello").new_connections == 0


def test_upload(client: Client) -> None:
    shown = json.loads(client.request("/digest", post(b"".join(chunks(LARGE)))).body)
    assert (shown["octets"], shown["sha256"]) == (LARGE, digest(LARGE))


def test_download(client: Client) -> None:
    answer = client.request(f"/bytes?n={LARGE}")
    assert hashlib.sha256(answer.body).hexdigest() == digest(LARGE)


def test_trailers_and_early_hints(client: Client) -> None:
    answer = client.request("/trailers")
    assert answer.body == b"with trailers\n"
    assert answer.head.endswith(f"\n\nx-sha256: {hashlib.sha256(answer.body).hexdigest()}\n")
    answer = client.request("/hints")
    assert answer.head.startswith("HTTP/3 103 \nlink: </style.css>; rel=preload\n\nHTTP/3 200 \n")
    assert answer.body == b"hinted\n"


def test_an_answer_before_the_end_of_the_upload(client: Client) -> None:
    answer = client.request("/refuse", post(b"x" * LARGE))
    assert (answer.status, answer.body) == (403, b"no\n")
    answer = client.request("/hello")
    assert (answer.body, answer.new_connections) == (b"hello\n", 0)


def test_a_download_given_up_in_the_middle(server: ServerProcess, client: Client) -> None:
    key = server.new_key()
    with pytest.raises(CurlError) as raised:
        client.request(f"/bytes?n={LARGE}&id={key}&length=no", {CurlOpt.MAXFILESIZE_LARGE: MIB})
    assert raised.value.code == CurlECode.FILESIZE_EXCEEDED
    server.wait(key, "gone")
    answer = client.request("/hello")
    assert (answer.body, answer.new_connections) == (b"hello\n", 0)


def test_alt_svc_leads_to_http_3(client: Client, tmp_path: Path) -> None:
    cache = {CurlOpt.ALTSVC: str(tmp_path / "cache"), CurlOpt.ALTSVC_CTRL: ALTSVC_FROM_HTTP3}
    first = client.request("/hello", cache | {CurlOpt.HTTP_VERSION: CurlHttpVersion.V2TLS})
    assert first.version == CurlHttpVersion.V2_0
    second = client.request("/hello", cache | {CurlOpt.HTTP_VERSION: CurlHttpVersion.V3, CurlOpt.FRESH_CONNECT: 1})
    assert (second.version, second.body) == (CurlHttpVersion.V3, b"hello\n")


def test_a_certificate_of_an_unknown_authority_is_refused(client: Client) -> None:
    with throwaway_authority() as other, pytest.raises(CurlError) as raised:
        client.request("/hello", {CurlOpt.CAINFO: other.cafile})
    assert raised.value.code == CurlECode.PEER_FAILED_VERIFICATION


def test_forty_requests_at_once_share_a_connection(server: ServerProcess) -> None:
    bodies = [b"%d" % i * 1000 for i in range(40)]

    async def main() -> None:
        options = {CurlOpt.PIPEWAIT: 1}
        async with AsyncSession(
            verify=server.cafile,  # type: ignore[arg-type]  # a path will do
            http_version=CurlHttpVersion.V3ONLY,
            trust_env=False,
            timeout=SECONDS,
            max_clients=40,
            curl_options=options,
        ) as session:
            done = await asyncio.gather(*(session.post(f"{server.https_url}/echo", data=body) for body in bodies))
            assert [response.content for response in done] == bodies
            assert server.statistics()["connections"] == 1

    asyncio.run(main())
