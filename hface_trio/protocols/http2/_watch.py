"""Deadlines for what a peer has begun and must end: the preface with its settings, a field section, a frame.

Frames of DATA are not watched: bodies have deadlines of their own, where somebody waits for them.
"""

from __future__ import annotations

import math

from .._faults import ConnectionFault
from ._codes import HTTP2ErrorCode

__all__ = ["HeadWatch"]


class HeadWatch:
    """Watches one unfinished thing.

    Args:
        seconds: how long it may take, from its first octet; the preface from the start of the connection.
    """

    __slots__ = ("_began_at", "_seconds", "_what")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._what: int | None = None
        self._began_at = math.inf

    def watch(self, what: int | None, now: float) -> None:
        """Note what is unfinished; the same number is the same thing."""
        if what != self._what:
            self._what = what
            self._began_at = math.inf if what is None else now

    def clock(self, now: float) -> None:
        """Tell the time.

        Raises:
            ConnectionFault: it took too long.
        """
        if now >= self.deadline():
            raise ConnectionFault(HTTP2ErrorCode.ENHANCE_YOUR_CALM, "what was begun was not ended in time")

    def deadline(self) -> float:
        """Return when it has taken too long."""
        return self._began_at + self._seconds
