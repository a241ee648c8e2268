"""What an HTTP/1.1 engine does for the connection around it: it reads.

An engine turns clean octets of one message into its parts. It sees nothing of another message, nothing of a tunnel or of a
body that needs no decoding, no limit and no clock. The front before it, the translation behind it and everything that is
sent are the same for every engine, so two of them differ in speed and in nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ...models import HeaderType
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
    """What both roles need. The methods raise ``Refusal`` where the engine is stricter than the front."""

    def receive_chunked(self, octets: Buffer) -> Body:
        """Decode octets of the chunked body behind the head that was received last."""
        ...


class ServerCodec(Codec, Protocol):
    """An engine on the side of the server."""

    def receive_head(self, head: bytes, *, chunked: bool) -> RequestHead:
        """Decode a whole request head, which a chunked body follows or not."""
        ...


class ClientCodec(Codec, Protocol):
    """An engine on the side of the client."""

    def receive_head(self, head: bytes, *, chunked: bool) -> ResponseHead:
        """Decode a whole response head, which a chunked body follows or not."""
        ...
