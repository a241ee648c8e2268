"""How many connections a server has open, against its limits."""

from __future__ import annotations

from collections import Counter

from ..limits import Limits, address_owner

__all__ = ["Admission"]


class Admission:
    """Counts open connections, in all and by whoever has the peer's address, against the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_owner: Counter[str] = Counter()
        self.count: int = 0
        self.refused: int = 0

    def has_room(self, host: str) -> bool:
        """Say whether one more connection from a host would be within the limits; if not, it counts as refused."""
        limits = self._limits
        if self.count >= limits.connections or self._by_owner[address_owner(host)] >= limits.connections_per_address:
            self.refused += 1
            return False
        return True

    def admit(self, host: str) -> bool:
        """Count a connection from a host; say whether it is within the limits."""
        if not self.has_room(host):
            return False
        self.count += 1
        self._by_owner[address_owner(host)] += 1
        return True

    def release(self, host: str) -> None:
        """Take back a connection that was admitted."""
        self.count -= 1
        owner = address_owner(host)
        self._by_owner[owner] -= 1
        if not self._by_owner[owner]:
            del self._by_owner[owner]
