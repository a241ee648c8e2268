"""What an HTTP/1.1 engine does for the connection around it: it reads.

An engine turns clean octets of one message into its parts: fields and chunks, as the front has taken start lines apart. It
sees nothing of another message, nothing of a tunnel or of a body that needs no decoding, no limit and no clock. The front
before it, the translation behind it and everything that is sent are the same for every engine, so two of them differ in
speed and in nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ...models import HeaderType
from .._interfaces import Buffer

__all__ = ["Body", "Codec"]


class Body(NamedTuple):
    """What a run of octets held: data, and the trailer section when the message ended with one."""

    data: bytes
    trailers: Sequence[HeaderType]


class Codec(Protocol):
    """An engine on one side of one connection. The methods raise ``Refusal`` where it is stricter than the front."""

    def receive_fields(self, head: bytes, *, chunked: bool) -> list[HeaderType]:
        """Decode the fields of a whole head, which a chunked body follows or not: lower-case names, trimmed values."""
        ...

    def receive_chunked(self, octets: Buffer) -> Body:
        """Decode octets of the chunked body behind the head that was received last."""
        ...
