"""Context managers around the exchanges of a client."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

import trio

from ..errors import LocalProtocolError
from ..models import HeadersType
from ._stream import HTTPStream

__all__ = ["ClientDriver", "OpenStream"]


class ClientDriver(Protocol):
    """What opens and ends the streams of a client."""

    async def open_stream(self, headers: HeadersType, end_stream: bool) -> HTTPStream:
        """Open a stream and submit the head of its request."""
        ...

    def release_stream(self, stream: HTTPStream) -> None:
        """End a stream."""
        ...


class OpenStream:
    """Context manager around one exchange of a client; made by ``HTTPConnection.open_stream``."""

    def __init__(
        self, driver: ClientDriver, headers: HeadersType, end_stream: bool, stream: HTTPStream | None = None
    ) -> None:
        self._driver = driver
        self._headers = headers
        self._end_stream = end_stream
        self._promised = stream
        self._stream: HTTPStream | None = None

    async def __aenter__(self) -> HTTPStream:
        if self._stream is not None:
            raise LocalProtocolError("a stream is opened once")
        if self._promised is not None:
            self._stream = self._promised
            await trio.lowlevel.checkpoint()
        else:
            self._stream = await self._driver.open_stream(self._headers, self._end_stream)
        return self._stream

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._driver.release_stream(self._stream)
        if exc_type is None:
            await trio.lowlevel.cancel_shielded_checkpoint()  # already settled: only let others run
