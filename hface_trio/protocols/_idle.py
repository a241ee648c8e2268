"""The end of connections that nobody uses, on versions that carry many streams."""

from __future__ import annotations

import math

__all__ = ["IdleWatch"]


class IdleWatch:
    """Watches for a connection without streams.

    The last stream may end at a time that nobody tells: then it is asked for within a second, which costs a busy connection
    nothing.

    Args:
        seconds: how long there may be no stream.
    """

    __slots__ = ("_ask_at", "_idle_since", "_seconds")

    _ASK_AFTER_SECONDS = 1

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ask_at = math.inf
        self._idle_since: float | None = None

    def watch(self, *, idle: bool, now: float) -> None:
        """Note whether there are streams; ``now`` may be long ago."""
        if not idle:
            self._idle_since = None
            self._ask_at = math.inf
        elif self._idle_since is None and self._seconds < math.inf:
            self._ask_at = min(self._ask_at, now + self._ASK_AFTER_SECONDS)

    def clock(self, now: float, *, idle: bool) -> bool:
        """Tell the time; return whether there were no streams for too long."""
        if idle and self._idle_since is None:
            self._idle_since = now
            self._ask_at = math.inf
        return self._idle_since is not None and now >= self._idle_since + self._seconds

    def deadline(self) -> float:
        """Return when the time is to be told next."""
        return self._ask_at if self._idle_since is None else self._idle_since + self._seconds
