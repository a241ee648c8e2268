"""The httptools engine: the one module that touches httptools.

llhttp reads field lines and chunked bodies. It is shown neither start lines, which the front has taken apart as well, nor
bodies of a known length, which need no decoding: what it knows of methods, versions and upgrades is less than what HTTP
allows, and would make it another judge than the front. A parser lives for one head or one body, so that none is held while a
connection is idle.

httptools parses synchronously, in C, and calls back for each field and chunk.
"""

from __future__ import annotations

import re
from typing import NoReturn

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from ...models import HeaderType
from .._interfaces import Buffer
from ._codec import Body
from ._refusal import Refusal

__all__ = ["HttpToolsCodec"]

_START_LINE = b"POST / HTTP/1.1"
_CHUNKED_HEAD = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
_TRAILING_WHITESPACE = re.compile(rb"(?<![\t ])[\t ]++\r")  # which is no part of a value (RFC 9112 §5.1)


class _Fields:
    """Collects the fields of a section."""

    __slots__ = ("fields",)

    def __init__(self) -> None:
        self.fields: list[HeaderType] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field."""
        self.fields.append((name.lower(), value.rstrip(b" \t")))


class _Chunks(_Fields):
    """Collects data of a chunked body, and its trailers."""

    __slots__ = ("complete", "pieces")

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.complete = False

    def on_body(self, data: bytes) -> None:
        """Take data."""
        self.pieces.append(data)

    def on_message_complete(self) -> None:
        """Note the end."""
        self.complete = True


class HttpToolsCodec:
    """httptools, on the side of the server as on that of the client."""

    __slots__ = ("_chunks", "_parser")

    def __init__(self) -> None:
        self._parser: HttpRequestParser | None = None
        self._chunks: _Chunks | None = None

    def receive_fields(self, head: bytes, *, chunked: bool) -> list[HeaderType]:
        """Decode the fields of a whole head."""
        sink = _Fields()
        fields = head[head.index(b"\r") :]
        if b"\t" in fields:  # llhttp would take one behind a transfer coding for a part of its name
            fields = _TRAILING_WHITESPACE.sub(b"\r", fields)
        try:
            HttpRequestParser(sink).feed_data(_START_LINE + fields)
        except HttpParserUpgrade:
            pass  # whether there is one is not its business
        except HttpParserError as error:
            _refuse(error)
        return sink.fields

    def receive_chunked(self, octets: Buffer) -> Body:
        """Decode octets of a chunked body."""
        parser, chunks = self._parser, self._chunks
        try:
            if parser is None or chunks is None:
                chunks = self._chunks = _Chunks()
                parser = self._parser = HttpRequestParser(chunks)
                parser.feed_data(_CHUNKED_HEAD)
                chunks.fields = []
            parser.feed_data(octets)
        except HttpParserError as error:
            _refuse(error)
        pieces = chunks.pieces
        if chunks.complete:
            self._parser = self._chunks = None
            return Body(b"".join(pieces), chunks.fields)
        chunks.pieces = []
        return Body(pieces[0] if len(pieces) == 1 else b"".join(pieces), ())


def _refuse(error: HttpParserError) -> NoReturn:
    raise Refusal(400, str(error)[:200]) from error
