"""When a server has to act by itself on an HTTP/1.1 connection.

There are two deadlines. One follows what is awaited: a head, the next request, or the end of a body that is dropped; there
is none while a request is handled, since bodies and handlers are timed above this layer. The other is the grace period of
a request whose sender has ended its side, and once set it covers whatever follows on the connection.
"""

from __future__ import annotations

import math

from ...limits import Timeouts

__all__ = ["Deadlines"]


class Deadlines:
    """The deadlines of one connection.

    Args:
        timeouts: how long things may take.
    """

    __slots__ = ("_first_head", "_grace", "_started", "_timeouts", "_waiting", "now")

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._started = False
        self._first_head = True
        self._waiting = math.inf
        self._grace = math.inf
        self.now = 0.0
        """The time that was told last."""

    def clock(self, now: float) -> bool:
        """Tell the time; return whether a deadline has come. The first call starts the connection."""
        self.now = now
        if self._started:
            return now >= self._waiting or now >= self._grace
        self._started = True
        if self._first_head:
            self._waiting = now + self._timeouts.request_head_seconds
        return False

    @property
    def grace_is_over(self) -> bool:
        """Whether it is the grace period that has passed."""
        return self.now >= self._grace

    @property
    def next(self) -> float | None:
        """When ``clock`` has to be called; ``None`` when there is no deadline."""
        earliest = self._waiting
        if self._grace < earliest:
            earliest = self._grace
        return None if earliest == math.inf else earliest

    def head_began(self) -> None:
        """Note the first octet of a head. The first head is timed from the start of the connection."""
        if not self._first_head:
            self._waiting = self.now + self._timeouts.request_head_seconds

    def request_received(self) -> None:
        """Note that a request is under way."""
        self._first_head = False
        self._waiting = math.inf

    def await_request(self) -> None:
        """Note that the connection is idle."""
        self._first_head = False
        self._waiting = self.now + self._timeouts.idle_seconds

    def drain(self) -> None:
        """Note that the rest of a body is being dropped."""
        self._waiting = self.now + self._timeouts.body_progress_seconds

    def input_ended(self) -> None:
        """Begin the grace period."""
        self._grace = self.now + self._timeouts.half_close_grace_seconds

    def tunnel_opened(self) -> None:
        """Forget the grace period: the end of its input is an event of a tunnel, not the end of it."""
        self._grace = math.inf
