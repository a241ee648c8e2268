"""Servers that answer before they have read an upload, and close: a real socket is reset then, with all that this brings."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

import hface_trio

UPLOAD = bytes(8_000_000)
SECONDS = 60
ROUNDS = 15
"""What the client meets first, the failure to send or the answer, differs."""


@asynccontextmanager
async def answering(answer: bytes) -> AsyncGenerator[str]:
    """Answer every request when its head has come, and reset the connection a moment later."""

    async def serve(stream: trio.SocketStream) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive_some(100)
        await stream.send_all(answer)
        await trio.sleep(0.01)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await stream.aclose()

    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, serve, [listener])
            yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}/"
            nursery.cancel_scope.cancel()


async def upload(client: hface_trio.Client, url: str) -> tuple[int, bytes] | None:
    try:
        response = await client.request("POST", url, content=UPLOAD)
    except hface_trio.ConnectionLostError:
        return None
    return response.status, response.body


async def test_nothing_is_left_of_connections_that_ended_in_the_middle_of_an_upload() -> None:
    async with answering(b"HTTP/1.0 413 Too Large\r\n\r\nno") as url:
        async with hface_trio.open_client(http_versions=["1.1"]) as client:
            for _ in range(ROUNDS):
                assert await upload(client, url) in {None, (413, b"no")}
            nursery = client._own_nursery.nursery
            assert nursery is not None
            while nursery.child_tasks:
                await trio.sleep(0.01)


async def test_an_answer_that_was_cut_off_is_not_taken_for_a_whole_one() -> None:
    """The end of the connection is the end of its body, unless there was an error (RFC 9112 §8)."""
    async with answering(b"HTTP/1.1 200 OK\r\n\r\nfirst part, and") as url:
        async with hface_trio.open_client(http_versions=["1.1"]) as client:
            assert {await upload(client, url) for _ in range(ROUNDS)} == {None}
