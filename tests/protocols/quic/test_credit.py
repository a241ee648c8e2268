"""The ledger of receive credit by itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hface_trio.protocols.quic._credit import ReceiveLedger, StreamCredit


class Writer:
    def __init__(self) -> None:
        self.streams: dict[int, int] = {}
        self.connection = 0

    def raise_stream_limit(self, stream_id: int, limit: int) -> None:
        assert limit > self.streams.get(stream_id, 0)
        self.streams[stream_id] = limit

    def raise_connection_limit(self, limit: int) -> None:
        assert limit > self.connection
        self.connection = limit


def ledger(**arguments) -> ReceiveLedger:
    values = {"connection_window": 1000, "maximum_window": 400, "growth_octets": 300, "growth_seconds": 1.0}
    return ReceiveLedger(Writer(), **(values | arguments))


def test_limits_move_when_half_a_window_is_consumed():
    account = ledger(growth_octets=0)
    credit = StreamCredit(0, 100, 0.0)
    account.delivered(credit, 100)
    account.acknowledge(credit, 49)
    assert account._writer.streams == {}
    account.acknowledge(credit, 1)
    assert account._writer.streams == {0: 150}


def test_windows_double_where_the_application_keeps_up():
    account = ledger()
    credit = StreamCredit(0, 100, 0.0)
    account.delivered(credit, 50)
    account.acknowledge(credit, 50)
    assert credit.window == 200
    assert account._writer.streams == {0: 250}


def test_slow_consumption_grows_nothing():
    account = ledger()
    credit = StreamCredit(0, 100, 0.0)
    account.now = 2.0
    account.delivered(credit, 50)
    account.acknowledge(credit, 50)
    assert credit.window == 100


def test_nobody_acknowledges_more_than_is_held():
    account = ledger()
    credit = StreamCredit(0, 100, 0.0)
    account.delivered(credit, 10)
    account.acknowledge(credit, 500)
    assert credit.consumed == 10
    assert account.held == 0


def test_a_reset_counts_exactly_what_will_not_come():
    account = ledger()
    credit = StreamCredit(0, 100, 0.0)
    account.delivered(credit, 30)
    account.cut_off(credit, 80)
    assert account._consumed == 50
    account.acknowledge(credit, 30)
    assert account._consumed == 80
    assert account._writer.streams == {}  # nothing more will come


def test_what_is_needed_whole_widens_the_window_once():
    account = ledger()
    credit = StreamCredit(0, 100, 0.0)
    account.delivered(credit, 20)
    account.expect(credit, 50)
    assert account._writer.streams == {}
    account.expect(credit, 500)
    assert account._writer.streams == {0: 520}


def test_closing_returns_what_is_held_and_what_had_grown():
    account = ledger()
    credit = StreamCredit(0, 100, 0.0)
    account.delivered(credit, 60)
    account.acknowledge(credit, 50)
    assert account._growth_left == 200
    account.close(credit)
    assert account._growth_left == 300
    assert account.held == 0
    assert account._consumed == 60
    account.acknowledge(credit, 10)
    assert account._consumed == 60


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["deliver", "discard", "acknowledge", "cut", "close", "wait"]),
            st.integers(0, 3),
            st.integers(0, 120),
        ),
        max_size=60,
    )
)
def test_no_credit_is_lost_or_made(steps):
    account = ledger()
    credits_open = {number: StreamCredit(number, 100, 0.0) for number in range(4)}
    arrived = dict.fromkeys(range(4), 0)
    over: set[int] = set()
    stopped: set[int] = set()
    for act, number, octets in steps:
        credit = credits_open[number]
        if act == "wait":
            account.now += octets / 100
        elif act == "acknowledge":
            account.acknowledge(credit, octets)
        elif act == "close":
            account.close(credit)
            over.add(number)
        elif number not in over:
            coming = min(octets, credit.limit - arrived[number])
            arrived[number] += coming
            if act == "deliver":
                account.delivered(credit, coming)
            elif act == "discard":
                account.discarded(credit, coming)
                stopped.add(number)
            else:
                account.cut_off(credit, arrived[number])
                over.add(number)
        assert account._consumed + account.held == sum(arrived.values())
        assert account.held == sum(c.held for c in credits_open.values())
        assert all(c.held >= 0 for c in credits_open.values())
        assert 0 <= account._growth_left <= 300
        assert account._limit >= account._consumed + 500
        for other_number, other in credits_open.items():
            assert other.ended or other_number in stopped or other.limit * 2 >= other.consumed * 2 + other.window
    for credit in credits_open.values():
        account.close(credit)
    assert account.held == 0
    assert account._growth_left == 300
