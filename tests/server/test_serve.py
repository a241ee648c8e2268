"""The server on real sockets: endpoints, TLS, what cannot be bound, and the observer."""

from __future__ import annotations

import contextlib
import functools
import socket
from pathlib import Path

import pytest
import trio

import hface_trio
from hface_trio import HTTPStream
from hface_trio.connections import ConnectionRecord, StreamRecord
from hface_trio.testing import Authority


async def hello(stream: HTTPStream) -> None:
    version = stream.extra_attributes.tls_version or "cleartext"
    await stream.send_response(200, body=b"%b over %b" % (stream.scheme, version.encode()))


async def test_several_endpoints_with_and_without_tls_and_on_a_unix_socket(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    path = tmp_path / "server.sock"
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            serve = functools.partial(hface_trio.serve, tls_config=authority.server_config("localhost"))
            server = await nursery.start(
                serve, hello, ["http://127.0.0.1:0", "https://localhost:0", f"http://unix:{path}"]
            )
            endpoints = server.endpoints
            assert len({endpoint.port for endpoint in endpoints if endpoint.secure}) == 1
            async with hface_trio.open_client(tls_config=authority.client_config()) as client:
                for endpoint in endpoints:
                    if endpoint.is_unix:
                        continue
                    assert endpoint.port
                    url = f"{endpoint.scheme}://localhost:{endpoint.port}/" if endpoint.secure else f"{endpoint}/"
                    response = await client.get(url)
                    expected = b"https over TLSv1.3" if endpoint.secure else b"http over cleartext"
                    assert response.body == expected
            stream = await trio.open_unix_socket(path)
            await stream.send_all(b"GET / HTTP/1.0\r\n\r\n")
            answer = b"".join([chunk async for chunk in stream])
            assert answer.endswith(b"http over cleartext")
            await stream.aclose()
            await server.shutdown(1)
    assert not path.exists()


@pytest.mark.parametrize(
    ("endpoints", "error"),
    [
        ([], hface_trio.ConfigurationError),
        (["nonsense"], hface_trio.ConfigurationError),
        (["https://127.0.0.1:0"], hface_trio.ConfigurationError),
        (["http://192.0.2.1:0"], OSError),
    ],
)
async def test_what_cannot_be_served_raises_at_the_start(endpoints: list[str], error: type[Exception]) -> None:
    with trio.fail_after(20), pytest.raises(error):
        await hface_trio.serve(hello, endpoints)


async def test_a_port_in_use_raises_and_gives_back_the_other_endpoints() -> None:
    with trio.fail_after(20), socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as probe:
            free = probe.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            await hface_trio.serve(hello, [f"http://127.0.0.1:{free}", f"http://127.0.0.1:{port}"])
        socket.create_server(("127.0.0.1", free)).close()


async def test_a_certificate_that_cannot_be_read_raises_at_the_start(tmp_path: Path) -> None:
    config = hface_trio.ServerTLSConfig(certfile=str(tmp_path / "missing.pem"))
    with trio.fail_after(20), pytest.raises(hface_trio.ConfigurationError, match=r"missing\.pem"):
        await hface_trio.serve(hello, "https://127.0.0.1:0", tls_config=config)


async def test_a_failed_handshake_harms_nobody_else(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            serve = functools.partial(hface_trio.serve, tls_config=authority.server_config("localhost"))
            server = await nursery.start(serve, hello, "https://127.0.0.1:0")
            port = server.endpoints[0].port
            raw = await trio.open_tcp_stream("127.0.0.1", port)
            await raw.send_all(b"GET / HTTP/1.0\r\n\r\n")
            with contextlib.suppress(trio.BrokenResourceError):
                while await raw.receive_some():
                    pass
            await raw.aclose()
            async with hface_trio.open_client() as client:
                with pytest.raises(hface_trio.TLSHandshakeError, match="certificate"):
                    await client.get(f"https://localhost:{port}/")
            async with hface_trio.open_client(tls_config=authority.client_config()) as client:
                assert (await client.get(f"https://localhost:{port}/")).status == 200
            await server.shutdown(1)


class Notes(hface_trio.Observer):
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.streams: list[StreamRecord] = []
        self.connections: list[ConnectionRecord] = []

    def connection_opened(self, record: ConnectionRecord) -> None:
        self.calls.append("connection opened")

    def connection_closed(self, record: ConnectionRecord) -> None:
        self.calls.append("connection closed")
        self.connections.append(record)

    def stream_opened(self, record: StreamRecord) -> None:
        self.calls.append("stream opened")

    def stream_closed(self, record: StreamRecord) -> None:
        self.calls.append("stream closed")
        self.streams.append(record)


async def test_the_observer_is_told_once_of_each_opening_and_closing() -> None:
    notes, client_notes = Notes(), Notes()

    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(201, body=await stream.read_body() * 2)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            serve = functools.partial(hface_trio.serve, observer=notes)
            server = await nursery.start(serve, handler, "http://127.0.0.1:0")
            async with hface_trio.open_client(observer=client_notes) as client:
                for _ in range(2):
                    await client.request("POST", f"{server.endpoints[0]}/a", content=b"abc")
            await server.shutdown(1)
    assert notes.calls == [
        "connection opened",
        *["stream opened", "stream closed"] * 2,
        "connection closed",
    ]
    for record in (*notes.streams, *client_notes.streams):
        assert (record.method, record.path, record.status, record.error_code) == (b"POST", b"/a", 201, None)
        assert record.closed_at is not None
        assert record.closed_at >= record.opened_at
    assert [(r.body_octets_received, r.body_octets_sent) for r in notes.streams] == [(3, 6)] * 2
    assert [(r.body_octets_received, r.body_octets_sent) for r in client_notes.streams] == [(6, 3)] * 2
    (connection,) = notes.connections
    assert (connection.http_version, connection.client_side, connection.streams) == ("1.1", False, 2)
    (other,) = client_notes.connections
    assert (connection.octets_received, connection.octets_sent) == (other.octets_sent, other.octets_received)


async def test_an_observer_that_fails_is_logged_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(hface_trio.Observer):
        def stream_closed(self, record: StreamRecord) -> None:
            raise ValueError("broken observer")

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            serve = functools.partial(hface_trio.serve, observer=Broken())
            server = await nursery.start(serve, hello, "http://127.0.0.1:0")
            async with hface_trio.open_client() as client:
                assert (await client.get(f"{server.endpoints[0]}/")).status == 200
            await server.shutdown(1)
    assert "broken observer" in caplog.text
