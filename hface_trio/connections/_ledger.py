"""The ledger: one count of all octets that a server buffers, and what is done when there are too many.

Every receive and send buffer reports its changes here. Three measures follow one another as the count rises:

1. over the limit no window grows (:attr:`Ledger.may_grow`);
2. while it stays over, new streams are refused (:attr:`Ledger.accepts_streams`);
3. over the limit by an eighth, the largest holder is told to shed what it holds, one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from ._nobody import tell_nobody

__all__ = ["HeldInput", "Ledger", "LedgerHolder"]


class LedgerHolder(Protocol):
    """Something that buffers octets: a stream, or the output of a connection."""

    ledger_octets: int

    def shed(self) -> None:
        """Give up what is buffered, by resetting the stream or the connection. Must not raise."""
        ...


class Ledger:
    """Count buffered octets against one limit.

    Args:
        limit_octets: see the module; ``math.inf`` only counts.
    """

    def __init__(self, limit_octets: float = math.inf) -> None:
        self.limit_octets = limit_octets
        self._shed_octets = limit_octets + limit_octets / 8
        self._buffered = 0
        self._peak = 0
        self._shed = 0
        self._holders: set[LedgerHolder] = set()
        self._relieving = False

    @property
    def buffered_octets(self) -> int:
        """Octets buffered now."""
        return self._buffered

    @property
    def peak_octets(self) -> int:
        """The most octets that were buffered at a time."""
        return self._peak

    @property
    def holders_shed(self) -> int:
        """How many holders were made to give up their octets."""
        return self._shed

    @property
    def may_grow(self) -> bool:
        """Whether windows may grow."""
        return self._buffered <= self.limit_octets

    @property
    def accepts_streams(self) -> bool:
        """Whether new streams may start."""
        return self._buffered <= self.limit_octets

    def adjust(self, holder: LedgerHolder, n_octets: int) -> None:
        """Count ``n_octets`` more (or fewer, when negative) for ``holder``."""
        if not n_octets:
            return
        holder.ledger_octets += n_octets
        self._buffered += n_octets
        if n_octets < 0:
            if not holder.ledger_octets:
                self._holders.discard(holder)
            return
        self._holders.add(holder)
        if self._buffered > self._peak:
            self._peak = self._buffered
        if self._buffered > self._shed_octets:
            self._relieve()

    def release(self, holder: LedgerHolder) -> None:
        """Take out everything that ``holder`` still holds."""
        self.adjust(holder, -holder.ledger_octets)

    def _relieve(self) -> None:
        # A holder that sheds may have its connection's next events taken, which add to what others hold: the round that is
        # under way sees to those too, and no other is begun within it.
        if self._relieving:
            return
        self._relieving = True
        try:
            # Bounded: each round takes one holder out for good.
            while self._buffered > self._shed_octets and self._holders:
                largest = max(self._holders, key=_octets_of)
                self._shed += 1
                largest.shed()
                self.release(largest)
                self._holders.discard(largest)
        finally:
            self._relieving = False


class HeldInput:
    """What the protocol of a connection holds of its input, in front of all streams.

    Args:
        ledger: counts it.
        shed: ends the connection; must not raise.
    """

    __slots__ = ("_ledger", "_shed", "ledger_octets")

    def __init__(self, ledger: Ledger, shed: Callable[[], None]) -> None:
        self.ledger_octets = 0
        self._ledger = ledger
        self._shed = shed

    def note(self, n_octets: int) -> None:
        """Note how much it is now."""
        self._ledger.adjust(self, n_octets - self.ledger_octets)

    def shed(self) -> None:
        """End the connection."""
        self._shed()

    def let_go(self) -> None:
        """Forget the connection: it is over."""
        self._shed = tell_nobody


def _octets_of(holder: LedgerHolder) -> int:
    return holder.ledger_octets
