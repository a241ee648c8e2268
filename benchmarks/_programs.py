"""The servers that are measured: ``python benchmarks/_programs.py NAME [CERTFILE KEYFILE]`` is one of them.

Each serves on a free port of 127.0.0.1, which it prints, until it is terminated; over TLS when it gets a certificate. A GET
of ``/`` is answered with ``BODY``, one of ``DOWNLOAD`` with ``TRANSFER_OCTETS``, and an upload to ``UPLOAD`` with the number
of octets that came. What is not said here is each server's default. Only what is asked for is imported, so that one server's
code does not sit in the memory of another.
"""

# ruff: noqa: PLC0415  # see above

from __future__ import annotations

import contextlib
import functools
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

__all__ = ["BODY", "DOWNLOAD", "PROGRAMS", "TRANSFER_OCTETS", "UPLOAD", "Certificate"]

BODY = b"Hello, world!\n"
DOWNLOAD = "/download"
UPLOAD = "/upload"
TRANSFER_OCTETS = 128 * 1024 * 1024
_TYPE = (b"content-type", b"text/plain")
_HOST = "127.0.0.1"
_PIECE = bytes(64 * 1024)
_N_PIECES = TRANSFER_OCTETS // len(_PIECE)

Certificate: TypeAlias = "tuple[str, str]"
"""Paths of a certificate chain and of its private key."""


def serve_hface_trio(certificate: Certificate | None) -> None:
    """Serve with this package."""
    import trio

    import hface_trio

    download, upload = DOWNLOAD.encode(), UPLOAD.encode()

    async def handler(stream: hface_trio.HTTPStream) -> None:
        if stream.path == download:
            await stream.send_headers([(b":status", b"200"), _TYPE, _length(TRANSFER_OCTETS)])
            for number in range(1, _N_PIECES + 1):
                await stream.send_data(_PIECE, end_stream=number == _N_PIECES)
        elif stream.path == upload:
            n_octets = 0
            async for data in stream.iter_data():
                n_octets += len(data)
            await stream.send_response(200, [_TYPE], b"%d" % n_octets)
        else:
            await stream.send_response(200, [_TYPE], BODY)

    async def main() -> None:
        tls = hface_trio.ServerTLSConfig(*certificate) if certificate else None
        serve = functools.partial(hface_trio.serve, tls_config=tls)
        async with trio.open_nursery() as nursery:
            endpoint = f"{'https' if tls else 'http'}://{_HOST}:0"
            server: hface_trio.Server = await nursery.start(serve, handler, endpoint)
            _announce(server.endpoints[0].port)

    trio.run(main)


async def application(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Do the same as an ASGI application."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])  # lifespan: servers take this for "not supported"
    if scope["path"] == DOWNLOAD:
        headers = [_TYPE, _length(TRANSFER_OCTETS)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number in range(1, _N_PIECES + 1):
            await send({"type": "http.response.body", "body": _PIECE, "more_body": number < _N_PIECES})
        return
    body = BODY
    if scope["path"] == UPLOAD:
        n_octets, more = 0, True
        while more:
            message = await receive()
            n_octets += len(message.get("body", b""))
            more = message.get("more_body", False)
        body = b"%d" % n_octets
    await send({"type": "http.response.start", "status": 200, "headers": [_TYPE, _length(len(body))]})
    await send({"type": "http.response.body", "body": body})


def serve_hypercorn(certificate: Certificate | None) -> None:
    """Serve with hypercorn's trio worker, in this process as its ``--workers 0`` does."""
    import hypercorn.config
    import hypercorn.trio
    import trio

    with _listen() as listener:
        config = hypercorn.config.Config()
        config.bind = [f"fd://{listener.fileno()}"]
        config.errorlog = None
        config.keep_alive_max_requests = sys.maxsize  # else long runs would measure reconnections, too
        if certificate:
            config.certfile, config.keyfile = certificate
        _announce(listener.getsockname()[1])
        untyped: Any = hypercorn.trio  # it wants its own type of applications
        trio.run(functools.partial(untyped.serve, application, config))


def serve_uvicorn(certificate: Certificate | None) -> None:
    """Serve with uvicorn, which has no trio, on asyncio with h11; cleartext only."""
    import uvicorn

    del certificate

    with _listen() as listener:
        config = uvicorn.Config(
            application, http="h11", loop="asyncio", lifespan="off", log_level="warning", access_log=False
        )
        _announce(listener.getsockname()[1])
        uvicorn.Server(config).run(sockets=[listener])


def serve_floor(certificate: Certificate | None) -> None:
    """Receive and send on ``trio.socket``, parsing nothing: what no server on trio can go below. Cleartext, ``/`` only."""
    import trio

    del certificate
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


PROGRAMS: dict[str, Callable[[Certificate | None], None]] = {
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


def _length(n_octets: int) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % n_octets


def _announce(port: int) -> None:
    print(port, flush=True)


if __name__ == "__main__":
    _name, *_files = sys.argv[1:]
    PROGRAMS[_name]((_files[0], _files[1]) if _files else None)
