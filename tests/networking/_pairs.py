"""Connected pairs of every kind of byte stream, for tests of what they have in common."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import ssl
from collections.abc import AsyncGenerator

import pytest
import trio

from hface_trio.networking import ByteStream, SocketByteStream, StreamAdapter, TLSByteStream
from hface_trio.networking._tls_context import client_tls_context, server_tls_context
from hface_trio.testing import Authority, memory_stream_pair

DEADLINE_SECONDS = 20

KINDS = ["tcp", "unix", "memory", "adapter", "tls12-tcp", "tls13-tcp", "tls12-memory", "tls13-memory", "tls13-adapter"]
TLS_KINDS = [kind for kind in KINDS if kind.startswith("tls")]

ALL = pytest.mark.parametrize("kind", KINDS)
# A plain trio stream cannot tell what a cancelled send has sent, nor reset.
NATIVE = pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.endswith("adapter")])
RESETTING = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "unix"])


async def make_pair(kind: str, authority: Authority) -> tuple[ByteStream, ByteStream]:
    """Connect a pair; with TLS the first is the client."""
    layer, _, transport = kind.rpartition("-")
    client, server = await _make_transports(transport)
    if not layer:
        return client, server
    return await make_tls_pair(client, server, authority, version=layer)


async def make_tls_pair(
    client: ByteStream,
    server: ByteStream,
    authority: Authority,
    *,
    version: str = "tls13",
    client_certificate: tuple[str, ...] = (),
) -> tuple[TLSByteStream, TLSByteStream]:
    client_context = client_tls_context(authority.client_config(*client_certificate), ["http/1.1"])
    if version == "tls12":
        client_context.maximum_version = ssl.TLSVersion.TLSv1_2
    server_context = server_tls_context(
        authority.server_config("localhost", verify_clients=bool(client_certificate)), ["http/1.1"]
    )
    tls_client = TLSByteStream(client, client_context, server_side=False, server_name="localhost")
    tls_server = TLSByteStream(server, server_context, server_side=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tls_client.handshake)
        nursery.start_soon(tls_server.handshake)
    # Until the client has received once, session tickets lie unread in its transport, and to close that would be a
    # reset.
    await tls_server.send_all(b"!")
    assert await tls_client.receive_some() == b"!"
    return tls_client, tls_server


async def _make_transports(kind: str) -> tuple[ByteStream, ByteStream]:
    if kind == "memory":
        return memory_stream_pair()
    if kind == "adapter":
        near, far = (trio.SocketStream(trio.socket.from_stdlib_socket(sock)) for sock in tcp_pair())
        return StreamAdapter(near), StreamAdapter(far)
    if kind == "unix":
        near, far = socket.socketpair()
        return SocketByteStream(near), SocketByteStream(far)
    near, far = tcp_pair()
    return SocketByteStream(near), SocketByteStream(far)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    for sock in (near, far):
        # Fixed sizes: buffers that tune themselves still take octets seconds after they were full.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 128 * 1024)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)
    return near, far


@contextlib.asynccontextmanager
async def open_pair(kind: str, authority: Authority) -> AsyncGenerator[tuple[ByteStream, ByteStream]]:
    with trio.fail_after(DEADLINE_SECONDS):
        near, far = await make_pair(kind, authority)
        try:
            yield near, far
        finally:
            near.abort()
            far.abort()
            await near.aclose()
            await far.aclose()


async def receive_exactly(stream: ByteStream, octets: int) -> bytes:
    parts = []
    while octets:
        data = await stream.receive_some(min(octets, 65536))
        if not data:
            break
        parts.append(data)
        octets -= len(data)
    return b"".join(parts)


async def receive_all(stream: ByteStream) -> bytes:
    parts = []
    while data := await stream.receive_some():
        parts.append(data)
    return b"".join(parts)


async def fill(stream: ByteStream) -> int:
    """Send until nothing more is taken, also not a moment later; return how many octets were."""
    total = 0
    settled = False
    while True:
        taken = stream.send_nowait([bytes(65536)])
        total += taken
        if taken:
            settled = False
            continue
        if settled:
            return total
        # The kernel moves octets from one side to the other in its own time.
        with trio.move_on_after(0.02) as scope:
            await stream.wait_writable()
        settled = scope.cancelled_caught


@dataclasses.dataclass
class Outcome:
    """What became of a call that was made in a task of its own."""

    exception: BaseException | None = None
    ended: trio.Event = dataclasses.field(default_factory=trio.Event)

    async def run(self, function, *args) -> None:
        try:
            await function(*args)
        except Exception as exc:
            self.exception = exc
        self.ended.set()
