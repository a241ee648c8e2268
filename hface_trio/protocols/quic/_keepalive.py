"""Pings of this side: those asked for, and those that keep a quiet connection alive."""

from __future__ import annotations

import math

from ._compat_aioquic import QuicMachine

__all__ = ["Pings"]


class Pings:
    """Pings on their way, and the keep-alive interval.

    Args:
        machine: sends them.
        interval_seconds: of silence, before a ping is sent by itself.
    """

    __slots__ = ("_counter", "_due", "_interval", "_machine", "_outstanding", "_quiet_since", "_undated", "needed")

    def __init__(self, machine: QuicMachine, interval_seconds: float) -> None:
        self._machine = machine
        self._interval = interval_seconds
        self._outstanding: dict[int, float] = {}
        self._undated: list[int] = []  # sent since the time was told last
        self._counter = 0
        self._quiet_since: float | None = None
        self._due: tuple[bool, float] | None = None  # of the present silence: whether needed, and when
        self.needed: bool = False
        """Whether the connection has to be kept alive: then a ping goes out at half of the idle timeout too."""

    def send(self) -> int:
        """Send a ping and return its number. It counts from when the time is told next."""
        self._counter += 1
        self._undated.append(self._counter)
        self._machine.send_ping(self._counter)
        return self._counter

    def acknowledged(self, uid: int, now: float) -> float | None:
        """Return the round trip of a ping, or ``None`` if nobody asked for it."""
        sent_at = self._outstanding.pop(uid, None)
        return None if sent_at is None else now - sent_at

    def heard(self, now: float) -> None:
        """Note that a datagram arrived."""
        if now != self._quiet_since:
            self._quiet_since = now
            self._due = None

    def clock(self, now: float) -> None:
        """Send what is due."""
        for number in self._undated:
            self._outstanding[number] = now
        self._undated.clear()
        if now >= self.deadline():
            self._quiet_since = now
            self._due = None
            self._counter += 1
            self._machine.send_ping(self._counter)

    def deadline(self) -> float:
        """Return when a ping is due; at once, while the time of one is open."""
        if self._undated:
            return -math.inf
        due = self._due
        if due is None or due[0] != self.needed:
            if self._quiet_since is None or not self._machine.handshake_complete:
                return math.inf
            interval = min(self._interval, self._machine.idle_seconds / 2) if self.needed else self._interval
            due = self._due = self.needed, self._quiet_since + interval
        return due[1]
