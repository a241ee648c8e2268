"""The h11 engine: the one module that touches h11.

h11 gets a message piece by piece, each piece whole and clean, so its own limits never decide and it never holds octets
between two calls. Of the states that it keeps, connection closing and HTTP/1.0 are the caller's business here: h11 keeps no
connection to an HTTP/1.0 client, so a client that asks for it with a Host is shown to h11 as one of HTTP/1.1.

Tunnels go past it, and pipelined requests wait in front of it: h11's trailing data and PAUSED are never used.
"""

from __future__ import annotations

import re
import sys
from typing import NoReturn, cast

import h11

from ...errors import LocalProtocolError
from ...models import HeadersType, HeaderType
from .._interfaces import Buffer
from ._codec import Body, RequestHead, ResponseHead
from ._refusal import Refusal

__all__ = ["H11ClientCodec", "H11ServerCodec"]

_KEEPS_HTTP10 = re.compile(rb"\nconnection:[^\r]*keep-alive", re.IGNORECASE)
_HAS_HOST = re.compile(rb"\nhost:", re.IGNORECASE)


class _H11Codec:
    __slots__ = ("_connection",)

    def __init__(self, role: type[h11.CLIENT | h11.SERVER]) -> None:
        self._connection = h11.Connection(role, max_incomplete_event_size=sys.maxsize)

    def receive_body(self, octets: Buffer) -> Body:
        """Decode octets of the body, framing included."""
        connection = self._connection
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
                    trailers = list(event.headers)
                break
        except h11.RemoteProtocolError as error:
            _refuse(error)
        return Body(b"".join(pieces), trailers)

    def send_data(self, data: Buffer) -> list[Buffer]:
        """Encode octets of the body, themselves uncopied."""
        # h11 annotates bytes, and passes on whatever has a length
        event = h11.Data(data=cast("bytes", data))
        try:
            return cast("list[Buffer]", self._connection.send_with_data_passthrough(event))
        except h11.LocalProtocolError as error:
            raise LocalProtocolError(str(error)) from error

    def send_end(self, trailers: HeadersType) -> bytes:
        """Encode the end of the body."""
        return self._send(h11.EndOfMessage(headers=list(trailers)))

    def _send(self, event: h11.Event) -> bytes:
        # everything was checked before it came here; should h11 know better after all, the caller hears of it
        try:
            return self._connection.send(event) or b""
        except h11.LocalProtocolError as error:
            raise LocalProtocolError(str(error)) from error

    def start_next_cycle(self) -> None:
        """Forget the request and the response, which are both complete."""
        self._connection.start_next_cycle()


class H11ServerCodec(_H11Codec):
    """h11 on the side of the server."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(h11.SERVER)

    def receive_head(self, head: bytes) -> RequestHead:
        """Decode a whole request head."""
        connection = self._connection
        minor_version = head[head.index(b"\r") - 1] - 0x30
        shown = head
        if not minor_version and _KEEPS_HTTP10.search(head) and _HAS_HOST.search(head):
            shown = head.replace(b" HTTP/1.0\r\n", b" HTTP/1.1\r\n", 1)
        try:
            connection.receive_data(shown)
            event = connection.next_event()
            connection.next_event()  # the end of a request without a body; else it asks for data
        except h11.RemoteProtocolError as error:
            _refuse(error)
        if not isinstance(event, h11.Request):
            raise Refusal(400, "not a request")
        if shown is not head:
            connection.their_http_version = b"1.0"  # so that no response to it is chunked
        return RequestHead(event.method, event.target, minor_version, list(event.headers))

    def send_informational(self, status: int, reason: bytes, fields: HeadersType) -> bytes:
        """Encode an interim response, 101 among them."""
        return self._send(
            h11.InformationalResponse(status_code=status, reason=reason, headers=cast("list[HeaderType]", fields))
        )

    def send_response(self, status: int, reason: bytes, fields: HeadersType) -> bytes:
        """Encode the head of the final response."""
        return self._send(h11.Response(status_code=status, reason=reason, headers=cast("list[HeaderType]", fields)))


class H11ClientCodec(_H11Codec):
    """h11 on the side of the client."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(h11.CLIENT)

    def receive_head(self, head: bytes) -> ResponseHead:
        """Decode a whole response head."""
        connection = self._connection
        try:
            connection.receive_data(head)
            event = connection.next_event()
            if isinstance(event, h11.Response):
                connection.next_event()  # the end of a response without a body; else it asks for data
        except h11.RemoteProtocolError as error:
            _refuse(error)
        if not isinstance(event, h11.Response | h11.InformationalResponse):
            raise Refusal(400, "not a response")
        return ResponseHead(event.status_code, event.http_version[-1] - 0x30, list(event.headers))

    def receive_eof(self) -> None:
        """End a body that lasts until the connection is closed."""
        self._connection.receive_data(b"")
        self._connection.next_event()

    def send_request(self, method: bytes, target: bytes, fields: HeadersType) -> bytes:
        """Encode a request head."""
        return self._send(h11.Request(method=method, target=target, headers=cast("list[HeaderType]", fields)))


def _refuse(error: h11.RemoteProtocolError) -> NoReturn:
    raise Refusal(error.error_status_hint, str(error)[:200]) from error
