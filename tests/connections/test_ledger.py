from __future__ import annotations

from hface_trio.connections import Ledger


class Holder:
    def __init__(self, log: list[str], name: str) -> None:
        self.ledger_octets = 0
        self.log = log
        self.name = name

    def shed(self) -> None:
        self.log.append(self.name)


def test_counts_what_holders_report() -> None:
    ledger = Ledger(1000)
    a, b = Holder([], "a"), Holder([], "b")
    ledger.adjust(a, 300)
    ledger.adjust(b, 400)
    ledger.adjust(a, -100)
    assert (ledger.buffered_octets, ledger.peak_octets, a.ledger_octets, b.ledger_octets) == (600, 700, 200, 400)


def test_release_takes_out_everything_of_a_holder() -> None:
    ledger = Ledger(1000)
    a = Holder([], "a")
    ledger.adjust(a, 300)
    ledger.release(a)
    assert (ledger.buffered_octets, a.ledger_octets) == (0, 0)


def test_over_the_limit_nothing_grows_and_no_stream_starts() -> None:
    ledger = Ledger(1000)
    a = Holder([], "a")
    ledger.adjust(a, 1000)
    assert ledger.may_grow
    assert ledger.accepts_streams
    ledger.adjust(a, 1)
    assert not ledger.may_grow
    assert not ledger.accepts_streams


def test_over_the_limit_by_an_eighth_the_largest_holder_sheds() -> None:
    log: list[str] = []
    ledger = Ledger(800)
    small, large, middle = Holder(log, "small"), Holder(log, "large"), Holder(log, "middle")
    ledger.adjust(small, 100)
    ledger.adjust(large, 500)
    ledger.adjust(middle, 300)
    assert log == []
    ledger.adjust(small, 1)
    assert log == ["large"]
    assert ledger.buffered_octets == 401
    assert ledger.holders_shed == 1


def test_an_unlimited_ledger_never_sheds() -> None:
    ledger = Ledger()
    a = Holder([], "a")
    ledger.adjust(a, 10**12)
    assert ledger.accepts_streams
    assert ledger.holders_shed == 0
