"""What strangers may cost: counts of half-open connections, and rates of answers that nobody asked for.

An address is counted as its owner has it: an IPv4 address, or the 64 bits of an IPv6 network, within which one peer
has as many addresses as it likes.
"""

from __future__ import annotations

from ...limits import address_owner

__all__ = ["AnswerRate", "OwnerCounts"]


class OwnerCounts:
    """Counts something, in all and for each owner of an address. Whoever has none is not remembered."""

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self.total: int = 0
        self._counts: dict[str, int] = {}

    def of(self, owner: str) -> int:
        """Return the count of one owner."""
        return self._counts.get(owner, 0)

    def add(self, owner: str) -> None:
        """Count one more."""
        self.total += 1
        self._counts[owner] = self._counts.get(owner, 0) + 1

    def remove(self, owner: str) -> None:
        """Count one less of those that were added."""
        self.total -= 1
        count = self._counts[owner] - 1
        if count:
            self._counts[owner] = count
        else:
            del self._counts[owner]


class AnswerRate:
    """Allows so many answers in each second, in all and for each owner of an address.

    Args:
        per_second: answers in all; what is remembered is bounded by it too.
        per_address: answers to one owner.
    """

    __slots__ = ("_counts", "_per_address", "_per_second", "_until")

    def __init__(self, per_second: float, per_address: float) -> None:
        self._per_second = per_second
        self._per_address = per_address
        self._until = float("-inf")
        self._counts = OwnerCounts()

    def allows(self, host: str, now: float) -> bool:
        """Whether one more answer may be sent now; if so, it is counted."""
        if now >= self._until:
            self._until = now + 1
            self._counts = OwnerCounts()
        owner = address_owner(host)
        if self._counts.total >= self._per_second or self._counts.of(owner) >= self._per_address:
            return False
        self._counts.add(owner)
        return True
