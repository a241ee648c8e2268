"""One request and its response, as far as they have come."""

from __future__ import annotations

import enum
from typing import Final

__all__ = [
    "RECEIVING_BLOCKED",
    "RECEIVING_BODY",
    "RECEIVING_HEAD",
    "RECEIVING_IDLE",
    "RECEIVING_OVER",
    "RECEIVING_TUNNEL",
    "SENDING_BODY",
    "SENDING_ENDED",
    "SENDING_HEAD",
    "Exchange",
    "Receiving",
    "Sending",
]


class Receiving(enum.Enum):
    """What the next octet of the peer belongs to."""

    IDLE = "idle"
    """The first octet of a message (server), or nothing that is due (client)."""

    HEAD = "head"
    """A head that has begun (server) or is awaited (client)."""

    BODY = "body"
    """The body of the current message."""

    BLOCKED = "blocked"
    """The message after the current one, which waits until the exchange is over."""

    TUNNEL = "tunnel"
    """A tunnel."""

    OVER = "over"
    """Nothing: it is dropped."""


class Sending(enum.Enum):
    """What may be submitted next."""

    HEAD = "head"
    """The head: the request, or the final response, possibly after interim ones."""

    BODY = "body"
    """Octets of the body or the tunnel, or its end."""

    ENDED = "ended"
    """Nothing."""


# The members by names of their own: an attribute of an enum class costs as much as a call, and these are asked for all the
# time.
RECEIVING_IDLE: Final = Receiving.IDLE
RECEIVING_HEAD: Final = Receiving.HEAD
RECEIVING_BODY: Final = Receiving.BODY
RECEIVING_BLOCKED: Final = Receiving.BLOCKED
RECEIVING_TUNNEL: Final = Receiving.TUNNEL
RECEIVING_OVER: Final = Receiving.OVER
SENDING_HEAD: Final = Sending.HEAD
SENDING_BODY: Final = Sending.BODY
SENDING_ENDED: Final = Sending.ENDED


class Exchange:
    """One request and its response.

    Args:
        stream_id: its stream.
        method: method of the request.
        keep_alive: whether the connection may be used again, as far as known.
    """

    __slots__ = (
        "awaits_continue",
        "bodiless",
        "chunked",
        "discarded",
        "draining",
        "final",
        "http10",
        "informational_responses",
        "keep_alive",
        "method",
        "received",
        "sending",
        "stream_id",
        "tunnel",
        "unacknowledged",
        "unsent",
        "upgrades",
    )

    def __init__(self, stream_id: int, method: bytes, keep_alive: bool = True) -> None:
        self.stream_id = stream_id
        self.method = method
        self.keep_alive = keep_alive
        self.final = False
        """The client promised that this request is its last, or speaks HTTP/1.0, where nothing else is expected."""
        self.http10 = False
        """The peer speaks HTTP/1.0."""
        self.upgrades = False
        """The request offers to switch protocols."""
        self.awaits_continue = False
        """The client holds its body back until it hears of it."""
        self.received = False
        """The peer's message is complete."""
        self.discarded = False
        """Nobody reads what is still received, once the response is complete."""
        self.draining = False
        """What is still received is dropped."""
        self.unacknowledged = 0
        """Data octets that the application has not acknowledged."""
        self.informational_responses = 0
        """Interim responses received."""
        self.sending = Sending.HEAD
        self.unsent: int | None = None
        """Octets of a declared content length that have not been submitted."""
        self.chunked = False
        """The body that is sent is chunked."""
        self.bodiless = False
        """The message that is sent has no body, whatever its head says."""
        self.tunnel = False
        """Both directions carry raw octets."""
