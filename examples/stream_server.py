"""A server of stream handlers: every request gets a task of its own and an HTTPStream.

    python stream_server.py [PORT]          8080 unless given; 0 takes a free one

Then, in another terminal::

    curl http://localhost:8080/
    curl http://localhost:8080/echo --data-binary @stream_server.py
    curl -N 'http://localhost:8080/count?100'

Press Ctrl-C while it counts: the server stops listening, the counter comes to its end, and only then the server does.
"""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import AsyncIterator

import trio

import hface_trio
from hface_trio import HTTPStream, Server

TEXT = (b"content-type", b"text/plain; charset=utf-8")
OCTETS = (b"content-type", b"application/octet-stream")
GRACE_SECONDS = 10


async def handler(stream: HTTPStream) -> None:
    """Find the route: method and path are bytes, as they came."""
    path, _, query = stream.path.partition(b"?")
    match path, stream.method:
        case b"/", b"GET" | b"HEAD":
            await stream.send_response(200, [TEXT], b"Try /echo and /count?10\n")
        case b"/echo", b"POST" | b"PUT":
            await echo(stream)
        case b"/count", b"GET":
            await count(stream, query)
        case b"/" | b"/echo" | b"/count", _:
            await stream.send_response(405, [TEXT], b"Not with this method.\n")
        case _:
            await stream.send_response(404, [TEXT], b"There is nothing here.\n")


async def echo(stream: HTTPStream) -> None:
    """Send back what arrives, as it arrives.

    Nothing piles up: the client may send no faster than it takes its own octets back.
    """
    await stream.send_headers([(b":status", b"200"), OCTETS])
    async for chunk in stream.iter_data():
        await stream.send_data(chunk)
    await stream.send_data(b"", end_stream=True)


async def count(stream: HTTPStream, query: bytes) -> None:
    """Send a number every tenth of a second, and stop early when the server wants to end.

    When the client goes away this function is cancelled: there is nothing to check for.
    """
    last = int(query) if query.isdigit() and len(query) < 7 else 10
    await stream.send_headers([(b":status", b"200"), TEXT])
    for number in range(1, last + 1):
        await stream.send_data(b"%d\n" % number)
        with trio.move_on_after(0.1):
            await stream.draining.wait()
        if stream.draining.is_set():
            await stream.send_data(b"The server is about to end.\n")
            break
    await stream.send_data(b"", end_stream=True)


async def shut_down(server: Server, signals: AsyncIterator[int]) -> None:
    """Wait for a signal, then let the server come to its end."""
    async for _ in signals:
        print("shutting down", flush=True)
        await server.shutdown(GRACE_SECONDS)
        break


async def main(port: int) -> None:
    """Serve until Ctrl-C, or SIGTERM."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            serve = functools.partial(hface_trio.serve, handler, f"http://localhost:{port}")
            server: Server = await nursery.start(serve)
            for endpoint in server.endpoints:
                print(f"listening on {endpoint}", flush=True)
            await shut_down(server, signals)


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
