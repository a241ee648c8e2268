"""What every measured server answers, as a stream handler and as an ASGI application.

====================== ========================================================================================
``/``                  ``BODY``
``/download/N``        N octets
``/upload``            how many octets came
``/unread``            the same, but nothing is read for ``UNREAD_SECONDS``
``/pieces``            ``N_PIECES`` pieces, with ``PIECE_SECONDS`` before each: something to be in the middle of
``/wait``              nothing; prints ``begun``, then ``gone`` and the time of the monotonic clock as soon as it knows that
                       its peer is gone
``/memory``            (stream handler only) tracked objects and resident octets, after a collection
====================== ========================================================================================
"""

from __future__ import annotations

import gc
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import hface_trio

__all__ = [
    "ANSWER",
    "BODY",
    "N_PIECES",
    "PIECE_SECONDS",
    "UNREAD_SECONDS",
    "ASGIApplication",
    "handler",
    "make_application",
    "resident_octets",
]

BODY = b"Hello, world!\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
"""The answer to ``/`` of servers that make none themselves."""
N_PIECES = 5
PIECE_SECONDS = 0.02
UNREAD_SECONDS = 1.0
_TYPE = (b"content-type", b"text/plain")
_BLOCK = bytes(64 * 1024)
_LONGEST_WAIT_SECONDS = 60.0

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApplication: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


def resident_octets() -> int:
    """Return the resident memory of this process."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def _tell_memory() -> bytes:
    gc.collect()
    return b"%d %d" % (len(gc.get_objects()), resident_octets())


def _tell_begun() -> None:
    print("begun", flush=True)


def _tell_gone() -> None:
    print(f"gone {time.monotonic():.9f}", flush=True)


async def handler(stream: hface_trio.HTTPStream) -> None:
    """Answer as a stream handler."""
    path = stream.path.partition(b"?")[0]
    if path == b"/":
        await stream.send_response(200, [_TYPE], BODY)
    elif path == b"/upload":
        await stream.send_response(200, [_TYPE], b"%d" % await _count(stream))
    else:
        await _answer_seldom(stream, path.decode())


async def _count(stream: hface_trio.HTTPStream) -> int:
    n_octets = 0
    async for data in stream.iter_data():
        n_octets += len(data)
    return n_octets


async def _answer_seldom(stream: hface_trio.HTTPStream, path: str) -> None:
    import trio  # noqa: PLC0415  # not every server that uses this module has it

    if path.startswith("/download/"):
        left = int(path.rpartition("/")[2])
        await stream.send_headers([(b":status", b"200"), _TYPE, _length(left)])
        while left > 0:
            block = _BLOCK[:left] if left < len(_BLOCK) else _BLOCK
            left -= len(block)
            await stream.send_data(block, end_stream=not left)
    elif path == "/unread":
        await trio.sleep(UNREAD_SECONDS)
        await stream.send_response(200, [_TYPE], b"%d" % await _count(stream))
    elif path == "/pieces":
        await stream.send_headers([(b":status", b"200"), _TYPE, _length(N_PIECES * len(BODY))])
        for number in range(1, N_PIECES + 1):
            await trio.sleep(PIECE_SECONDS)
            await stream.send_data(BODY, end_stream=number == N_PIECES)
    elif path == "/wait":
        _tell_begun()
        try:
            await trio.sleep(_LONGEST_WAIT_SECONDS)
        except trio.Cancelled:
            _tell_gone()
            raise
    elif path == "/memory":
        await stream.send_response(200, [_TYPE], _tell_memory())
    else:
        await stream.send_response(404)


def make_application(sleep: Callable[[float], Awaitable[None]]) -> ASGIApplication:
    """Return an ASGI application that does the same.

    Args:
        sleep: the one of the library that the server runs on.
    """

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])  # lifespan: servers take this for "not supported"
        path: str = scope["path"]
        body = BODY
        if path.startswith("/download/"):
            await _send_many(send, int(path.rpartition("/")[2]))
            return
        if path == "/pieces":
            await _start(send, N_PIECES * len(BODY))
            for number in range(1, N_PIECES + 1):
                await sleep(PIECE_SECONDS)
                await send({"type": "http.response.body", "body": BODY, "more_body": number < N_PIECES})
            return
        if path == "/wait":
            await _wait_until_gone(receive)
            return
        if path == "/unread":
            await sleep(UNREAD_SECONDS)
        if path in {"/upload", "/unread"}:
            body = b"%d" % await _count_messages(receive)
        await _start(send, len(body))
        await send({"type": "http.response.body", "body": body})

    return application


async def _start(send: Send, length: int) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [_TYPE, _length(length)]})


async def _send_many(send: Send, left: int) -> None:
    await _start(send, left)
    while left > 0:
        block = _BLOCK[:left] if left < len(_BLOCK) else _BLOCK
        left -= len(block)
        await send({"type": "http.response.body", "body": block, "more_body": left > 0})


async def _count_messages(receive: Receive) -> int:
    n_octets, more = 0, True
    while more:
        message = await receive()
        n_octets += len(message.get("body", b""))
        more = message.get("more_body", False)
    return n_octets


async def _wait_until_gone(receive: Receive) -> None:
    _tell_begun()
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    finally:
        _tell_gone()


def _length(n_octets: int) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % n_octets
