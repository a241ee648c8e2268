"""A client that offers application protocols, and none that is spoken here, is not served (RFC 7301 §3.2)."""

from __future__ import annotations

import functools
import ssl

import pytest
import trio

import hface_trio
from hface_trio import HTTPStream
from hface_trio.testing import Authority

SECONDS = 30


async def hello(stream: HTTPStream) -> None:
    await stream.send_response(200, body=b"hello")


@pytest.mark.parametrize(
    ("offered", "served"),
    [([], True), (["http/1.1"], True), (["foo", "http/1.1"], True), (["foo"], False), (["h2"], False)],
)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_only_a_protocol_in_common_is_spoken(
    authority: Authority, offered: list[str], served: bool, version: ssl.TLSVersion
) -> None:
    context = ssl.create_default_context(cafile=authority.cafile)
    context.maximum_version = version
    if offered:
        context.set_alpn_protocols(offered)
    serve = functools.partial(hface_trio.serve, tls_config=authority.server_config("localhost"), http_versions=["1.1"])
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            server: hface_trio.Server = await nursery.start(serve, hello, "https://127.0.0.1:0")
            transport = await trio.open_tcp_stream("127.0.0.1", server.endpoints[0].port)
            stream = trio.SSLStream(transport, context, server_hostname="localhost", https_compatible=True)
            answer = b""
            try:
                await stream.send_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                while chunk := await stream.receive_some():
                    answer += chunk
            except trio.BrokenResourceError:
                pass
            assert answer.startswith(b"HTTP/1.1 200 ") is served
            await trio.aclose_forcefully(stream)
            await server.shutdown(1)
