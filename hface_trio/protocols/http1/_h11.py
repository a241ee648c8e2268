"""The h11 engine: the one module that touches h11.

h11 reads heads and chunked bodies. A connection object of it lives for one message, so none is held while a connection is
idle, and what h11 thinks of keeping connections never counts. It gets a message piece by piece, each piece whole and clean:
its own limits never decide, and it never holds octets between two calls.
"""

from __future__ import annotations

import sys
from typing import NoReturn, cast

import h11

from ...models import HeaderType
from .._interfaces import Buffer
from ._codec import Body
from ._refusal import Refusal

__all__ = ["H11ClientCodec", "H11ServerCodec"]

_STATUS_DIGIT = len("HTTP/1.1 ")
_ONE = 0x31

# h11 takes a final response before any request, but an interim one only behind one. It offers to switch protocols, because
# h11 must not be surprised by a 101; whether that was asked for is judged before.
_REQUEST = h11.Request(method="GET", target="/", headers=[("host", "a"), ("connection", "upgrade"), ("upgrade", "a")])


class _H11Codec:
    __slots__ = ("_connection",)

    def __init__(self) -> None:
        self._connection: h11.Connection | None = None

    def receive_chunked(self, octets: Buffer) -> Body:
        """Decode octets of a chunked body."""
        connection = self._connection
        if connection is None:
            raise Refusal(400, "body behind no head")
        pieces: list[bytes] = []
        trailers: list[HeaderType] = []
        try:
            connection.receive_data(cast("bytes", octets))
            while True:
                event = connection.next_event()
                if isinstance(event, h11.Data):
                    pieces.append(event.data)
                    continue
                if isinstance(event, h11.EndOfMessage):
                    trailers = _fields(event)
                    self._connection = None
                break
        except h11.RemoteProtocolError as error:
            _refuse(error)
        return Body(b"".join(pieces), trailers)


class H11ServerCodec(_H11Codec):
    """h11 on the side of the server."""

    __slots__ = ()

    def receive_fields(self, head: bytes, *, chunked: bool) -> list[HeaderType]:
        """Decode the fields of a whole request head."""
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=sys.maxsize)
        try:
            connection.receive_data(head)
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            _refuse(error)
        if not isinstance(event, h11.Request):
            raise Refusal(400, "not a request")
        self._connection = connection if chunked else None
        return _fields(event)


class H11ClientCodec(_H11Codec):
    """h11 on the side of the client."""

    __slots__ = ()

    def receive_fields(self, head: bytes, *, chunked: bool) -> list[HeaderType]:
        """Decode the fields of a whole response head."""
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=sys.maxsize)
        if head[_STATUS_DIGIT] == _ONE:
            connection.send(_REQUEST)
        try:
            connection.receive_data(head)
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            _refuse(error)
        if not isinstance(event, h11.Response | h11.InformationalResponse):
            raise Refusal(400, "not a response")
        self._connection = connection if chunked else None
        return _fields(event)


def _fields(event: h11.Request | h11.InformationalResponse | h11.Response | h11.EndOfMessage) -> list[HeaderType]:
    # faster than to iterate over them
    return [(name.lower(), value) for name, value in event.headers.raw_items()]


def _refuse(error: h11.RemoteProtocolError) -> NoReturn:
    message = str(error)
    if "Host" in message:  # behind the front the only thing that h11 is stricter about; every engine says the same
        message = "not exactly one Host"
    raise Refusal(error.error_status_hint, message[:200]) from error
