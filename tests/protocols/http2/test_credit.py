"""The receive ledger by itself, and credit as a peer sees it."""

from __future__ import annotations

import pytest
from hyperframe.frame import DataFrame, RstStreamFrame, WindowUpdateFrame
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hface_trio.limits import Limits
from hface_trio.protocols._faults import ConnectionFault, StreamFault
from hface_trio.protocols.http2 import HTTP2Settings
from hface_trio.protocols.http2._credit import ReceiveLedger, StreamCredit

from .raw_peer import POST, RESPONSE, RawPeer, body, data_frame, server, updates

KIB = 1024
MIB = 1024 * KIB


def uploading(peer: RawPeer, stream_id: int = 1) -> RawPeer:
    peer.send(peer.request(stream_id, POST, end_stream=False))
    peer.frames()
    peer.events()
    return peer


def fill(peer: RawPeer, stream_id: int, octets: int) -> None:
    while octets:
        size = min(16384, octets)
        peer.send(DataFrame(stream_id, b"x" * size))
        octets -= size


def test_connection_window_holds_all_streams_and_their_growth():
    peer = server(start=False)
    frames = peer.frames()
    assert 65_535 + updates(frames, 0) == 100 * 64 * KIB + 4 * MIB


def test_no_credit_without_consumption():
    peer = uploading(server())
    fill(peer, 1, 64 * KIB)
    assert peer.protocol.receive_window(1) == 0
    assert [f for f in peer.frames() if isinstance(f, WindowUpdateFrame)] == []
    assert peer.protocol.unacknowledged_octets == 64 * KIB


def test_streams_that_nobody_reads_do_not_stop_the_others():
    peer = server()
    stalled = range(1, 199, 2)
    for stream_id in stalled:
        uploading(peer, stream_id)
        fill(peer, stream_id, 64 * KIB)
    uploading(peer, 199)
    for _ in range(64):
        fill(peer, 199, 16384)
        peer.protocol.acknowledge(199, 16384)
    assert len(body(peer.events(), 199)) == MIB


def test_updates_are_batched():
    peer = uploading(server(HTTP2Settings(window_growth_octets=0)))
    fill(peer, 1, 64 * KIB)
    for _ in range(31):
        peer.protocol.acknowledge(1, 1024)
    assert updates(peer.frames(), 1) == 0
    peer.protocol.acknowledge(1, 1024)
    assert updates(peer.frames(), 1) == 32 * KIB


def test_fast_reader_gets_a_window_of_a_mebibyte():
    peer = uploading(server())
    total = 0
    while peer.protocol.receive_window(1) < MIB:
        window = peer.protocol.receive_window(1)
        fill(peer, 1, window)
        peer.protocol.acknowledge(1, window)
        total += window
        assert total < 4 * MIB
    fill(peer, 1, MIB)
    peer.protocol.acknowledge(1, MIB)
    assert peer.protocol.receive_window(1) == MIB


def test_slow_exchange_keeps_its_window():
    peer = uploading(server())
    for second in range(1, 20):
        peer.protocol.clock(float(second))
        fill(peer, 1, 64 * KIB)
        peer.protocol.acknowledge(1, 64 * KIB)
    assert peer.protocol.receive_window(1) == 64 * KIB


def test_slow_reader_keeps_its_window():
    peer = uploading(server())
    fill(peer, 1, 64 * KIB)
    for _ in range(100):
        peer.protocol.acknowledge(1, 16384)
        fill(peer, 1, peer.protocol.receive_window(1))
    assert peer.protocol.unacknowledged_octets <= 64 * KIB


def test_windows_grow_only_as_far_as_all_may_together():
    peer = server(HTTP2Settings(window_growth_octets=100 * KIB))
    for stream_id in (1, 3, 5):
        uploading(peer, stream_id)
        for _ in range(8):
            window = peer.protocol.receive_window(stream_id)
            fill(peer, stream_id, window)
            peer.protocol.acknowledge(stream_id, window)
    windows = [peer.protocol.receive_window(i) for i in (1, 3, 5)]
    assert sum(windows) == 3 * 64 * KIB + 100 * KIB
    peer.send(RstStreamFrame(1, 8), RstStreamFrame(3, 8))
    for _ in range(4):
        window = peer.protocol.receive_window(5)
        fill(peer, 5, window)
        peer.protocol.acknowledge(5, window)
    assert peer.protocol.receive_window(5) == 164 * KIB


def test_growth_can_be_forbidden():
    peer = uploading(server())
    peer.protocol.may_grow = lambda: False
    for _ in range(8):
        fill(peer, 1, 64 * KIB)
        peer.protocol.acknowledge(1, 64 * KIB)
    assert peer.protocol.receive_window(1) == 64 * KIB


def test_padding_is_given_back_by_itself():
    peer = uploading(server())
    for _ in range(1000):
        peer.send(data_frame(1, b"x", pad=255))
        peer.protocol.acknowledge(1, 1)
    assert len(body(peer.events(), 1)) == 1000


def test_no_update_for_a_stream_that_has_ended():
    peer = uploading(server())
    fill(peer, 1, 64 * KIB - 1)
    peer.send(DataFrame(1, b"x", flags=["END_STREAM"]))
    peer.protocol.acknowledge(1, 64 * KIB)
    assert updates(peer.frames(), 1) == 0


@pytest.mark.parametrize("ending", ["reset by peer", "reset here", "answered"])
def test_credit_of_a_stream_goes_back_to_the_connection_at_its_end(ending):
    peer = server(limits=Limits(concurrent_streams=1))
    whole = peer.protocol.receive_window()
    for i in range(200):
        stream_id = 2 * i + 1
        uploading(peer, stream_id)
        fill(peer, stream_id, 64 * KIB)
        if ending == "reset by peer":
            peer.send(RstStreamFrame(stream_id, 8))
        elif ending == "reset here":
            peer.protocol.submit_stream_reset(stream_id, 8)
        else:
            peer.send(DataFrame(stream_id, b"", flags=["END_STREAM"]))
            peer.protocol.submit_headers(stream_id, RESPONSE, True)
        assert peer.protocol.open_streams == 0
        peer.protocol.acknowledge(stream_id, 64 * KIB)  # late, and welcome
        assert peer.protocol.unacknowledged_octets == 0
        assert peer.protocol.receive_window() >= whole // 2 - 64 * KIB


def test_more_cannot_be_acknowledged_than_came():
    peer = uploading(server())
    fill(peer, 1, 100)
    peer.protocol.acknowledge(1, MIB)
    peer.protocol.acknowledge(1, MIB)
    peer.protocol.acknowledge(99, 5)
    assert peer.protocol.unacknowledged_octets == 0
    assert peer.protocol.receive_window(1) <= 64 * KIB


class LedgerMachine(RuleBasedStateMachine):
    """A peer that sends within its windows is never refused; every octet of credit comes back."""

    MAXIMUM = 400
    GROWTH = 500

    def __init__(self) -> None:
        super().__init__()
        self.granted: dict[int, int] = {}
        self.connection = 65_535
        self.ledger = ReceiveLedger(
            connection_window=70_000,
            maximum_window=self.MAXIMUM,
            growth_octets=self.GROWTH,
            growth_seconds=1,
            write_update=self.update,
        )
        self.ledger.widen_connection()
        self.ledger.initial_window_changed(100, [])
        self.open: list[StreamCredit] = []
        self.next_id = 1

    def update(self, stream_id: int, increment: int) -> None:
        assert increment > 0
        if stream_id:
            self.granted[stream_id] += increment
        else:
            self.connection += increment

    @rule()
    def begin(self) -> None:
        if len(self.open) < 10:
            self.open.append(self.ledger.open(self.next_id))
            self.granted[self.next_id] = self.ledger.initial_window
            self.next_id += 2

    @rule(which=st.integers(0, 9), octets=st.integers(1, 400), padding=st.integers(0, 50))
    def send(self, which: int, octets: int, padding: int) -> None:
        if which < len(self.open):
            credit = self.open[which]
            flow = max(0, min(octets + padding, self.granted[credit.stream_id], self.connection))
            self.granted[credit.stream_id] -= flow
            self.connection -= flow
            self.ledger.arrived(flow)
            self.ledger.received(credit, flow, max(0, flow - padding))

    @rule(which=st.integers(0, 9))
    def send_too_much(self, which: int) -> None:
        if which < len(self.open):
            credit = self.open[which]
            flow = max(0, self.granted[credit.stream_id]) + 1
            if flow <= self.connection:
                self.connection -= flow
                self.ledger.arrived(flow)
                with pytest.raises(StreamFault):
                    self.ledger.received(credit, flow, flow)
                self.end(which)

    @rule(which=st.integers(0, 9), octets=st.integers(1, 500))
    def acknowledge(self, which: int, octets: int) -> None:
        if which < len(self.open):
            self.ledger.acknowledge(self.open[which], octets)

    @rule(which=st.integers(0, 9))
    def end(self, which: int) -> None:
        if which < len(self.open):
            self.ledger.close(self.open.pop(which))

    @rule(window=st.integers(0, 300))
    def change_window(self, window: int) -> None:
        change = window - self.ledger.initial_window
        for credit in self.open:
            self.granted[credit.stream_id] += change
        self.ledger.initial_window_changed(window, self.open)

    @rule(seconds=st.floats(0, 3))
    def wait(self, seconds: float) -> None:
        self.ledger.now += seconds

    @invariant()
    def accounts_are_those_of_the_peer(self) -> None:
        assert self.ledger.available == self.connection >= 0
        for credit in self.open:
            assert credit.available == self.granted[credit.stream_id]
            assert credit.available + credit.held + credit.pending == credit.window
            assert credit.held >= 0
            assert credit.pending >= 0

    @invariant()
    def growth_is_bounded(self) -> None:
        grown = sum(credit.grown for credit in self.open)
        assert 0 <= grown <= self.GROWTH
        assert self.ledger._growth_left == self.GROWTH - grown

    @invariant()
    def who_holds_nothing_is_not_stuck(self) -> None:
        for credit in self.open:
            if credit.held == 0 and credit.window > 0:
                assert credit.available > 0

    def teardown(self) -> None:
        for credit in self.open:
            self.ledger.close(credit)
        assert self.ledger.held == 0
        assert self.ledger.available + self.ledger._pending == 70_000


TestLedger = LedgerMachine.TestCase


def test_connection_overrun_is_a_connection_fault():
    ledger = ReceiveLedger(
        connection_window=65_535,
        maximum_window=MIB,
        growth_octets=0,
        growth_seconds=1,
        write_update=lambda _stream_id, _increment: None,
    )
    with pytest.raises(ConnectionFault) as caught:
        ledger.arrived(65_536)
    assert caught.value.code == 3
