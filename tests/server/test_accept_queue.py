"""Connections that wait to be accepted when a server shuts down: their peers believe them to be open."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import trio

import hface_trio
from hface_trio import HTTPStream

SECONDS = 30
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def hello(stream: HTTPStream) -> None:
    await stream.send_response(200, body=b"hello")


@contextlib.contextmanager
def connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Connect without letting the server run meanwhile."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(("127.0.0.1", port), SECONDS)) for _ in range(count)]


async def read_all(sock: socket.socket) -> bytes:
    chunks: list[bytes] = []
    while chunk := await trio.to_thread.run_sync(sock.recv, 65536):
        chunks.append(chunk)
    return b"".join(chunks)


async def test_requests_in_the_queue_are_answered() -> None:
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            server: hface_trio.Server = await nursery.start(hface_trio.serve, hello, "http://127.0.0.1:0")
            with connections(server.endpoints[0].port, 100) as peers:
                for peer in peers:
                    peer.sendall(REQUEST)
                nursery.start_soon(server.shutdown, SECONDS)
                for peer in peers:
                    answer = await read_all(peer)
                    assert answer.startswith(b"HTTP/1.1 200 ")
                    assert b"connection: close" in answer


async def test_those_that_ask_for_nothing_hold_up_nobody_for_long() -> None:
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            server: hface_trio.Server = await nursery.start(hface_trio.serve, hello, "http://127.0.0.1:0")
            with connections(server.endpoints[0].port, 10) as peers:
                began = time.monotonic()
                nursery.start_soon(server.shutdown, SECONDS)
                for peer in peers:
                    assert await read_all(peer) == b""
            await server.shutdown(SECONDS)
            assert time.monotonic() - began < SECONDS / 3
