"""The token budget of a connection for what brings no exchange forward.

A token is spent for each reset by either side, for frames of unknown types, empty DATA, PRIORITY_UPDATE, refused streams and
the like. Tokens come back with time, and one with every completed exchange, so that a client that cancels much but also
finishes much is not taken for an attacker however fast it is. Once they are spent, the connection ends.
"""

from __future__ import annotations

from ._codes import HTTP3ErrorCode
from ._faults import ConnectionFault

__all__ = ["AbuseBudget"]


class AbuseBudget:
    """Counts what a peer may waste.

    Args:
        tokens: the most there can be, and what there is at first.
        tokens_per_second: how many come back.
    """

    __slots__ = ("_maximum", "_now", "_per_second", "tokens")

    def __init__(self, tokens: float, tokens_per_second: float) -> None:
        self.tokens: float = tokens
        self._maximum = tokens
        self._per_second = tokens_per_second
        self._now: float | None = None

    def clock(self, now: float) -> None:
        """Give back what time gives back."""
        if self._now is not None and self.tokens < self._maximum:
            self.tokens = min(self._maximum, self.tokens + (now - self._now) * self._per_second)
        self._now = now

    def spend(self, what: str) -> None:
        """Take a token.

        Raises:
            ConnectionFault: there are none left.
        """
        self.tokens -= 1
        if self.tokens < 0:
            raise ConnectionFault(HTTP3ErrorCode.EXCESSIVE_LOAD, f"too much without progress, last {what}")

    def exchange_completed(self) -> None:
        """Give back a token."""
        if self.tokens < self._maximum:
            self.tokens += 1
