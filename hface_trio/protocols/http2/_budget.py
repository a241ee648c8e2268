"""The token budget of a connection for frames that bring no exchange forward.

A token is spent for each such frame: resets by either side, PING, SETTINGS, PRIORITY, empty DATA, WINDOW_UPDATE without
need. Tokens come back with time, and one with every completed exchange, so that a client that cancels much but also
finishes much is not taken for an attacker however fast it is. Once they are spent, the connection ends.
"""

from __future__ import annotations

from ._codes import HTTP2ErrorCode
from ._faults import ConnectionFault

__all__ = ["AbuseBudget"]


class AbuseBudget:
    """Counts what a peer may waste.

    Args:
        tokens: the most there can be, and what there is at first.
        tokens_per_second: how many come back.
    """

    __slots__ = ("_maximum", "_now", "_per_second", "tokens", "window_updates")

    _UPDATES_PER_DATA_FRAME = 4
    _UPDATES_FOR_A_STREAM = 2
    _MAXIMUM_UPDATES = 4096

    def __init__(self, tokens: float, tokens_per_second: float) -> None:
        self.tokens: float = tokens
        self._maximum = tokens
        self._per_second = tokens_per_second
        self._now: float | None = None
        self.window_updates: int = self._UPDATES_PER_DATA_FRAME

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
            raise ConnectionFault(HTTP2ErrorCode.ENHANCE_YOUR_CALM, f"too many frames without progress, last {what}")

    def exchange_completed(self) -> None:
        """Give back a token."""
        if self.tokens < self._maximum:
            self.tokens += 1

    def stream_opened(self) -> None:
        """Expect the updates with which clients widen a new stream's window."""
        self._expect_updates(self._UPDATES_FOR_A_STREAM)

    def data_sent(self) -> None:
        """Expect that a DATA frame is answered by updates of its stream and of the connection, perhaps in parts."""
        self._expect_updates(self._UPDATES_PER_DATA_FRAME)

    def window_updated(self) -> None:
        """Take a token for an update that answers nothing.

        Raises:
            ConnectionFault: there are none left.
        """
        if self.window_updates > 0:
            self.window_updates -= 1
        else:
            self.spend("WINDOW_UPDATE")

    def _expect_updates(self, count: int) -> None:
        if self.window_updates < self._MAXIMUM_UPDATES:
            self.window_updates += count
