"""The client over HTTP/3 against aioquic's server and hypercorn's.

What hypercorn does not survive is tried on aioquic alone: trailers of a request.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
import trio

import hface_trio
from hface_trio import HTTPConnection
from hface_trio.protocols.http3 import HTTP3Settings
from hface_trio.protocols.quic import QUICSettings
from hface_trio.testing import Authority, throwaway_authority

from ._http3_peers import NAMES, HTTP3Peer, running_http3_peer
from ._payload import MIB, chunks, digest

LARGE = 4 * MIB
SECONDS = 40
AIOQUIC_ALONE = pytest.mark.parametrize("peer", ["aioquic"], indirect=True)


@pytest.fixture(scope="module", params=NAMES)
def peer(request: pytest.FixtureRequest, authority: Authority) -> Iterator[HTTP3Peer]:
    with running_http3_peer(request.param, authority.issue("127.0.0.1")) as peer:
        yield peer


@pytest.fixture
async def connection(peer: HTTP3Peer, authority: Authority) -> AsyncIterator[HTTPConnection]:
    async with trio.open_nursery() as nursery:
        connection = await hface_trio.connect(
            nursery, peer.url, http_versions=["3"], tls_config=authority.client_config()
        )
        assert connection.http_version == "3"
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


async def test_a_client_of_many_requests(peer: HTTP3Peer, authority: Authority) -> None:
    with trio.fail_after(SECONDS):
        async with hface_trio.open_client(http_versions=["3"], tls_config=authority.client_config()) as client:
            for _ in range(20):
                response = await client.get(f"{peer.url}/hello")
                assert (response.status, response.body) == (200, b"hello\n")
            response = await client.request("POST", f"{peer.url}/digest", content=b"".join(chunks(MIB)))
            assert json.loads(response.body) == {"octets": MIB, "sha256": digest(MIB)}


def test_the_command_line(peer: HTTP3Peer, authority: Authority) -> None:
    command = [sys.executable, "-m", "hface_trio.cli", "client", "--http3", "--include", "--cacert", authority.cafile]
    done = subprocess.run(
        [*command, "--data", "hello", f"{peer.url}/echo"], capture_output=True, timeout=SECONDS, check=True
    )
    assert done.stdout.startswith(b"HTTP/3 200")
    assert done.stdout.endswith(b"\r\n\r\nhello")


@AIOQUIC_ALONE
async def test_hints_and_trailers(connection: HTTPConnection) -> None:
    async with connection.open_stream(head(b"GET", b"/hints"), end_stream=True) as stream:
        await stream.receive_response()
        assert stream.informational == [[(b":status", b"103"), (b"link", b"</style.css>; rel=preload")]]
        assert await stream.read_body() == b"hinted\n"
    async with connection.open_stream(head(b"GET", b"/trailers"), end_stream=True) as stream:
        await stream.receive_response()
        assert await stream.read_body() == b"with trailers\n"
        assert stream.trailers == [(b"x-end", b"1")]
    async with connection.open_stream(head(b"POST", b"/digest")) as stream:
        await stream.send_data(b"abc")
        await stream.send_trailers([(b"x-up", b"here")])
        await stream.receive_response()
        assert json.loads(await stream.read_body())["octets"] == 3


async def test_a_certificate_of_an_unknown_authority_is_refused(peer: HTTP3Peer) -> None:
    with throwaway_authority() as other, trio.fail_after(SECONDS):
        for tls_config in (other.client_config(), None):  # None: the system's authorities
            async with hface_trio.open_client(http_versions=["3"], tls_config=tls_config) as client:
                with pytest.raises(hface_trio.TLSHandshakeError):
                    await client.get(f"{peer.url}/hello")


async def test_a_certificate_for_another_host_is_refused(authority: Authority) -> None:
    with running_http3_peer("aioquic", authority.issue("example.test")) as peer, trio.fail_after(SECONDS):
        async with hface_trio.open_client(http_versions=["3"], tls_config=authority.client_config()) as client:
            with pytest.raises(hface_trio.TLSHandshakeError):
                await client.get(f"{peer.url}/hello")


async def test_nobody_there(authority: Authority) -> None:
    timeouts = hface_trio.Timeouts(handshake_seconds=1)
    with running_http3_peer("aioquic", authority.issue("127.0.0.1")) as peer:
        peer.kill()
        with trio.fail_after(5):
            async with hface_trio.open_client(
                http_versions=["3"], tls_config=authority.client_config(), timeouts=timeouts
            ) as client:
                with pytest.raises(hface_trio.ConnectError):
                    await client.get(f"{peer.url}/hello")


async def test_a_server_that_dies_in_the_middle_is_noticed(authority: Authority) -> None:
    """All that is left of it is silence, so that the idle timeout of QUIC says it."""
    settings = HTTP3Settings(quic=QUICSettings(idle_timeout_seconds=1))
    with running_http3_peer("aioquic", authority.issue("127.0.0.1")) as peer, trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            connection = await hface_trio.connect(
                nursery,
                peer.url,
                http_versions=["3"],
                tls_config=authority.client_config(),
                http3_settings=settings,
            )
            async with connection.open_stream(head(b"GET", b"/bytes?n=%d" % (64 * MIB)), end_stream=True) as stream:
                await stream.receive_response()
                await stream.receive()
                peer.kill()
                with trio.fail_after(10), pytest.raises(hface_trio.ConnectionLostError):
                    while True:
                        await stream.receive()
            assert connection.has_expired()
