"""Watches for a connection without streams."""

from __future__ import annotations

import math

__all__ = ["IdleWatch"]


class IdleWatch:
    """Knows since when there are no streams.

    Args:
        seconds: how long there may be none.
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

    def deadline(self) -> float:
        """Return when there have been none for too long."""
        return math.inf if self._idle_since is None else self._idle_since + self._seconds
