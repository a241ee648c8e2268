"""What comes of a body between two looks is one event, and what is taken on the short way for it obeys all limits."""

from __future__ import annotations

import pytest

from hface_trio.events import DataReceived, HeadersReceived, StreamResetReceived, TrailersReceived
from hface_trio.limits import Limits

from .raw_peer import POST, Pair, body, data, headers, pack_frame, pack_varint, server

TRAILERS = [(b"x-sum", b"1")]


def posting(pair: Pair, *fields: tuple[bytes, bytes]) -> int:
    stream_id = pair.request(headers([*POST, *fields]), end=False)
    assert [type(event) for event in pair.events()] == [HeadersReceived]
    return stream_id


def begin_frame(octets: int) -> bytes:
    """The head of a DATA frame that is longer than what is sent of it at a time."""
    return pack_varint(0) + pack_varint(octets)


def test_what_came_together_is_one_event():
    pair = server()
    stream_id = posting(pair)
    for number in range(10):
        pair.send(stream_id, data(b"%d" % number))
    assert pair.events() == [DataReceived(stream_id, b"0123456789")]


def test_what_was_taken_stays_as_it_was():
    pair = server()
    stream_id = posting(pair)
    pair.send(stream_id, data(b"abc"))
    (first,) = pair.events()
    pair.send(stream_id, data(b"def"))
    (second,) = pair.events()
    assert [first, second] == [DataReceived(stream_id, b"abc"), DataReceived(stream_id, b"def")]


@pytest.mark.parametrize("with_octets", [False, True])
def test_the_end_belongs_to_what_came_before_it(with_octets: bool):
    pair = server()
    stream_id = posting(pair)
    pair.send(stream_id, data(b"abc"))
    pair.send(stream_id, data(b"def") if with_octets else b"", end=True)
    assert pair.events() == [DataReceived(stream_id, b"abcdef" if with_octets else b"abc", True)]


def test_trailers_come_behind_the_body():
    pair = server()
    stream_id = posting(pair)
    pair.send(stream_id, data(b"abc"))
    pair.send(stream_id, data(b"def"), headers(TRAILERS), end=True)
    assert pair.events() == [DataReceived(stream_id, b"abcdef"), TrailersReceived(stream_id, TRAILERS)]


def test_a_reset_comes_behind_the_body():
    pair = server()
    stream_id = posting(pair)
    pair.send(stream_id, data(b"abc"))
    pair.send(stream_id, data(b"def"))
    pair.peer.quic.reset_stream(stream_id, 5)
    pair.run()
    assert pair.events() == [DataReceived(stream_id, b"abcdef"), StreamResetReceived(stream_id, 5)]


def test_streams_do_not_part_each_others_octets():
    pair = server()
    one, other = posting(pair), posting(pair)
    for number in range(5):
        pair.send(one, data(b"%d" % number))
        pair.send(other, data(b"%d" % (9 - number)))
    assert pair.events() == [DataReceived(one, b"01234"), DataReceived(other, b"98765")]


def test_a_frame_in_pieces_is_delivered_as_it_comes():
    pair = server()
    stream_id = posting(pair, (b"content-length", b"30000"))
    pair.send(stream_id, begin_frame(30_000), b"x" * 100)
    assert body(pair.events(), stream_id) == b"x" * 100
    pair.send(stream_id, b"y" * 9900)
    assert body(pair.events(), stream_id) == b"y" * 9900
    pair.send(stream_id, b"z" * 20_000, end=True)
    events = pair.events()
    assert body(events, stream_id) == b"z" * 20_000
    assert events[-1].end_stream


def test_octets_in_the_midst_of_a_frame_are_held_until_they_are_acknowledged():
    pair = server()
    stream_id = posting(pair)
    pair.send(stream_id, begin_frame(30_000))
    for _ in range(10):
        pair.send(stream_id, b"x" * 1000)
    assert pair.protocol.unacknowledged_octets == 10_000
    pair.protocol.acknowledge(stream_id, 10_000)
    assert pair.protocol.unacknowledged_octets == 0


def test_a_frame_in_pieces_that_is_longer_than_its_body_is_an_error_where_it_is():
    pair = server()
    stream_id = posting(pair, (b"content-length", b"2500"))
    pair.send(stream_id, begin_frame(30_000), b"x" * 500)
    for _ in range(2):
        pair.send(stream_id, b"x" * 1000)
    assert len(body(pair.events(), stream_id)) == 2500
    pair.send(stream_id, b"x")
    pair.assert_stream_error(stream_id, 0x10E)


def test_a_frame_in_pieces_that_goes_over_the_limit_is_refused_where_it_does():
    pair = server(limits=Limits(request_body_octets=2500))
    stream_id = posting(pair)
    pair.send(stream_id, begin_frame(30_000), b"x" * 500)
    for _ in range(2):
        pair.send(stream_id, b"x" * 1000)
    assert len(body(pair.events(), stream_id)) == 2500
    pair.send(stream_id, b"x")
    assert dict(pair.peer.heads(stream_id)[0])[b":status"] == b"413"
    assert stream_id in pair.peer.stops


def test_a_tunnel_knows_no_limit():
    pair = server(limits=Limits(request_body_octets=2500))
    stream_id = pair.request(headers([(b":method", b"CONNECT"), (b":authority", b"localhost:1")]), end=False)
    pair.protocol.submit_headers(stream_id, [(b":status", b"200")])
    pair.events()
    pair.send(stream_id, begin_frame(30_000), b"x" * 500)
    for _ in range(5):
        pair.send(stream_id, b"x" * 1000)
    assert len(body(pair.events(), stream_id)) == 5500


def test_octets_of_what_is_skipped_are_no_body():
    pair = server()
    stream_id = posting(pair)
    pair.send(stream_id, pack_varint(0x21), pack_varint(30_000), b"s" * 500)
    for _ in range(5):
        pair.send(stream_id, b"s" * 1000)
    assert pair.events() == []
    assert pair.protocol.unacknowledged_octets == 0
    pair.send(stream_id, b"s" * 24_500, data(b"abc"))
    assert pair.events() == [DataReceived(stream_id, b"abc")]


def test_octets_of_a_section_are_no_body():
    pair = server()
    stream_id = posting(pair)
    frame = pack_frame(1, b"\x00\x00" + b"\x27\x0a" + b"x" * 17 + b"\x05" + b"y" * 5)
    pair.send(stream_id, frame[:5])
    pair.send(stream_id, frame[5:15])
    assert pair.events() == []
    pair.send(stream_id, frame[15:], end=True)
    assert pair.events() == [TrailersReceived(stream_id, [(b"x" * 17, b"y" * 5)])]
