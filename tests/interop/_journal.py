"""What happened to each request, and when: the server process's own record.

A request is named by the ``id`` of its query; those without one are not recorded. Times are ``time.monotonic()``, which on Linux is one clock for all processes,
so that a test can compare them with its own.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import trio

__all__ = ["Journal"]


class Journal:
    """Entries in their order, and gates that handlers wait at."""

    def __init__(self) -> None:
        self._entries: list[dict[str, Any]] = []
        self._changed = trio.lowlevel.ParkingLot()
        self._gates: defaultdict[str, trio.Event] = defaultdict(trio.Event)
        self._octets: defaultdict[str, int] = defaultdict(int)

    def record(self, key: str, event: str, **details: object) -> None:
        if not key:
            return
        self._entries.append({"key": key, "event": event, "at": time.monotonic(), **details})
        self._changed.unpark_all()

    def entries(self, key: str) -> list[dict[str, Any]]:
        return [entry for entry in self._entries if entry["key"] == key]

    async def wait(self, key: str, event: str, seconds: float) -> dict[str, Any] | None:
        """Wait for an entry; return ``None`` when it does not come in time."""
        with trio.move_on_after(seconds):
            while True:
                for entry in self._entries:
                    if entry["key"] == key and entry["event"] == event:
                        return entry
                await self._changed.park()
        return None

    def count(self, key: str, n_octets: int) -> None:
        """Count octets of a body; the first ones make an entry."""
        if not key:
            return
        if not self._octets[key]:
            self.record(key, "flowing")
        self._octets[key] += n_octets

    def octets(self, key: str) -> int:
        return self._octets[key]

    def gate(self, key: str) -> trio.Event:
        return self._gates[key]
