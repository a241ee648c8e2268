"""The graceful end of a connection.

A server announces it with a GOAWAY that excludes no request, and a PING. Once the PING is acknowledged, or a second has
passed, requests sent before the client heard of the end have arrived: a second GOAWAY names the first that is not
processed, and from there on they are rejected. A client needs no announcement, since it opens the streams. The connection
ends when the last stream has, and the peer has acknowledged all of it: what is on its way when a QUIC connection closes is
lost. Source: RFC 9114 §5.2.

::

    OPEN ──begin──> ANNOUNCED ──PING acknowledged, or its time is up──> FINAL ──no streams──> connection ends
      └──────────────────────begin with a last stream id, or as client────^
"""

from __future__ import annotations

import enum
import math

from ...errors import LocalProtocolError
from ._codes import MAXIMUM_REQUEST_ID, HTTP3ErrorCode
from ._connection import Connection
from ._control import ControlStreams
from ._frames import pack_goaway

__all__ = ["Drain", "DrainPhase"]


class DrainPhase(enum.Enum):
    """How far the end has come."""

    OPEN = enum.auto()
    ANNOUNCED = enum.auto()
    FINAL = enum.auto()


class Drain:
    """Ends a connection in order.

    Args:
        connection: the connection.
        control: sends GOAWAY.
    """

    __slots__ = ("_connection", "_control", "_deadline", "_ping", "phase")

    def __init__(self, connection: Connection, control: ControlStreams) -> None:
        self._connection = connection
        self._control = control
        self._deadline = math.inf
        self._ping: int | None = None
        self.phase = DrainPhase.OPEN

    def begin(self, last_stream_id: int | None) -> None:
        """Begin the end, or bring it forward.

        Args:
            last_stream_id: the last request that is served; by default whatever arrives in a round trip.

        Raises:
            LocalProtocolError: a lower last stream id was named before.
        """
        connection = self._connection
        if last_stream_id is not None and not -4 <= last_stream_id <= connection.last_accepted_id:
            raise LocalProtocolError(f"last stream id {last_stream_id} is above the one named before")
        if connection.client_side:
            if self.phase is DrainPhase.OPEN:
                self.phase = DrainPhase.FINAL
                self._control.send(pack_goaway(0))  # of pushes, and there are none
        elif last_stream_id is not None:
            self._finalize(last_stream_id - last_stream_id % 4)
        elif self.phase is DrainPhase.OPEN:
            self.phase = DrainPhase.ANNOUNCED
            self._control.send(pack_goaway(MAXIMUM_REQUEST_ID))
            self._ping = connection.quic.submit_ping()
            self._deadline = -math.inf  # until the time of the announcement is told

    def ping_acknowledged(self, uid: int) -> bool:
        """Go on if that ping was the drain's; return whether it was."""
        if uid != self._ping:
            return False
        self._go_on()
        return True

    def clock(self, now: float) -> None:
        """Go on without the acknowledgement if it is late."""
        if self._deadline == -math.inf:
            self._deadline = now + self._connection.settings.drain_ping_seconds
        elif now >= self._deadline:
            self._go_on()

    def deadline(self) -> float:
        """Return until when the acknowledgement is waited for; at once, where the time of the announcement is open."""
        return self._deadline

    def settle(self) -> None:
        """End the connection if that was all."""
        connection = self._connection
        if self.phase is DrainPhase.FINAL or (connection.goaway_received and connection.client_side):
            if connection.terminated or connection.streams.live or connection.quic.has_bidirectional_streams():
                return
            if not self._control.is_sent():
                return
            connection.terminate(HTTP3ErrorCode.NO_ERROR, "drained")

    def _go_on(self) -> None:
        if self.phase is DrainPhase.ANNOUNCED:
            self._finalize(self._connection.streams.next_unseen_id - 4)

    def _finalize(self, last_stream_id: int) -> None:
        connection = self._connection
        self.phase = DrainPhase.FINAL
        self._deadline = math.inf
        connection.last_accepted_id = last_stream_id
        self._control.send(pack_goaway(last_stream_id + 4))
        for stream in list(connection.streams.live.values()):
            if stream.stream_id > last_stream_id:
                connection.reset_stream(stream, HTTP3ErrorCode.REQUEST_REJECTED)
