"""Deadlines for what a peer has begun and must end: the preface with its settings, a field section, a frame.

Frames of DATA are not watched: bodies have deadlines of their own, where somebody waits for them.
"""

from __future__ import annotations

import math

from ._codes import HTTP2ErrorCode
from ._faults import ConnectionFault

__all__ = ["HeadWatch", "IdleWatch"]


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


class IdleWatch:
    """Watches for a connection without streams.

    Args:
        seconds: how long it may have none.
    """

    __slots__ = ("_idle_since", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._idle_since: float | None = None

    def watch(self, *, idle: bool, now: float) -> None:
        """Note whether there are streams."""
        if not idle:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now

    def is_over(self, now: float) -> bool:
        """Whether there were none for too long."""
        return now >= self.deadline()

    def deadline(self) -> float:
        """Return when there have been none for too long."""
        return math.inf if self._idle_since is None else self._idle_since + self._seconds
