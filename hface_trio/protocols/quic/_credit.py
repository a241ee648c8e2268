"""The ledger of receive credit: how far the peer may send, on each stream and on the connection.

QUIC's limits are absolute offsets. A stream's limit is what was consumed of it plus its window; half a window consumed
moves it. Octets are *held* from their delivery until the application acknowledges them or the stream is released. What
never reaches the application (cut off by a reset, or arriving after this side stopped the stream) counts as consumed at
once, exactly: the final size less what was delivered. If the application keeps up and half a window goes fast, the window
doubles, within the bounds of the stream, the connection and ``may_grow``. Source: RFC 9000 §4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["CreditWriter", "ReceiveLedger", "StreamCredit"]


class CreditWriter(Protocol):
    """Tells the peer about limits."""

    def raise_stream_limit(self, stream_id: int, limit: int) -> None:
        """Let the peer send on a stream up to an offset."""
        ...

    def raise_connection_limit(self, limit: int) -> None:
        """Let the peer send so much on all streams together."""
        ...


class StreamCredit:
    """The account of one stream."""

    __slots__ = ("consumed", "delivered", "ended", "grown", "held", "limit", "stream_id", "updated_at", "window")

    def __init__(self, stream_id: int, window: int, now: float) -> None:
        self.stream_id: int = stream_id
        self.window: int = window
        self.limit: int = window
        self.delivered: int = 0
        self.consumed: int = 0
        self.held: int = 0
        self.grown: int = 0
        self.ended: bool = False
        self.updated_at: float = now


class ReceiveLedger:
    """All receive credit of a connection.

    Args:
        writer: tells the peer.
        connection_window: window of the connection.
        maximum_window: how far a stream's window grows.
        growth_octets: what all windows together may have grown at a time.
        growth_seconds: half a window must have gone within this time for it to grow.
    """

    __slots__ = (
        "_consumed",
        "_growth_left",
        "_growth_seconds",
        "_limit",
        "_maximum_window",
        "_window",
        "_writer",
        "held",
        "may_grow",
        "now",
    )

    def __init__(
        self,
        writer: CreditWriter,
        *,
        connection_window: int,
        maximum_window: int,
        growth_octets: int,
        growth_seconds: float,
    ) -> None:
        self._writer = writer
        self._window = connection_window
        self._limit = connection_window
        self._consumed = 0
        self._maximum_window = maximum_window
        self._growth_left = growth_octets
        self._growth_seconds = growth_seconds
        self.held: int = 0
        self.may_grow: Callable[[], bool] | None = None
        self.now: float = 0.0

    @property
    def available(self) -> int:
        """What the peer may send on all streams beyond what was consumed and is held."""
        return self._limit - self._consumed - self.held

    def delivered(self, credit: StreamCredit, octets: int) -> None:
        """Enter octets that the application got."""
        credit.delivered += octets
        credit.held += octets
        self.held += octets

    def discarded(self, credit: StreamCredit, octets: int) -> None:
        """Enter octets that arrived and nobody gets."""
        credit.delivered += octets
        credit.consumed += octets
        self._consume(octets)

    def cut_off(self, credit: StreamCredit, final_size: int) -> None:
        """Enter a reset: what is missing up to the final size will never be delivered, and nothing follows."""
        credit.ended = True
        self.discarded(credit, final_size - credit.delivered)

    def acknowledge(self, credit: StreamCredit, octets: int) -> None:
        """Give back what the application took; at most what it holds."""
        octets = min(octets, credit.held)
        credit.held -= octets
        self.held -= octets
        credit.consumed += octets
        self._consume(octets)
        if not credit.ended and (credit.limit - credit.consumed) * 2 <= credit.window:
            self._move(credit)

    def expect(self, credit: StreamCredit, octets: int) -> None:
        """Let the peer send so much beyond what was delivered, whatever is held: it is needed whole."""
        limit = credit.delivered + octets
        if not credit.ended and limit > credit.limit:
            credit.limit = limit
            self._writer.raise_stream_limit(credit.stream_id, limit)

    def close(self, credit: StreamCredit) -> None:
        """Close a stream's account; what it holds goes back to the connection, what it had grown to the others."""
        self._growth_left += credit.grown
        held, credit.held, credit.grown = credit.held, 0, 0
        credit.ended = True
        self.held -= held
        self._consume(held)

    def _move(self, credit: StreamCredit) -> None:
        credit.window += self._growth(credit)
        credit.updated_at = self.now
        limit = credit.consumed + credit.window
        if limit > credit.limit:
            credit.limit = limit
            self._writer.raise_stream_limit(credit.stream_id, limit)

    def _growth(self, credit: StreamCredit) -> int:
        if credit.held * 4 > credit.window or self.now - credit.updated_at > self._growth_seconds:
            return 0
        growth = min(credit.window, self._maximum_window - credit.window, self._growth_left)
        if growth <= 0 or (self.may_grow is not None and not self.may_grow()):
            return 0
        credit.grown += growth
        self._growth_left -= growth
        return growth

    def _consume(self, octets: int) -> None:
        self._consumed += octets
        # Half of what is not held, not half of the window: held by streams nobody reads, the other half may never come.
        if self.available <= self._consumed + self._window - self._limit:
            self._limit = self._consumed + self._window
            self._writer.raise_connection_limit(self._limit)
