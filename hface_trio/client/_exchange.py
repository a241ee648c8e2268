"""One exchange of a client: a connection taken, the request sent, the response's head received.

The content is sent by a task of its own unless it is small, since a server may answer before it has read everything, and
may wait for its answer to be read. A failure to send is no failure of the exchange: the response tells.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias

import trio

from ..connections import HTTPConnection, HTTPStream, OpenStream, OwnNursery
from ..errors import ConnectionLostError, HfaceError, RequestNotProcessedError
from ..models import HeadersType
from ._response import Response
from ._url import RequestURL, request_headers

if TYPE_CHECKING:
    from ._client import Client

__all__ = ["Content", "Exchange"]

Content: TypeAlias = bytes | AsyncIterable[bytes]
"""The body of a request: octets, or an asynchronous iterable of them, which is sent chunked unless it has a length."""

_SMALL_OCTETS = 16 * 1024
_CLOSE_SECONDS = 1
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110 §9.2.2


async def _close_iterable(content: AsyncIterable[bytes]) -> None:
    """Let a generator clean up now, and not when it is collected."""
    aclose: Callable[[], Awaitable[object]] | None = getattr(content, "aclose", None)
    if aclose is not None:
        with trio.move_on_after(_CLOSE_SECONDS, shield=True):  # a deadline, for it may wait
            await aclose()


class Exchange:
    """Context manager around a request; made by :meth:`Client.stream`. Leaving it early cancels the request."""

    def __init__(self, client: Client, method: str, url: RequestURL, headers: HeadersType, content: Content) -> None:
        self._client = client
        self._method = method
        self._url = url
        self._content = content
        section = request_headers(method, url, headers)
        if isinstance(content, bytes) and content and not any(name == b"content-length" for name, _ in headers):
            section.append((b"content-length", b"%d" % len(content)))
        self._headers = section
        self._connection: HTTPConnection | None = None
        self._opened: OpenStream | None = None
        self._last_stream: HTTPStream | None = None
        self._upload: OwnNursery | None = None
        self._upload_failure: BaseException | None = None

    async def __aenter__(self) -> Response:
        connection, reused = await self._client.acquire(self._url)
        try:
            return await self._begin(connection)
        except (ConnectionLostError, RequestNotProcessedError) as exc:
            if not self._may_repeat(exc, connection, reused):
                raise
        # Once: the request was not processed, or crossed the end of a kept connection on the way.
        connection, _ = await self._client.acquire(self._url, fresh=True)
        return await self._begin(connection)

    def _may_repeat(self, exc: HfaceError, connection: HTTPConnection, reused: bool) -> bool:
        if not isinstance(self._content, bytes):
            return False
        if exc.retryable:
            return True
        stream = self._last_stream
        nothing_came = stream is None or (stream.status is None and not stream.informational)
        # what came and is not to be understood is an answer too, as far as the request is concerned
        misunderstood = exc.error_code == connection.error_codes.protocol_error
        return reused and nothing_came and not misunderstood and self._method in _IDEMPOTENT

    async def _begin(self, connection: HTTPConnection) -> Response:
        self._connection = connection
        self._last_stream = None
        try:
            self._opened = connection.open_stream(self._headers, end_stream=self._content == b"")
            stream = self._last_stream = await self._opened.__aenter__()
            await self._send_content(stream)
            event = await stream.receive_response()
        except BaseException:
            await self._end()
            raise
        return Response(stream, event.headers)

    async def _send_content(self, stream: HTTPStream) -> None:
        if isinstance(self._content, bytes) and len(self._content) <= _SMALL_OCTETS:
            if self._content:
                await self._send_quietly(stream)
            return
        self._upload = OwnNursery()
        nursery = await self._upload.open()
        nursery.start_soon(self._send, stream)

    async def _send(self, stream: HTTPStream) -> None:
        try:
            await self._send_quietly(stream)
        except Exception as exc:  # noqa: BLE001  # raised where the caller is, see _end
            self._upload_failure = exc
            stream.reset()

    async def _send_quietly(self, stream: HTTPStream) -> None:
        try:
            if isinstance(self._content, bytes):
                await stream.send_data(self._content, end_stream=True)
                return
            try:
                async for chunk in self._content:
                    await stream.send_data(chunk)
                await stream.send_data(b"", end_stream=True)
            finally:
                await _close_iterable(self._content)
        except (HfaceError, trio.BrokenResourceError, trio.ClosedResourceError):
            if stream.cause is None and not stream.over:
                raise  # the caller's mistake; a peer that takes no more says why in its response

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._end()

    async def _end(self) -> None:
        """Settle the upload, the stream and the connection, in this order."""
        upload, self._upload = self._upload, None
        opened, self._opened = self._opened, None
        connection, self._connection = self._connection, None
        try:
            if upload is not None:
                await upload.close()
        finally:
            if opened is not None:
                await opened.__aexit__(None, None, None)
            if connection is not None:
                self._client.release(self._url, connection)
        failure, self._upload_failure = self._upload_failure, None
        if failure is not None:
            raise failure
