"""What happens on a connection because time passes: one clock for all who wait, and the earliest of their deadlines.

Some things begin between two tellings of the time: a ping, an announcement, settings. They do not know when; their deadline is
then in the past, so that the time is told at once.
"""

from __future__ import annotations

import math

from ...limits import Timeouts
from .._faults import ConnectionFault
from .._idle import IdleWatch
from .._interfaces import OutputEnd
from ._codes import HTTP2ErrorCode
from ._connection import Connection
from ._drain import Drain, DrainPhase
from ._front import FrameFront
from ._local_settings import LocalSettings
from ._pings import Pings
from ._watch import HeadWatch

__all__ = ["Schedule"]


class Schedule:
    """Tells the time to the parts of one connection.

    Args:
        connection: the connection.
        front: knows what is unfinished.
        local_settings: wait for their acknowledgement.
        pings: keep the connection alive.
        drain: waits for a round trip.
        timeouts: ``request_head_seconds`` and, on a server, ``idle_seconds``.
    """

    __slots__ = ("_connection", "_drain", "_front", "_head_watch", "_idle_watch", "_local_settings", "_pings")

    def __init__(
        self,
        connection: Connection,
        *,
        front: FrameFront,
        local_settings: LocalSettings,
        pings: Pings,
        drain: Drain,
        timeouts: Timeouts,
    ) -> None:
        self._connection = connection
        self._front = front
        self._local_settings = local_settings
        self._pings = pings
        self._drain = drain
        self._head_watch = HeadWatch(timeouts.request_head_seconds)
        self._idle_watch = IdleWatch(math.inf if connection.client_side else timeouts.idle_seconds)

    def clock(self, now: float) -> None:
        """Tell the time, and do what is due by it."""
        connection = self._connection
        connection.now = connection.ledger.now = now
        connection.budget.clock(now)
        if connection.terminated:
            return
        self._head_watch.watch(self._front.unfinished, now)
        try:
            self._head_watch.clock(now)
            self._local_settings.clock(now)
        except ConnectionFault as fault:
            connection.terminate(fault.code, fault.message)
            return
        self._drain.clock(now)
        if not self._pings.clock(now):
            connection.abandon("a keep-alive ping was not answered", code=HTTP2ErrorCode.CANCEL, end=OutputEnd.ABORTED)
            return
        if self._idle_watch.clock(now, idle=not connection.streams.live) and self._drain.phase is DrainPhase.OPEN:
            self._drain.begin(last_stream_id=None, code=HTTP2ErrorCode.NO_ERROR, additional_data=b"")
        self.settle()

    def timer(self) -> float | None:
        """Return when the time has to be told next."""
        connection = self._connection
        if connection.terminated:
            return None
        timer = min(
            self._head_watch.deadline(),
            self._local_settings.deadline(),
            self._drain.deadline(),
            self._pings.deadline(),
            self._idle_watch.deadline() if self._drain.phase is DrainPhase.OPEN else math.inf,
        )
        return None if timer == math.inf else max(timer, connection.now)

    def receiving(self) -> None:
        """Note that octets arrive."""
        self._pings.heard(self._connection.now)

    def received(self) -> None:
        """Note what is unfinished, now that they have had their effect."""
        self.settle()
        self._head_watch.watch(self._front.unfinished, self._connection.now)

    def settle(self) -> None:
        """End the connection if that was all; note whether there are streams."""
        self._drain.settle()
        self._idle_watch.watch(idle=not self._connection.streams.live, now=self._connection.now)
