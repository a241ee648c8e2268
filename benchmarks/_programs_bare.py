"""The floors of HTTP/1.1: trio and nothing else, and trio with a codec and nothing else.

They know no limit, no deadline and no error: what is missing in them is what a server is.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable

import trio
from _application import ANSWER, BODY
from _ports import announce, listen
from _programs import Certificate

__all__ = ["serve_h11", "serve_httptools", "serve_trio"]

_READ_OCTETS = 65536
_BLOCK = bytes(64 * 1024)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"


def serve_trio(certificate: Certificate | None) -> None:
    """Receive and send, parsing next to nothing: what no server on trio can go below.

    In cleartext ``trio.socket`` and ``/`` only; over TLS ``trio.SSLStream``, downloads and uploads.
    """
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)

        async def serve_tls(connection: trio.socket.SocketType) -> None:
            await _transfer(trio.SSLStream(trio.SocketStream(connection), context, server_side=True))

        _serve(serve_tls)
    else:
        _serve(_answer_all)


async def _answer_all(connection: trio.socket.SocketType) -> None:
    while await connection.recv(_READ_OCTETS):
        await connection.send(ANSWER)


async def _transfer(stream: trio.SSLStream[trio.SocketStream]) -> None:
    while True:
        received = b""
        while b"\r\n\r\n" not in received:
            data = await stream.receive_some(_READ_OCTETS)
            if not data:
                return
            received += data
        head, _, body = bytes(received).partition(b"\r\n\r\n")
        path = head.split(b" ", 2)[1]
        if path.startswith(b"/download/"):
            left = int(path.rpartition(b"/")[2])
            await stream.send_all(_HEAD % left)
            while left > 0:
                await stream.send_all(_BLOCK[:left] if left < len(_BLOCK) else _BLOCK)
                left -= len(_BLOCK)
        elif path == b"/upload":
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            n_octets = len(body)
            while n_octets < length:
                n_octets += len(await stream.receive_some(_READ_OCTETS))
            answer = b"%d" % n_octets
            await stream.send_all(_HEAD % len(answer) + answer)
        else:
            await stream.send_all(ANSWER)


def serve_h11(certificate: Certificate | None) -> None:
    """Answer with h11 on ``trio.socket``."""
    import h11  # noqa: PLC0415  # each server imports its own

    del certificate
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]

    async def serve(connection: trio.socket.SocketType) -> None:
        codec = h11.Connection(h11.SERVER)
        while True:
            event = codec.next_event()
            if event is h11.NEED_DATA:
                data = await connection.recv(_READ_OCTETS)
                if not data:
                    return
                codec.receive_data(data)
            elif type(event) is h11.EndOfMessage:
                response = h11.Response(status_code=200, reason="OK", headers=headers)
                parts = [codec.send(response), codec.send(h11.Data(data=BODY)), codec.send(h11.EndOfMessage())]
                await connection.send(b"".join(part for part in parts if part))
                codec.start_next_cycle()

    _serve(serve)


def serve_httptools(certificate: Certificate | None) -> None:
    """Answer with httptools on ``trio.socket``, within its callbacks' task."""
    import httptools  # noqa: PLC0415

    del certificate

    class Requests:
        """Takes what a server looks at, and counts the requests that are complete."""

        def __init__(self) -> None:
            self.complete = 0
            self.url = b""
            self.headers: list[tuple[bytes, bytes]] = []

        def on_message_begin(self) -> None:
            self.headers = []

        def on_url(self, url: bytes) -> None:
            self.url = url

        def on_header(self, name: bytes, value: bytes) -> None:
            self.headers.append((name.lower(), value))

        def on_message_complete(self) -> None:
            self.complete += 1

    async def serve(connection: trio.socket.SocketType) -> None:
        requests = Requests()
        parser = httptools.HttpRequestParser(requests)
        while data := await connection.recv(_READ_OCTETS):
            parser.feed_data(data)
            if requests.complete:
                await connection.send((_HEAD % len(BODY) + BODY) * requests.complete)
                requests.complete = 0

    _serve(serve)


def _serve(serve: Callable[[trio.socket.SocketType], Awaitable[None]]) -> None:
    async def run(connection: trio.socket.SocketType) -> None:
        with connection, contextlib.suppress(OSError, trio.BrokenResourceError):
            await serve(connection)

    async def main() -> None:
        with trio.socket.from_stdlib_socket(listen()) as listener:
            async with trio.open_nursery() as nursery:
                announce(listener.getsockname()[1])
                while True:
                    connection, _ = await listener.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    nursery.start_soon(run, connection)

    trio.run(main)
