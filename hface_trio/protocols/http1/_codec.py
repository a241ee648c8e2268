"""What an HTTP/1.1 engine does for the connection around it.

An engine turns clean octets of one message into its parts, and parts into octets. It sees nothing of another message,
nothing of a tunnel, no limit and no clock; the front, the translation and the connection are the same for every engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ...models import HeadersType, HeaderType
from .._interfaces import Buffer

__all__ = ["Body", "ClientCodec", "Codec", "RequestHead", "ResponseHead", "ServerCodec"]


class RequestHead(NamedTuple):
    """A request head as it came, but with lower-case field names and trimmed values."""

    method: bytes
    target: bytes
    minor_version: int
    fields: Sequence[HeaderType]


class ResponseHead(NamedTuple):
    """A response head, likewise."""

    status: int
    minor_version: int
    fields: Sequence[HeaderType]


class Body(NamedTuple):
    """What a run of octets held: data, and the trailer section when the message ended with one."""

    data: bytes
    trailers: Sequence[HeaderType]


class Codec(Protocol):
    """What both roles need. Methods that take peer's octets raise ``Refusal`` where the engine is stricter."""

    def receive_body(self, octets: Buffer) -> Body:
        """Decode octets of the body, framing included."""
        ...

    def send_data(self, data: Buffer) -> Sequence[Buffer]:
        """Encode octets of the body; ``data`` itself is among what is returned."""
        ...

    def send_end(self, trailers: HeadersType) -> bytes:
        """Encode the end of the body."""
        ...

    def start_next_cycle(self) -> None:
        """Forget the request and the response, which are both complete."""
        ...


class ServerCodec(Codec, Protocol):
    """An engine on the side of the server."""

    def receive_head(self, head: bytes) -> RequestHead:
        """Decode a whole request head."""
        ...

    def send_informational(self, status: int, reason: bytes, fields: HeadersType) -> bytes:
        """Encode an interim response, 101 among them."""
        ...

    def send_response(self, status: int, reason: bytes, fields: HeadersType) -> bytes:
        """Encode the head of the final response."""
        ...


class ClientCodec(Codec, Protocol):
    """An engine on the side of the client."""

    def receive_head(self, head: bytes) -> ResponseHead:
        """Decode a whole response head."""
        ...

    def receive_eof(self) -> None:
        """End a body that lasts until the connection is closed."""
        ...

    def send_request(self, method: bytes, target: bytes, fields: HeadersType) -> bytes:
        """Encode a request head."""
        ...
