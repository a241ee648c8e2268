"""When a connection has to be looked at.

That is asked for several times for each batch of packets, and found by a look at all there is. So it is remembered for as long
as nothing happens that could change it: packets that come or go, and what is done in time.
"""

from __future__ import annotations

from aioquic.quic.connection import NetworkAddress

from ._memory import SparingConnection

__all__ = ["TimedConnection"]

_ROUNDING_SECONDS = 1e-6


class TimedConnection(SparingConnection):
    """A connection that knows its timer at any moment."""

    _timer: float | None = None
    _timer_known: bool = False

    def get_timer(self) -> float | None:
        """Return when ``handle_timer`` is due."""
        if not self._timer_known:
            self._timer = None if self._close_at is None else super().get_timer()
            self._timer_known = True
        return self._timer

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self._timer_known = False
        # A hair later: rounding can make a packet not lost yet at the very time its loss is due, and again, and again.
        super().handle_timer(now + _ROUNDING_SECONDS)

    def connect(self, addr: NetworkAddress, now: float) -> None:
        """Begin the handshake (client)."""
        self._timer_known = False
        super().connect(addr, now)

    def let_go(self) -> None:
        """Find the timer anew, too."""
        self._timer_known = False
        super().let_go()
