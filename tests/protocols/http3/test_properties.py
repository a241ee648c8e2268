"""Properties: any chunking gives the same events, any octets leave a legal state."""

from __future__ import annotations

import functools
import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hface_trio.events import DataReceived, Event, StreamEvent
from hface_trio.limits import Limits, Timeouts
from hface_trio.protocols._faults import ConnectionFault
from hface_trio.protocols.http3 import HTTP3Settings
from hface_trio.protocols.http3._connection import Connection
from hface_trio.protocols.http3._control import ControlStreams
from hface_trio.protocols.http3._control_frames import ServerControlFrames
from hface_trio.protocols.http3._drain import Drain
from hface_trio.protocols.http3._frames import pack_frame, pack_varint, read_varint
from hface_trio.protocols.http3._sections import SectionDecoder, SectionEncoder, count_fields
from hface_trio.protocols.http3._server_receiver import ServerReceiver
from hface_trio.protocols.quic import CloseReason, HandshakeCompleted

from .raw_peer import POST, data, headers, settings_frame

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=20).map(str.encode)
VALUES = st.binary(max_size=60)


class FakeQUIC:
    """A transport that takes everything, and remembers what it cost."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.handshake = HandshakeCompleted("h3", False, False)
        self.acknowledged: dict[int, int] = {}
        self.stopped: set[int] = set()
        self.written: list[int] = []
        self.closed: tuple[int, str] | None = None
        self.pings = self
        self.needed = False

    def acknowledge(self, stream_id: int, octets: int) -> None:
        self.acknowledged[stream_id] = self.acknowledged.get(stream_id, 0) + octets

    def submit_stop_sending(self, stream_id: int, code: int) -> None:
        self.stopped.add(stream_id)

    def submit_close(self, code: int, message: str) -> None:
        self.closed = (code, message)
        self.connection.transport_terminated(CloseReason(code, message, application=True, local=True))

    def write(self, stream_id: int, octets: bytes, end_stream: bool = False) -> None:
        self.written.append(stream_id)

    def may_be_opened_by_peer(self, stream_id: int) -> bool:
        return stream_id < 400

    def expect(self, *_arguments: object) -> None:
        pass

    release = submit_stream_reset = expect


def receiver(**limits) -> tuple[ServerReceiver, FakeQUIC, Connection]:
    connection = Connection(client_side=False, limits=Limits(**limits), settings=HTTP3Settings())
    quic = connection.quic = FakeQUIC(connection)
    control = ControlStreams(connection, ServerControlFrames(connection), {})
    return ServerReceiver(connection, control, Drain(connection, control), Timeouts()), quic, connection


def run(octets: bytes, cuts: list[int], stream_id: int = 0) -> tuple[list[Event], FakeQUIC]:
    """Feed octets in pieces; return the events with adjacent data joined."""
    taker, quic, connection = receiver()
    places = sorted({cut % (len(octets) + 1) for cut in cuts} | {0, len(octets)})
    for begin, end in itertools.pairwise(places):
        if quic.closed is None and stream_id not in quic.stopped:
            taker.data_received(stream_id, octets[begin:end], end == len(octets))
    joined: list[Event] = []
    while (event := connection.take_event()) is not None:
        last = joined[-1] if joined else None
        if isinstance(event, DataReceived) and isinstance(last, DataReceived):
            joined[-1] = DataReceived(event.stream_id, last.data + event.data, event.end_stream)
        else:
            joined.append(event)
    return joined, quic


def normal(events: list[Event]) -> list[Event]:
    """HEADERS that end the stream and HEADERS followed by an empty end say the same."""
    out: list[Event] = []
    for event in events:
        if isinstance(event, DataReceived) and not event.data and event.end_stream and out:
            out[-1].end_stream = True
        else:
            out.append(event)
    return out


@functools.lru_cache(1)
def frames() -> st.SearchStrategy[bytes]:
    good = st.one_of(
        st.binary(max_size=80).map(data),
        st.tuples(st.just(0x21), st.binary(max_size=40)).map(lambda pair: pack_frame(*pair)),
    )
    bad = st.one_of(
        st.binary(max_size=30),
        st.tuples(st.sampled_from([1, 2, 3, 4, 5, 7, 0xD]), st.binary(max_size=10)).map(lambda pair: pack_frame(*pair)),
        st.just(headers([(b"x", b"y")])),
    )
    return st.lists(st.one_of(good, good, good, bad), max_size=6).map(b"".join)


@QUICK
@given(frames(), st.lists(st.integers(0, 500), max_size=12))
def test_any_chunking_gives_the_same_events(tail, cuts):
    octets = headers(POST) + tail
    whole, quic = run(octets, [])
    pieces, pieces_quic = run(octets, cuts)
    assert pieces_quic.closed == quic.closed
    assert pieces_quic.stopped == quic.stopped
    if quic.closed is None and not quic.stopped:
        assert normal(pieces) == normal(whole)
        assert pieces_quic.acknowledged == quic.acknowledged


@QUICK
@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_any_octets_leave_a_legal_state(octets, cuts):
    events, quic = run(octets, cuts)
    assert all(isinstance(event, StreamEvent) or quic.closed is not None for event in events)
    run(b"\x00" + settings_frame() + octets, cuts, stream_id=2)
    run(octets, cuts, stream_id=6)


@QUICK
@given(st.integers(0, 2**62 - 1), st.binary(max_size=10))
def test_integers_survive(value, behind):
    packed = pack_varint(value)
    assert read_varint(packed + behind) == (value, len(packed))
    assert all(read_varint(packed[:length]) is None for length in range(len(packed)))


@QUICK
@given(st.lists(st.tuples(NAMES, VALUES), max_size=30))
def test_sections_survive_and_are_counted_rightly(fields):
    block = SectionEncoder().encode(0, fields)
    assert SectionDecoder(10**6, 1000).decode(0, block).fields == fields
    if fields:
        assert count_fields(block, 1000) == len(fields)


@QUICK
@given(st.binary(max_size=3000))
def test_no_block_makes_the_decoder_fail_otherwise_than_by_a_fault(block):
    assert count_fields(block, 100) <= 101
    try:
        section = SectionDecoder(2000, 50).decode(0, block)
    except ConnectionFault:
        return
    assert section is None or len(section.fields) <= 50
