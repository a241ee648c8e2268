"""The servers that are measured: ``python benchmarks/_programs.py NAME`` is one of them.

Each serves the same small answer on a free port of 127.0.0.1, which it prints, until it is terminated. Only what is asked
for is imported, so that one server's code does not sit in the memory of another.
"""

# ruff: noqa: PLC0415  # see above

from __future__ import annotations

import contextlib
import functools
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

__all__ = ["BODY", "PROGRAMS"]

BODY = b"Hello, world!\n"
_TYPE = (b"content-type", b"text/plain")
_HEADERS = [_TYPE, (b"content-length", b"%d" % len(BODY))]
_HOST = "127.0.0.1"


def serve_hface_trio() -> None:
    """Serve with this package."""
    import trio

    import hface_trio

    async def handler(stream: hface_trio.HTTPStream) -> None:
        await stream.send_response(200, [_TYPE], BODY)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            server: hface_trio.Server = await nursery.start(hface_trio.serve, handler, f"http://{_HOST}:0")
            _announce(server.endpoints[0].port)

    trio.run(main)


async def application(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Answer, as an ASGI application; there is no body to receive."""
    del receive
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])  # lifespan: servers take this for "not supported"
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": BODY})


def serve_hypercorn() -> None:
    """Serve with hypercorn's trio worker, in this process as its ``--workers 0`` does."""
    import hypercorn.config
    import hypercorn.trio
    import trio

    with _listen() as listener:
        config = hypercorn.config.Config()
        config.bind = [f"fd://{listener.fileno()}"]
        config.errorlog = None
        _announce(listener.getsockname()[1])
        untyped: Any = hypercorn.trio  # it wants its own type of applications
        trio.run(functools.partial(untyped.serve, application, config))


def serve_uvicorn() -> None:
    """Serve with uvicorn, which has no trio, on asyncio with h11."""
    import uvicorn

    with _listen() as listener:
        config = uvicorn.Config(
            application, http="h11", loop="asyncio", lifespan="off", log_level="warning", access_log=False
        )
        _announce(listener.getsockname()[1])
        uvicorn.Server(config).run(sockets=[listener])


def serve_floor() -> None:
    """Receive and send on ``trio.socket``, parsing nothing: what no server on trio can go below."""
    import trio

    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    answer = head + BODY

    async def serve(connection: trio.socket.SocketType) -> None:
        with connection, contextlib.suppress(ConnectionResetError):
            while await connection.recv(65536):
                await connection.send(answer)

    async def main() -> None:
        with trio.socket.from_stdlib_socket(_listen()) as listener:
            async with trio.open_nursery() as nursery:
                _announce(listener.getsockname()[1])
                while True:
                    connection, _ = await listener.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    nursery.start_soon(serve, connection)

    trio.run(main)


PROGRAMS: dict[str, Callable[[], None]] = {
    "hface_trio": serve_hface_trio,
    "hypercorn": serve_hypercorn,
    "uvicorn": serve_uvicorn,
    "floor": serve_floor,
}


def _listen() -> socket.socket:
    # asyncio turns Nagle's algorithm off only where it sees that this is TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind((_HOST, 0))
    listener.listen(1024)
    return listener


def _announce(port: int) -> None:
    print(port, flush=True)


if __name__ == "__main__":
    PROGRAMS[sys.argv[1]]()
