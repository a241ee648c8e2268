"""The token budget of a connection for what brings no exchange forward.

A token is spent for each useless act of the peer: resets by either side, empty DATA, frames of unknown types, refused streams
and the like. Tokens come back with time, and one with every completed exchange, so that a client that cancels much but also
finishes much is not taken for an attacker however fast it is. Once they are spent, the connection ends.
"""

from __future__ import annotations

from ._faults import ConnectionFault

__all__ = ["AbuseBudget"]


class AbuseBudget:
    """Counts what a peer may waste.

    Args:
        tokens: the most there can be, and what there is at first.
        tokens_per_second: how many come back.
        code: with what the connection ends.
    """

    __slots__ = ("_code", "_maximum", "_now", "_per_second", "tokens")

    def __init__(self, tokens: float, tokens_per_second: float, code: int) -> None:
        self.tokens: float = tokens
        self._maximum = tokens
        self._per_second = tokens_per_second
        self._code = code
        self._now: float | None = None

    @property
    def left(self) -> float:
        """How much there is of what there can be, from 0 to 1."""
        return max(0.0, self.tokens / self._maximum) if self._maximum else 0.0

    def clock(self, now: float) -> None:
        """Give back what time gives back."""
        if self._now is not None and self.tokens < self._maximum:
            self.tokens = min(self._maximum, self.tokens + (now - self._now) * self._per_second)
        self._now = now

    def spend(self, what: str, tokens: float = 1) -> None:
        """Take tokens.

        Raises:
            ConnectionFault: there are none left.
        """
        self.tokens -= tokens
        if self.tokens < 0:
            raise ConnectionFault(self._code, f"too much without progress, last {what}")

    def exchange_completed(self) -> None:
        """Give back a token."""
        if self.tokens < self._maximum:
            self.tokens += 1
