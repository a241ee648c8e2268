"""PING frames of this side: asked for by the application, by the keep-alive interval, or by the drain.

Source: RFC 9113 §6.7.
"""

from __future__ import annotations

import enum
import math
from typing import NamedTuple

from ...errors import LocalProtocolError
from ._frames import pack_ping
from ._output import Output
from ._settings import HTTP2Settings

__all__ = ["PingPurpose", "Pings"]


class PingPurpose(enum.Enum):
    """Who asked for a ping."""

    APPLICATION = enum.auto()
    KEEP_ALIVE = enum.auto()
    DRAIN = enum.auto()


class _Ping:
    __slots__ = ("purpose", "sent_at")

    def __init__(self, purpose: PingPurpose) -> None:
        self.purpose = purpose
        self.sent_at: float | None = None  # told by the clock, which is asked for at once


class AcknowledgedPing(NamedTuple):
    """A ping that came back."""

    purpose: PingPurpose
    round_trip_seconds: float


class Pings:
    """Pings on their way, and the keep-alive interval.

    Args:
        output: where PING frames go.
        settings: intervals and counts.
    """

    __slots__ = ("_counter", "_heard_at", "_output", "_outstanding", "_settings", "_undated")

    def __init__(self, output: Output, settings: HTTP2Settings) -> None:
        self._output = output
        self._settings = settings
        self._outstanding: dict[bytes, _Ping] = {}
        self._undated: list[_Ping] = []
        self._counter = 0
        self._heard_at: float | None = None

    def send(self, purpose: PingPurpose, data: bytes | None = None) -> bytes:
        """Send a ping.

        Args:
            purpose: who asks for it.
            data: its eight octets; something unique by default.

        Returns:
            The eight octets.

        Raises:
            LocalProtocolError: they are not eight, or the same or too many pings are on their way.
        """
        if data is None:
            self._counter += 1
            data = self._counter.to_bytes(8, "big")
        if len(data) != 8 or data in self._outstanding:
            raise LocalProtocolError("a ping carries 8 octets, unlike those of other pings on their way")
        if purpose is PingPurpose.APPLICATION and len(self._outstanding) >= self._settings.outstanding_pings:
            raise LocalProtocolError("too many pings wait for their acknowledgement")
        ping = self._outstanding[data] = _Ping(purpose)
        self._undated.append(ping)
        self._output.write(pack_ping(data, ack=False))
        return data

    def acknowledged(self, data: bytes, now: float) -> AcknowledgedPing | None:
        """Enter an acknowledgement; return ``None`` if it is of no ping."""
        ping = self._outstanding.pop(data, None)
        if ping is None:
            return None
        return AcknowledgedPing(ping.purpose, 0.0 if ping.sent_at is None else now - ping.sent_at)

    def heard(self, now: float) -> None:
        """Note that octets arrived."""
        self._heard_at = now

    def clock(self, now: float) -> bool:
        """Tell the time and send what is due; return ``False`` if the peer has been silent for too long."""
        self._date(now)
        if self._heard_at is None:
            self._heard_at = now
        if now < self._keep_alive_deadline():
            return True
        if self._keep_alive_sent_at() is not None:
            return False
        self.send(PingPurpose.KEEP_ALIVE)
        self._date(now)
        return True

    def deadline(self) -> float:
        """Return when a keep-alive ping, or its answer, is due; at once, while the time of a ping is open."""
        if self._undated:
            return -math.inf
        return self._keep_alive_deadline()

    def _date(self, now: float) -> None:
        for ping in self._undated:
            ping.sent_at = now
        self._undated.clear()

    def _keep_alive_deadline(self) -> float:
        sent_at = self._keep_alive_sent_at()
        if sent_at is not None:
            return sent_at + self._settings.keep_alive_timeout_seconds
        return math.inf if self._heard_at is None else self._heard_at + self._settings.keep_alive_interval_seconds

    def _keep_alive_sent_at(self) -> float | None:
        for ping in self._outstanding.values():
            if ping.purpose is PingPurpose.KEEP_ALIVE:
                return ping.sent_at
        return None
