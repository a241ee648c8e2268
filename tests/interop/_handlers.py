"""The handlers of the server process, by path.

Every request is entered in the journal: ``begin``, then one of ``end``, ``gone`` (the peer left: the handler was cancelled,
or its call on the stream raised) and ``failed``. A path's further entries stand at its handler.
"""

from __future__ import annotations

import hashlib
import json
import urllib.parse
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import trio

import hface_trio
from hface_trio.events import DataReceived

from ._journal import Journal
from ._payload import chunks

__all__ = ["Handlers"]

_Parameters: TypeAlias = dict[str, str]
_TEXT = (b"content-type", b"text/plain")
_JSON = (b"content-type", b"application/json")


class Handlers:
    """All handlers on one journal; calling it serves a stream."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._routes: dict[bytes, Callable[[hface_trio.HTTPStream, _Parameters], Awaitable[None]]] = {
            b"*": self._options,
            b"/bytes": self._bytes,
            b"/digest": self._digest,
            b"/echo": self._echo,
            b"/empty": self._empty,
            b"/headers": self._headers,
            b"/hello": self._hello,
            b"/hints": self._hints,
            b"/hold": self._hold,
            b"/refuse": self._refuse,
            b"/sleep": self._sleep,
            b"/tail": self._tail,
            b"/trailers": self._trailers,
        }

    async def __call__(self, stream: hface_trio.HTTPStream) -> None:
        path, _, query = stream.path.partition(b"?")
        parameters = dict(urllib.parse.parse_qsl(query.decode("ascii")))
        key = parameters.setdefault("id", "")
        handler = self._tunnel if stream.method == b"CONNECT" else self._routes.get(path, self._missing)
        self._journal.record(key, "begin")
        try:
            await handler(stream, parameters)
        except trio.Cancelled:
            self._journal.record(key, "gone", cause=repr(stream.cause))
            raise
        except hface_trio.HfaceError as exc:
            self._journal.record(key, "gone" if stream.cause is not None else "failed", cause=repr(exc))
            raise
        except BaseException as exc:
            self._journal.record(key, "failed", cause=repr(exc))
            raise
        else:
            self._journal.record(key, "end")

    async def _missing(self, stream: hface_trio.HTTPStream, parameters: _Parameters) -> None:
        await stream.send_response(404, [_TEXT], b"there is nothing here\n")

    async def _hello(self, stream: hface_trio.HTTPStream, parameters: _Parameters) -> None:
        await stream.send_response(200, [_TEXT], b"hello\n")

    async def _empty(self, stream: hface_trio.HTTPStream, parameters: _Parameters) -> None:
        await stream.send_response(204)

    async def _options(self, stream: hface_trio.HTTPStream, parameters: _Parameters) -> None:
        await stream.send_response(204, [(b"allow", b"GET, HEAD, OPTIONS, POST")])

    async def _headers(self, stream: hface_trio.HTTPStream, parameters: _Parameters) -> None:
        """Show the request as it was received."""
        section = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in stream.headers]
        shown = {"http_version": stream.http_version, "headers": section}
        await stream.send_response(200, [_JSON], json.dumps(shown).encode())

    async def _digest(self, stream: hface_trio.HTTPStream, parameters: _Parameters) -> None:
        """Read the body; answer with its length, its SHA-256, its trailers, and the number of pieces it came in.

        It may take ``pause`` seconds over each piece.
        """
        pause = float(parameters.get("pause", 0))
        sha, n_octets, n_pieces = hashlib.sha256(), 0, 0
        async for chunk in stream.iter_data():
            sha.update(chunk)
            n_octets += len(chunk)
            n_pieces += 1
            if pause:
                await trio.sleep(pause)
            self._journal.count(parameters["id"], len(chunk))
        trailers = [[name.decode(), value.decode()] for name, value in stream.trailers or ()]
        shown = {"octets": n_octets, "sha256": sha.hexdigest(), "trailers": trailers, "pieces": n_pieces}
        await stream.send_response(200, [_JSON], json.dumps(shown).encode())

    async def _hold(self, stream: hface_trio.HTTPStream, parameters: _Parameters) -> None:
        """Wait at the gate, then be as ``/digest``."""
        await self._journal.gate(parameters["id"]).wait()
        await self._digest(stream, parameters)

    async def _refuse(self, stream: hface_trio.HTTPStream, parameters: _Parameters) -> None:
        """Answer without reading the body."""
        await stream.send_response(403, [_TEXT], b"no\n")

    async def _echo(self, stream: hface_trio.HTTPStream, parameters: _Parameters) -> None:
        """Send back each piece as it arrives."""
        await stream.send_headers([(b":status", b"200"), (b"content-type", b"application/octet-stream")])
        async for chunk in stream.iter_data():
            await stream.send_data(chunk)
        await stream.send_data(b"", end_stream=True)

    async def _bytes(self, stream: hface_trio.HTTPStream, parameters: _Parameters) -> None:
        """Send ``n`` octets of the payload, with their length unless ``length=no``."""
        n_octets = int(parameters["n"])
        headers = [(b":status", b"200"), (b"content-type", b"application/octet-stream")]
        if parameters.get("length") != "no":
            headers.append((b"content-length", b"%d" % n_octets))
        await stream.send_headers(headers)
        for chunk in chunks(n_octets):
            await stream.send_data(chunk)
            self._journal.count(parameters["id"], len(chunk))
        await stream.send_data(b"", end_stream=True)

    async def _sleep(self, stream: hface_trio.HTTPStream, parameters: _Parameters) -> None:
        """Sleep for ``seconds``, then answer; the body is left unread."""
        await trio.sleep(float(parameters["seconds"]))
        await stream.send_response(200, [_TEXT], b"slept\n")

    async def _tail(self, stream: hface_trio.HTTPStream, parameters: _Parameters) -> None:
        """Answer (entry ``answered``), then go on until the gate opens."""
        await stream.send_response(200, [_TEXT], b"hello\n")
        self._journal.record(parameters["id"], "answered")
        await self._journal.gate(parameters["id"]).wait()

    async def _trailers(self, stream: hface_trio.HTTPStream, parameters: _Parameters) -> None:
        body = b"with trailers\n"
        await stream.send_headers([(b":status", b"200"), _TEXT, (b"trailer", b"x-sha256")])
        await stream.send_data(body)
        await stream.send_trailers([(b"x-sha256", hashlib.sha256(body).hexdigest().encode())])

    async def _hints(self, stream: hface_trio.HTTPStream, parameters: _Parameters) -> None:
        await stream.send_informational([(b":status", b"103"), (b"link", b"</style.css>; rel=preload")])
        await stream.send_response(200, [_TEXT], b"hinted\n")

    async def _tunnel(self, stream: hface_trio.HTTPStream, parameters: _Parameters) -> None:
        """Be a proxy for CONNECT."""
        host, _, port = stream.authority.decode("ascii").rpartition(":")
        async with await trio.open_tcp_stream(host, int(port)) as target, trio.open_nursery() as nursery:
            await stream.send_headers([(b":status", b"200")])

            async def forth() -> None:
                async for event in stream:
                    if isinstance(event, DataReceived) and event.data:
                        await target.send_all(event.data)
                await target.send_eof()

            nursery.start_soon(forth)
            async for data in target:
                await stream.send_data(bytes(data))
            await stream.send_data(b"", end_stream=True)
