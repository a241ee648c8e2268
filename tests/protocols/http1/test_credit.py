"""Receive credit: what is emitted, what is held, how much is read, and that reading never stops for good."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from hface_trio.events import ConnectionTerminated, DataReceived
from hface_trio.protocols.http1._server import HTTP1Server

from ..taken import events_of
from .drive import GET, OK, body, client, examples, feed, fetching, opened, post, server


def upload(octets: int) -> bytes:
    return post(b"Content-Length: %d" % octets)


def test_no_more_than_the_window_is_emitted() -> None:
    protocol = server(stream_window_octets=4)
    assert body(feed(protocol, upload(10) + b"0123456789")) == b"0123"
    assert protocol.buffered_octets == 6
    protocol.acknowledge(1, 3)
    assert events_of(protocol) == [DataReceived(1, b"456")]
    protocol.acknowledge(1, 4)
    assert events_of(protocol) == [DataReceived(1, b"789", end_stream=True)]


def test_a_full_window_pauses_reading_and_credit_resumes_it() -> None:
    protocol = server(stream_window_octets=4)
    opened(protocol, upload(10))
    assert protocol.receive_capacity() == 4
    feed(protocol, b"012")
    assert protocol.receive_capacity() == 1
    feed(protocol, b"3")
    assert protocol.receive_capacity() == 0
    protocol.acknowledge(1, 2)
    assert protocol.receive_capacity() == 2


def test_held_octets_count_against_the_window() -> None:
    protocol = server(stream_window_octets=4)
    feed(protocol, upload(20) + b"01234567")
    protocol.acknowledge(1, 4)
    assert body(events_of(protocol)) == b"4567"
    assert protocol.receive_capacity() == 0


def test_late_and_excessive_credit_does_no_harm() -> None:
    protocol = server(stream_window_octets=4)
    opened(protocol, upload(10))
    protocol.acknowledge(1, 99)
    protocol.acknowledge(7, 99)
    assert protocol.receive_capacity() == 4


def test_each_stream_has_the_whole_window() -> None:
    protocol = server(stream_window_octets=4)
    for stream_id in (1, 3):
        feed(protocol, upload(4) + b"0123")
        protocol.submit_headers(stream_id, OK, end_stream=True)
        protocol.acknowledge(stream_id - 2, 4)
    opened(protocol, upload(4))
    assert protocol.receive_capacity() == 4


def test_a_window_of_a_fraction_is_rounded_up() -> None:
    protocol = server(stream_window_octets=3.2)
    opened(protocol, upload(10))
    assert protocol.receive_capacity() == 4


def test_an_unlimited_window_never_pauses() -> None:
    protocol = server(stream_window_octets=math.inf)
    opened(protocol, upload(1 << 20))
    assert len(body(feed(protocol, bytes(1 << 19)))) == 1 << 19
    assert protocol.receive_capacity() > 0


def test_pipelined_octets_are_bounded() -> None:
    protocol = server(pipelined_octets=100)
    opened(protocol)
    assert protocol.receive_capacity() == 100
    feed(protocol, GET)
    assert protocol.receive_capacity() == 100 - len(GET)
    feed(protocol, bytes(100 - len(GET)))
    assert protocol.receive_capacity() == 0
    protocol.submit_headers(1, OK, end_stream=True)
    assert protocol.receive_capacity() > 0


def test_a_head_is_always_read_on() -> None:
    protocol = server(pipelined_octets=1, header_section_octets=1000)
    for octet in GET:
        assert protocol.receive_capacity() > 0
        protocol.bytes_received(bytes([octet]))
    assert protocol.receive_capacity() == 1


def test_framing_that_fills_the_window_is_read_on() -> None:
    protocol = server(stream_window_octets=2, chunk_overhead_octets=50)
    opened(protocol, post(b"Transfer-Encoding: chunked"))
    taken = []
    for octet in b"1;" + b"a" * 30 + b"\r\nx\r\n0\r\nTrailer: long\r\n\r\n":
        assert protocol.receive_capacity() > 0
        taken += feed(protocol, bytes([octet]))
        protocol.acknowledge(1, 1)
    assert body(taken) == b"x"
    assert len(taken) == 2


def test_framing_behind_a_full_window_waits_for_the_consumer() -> None:
    protocol = server(stream_window_octets=2)
    opened(protocol, post(b"Transfer-Encoding: chunked"))
    feed(protocol, b"2\r\nab")
    assert protocol.receive_capacity() == 0
    protocol.acknowledge(1, 2)
    assert protocol.receive_capacity() == 2


def test_what_is_held_when_the_peer_ends_is_still_delivered() -> None:
    protocol = client(stream_window_octets=4)
    stream_id = fetching(protocol)
    taken = feed(protocol, b"HTTP/1.1 200 OK\r\n\r\n0123456789")
    protocol.eof_received()
    for _ in range(3):
        assert not isinstance(taken[-1], ConnectionTerminated)
        protocol.acknowledge(stream_id, 2)
        taken += events_of(protocol)
    assert body(taken) == b"0123456789"
    assert taken[-2:] == [DataReceived(stream_id, b"", end_stream=True), ConnectionTerminated(0, None)]


@examples(200)
@given(
    data=st.binary(min_size=1, max_size=200),
    window=st.integers(1, 40),
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=20),
    chunked=st.booleans(),
)
def test_every_body_arrives_whole_whatever_the_window(
    data: bytes, window: int, sizes: list[int], chunked: bool
) -> None:
    protocol = server(stream_window_octets=window, chunk_overhead_octets=1000)
    if chunked:
        wire, start, turn = b"", 0, 0
        while start < len(data):
            piece = data[start : start + sizes[turn % len(sizes)]]
            wire += b"%x;x=%b\r\n%b\r\n" % (len(piece), b"y" * sizes[turn % len(sizes)], piece)
            start, turn = start + len(piece), turn + 1
        wire = post(b"Transfer-Encoding: chunked", body=wire + b"0\r\nA: b\r\n\r\n")
    else:
        wire = upload(len(data)) + data
    assert _receive(protocol, wire, sizes, window) == data


def _receive(protocol: HTTP1Server, wire: bytes, sizes: list[int], window: int) -> bytes:
    received, unacknowledged, turn = b"", 0, 0
    while wire or unacknowledged:
        step = min(sizes[turn % len(sizes)], protocol.receive_capacity(), len(wire))
        turn += 1
        if step:
            protocol.bytes_received(wire[:step])
            wire = wire[step:]
        else:
            assert unacknowledged, "nobody can go on"
            protocol.acknowledge(1, 1)
            unacknowledged -= 1
        got = body(events_of(protocol))
        received += got
        unacknowledged += len(got)
        assert unacknowledged <= window
    return received
