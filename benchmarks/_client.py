"""What the clients of the three versions have in common. They do no I/O, and are as lean as is right for a load.

They are made for servers that mean well: what a server does wrong ends the exchange, and is told as such.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable

__all__ = ["Client", "Exchange", "Outcome"]


class Outcome(enum.Enum):
    """How an exchange ended."""

    COMPLETE = "complete"
    """The answer is there, whole."""

    RETRYABLE = "retryable"
    """The server said that it has not looked at the request."""

    CANCELLED = "cancelled"
    """This side did not want it any more."""

    FAILED = "failed"
    """Anything else: a reset, or the end of the connection."""


class Exchange:
    """One request, and what came of it.

    Args:
        stream_id: its stream, or its number.
        upload_octets: what is still to be sent.
    """

    __slots__ = ("_on_end", "body", "octets", "outcome", "status", "stream_id", "upload_octets")

    def __init__(self, stream_id: int, upload_octets: int, on_end: Callable[[Exchange], None] | None) -> None:
        self.stream_id = stream_id
        self.upload_octets = upload_octets
        self.status = 0
        self.octets = 0
        self.body = b""
        """The answer's last piece: the whole of a small one."""
        self.outcome: Outcome | None = None
        self._on_end = on_end

    def end(self, outcome: Outcome) -> None:
        """Tell the outcome; the first one counts."""
        if self.outcome is None:
            self.outcome = outcome
            if self._on_end is not None:
                self._on_end(self)


class Client(ABC):
    """One connection of a client.

    Args:
        authority: host and port.
        scheme: ``"http"`` or ``"https"``.
    """

    def __init__(self, authority: str, scheme: str) -> None:
        self.authority = authority
        self.scheme = scheme
        self.exchanges: dict[int, Exchange] = {}
        """Those that have not ended."""
        self.closing = False
        """Whether the server wants no further request."""
        self.lost = False
        """Whether the connection is over."""

    @abstractmethod
    def open(
        self, method: str, path: str, upload_octets: int = 0, on_end: Callable[[Exchange], None] | None = None
    ) -> Exchange:
        """Send a request; what it uploads is so many zeros.

        Args:
            method: ``"GET"``, ``"POST"`` …
            path: of the URL.
            upload_octets: length of its body.
            on_end: called when the exchange has ended.
        """

    @abstractmethod
    def cancel(self, exchange: Exchange) -> None:
        """Do not want an exchange any more."""

    @abstractmethod
    def take_output(self) -> list[bytes]:
        """Take what is to be sent: pieces of a byte stream, or datagrams."""

    @abstractmethod
    def receive(self, data: bytes) -> None:
        """Take what has come: from a byte stream, or a datagram."""

    def connection_lost(self) -> None:
        """Tell that nothing will come any more."""
        self.lost = True
        self._fail_all(Outcome.FAILED)

    def _fail_all(self, outcome: Outcome, above: int = -1) -> None:
        for exchange in list(self.exchanges.values()):
            if exchange.stream_id > above:
                self._end(exchange, outcome)

    def _end(self, exchange: Exchange, outcome: Outcome) -> None:
        if self.exchanges.pop(exchange.stream_id, None) is not None:
            exchange.end(outcome)
