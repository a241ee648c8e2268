"""The graceful end of a connection.

A server announces it with a GOAWAY that excludes no stream, and a PING. Once the PING is acknowledged, or a second has
passed, requests sent before the client heard of the end have arrived: a second GOAWAY names the last of them, and
what comes above is ignored. A client needs no announcement, since it opens the streams. When the last stream has ended
the connection does. Source: RFC 9113 §6.8.

::

    OPEN ──begin──> ANNOUNCED ──PING acknowledged, or its time is up──> FINAL ──no streams──> connection ends
      └──────────────────────begin with a last stream id, or as client────^
"""

from __future__ import annotations

import enum
import math

from ...errors import LocalProtocolError
from ._codes import MAXIMUM_STREAM_ID, HTTP2ErrorCode
from ._connection import Connection
from ._frames import pack_goaway
from ._pings import PingPurpose, Pings

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
        pings: sends the ping that marks a round trip.
    """

    __slots__ = ("_additional_data", "_announced_at", "_code", "_connection", "_pings", "phase")

    def __init__(self, connection: Connection, pings: Pings) -> None:
        self._connection = connection
        self._pings = pings
        self._announced_at: float | None = None
        self._code = 0
        self._additional_data = b""
        self.phase: DrainPhase = DrainPhase.OPEN

    def begin(self, *, last_stream_id: int | None, code: int, additional_data: bytes) -> None:
        """Begin the end, or bring it forward.

        Args:
            last_stream_id: the last stream of the peer that is served; by default whatever arrives in a round trip.
            code: reason to tell the peer.
            additional_data: more about it.

        Raises:
            LocalProtocolError: a lower last stream id was named before.
        """
        connection = self._connection
        if last_stream_id is not None and not 0 <= last_stream_id <= connection.last_accepted_id:
            raise LocalProtocolError(f"last stream id {last_stream_id} is above the one named before")
        self._code = code
        self._additional_data = additional_data
        if last_stream_id is not None:
            self._finalize(last_stream_id)
        elif self.phase is DrainPhase.OPEN and connection.client_side:
            self._finalize(connection.core.highest_inbound_stream_id)
        elif self.phase is DrainPhase.OPEN:
            self.phase = DrainPhase.ANNOUNCED
            connection.output.write(pack_goaway(MAXIMUM_STREAM_ID, code, additional_data))
            self._pings.send(PingPurpose.DRAIN)

    def round_trip_made(self) -> None:
        """Note that the drain's ping was acknowledged."""
        if self.phase is DrainPhase.ANNOUNCED:
            self._finalize(self._connection.core.highest_inbound_stream_id)

    def clock(self, now: float) -> None:
        """Go on without the acknowledgement if it is late."""
        if self.phase is not DrainPhase.ANNOUNCED:
            return
        if self._announced_at is None:
            self._announced_at = now
        elif now >= self.deadline():
            self.round_trip_made()

    def deadline(self) -> float:
        """Return until when the acknowledgement is waited for; at once, where the time of the announcement is open."""
        if self.phase is not DrainPhase.ANNOUNCED:
            return math.inf
        if self._announced_at is None:
            return -math.inf
        return self._announced_at + self._connection.settings.drain_ping_seconds

    def settle(self) -> None:
        """End the connection if that was all."""
        connection = self._connection
        if connection.streams.live or connection.terminated:
            return
        if self.phase is DrainPhase.FINAL or connection.goaway_received:
            connection.terminate(HTTP2ErrorCode.NO_ERROR, "drained")

    def _finalize(self, last_stream_id: int) -> None:
        connection = self._connection
        self.phase = DrainPhase.FINAL
        connection.last_accepted_id = last_stream_id
        connection.final_goaway_sent = True
        connection.output.write(pack_goaway(last_stream_id, self._code, self._additional_data))
        for stream in list(connection.streams.live.values()):
            if not stream.initiated_here and stream.stream_id > last_stream_id:
                connection.reset_stream(stream, HTTP2ErrorCode.REFUSED_STREAM)
