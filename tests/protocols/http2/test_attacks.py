"""The HTTP/2 rows of the attack table: what a peer may waste is bounded, and honest peers do not feel it."""

from __future__ import annotations

import tracemalloc

import pytest
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from hface_trio.events import ConnectionTerminated, HeadersReceived, StreamResetReceived
from hface_trio.limits import Limits
from hface_trio.protocols.http2 import HTTP2Settings

from .raw_peer import (
    POST,
    REQUEST,
    RESPONSE,
    RawPeer,
    assert_alive,
    assert_connection_error,
    client,
    data_frame,
    goaways,
    open_request,
    raw_frame,
    resets,
    server,
    updates,
)
from .wire import ENHANCE_YOUR_CALM

FLOODS = {
    "PING": lambda _p: PingFrame(0, b"12345678"),
    "SETTINGS": lambda _p: SettingsFrame(0, {4: 65535}),
    "SETTINGS of nothing": lambda _p: SettingsFrame(0, {}),
    "SETTINGS acknowledgement": lambda _p: SettingsFrame(0, flags=["ACK"]),
    "PING acknowledgement": lambda _p: PingFrame(0, b"12345678", flags=["ACK"]),
    "PRIORITY": lambda _p: PriorityFrame(5, depends_on=3),
    "PRIORITY of nobody": lambda _p: PriorityFrame(501, depends_on=3),
    "PRIORITY_UPDATE": lambda _p: raw_frame(0x10, 0, 0, b"\0\0\0\1u=1"),
    "empty DATA": lambda _p: DataFrame(1, b""),
    "DATA of padding": lambda _p: data_frame(1, b"", pad=100),
    "WINDOW_UPDATE of the connection": lambda _p: WindowUpdateFrame(0, 1),
    "WINDOW_UPDATE of a stream": lambda _p: WindowUpdateFrame(1, 1),
    "WINDOW_UPDATE of a closed stream": lambda _p: WindowUpdateFrame(3, 1),
    "RST_STREAM of a closed stream": lambda _p: RstStreamFrame(3, 8),
    "DATA on a closed stream": lambda _p: DataFrame(3, b"x"),
    "unknown frame": lambda _p: raw_frame(0xFE, 0, 0, b"x"),
    "ALTSVC": lambda _p: raw_frame(0xA, 0, 0, b"\0\1ab"),
    "GOAWAY": lambda _p: raw_frame(7, 0, 0, b"\0" * 8),
}


@pytest.mark.parametrize("make", FLOODS.values(), ids=FLOODS)
@pytest.mark.parametrize("batch", [1, 5000])
def test_flood_ends_the_connection_with_bounded_output(make, batch):
    peer = server()
    peer.send(peer.request(1, POST, end_stream=False), peer.request(3))
    peer.protocol.submit_headers(3, RESPONSE, True)
    peer.events()
    peer.frames()
    output = sent = 0
    while peer.protocol.next_event() is None or sent < 20_000:
        peer.send(*[make(peer)] * batch)
        sent += batch
        output = max(output, sum(len(b) for b in peer.protocol.buffers_to_send()))
        if any(isinstance(e, ConnectionTerminated) and e.error_code == ENHANCE_YOUR_CALM for e in peer.events()):
            break
        assert sent <= 20_000
    assert output < 80 * 1024
    assert peer.protocol.open_streams == 0


@pytest.mark.parametrize("code", [0, 8])
def test_rapid_reset_is_cut_off(code):
    peer = server()
    started = most = 0
    for i in range(10_000):
        peer.send(peer.request(2 * i + 1), RstStreamFrame(2 * i + 1, code))
        events = peer.events()
        started += sum(isinstance(e, HeadersReceived) for e in events)
        most = max(most, peer.protocol.open_streams)
        if any(isinstance(e, ConnectionTerminated) for e in events):
            break
    assert most <= 1
    assert started <= 1001
    assert goaways(peer.frames())[-1][1] == ENHANCE_YOUR_CALM


MADE_RESETS = {
    "window overflow": lambda p, i: [p.request(i, POST, end_stream=False), WindowUpdateFrame(i, 2**31 - 1)],
    "window update of 0": lambda p, i: [p.request(i), raw_frame(8, 0, i, b"\0\0\0\0")],
    "data behind the end": lambda p, i: [p.request(i), DataFrame(i, b"x")],
    "headers behind the end": lambda p, i: [p.request(i), p.headers(i, [(b"a", b"b")], "END_STREAM")],
    "malformed request": lambda p, i: [p.request(i, [*REQUEST, (b"A", b"b")])],
    "wrong content-length": lambda p, i: [p.request(i, [*POST, (b"content-length", b"9")])],
    "priority of wrong length": lambda p, i: [p.request(i), raw_frame(2, 0, i, b"1234")],
    "depends on itself": lambda p, i: [p.request(i), PriorityFrame(i, depends_on=i)],
}


@pytest.mark.parametrize("make", MADE_RESETS.values(), ids=MADE_RESETS)
def test_resets_that_a_peer_makes_necessary_are_cut_off(make):
    peer = server()
    started = 0
    for i in range(10_000):
        peer.send(*make(peer, 2 * i + 1))
        events = peer.events()
        started += sum(isinstance(e, HeadersReceived) for e in events)
        if any(isinstance(e, ConnectionTerminated) for e in events):
            break
    assert started <= 1001
    assert goaways(peer.frames())[-1][1] == ENHANCE_YOUR_CALM


def test_refused_surplus_is_cut_off():
    peer = server(limits=Limits(concurrent_streams=1))
    peer.send(peer.request(1))
    for i in range(1, 5000):
        peer.send(peer.request(2 * i + 1))
        if peer.protocol.has_expired():
            break
    assert i <= 1001
    assert goaways(peer.frames())[-1][1] == ENHANCE_YOUR_CALM


@pytest.mark.parametrize("pace", [0.0, 0.01])
def test_client_that_cancels_every_second_of_2000_requests_is_no_attacker(pace):
    peer = server()
    now = 0.0
    for i in range(2000):
        stream_id = 2 * i + 1
        now += pace
        peer.protocol.clock(now)
        peer.send(peer.request(stream_id))
        peer.protocol.submit_headers(stream_id, RESPONSE)
        if i % 2:
            peer.send(RstStreamFrame(stream_id, 8))
            assert StreamResetReceived(stream_id, 8) in peer.events()
        else:
            peer.protocol.submit_data(stream_id, b"x", True)
        peer.frames()
        peer.events()
    assert_alive(peer)


def test_pings_at_a_steady_pace_are_no_flood():
    peer = server()
    for i in range(3000):
        peer.protocol.clock(i / 50)
        peer.send(PingFrame(0, b"12345678"))
        peer.frames()
    assert_alive(peer)


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_updates_that_answer_data_are_no_flood(frames):
    peer = server(peer_settings={4: 2**20})
    for i in range(1500):
        stream_id = 2 * i + 1
        peer.send(peer.request(stream_id))
        peer.protocol.submit_headers(stream_id, RESPONSE)
        peer.protocol.submit_data(stream_id, b"x" * 1000)
        peer.frames()
        peer.send(*[WindowUpdateFrame(stream_id, 250)] * frames, WindowUpdateFrame(0, 1000))
        peer.protocol.submit_data(stream_id, b"", True)
        peer.frames()
        peer.events()
    assert peer.protocol._connection.budget.tokens >= 900


# Bombs.


def memory_of(peer: RawPeer, *frames: Frame | bytes) -> int:
    """The most that one read makes the protocol allocate, beyond the read itself."""
    data = b"".join(f if isinstance(f, bytes) else f.serialize() for f in frames)
    tracemalloc.start()
    try:
        peer.protocol.bytes_received(data)
        return tracemalloc.get_traced_memory()[1] - len(data)
    finally:
        tracemalloc.stop()


def indexed_bomb(value: int, count: int) -> list[Frame]:
    """One large field in the table, referred to by single octets."""
    block = Encoder().encode(REQUEST) + b"\x40\x01n\x7f" + bytes([(value - 127) & 0x7F | 0x80, (value - 127) >> 7])
    block += b"v" * value
    refs = b"\xbe" * count
    blocks = [refs[i : i + 16000] for i in range(0, len(refs), 16000)]
    frames: list[Frame] = [HeadersFrame(1, block, flags=["END_STREAM"])]
    frames += [ContinuationFrame(1, part) for part in blocks]
    frames[-1].flags.add("END_HEADERS")
    return frames


@pytest.mark.parametrize("count", [1000, 40_000])
def test_indexed_header_bomb_is_bounded(count):
    peer = server()
    assert memory_of(peer, *indexed_bomb(4000, count)) < 2**20
    assert_connection_error(peer, ENHANCE_YOUR_CALM)


def test_cookie_bomb_is_bounded():
    peer = server()
    crumbs = HeadersFrame(1, Encoder().encode(REQUEST) + b"\x60\x00" + b"\xbe" * 16_000, flags=["END_HEADERS"])
    assert memory_of(peer, crumbs) < 2**20
    assert_connection_error(peer, ENHANCE_YOUR_CALM)


def test_bomb_in_trailers_is_bounded():
    peer = server()
    peer.send(peer.request(1, POST, end_stream=False))
    bomb = HeadersFrame(1, b"\x40\x01a\x00" + b"\xbf" * 16_000, flags=["END_HEADERS", "END_STREAM"])
    assert memory_of(peer, bomb) < 2**20
    assert_connection_error(peer, ENHANCE_YOUR_CALM)


def test_many_small_sections_over_the_limit_keep_nothing():
    peer = server(limits=Limits(header_fields=10))
    blocks = []
    for i in range(200):
        blocks.append(peer.request(2 * i + 1, [*REQUEST, *[(b"a", b"b")] * 12]))
    assert memory_of(peer, *blocks) < 2**20
    assert peer.events() == []
    assert peer.protocol.open_streams == 0


@pytest.mark.parametrize("fragment", [b"", b"\x82"])
def test_continuation_flood_is_cut_off(fragment):
    peer = server()
    peer.send(HeadersFrame(1, b"\x82"))
    peer.send(*[ContinuationFrame(1, fragment)] * 10_000)
    assert_connection_error(peer, ENHANCE_YOUR_CALM)


def test_endless_section_is_cut_off_before_it_is_kept():
    peer = server(limits=Limits(header_section_octets=32 * 1024))
    peer.send(HeadersFrame(1, b"\x82" * 16384))
    flood = [ContinuationFrame(1, b"\x82" * 16384)] * 60
    assert memory_of(peer, *flood) < 2**18
    assert_connection_error(peer, ENHANCE_YOUR_CALM)


def test_huffman_section_of_full_size_is_decoded():
    peer = server()
    section = [*REQUEST, *[(b"x-field", b"\xff" * 500)] * 100]
    peer.send(*peer.continued(1, section, 16000, "END_STREAM"))
    assert peer.events() == [HeadersReceived(1, section, True)]


def test_settings_cannot_fill_memory_with_unknown_identifiers():
    peer = server()
    for batch in range(20):
        payload = b"".join((1000 + batch * 2000 + i).to_bytes(2, "big") + b"\0\0\0\1" for i in range(2000))
        peer.send(raw_frame(4, 0, 0, payload))
        peer.events()
        peer.frames()
    assert len(peer.protocol._connection.core.remote_settings) < 12
    assert len(peer.protocol.peer_settings) < 12


def test_peer_cannot_make_the_encoders_table_large():
    peer = server(peer_settings={1: 2**32 - 1})
    assert peer.protocol._connection.core.sections.table_octets == 4096
    for size in (0, 4096, 100, 4096, 17, 4096):
        peer.send(SettingsFrame(0, {1: size}))
    peer.send(peer.request(1))
    peer.protocol.submit_headers(1, RESPONSE, True)
    assert not peer.protocol._connection.core.sections._resizes
    peer.frames()
    assert peer.sent_headers[1] == RESPONSE


def test_answers_wait_only_up_to_a_bound():
    peer = server(HTTP2Settings(abuse_tokens=10**9), limits=Limits(control_output_octets=1700))
    for _ in range(100):
        peer.send(PingFrame(0, b"12345678"))
    peer.frames()
    assert_alive(peer)
    for _ in range(101):
        peer.send(PingFrame(0, b"12345678"))
    assert_connection_error(peer, ENHANCE_YOUR_CALM)


# Late DATA, dribbles, and servers that attack.


def test_late_data_beyond_a_window_is_charged():
    peer = server()
    peer.send(peer.request(1, POST, end_stream=False))
    peer.protocol.submit_stream_reset(1, 8)
    for _ in range(20_000):
        peer.send(DataFrame(1, b"x" * 1000))
        if peer.protocol.has_expired():
            break
    frames = peer.frames()
    assert resets(frames) == [(1, 8)]
    assert goaways(frames)[-1][1] == ENHANCE_YOUR_CALM


def test_data_in_single_octets_keeps_to_the_window():
    peer = server()
    peer.send(peer.request(1, POST, end_stream=False))
    peer.send(*[DataFrame(1, b"x")] * 30_000)
    assert_alive(peer)
    assert peer.protocol.unacknowledged_octets == 30_000
    peer.send(*[DataFrame(1, b"x")] * 40_000)
    assert resets(peer.frames()) == [(1, 3)]


def test_promise_flood_to_a_client_is_bounded():
    peer = client(HTTP2Settings(accept_push=True), limits=Limits(concurrent_streams=10))
    open_request(peer)
    peer.frames()
    for i in range(1, 5000):
        block = peer.encoder.encode(REQUEST)
        peer.send(raw_frame(5, 4, 1, (2 * i).to_bytes(4, "big") + block))
        if peer.protocol.has_expired():
            break
    assert peer.protocol.open_streams == 0
    assert i < 1100


def test_window_credit_is_bounded_by_the_bytes_that_came():
    peer = server()
    granted = 65_535 + 6_225_921 + 4 * 2**20
    peer.send(peer.request(1, POST, end_stream=False))
    for _ in range(100):
        peer.send(DataFrame(1, b"x" * 16384))
        peer.protocol.acknowledge(1, 10**9)
    assert updates(peer.frames(), 0) <= granted


@pytest.mark.parametrize("cut", [None, 10, 4000])
def test_many_frames_in_one_read_are_taken_in_turns_and_all_of_them(cut: int | None):
    peer = server()
    peer.protocol.in_turns = True
    octets = b"".join([peer.headers(stream_id, REQUEST, "END_STREAM").serialize() for stream_id in range(1, 180, 2)])
    seen: list[int] = []
    parts = [octets] if cut is None else [octets[:cut], octets[cut:]]
    for part in parts:
        peer.protocol.bytes_received(part)
        seen.append(len([event for event in peer.events() if isinstance(event, HeadersReceived)]))
        while peer.protocol.input_waits:
            peer.protocol.bytes_received(b"")
            seen.append(len([event for event in peer.events() if isinstance(event, HeadersReceived)]))
    assert sum(seen) == 90
    assert max(seen) <= 32


def test_input_that_waits_for_its_turn_is_dropped_with_its_connection():
    peer = server()
    peer.protocol.in_turns = True
    peer.protocol.bytes_received(PingFrame(0, b"12345678").serialize() * 40)
    assert peer.protocol.input_waits
    peer.protocol.connection_lost()
    assert not peer.protocol.input_waits
