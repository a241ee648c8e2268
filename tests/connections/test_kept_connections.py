"""A client looks at what came on a kept connection before it sends another request there (RFC 9112 §9.3.1)."""

from __future__ import annotations

import os
import socket

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio.networking import SocketWatch

FAREWELLS = {
    "an answer to nothing": b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    "its end": b"",
}


@pytest.mark.parametrize("farewell", FAREWELLS.values(), ids=list(FAREWELLS))
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("watched", [False, True], ids=["read by its reader", "received by a watch"])
async def test_what_lies_there_is_no_answer_to_the_next_request(farewell: bytes, method: str, watched: bool) -> None:
    kept: list[trio.SocketStream] = []

    async def answer(stream: trio.SocketStream) -> None:
        kept.append(stream)
        number = len(kept)
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % number)
        await trio.sleep_forever()

    with trio.fail_after(20):
        for _ in range(10):  # the order of tasks in a scheduler pass is random
            kept.clear()
            async with trio.open_nursery() as nursery:
                if watched:  # as where a server runs beside
                    await nursery.start(SocketWatch().run)
                (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
                nursery.start_soon(trio.serve_listeners, answer, [listener])
                url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/"
                async with hface_trio.open_client(http_versions=["1.1"]) as client:
                    assert (await client.get(url)).body == b"1"
                    await trio.testing.wait_all_tasks_blocked()  # the reader is where it waits
                    os.write(kept[0].socket.fileno(), farewell)  # and the client's loop has no time to look
                    kept[0].socket.shutdown(socket.SHUT_WR)
                    response = await client.request(method, url)
                    assert (response.status, response.body) == (200, b"2")
                nursery.cancel_scope.cancel()
