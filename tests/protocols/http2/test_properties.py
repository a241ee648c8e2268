"""What holds for any input: the same events however it is cut, and a legal state at the end."""

from __future__ import annotations

from collections import Counter

from hyperframe.frame import ContinuationFrame, DataFrame, GoAwayFrame, PingFrame, RstStreamFrame, WindowUpdateFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from hface_trio.errors import LocalProtocolError
from hface_trio.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    HeadersReceived,
    StopSendingReceived,
    StreamResetReceived,
    StreamResetSent,
    TrailersReceived,
)
from hface_trio.limits import Limits
from hface_trio.protocols._interfaces import OutputEnd
from hface_trio.protocols.http2 import H2ClientProtocol, H2ServerProtocol, HTTP2Settings

from ..taken import joined
from .raw_peer import POST, REQUEST, RESPONSE, RawPeer, client, open_request, raw_frame, server

LIMITS = Limits(concurrent_streams=4, stream_window_octets=2000, header_section_octets=2000, header_fields=20)

stream_ids = st.sampled_from([1, 1, 1, 3, 3, 5, 7, 0])
sections = st.sampled_from(
    [
        REQUEST,
        POST,
        RESPONSE,
        [(b"trailer", b"1")],
        [*REQUEST, (b"Bad", b"name")],
        [*POST, (b"content-length", b"5")],
        [*REQUEST, *[(b"many", b"fields")] * 22],
        [(b":status", b"103")],
        [(b":method", b"CONNECT"), (b":authority", b"a:1")],
    ]
)
# What a peer does, as a function from the raw peer to octets.
good_actions = st.one_of(
    st.builds(lambda s, end: lambda p: p.request(p.next_id(), s, end_stream=end).serialize(), sections, st.booleans()),
    st.builds(lambda s, end: lambda p: p.request(p.next_id(), s, end_stream=end).serialize(), sections, st.booleans()),
    st.builds(
        lambda i, s, end: lambda p: p.request(i or 1, s, end_stream=end).serialize(),
        stream_ids,
        sections,
        st.booleans(),
    ),
    st.builds(
        lambda i, s, size: lambda p: b"".join(f.serialize() for f in p.continued(i, s, size)),
        st.sampled_from([1, 3, 5]),
        sections,
        st.integers(1, 30),
    ),
    st.builds(
        lambda i, n, end, pad: (
            lambda _p: DataFrame(i or 1, b"d" * n, pad_length=pad, flags=["PADDED"] + ["END_STREAM"] * end).serialize()
        ),
        stream_ids,
        st.integers(0, 700),
        st.booleans(),
        st.integers(0, 20),
    ),
    st.builds(lambda i: lambda _p: RstStreamFrame(i or 1, 8).serialize(), stream_ids),
    st.builds(lambda i, n: lambda _p: WindowUpdateFrame(i, n).serialize(), stream_ids, st.integers(1, 2**31 - 1)),
    st.just(lambda _p: PingFrame(0, b"12345678").serialize()),
    st.builds(
        lambda window: lambda _p: raw_frame(4, 0, 0, b"\0\4" + window.to_bytes(4, "big")), st.integers(0, 100_000)
    ),
    st.just(lambda _p: raw_frame(4, 1, 0)),
    st.builds(lambda i: lambda _p: GoAwayFrame(0, i, 0).serialize(), stream_ids),
    st.builds(lambda i: lambda _p: raw_frame(0x10, 0, 0, (i or 1).to_bytes(4, "big") + b"u=1"), stream_ids),
)
wild_actions = st.one_of(
    st.builds(
        lambda t, f, i, payload: lambda _p: raw_frame(t, f, i, payload),
        st.integers(0, 18),
        st.integers(0, 255),
        stream_ids,
        st.binary(max_size=40),
    ),
    st.builds(lambda i, d: lambda _p: ContinuationFrame(i or 1, d).serialize(), stream_ids, st.binary(max_size=9)),
    st.builds(lambda data: lambda _p: data, st.binary(max_size=40)),
)


@settings(max_examples=150, deadline=None)
@given(
    side=st.sampled_from([server, client]),
    actions=st.lists(st.one_of(good_actions, good_actions, good_actions, wild_actions), max_size=25),
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=10),
)
def test_any_cut_gives_the_same_events_and_answers(side, actions, cuts):
    peers = [side(limits=LIMITS) for _ in range(3)]
    for peer in peers:
        if side is client:
            open_request(peer), open_request(peer, POST, end_stream=False)
        peer.frames()
    data = b"".join(action(peers[0]) for action in actions)
    seen = []
    for peer, sizes in zip(peers, ([len(data) or 1], [1], cuts), strict=True):
        start = turn = 0
        while start < len(data):
            size = sizes[turn % len(sizes)]
            peer.send(data[start : start + size])
            start += size
            turn += 1
        seen.append((joined(peer.events()), peer.protocol.bytes_to_send(), peer.protocol.output_end))
    assert seen[0] == seen[1] == seen[2]


class Bookkeeper:
    """An application that checks what it is told."""

    def __init__(self, peer: RawPeer) -> None:
        self.peer = peer
        self.begun: set[int] = set()
        self.input_over: set[int] = set()
        self.reset: Counter[int] = Counter()
        self.held: Counter[int] = Counter()
        self.terminated = 0

    def take_events(self) -> None:
        for event in self.peer.events():
            assert not self.terminated, event
            if isinstance(event, HeadersReceived):
                assert event.stream_id not in self.input_over
                self.begun.add(event.stream_id)
            elif isinstance(event, (DataReceived, TrailersReceived)):
                assert event.stream_id in self.begun
                assert event.stream_id not in self.input_over
                assert event.stream_id not in self.reset
                self.held[event.stream_id] += len(getattr(event, "data", b""))
            elif isinstance(event, (StreamResetReceived, StreamResetSent, StopSendingReceived)):
                self.reset[event.stream_id] += 1
                assert self.reset[event.stream_id] == 1
            elif isinstance(event, ConnectionTerminated):
                self.terminated += 1
            if getattr(event, "end_stream", False) or isinstance(event, TrailersReceived):
                self.input_over.add(event.stream_id)

    def act(self, what: str, stream_id: int, octets: int) -> None:
        protocol = self.peer.protocol
        try:
            if what == "headers":
                protocol.submit_headers(stream_id, RESPONSE, bool(octets % 2))
            elif what == "data":
                protocol.submit_data(stream_id, b"x" * min(octets, protocol.send_capacity(stream_id)))
            elif what == "end":
                protocol.submit_data(stream_id, b"", True)
            elif what == "trailers":
                protocol.submit_trailers(stream_id, [(b"a", b"b")])
            elif what == "reset":
                protocol.submit_stream_reset(stream_id, 8)
            elif what == "acknowledge":
                protocol.acknowledge(stream_id, octets)
            elif what == "goaway":
                protocol.submit_goaway()
            elif what == "push":
                protocol.submit_push_promise(stream_id, REQUEST)
            elif what == "open":
                open_request(self.peer, POST, end_stream=bool(octets % 2))
            elif what == "take":
                protocol.bytes_to_send()
            elif what == "wait":
                protocol.clock(protocol._connection.now + octets / 100)
        except LocalProtocolError:
            pass


own_acts = st.tuples(
    st.sampled_from(
        [
            "headers",
            "data",
            "end",
            "trailers",
            "reset",
            "acknowledge",
            "goaway",
            "push",
            "open",
            "take",
            "wait",
        ]
    ),
    st.sampled_from([1, 3, 5, 2, 4]),
    st.integers(1, 3000),
)


@settings(max_examples=300, deadline=None)
@given(
    side=st.sampled_from([server, client]),
    steps=st.lists(st.one_of(good_actions, good_actions, wild_actions, own_acts), max_size=40),
    ending=st.sampled_from(["lost", "eof", "close"]),
)
def test_any_sequence_ends_in_a_legal_state(side, steps, ending):
    peer = side(HTTP2Settings(accept_push=True), limits=LIMITS)
    keeper = Bookkeeper(peer)
    connection = peer.protocol._connection
    ledger = connection.ledger
    whole = ledger.available + ledger._pending
    for step in steps:
        if isinstance(step, tuple):
            keeper.act(*step) if side is server or step[0] not in {"headers", "push"} else None
        else:
            peer.send(step(peer))
        keeper.take_events()
        live = connection.streams.live
        assert set(connection.core.streams) == set(live)
        assert connection.streams.own_count + connection.streams.peer_count == len(live)
        assert ledger.held == sum(stream.credit.held for stream in live.values())
        assert ledger.available >= 0
        for stream_id in live:
            assert peer.protocol.send_capacity(stream_id) >= 0
            assert keeper.reset[stream_id] == 0
        if keeper.terminated:
            assert not live
            assert peer.protocol.output_end is not OutputEnd.OPEN
            assert peer.protocol.get_timer() is None
    if ending == "lost":
        peer.protocol.connection_lost()
    elif ending == "eof":
        peer.protocol.eof_received()
    else:
        peer.protocol.submit_close(0, "done")
    keeper.take_events()
    assert keeper.terminated == 1
    assert peer.protocol.open_streams == 0
    assert ledger.held == 0
    assert ledger.available + ledger._pending == whole
    assert not connection.sender._blocked


class Transfer:
    """Two protocols of ours that send each other bodies, piece by piece."""

    def __init__(self, window: int, *, chunk: int, eagerness: int, cut: int) -> None:
        limits = Limits(stream_window_octets=window)
        self.near = H2ClientProtocol(secure=True, limits=limits)
        self.far = H2ServerProtocol(secure=True, limits=limits)
        self.chunk, self.eagerness, self.cut = chunk, eagerness, cut
        self.bodies: dict[int, int] = {}
        self.sending: dict[tuple[object, int], int] = {}
        self.received: Counter[tuple[object, int]] = Counter()
        self.held: Counter[tuple[object, int]] = Counter()
        self.done: set[tuple[object, int]] = set()

    def begin(self, octets: int) -> None:
        stream_id = self.near.get_available_stream_id()
        self.near.submit_headers(stream_id, POST)
        self.bodies[stream_id] = self.sending[self.near, stream_id] = octets

    def run(self) -> None:
        for _ in range(100_000):
            moved = [self.move(self.near, self.far), self.move(self.far, self.near)]
            if not any(moved):
                return
        raise AssertionError("it does not end")

    def move(self, source, target) -> bool:
        sent = [self.submit(source, stream_id) for owner, stream_id in list(self.sending) if owner is source]
        data = source.bytes_to_send()
        for start in range(0, len(data), self.cut):
            target.bytes_received(data[start : start + self.cut])
            while (event := target.next_event()) is not None:
                self.take(target, event)
        taken = [self.acknowledge(target, stream_id) for owner, stream_id in list(self.held) if owner is target]
        return bool(data) or any(sent) or any(taken)

    def submit(self, source, stream_id: int) -> bool:
        left = self.sending[source, stream_id]
        octets = min(left, self.chunk, source.send_capacity(stream_id))
        if left and not octets:
            return False
        source.submit_data(stream_id, b"x" * octets, octets == left)
        self.sending[source, stream_id] -= octets
        if octets == left:
            del self.sending[source, stream_id]
        return True

    def take(self, target, event: Event) -> None:
        if isinstance(event, HeadersReceived) and target is self.far:
            target.submit_headers(event.stream_id, RESPONSE)
            self.sending[target, event.stream_id] = self.bodies[event.stream_id]
        elif isinstance(event, DataReceived):
            self.received[target, event.stream_id] += len(event.data)
            self.held[target, event.stream_id] += len(event.data)
            if event.end_stream:
                self.done.add((target, event.stream_id))

    def acknowledge(self, target, stream_id: int) -> bool:
        octets = min(self.held[target, stream_id], self.eagerness)
        target.acknowledge(stream_id, octets)
        self.held[target, stream_id] -= octets
        return octets > 0


@settings(max_examples=40, deadline=None)
@given(
    bodies=st.lists(st.integers(0, 20_000), min_size=1, max_size=3),
    chunk=st.integers(100, 9000),
    eagerness=st.integers(100, 9000),
    cut=st.integers(100, 5000),
    window=st.integers(50, 70_000),
)
def test_bodies_arrive_whole_both_ways_through_any_windows(bodies, chunk, eagerness, cut, window):
    transfer = Transfer(window, chunk=chunk, eagerness=eagerness, cut=cut)
    for octets in bodies:
        transfer.begin(octets)
    transfer.run()
    expected = {
        (side, stream_id): octets
        for stream_id, octets in transfer.bodies.items()
        for side in (transfer.near, transfer.far)
    }
    assert transfer.done == set(expected)
    assert {key: transfer.received[key] for key in expected} == expected
    assert transfer.near.open_streams == transfer.far.open_streams == 0
    assert transfer.near.unacknowledged_octets == transfer.far.unacknowledged_octets == 0
