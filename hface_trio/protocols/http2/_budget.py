"""The token budget of an HTTP/2 connection, which also knows how many updates of windows there is reason for."""

from __future__ import annotations

from .._budget import AbuseBudget
from ._codes import HTTP2ErrorCode

__all__ = ["FrameBudget"]


class FrameBudget(AbuseBudget):
    """Counts what a peer may waste: resets, PING, SETTINGS, PRIORITY, empty DATA, WINDOW_UPDATE without need.

    Args:
        tokens: the most there can be, and what there is at first.
        tokens_per_second: how many come back.
    """

    __slots__ = ("window_updates",)

    _UPDATES_PER_DATA_FRAME = 4
    _UPDATES_FOR_A_STREAM = 2
    _MAXIMUM_UPDATES = 4096

    def __init__(self, tokens: float, tokens_per_second: float) -> None:
        super().__init__(tokens, tokens_per_second, HTTP2ErrorCode.ENHANCE_YOUR_CALM)
        self.window_updates: int = self._UPDATES_PER_DATA_FRAME

    def stream_opened(self) -> None:
        """Expect the updates with which clients widen a new stream's window."""
        if self.window_updates < self._MAXIMUM_UPDATES:
            self.window_updates += self._UPDATES_FOR_A_STREAM

    def data_sent(self) -> None:
        """Expect that a DATA frame is answered by updates of its stream and of the connection, perhaps in parts."""
        if self.window_updates < self._MAXIMUM_UPDATES:
            self.window_updates += self._UPDATES_PER_DATA_FRAME

    def window_updated(self) -> None:
        """Take a token for an update that answers nothing.

        Raises:
            ConnectionFault: there are none left.
        """
        if self.window_updates > 0:
            self.window_updates -= 1
        else:
            self.spend("WINDOW_UPDATE")
