"""An ASGI application for other projects' servers: what the client is tested against."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from ._payload import chunks

__all__ = ["application"]

_Message: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[_Message]]
_Send: TypeAlias = Callable[[_Message], Awaitable[None]]


async def application(scope: _Message, receive: _Receive, send: _Send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])  # lifespan: servers take this for "not supported"
    parameters = dict(parse_qsl(scope["query_string"].decode()))
    path: str = scope["path"]
    if path == "/hello":
        await _answer(send, 200, b"hello\n")
    elif path == "/close":
        await _answer(send, 200, b"bye\n", [(b"connection", b"close")])
    elif path == "/empty":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
    elif path == "/headers":
        section = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
        await _answer(send, 200, json.dumps({"method": scope["method"], "path": path, "headers": section}).encode())
    elif path == "/digest":
        sha, n_octets = hashlib.sha256(), 0
        async for chunk in _body(receive):
            sha.update(chunk)
            n_octets += len(chunk)
        await _answer(send, 200, json.dumps({"octets": n_octets, "sha256": sha.hexdigest()}).encode())
    elif path == "/refuse":
        await _answer(send, 403, b"no\n")
    elif path == "/echo":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        async for chunk in _body(receive):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})
    elif path == "/bytes":
        n_octets = int(parameters["n"])
        length = [] if parameters.get("length") == "no" else [(b"content-length", b"%d" % n_octets)]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        for chunk in chunks(n_octets):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})
    else:
        await _answer(send, 404, b"there is nothing here\n")


async def _answer(send: _Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    section = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body)), *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": section})
    await send({"type": "http.response.body", "body": body})


async def _body(receive: _Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client left")
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return
