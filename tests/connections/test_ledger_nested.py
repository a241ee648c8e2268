"""A holder that gives up its memory may make others hold more: that is seen to in the same round, not in one within it."""

from __future__ import annotations

from hface_trio.connections._ledger import Ledger


class Holder:
    """Holds octets; when it gives them up, others come to hold more."""

    running = 0
    most_running = 0

    def __init__(self, ledger: Ledger) -> None:
        self.ledger_octets = 0
        self.ledger = ledger
        self.others: list[Holder] = []

    def shed(self) -> None:
        Holder.running += 1
        Holder.most_running = max(Holder.most_running, Holder.running)
        self.ledger.release(self)
        for other in self.others:
            self.ledger.adjust(other, 100)
        Holder.running -= 1


def test_shedding_is_not_nested() -> None:
    Holder.running = Holder.most_running = 0
    ledger = Ledger(1000)
    holders = [Holder(ledger) for _ in range(50)]
    for number, holder in enumerate(holders):
        holder.others = holders[number + 1 : number + 2]
    for holder in holders:
        ledger.adjust(holder, 100)
    assert Holder.most_running == 1
    assert ledger.buffered_octets <= 1000 + 1000 // 8
