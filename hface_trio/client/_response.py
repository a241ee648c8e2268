"""A response, as clients see it."""

from __future__ import annotations

from typing import Self

from ..connections import HTTPStream
from ..models import HeadersType, HeaderType

__all__ = ["Response"]


class Response:
    """A response whose head has been received; its body is read from it, or lies in ``body`` already.

    Args:
        stream: the exchange.
        headers: the head, ``:status`` included.
        body: the whole body, where it was read already.
    """

    def __init__(self, stream: HTTPStream, headers: HeadersType, body: bytes | None = None) -> None:
        self.stream = stream
        self.status: int = stream.status or 0
        self.headers: tuple[HeaderType, ...] = tuple(field for field in headers if not field[0].startswith(b":"))
        self.http_version: str = stream.http_version
        self._body = body
        self._iterator = stream.iter_data()

    def __repr__(self) -> str:
        return f"<Response {self.status} HTTP/{self.http_version}>"

    @property
    def body(self) -> bytes:
        """The whole body.

        Raises:
            RuntimeError: it was not read.
        """
        if self._body is None:
            raise RuntimeError("the body was not read; call read() or iterate")
        return self._body

    @property
    def trailers(self) -> HeadersType | None:
        """The trailers, once the body was read to its end, if there are any."""
        return self.stream.trailers

    @property
    def informational(self) -> list[HeadersType]:
        """Interim responses (1xx) that came before."""
        return self.stream.informational

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a field, or ``None``; ``name`` in lower case."""
        return next((value for field, value in self.headers if field == name), None)

    async def read(self, max_size: int = 16 * 1024 * 1024) -> bytes:
        """Read the whole body.

        Args:
            max_size: octets; the bound of what is held in memory.

        Raises:
            BodyTooLargeError: the body is longer.
            HfaceError: the exchange failed.
        """
        if self._body is None:
            self._body = await self.stream.read_body(max_size)
        return self._body

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        return await self._iterator.__anext__()
