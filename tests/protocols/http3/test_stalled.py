"""Streams of which octets are missing: how much of them is held, and when they are given up."""

from __future__ import annotations

import pytest
from aioquic.tls import Epoch

from hface_trio.events import StreamResetSent
from hface_trio.limits import Timeouts
from hface_trio.protocols.http3 import HTTP3ErrorCode as Code
from hface_trio.protocols.http3._frames import pack_frame, pack_varint

from ..quic.network import CLIENT_ADDRESS
from .raw_peer import CONTROL, ENCODER, POST, Pair, client, data, headers, open_request, server, settings_frame

TIMEOUTS = Timeouts(request_head_seconds=3, body_progress_seconds=8)
TAIL = b"\x01" + pack_varint(50_000) + bytes(20_000)


def hold_back(pair: Pair, stream_id: int, octets: bytes, start: int, *, end: bool = False) -> None:
    """Send octets without one of them."""
    pair.peer.send(stream_id, octets, end=end)
    pair.peer.quic._streams[stream_id].sender._pending.subtract(start, start + 1)
    pair.run()


def put_frame(pair: Pair, frame: bytes) -> None:
    """Have the protocol receive a packet of the peer with a given frame."""
    machine = pair.peer.quic
    number = machine._packet_number
    machine._packet_number += 1
    header = b"\x41" + machine._peer_cid.cid + (number & 0xFFFF).to_bytes(2, "big")
    packet = machine._cryptos[Epoch.ONE_RTT].encrypt_packet(header, frame, number)
    pair.protocol.datagram_received((packet, CLIENT_ADDRESS))


def next_id(pair: Pair) -> int:
    return pair.peer.quic.get_next_available_stream_id()


def test_a_request_whose_first_octet_does_not_come_is_answered_408():
    pair = server(timeouts=TIMEOUTS)
    stream_id = next_id(pair)
    hold_back(pair, stream_id, headers(POST) + data(bytes(5000)), 0)
    assert pair.protocol.held_octets > 5000
    pair.run(2.5)
    assert stream_id not in pair.peer.received
    pair.run(1)
    assert dict(pair.peer.heads(stream_id)[0])[b":status"] == b"408"
    assert pair.protocol.held_octets == 0
    assert pair.protocol.open_streams == 0
    assert pair.events() == []
    pair.assert_alive()


def test_a_request_that_begins_without_an_octet_is_answered_408():
    pair = server(timeouts=TIMEOUTS)
    stream_id = next_id(pair)
    hold_back(pair, stream_id, b"x", 0)
    put_frame(pair, b"\x0a" + pack_varint(stream_id) + b"\x00")
    assert pair.protocol.quic.longest_waiting(begun=False) == (stream_id, pair.network.now)
    pair.run(3.5)
    assert dict(pair.peer.heads(stream_id)[0])[b":status"] == b"408"
    pair.assert_alive()


def test_a_unidirectional_stream_that_begins_without_an_octet_may_wait():
    pair = server(timeouts=TIMEOUTS)
    put_frame(pair, b"\x0a\x0e\x00")
    pair.run(20)
    assert pair.peer.stops == {}
    pair.assert_alive()


def test_as_many_streams_may_be_opened_after_others_were_given_up():
    pair = server(timeouts=TIMEOUTS)
    for _ in range(100):
        stream_id = next_id(pair)
        hold_back(pair, stream_id, headers(), 0)
    pair.run(4)
    pair.assert_alive()
    for _ in range(100):
        assert pair.peer.quic._remote_max_streams_bidi > next_id(pair) // 4
        pair.request(headers())


def test_a_gap_in_a_head_is_within_the_time_of_the_head():
    pair = server(timeouts=TIMEOUTS)
    stream_id = next_id(pair)
    hold_back(pair, stream_id, headers(POST), 4)
    pair.run(2.5)
    assert stream_id not in pair.peer.received
    pair.run(1)
    assert dict(pair.peer.heads(stream_id)[0])[b":status"] == b"408"
    assert pair.protocol.held_octets == 0


def test_a_gap_in_a_body_is_within_the_time_of_bodies():
    pair = server(timeouts=TIMEOUTS)
    stream_id = next_id(pair)
    request = headers(POST) + data(bytes(5000))
    hold_back(pair, stream_id, request, 100)
    pair.events()
    for _ in range(7):
        pair.run(1)
        pair.send(stream_id, data(b"x"))  # none of which is progress
    assert pair.protocol.held_octets > 4000
    assert pair.events() == []
    pair.run(1.5)
    assert pair.events() == [StreamResetSent(stream_id, Code.REQUEST_CANCELLED)]
    assert pair.protocol.held_octets == 0
    pair.assert_stream_error(stream_id, Code.REQUEST_CANCELLED)


@pytest.mark.parametrize("announced", [False, True])
def test_a_section_that_does_not_go_on_is_held_and_given_up(announced):
    pair = server(timeouts=TIMEOUTS)
    stream_id = pair.request(headers(POST) if announced else b"", TAIL, end=False)
    assert len(pair.events()) == announced
    assert pair.protocol.held_octets == 20_000
    pair.send(stream_id, bytes(10_000))
    assert pair.protocol.held_octets == 30_000
    pair.run(2)
    assert pair.protocol.held_octets == 30_000
    pair.send(stream_id, bytes(10_000))  # no whole section
    pair.run(1)
    assert pair.protocol.held_octets == 0
    if announced:
        assert pair.events() == [StreamResetSent(stream_id, Code.REQUEST_CANCELLED)]
    else:
        assert dict(pair.peer.heads(stream_id)[0])[b":status"] == b"408"
    pair.assert_alive()


def test_trailers_have_their_own_time():
    pair = server(timeouts=TIMEOUTS)
    head = headers(POST)
    stream_id = pair.request(head[:5], end=False)
    pair.run(2)
    trailers = pack_frame(1, b"\x00\x00")
    pair.send(stream_id, head[5:], trailers[:3])  # one section ends and another begins
    pair.events()
    pair.run(2)
    pair.send(stream_id, trailers[3:], end=True)
    assert pair.protocol.held_octets == 0
    assert [type(event).__name__ for event in pair.events()] == ["TrailersReceived"]


def test_a_section_that_becomes_whole_is_held_no_more():
    pair = server(timeouts=TIMEOUTS)
    head = headers([*POST, (b"x", b"y" * 5000)])
    stream_id = pair.request(head[:3000], end=False)
    assert 2900 < pair.protocol.held_octets < 3000
    pair.send(stream_id, head[3000:])
    assert pair.protocol.held_octets == 0
    pair.run(20)
    assert [event.stream_id for event in pair.events()] == [stream_id]


def test_the_end_of_a_connection_leaves_nothing_held():
    pair = server(timeouts=TIMEOUTS)
    pair.request(TAIL, end=False)
    hold_back(pair, next_id(pair), headers(), 0)
    assert pair.protocol.held_octets > 20_000
    pair.protocol.submit_close()
    assert pair.protocol.held_octets == 0


def test_a_unidirectional_stream_that_does_not_say_what_it_is_is_stopped():
    pair = server(timeouts=TIMEOUTS)
    stream_id = pair.peer.quic.get_next_available_stream_id(is_unidirectional=True)
    hold_back(pair, stream_id, b"\x21" + bytes(1000), 0)
    assert pair.protocol.held_octets == 1001
    pair.run(4)
    assert pair.peer.stops == {stream_id: Code.STREAM_CREATION_ERROR}
    assert pair.protocol.held_octets == 0
    pair.assert_alive()


@pytest.mark.parametrize("kind", [CONTROL, ENCODER])
def test_a_gap_in_a_critical_stream_ends_the_connection(kind):
    pair = server(timeouts=TIMEOUTS, start=False)
    frames = settings_frame() + pack_frame(0x21, bytes(500)) if kind == CONTROL else bytes(500)
    stream_id = pair.peer.quic.get_next_available_stream_id(is_unidirectional=True)
    hold_back(pair, stream_id, pack_varint(kind) + frames, 1)
    pair.run(7)
    assert pair.peer.quic._close_event is None
    pair.run(2)
    pair.assert_closed(Code.EXCESSIVE_LOAD)


class Taker:
    def __init__(self) -> None:
        self.resets: list[tuple[int, int]] = []

    def data_received(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        pass

    def reset_received(self, stream_id: int, error_code: int) -> None:
        self.resets.append((stream_id, error_code))


def test_a_gap_in_an_extension_stream_is_told_to_its_taker():
    pair = server(timeouts=TIMEOUTS)
    taker = Taker()
    pair.protocol.register_stream_type(0x54, taker)
    stream_id = pair.peer.quic.get_next_available_stream_id(is_unidirectional=True)
    hold_back(pair, stream_id, pack_varint(0x54) + bytes(1000), 100)
    pair.run(9)
    assert taker.resets == [(stream_id, Code.EXCESSIVE_LOAD)]
    assert pair.peer.stops == {stream_id: Code.EXCESSIVE_LOAD}
    pair.assert_alive()


def test_clients_count_what_they_hold_and_leave_the_time_to_their_callers():
    pair = client()
    stream_id = open_request(pair)
    pair.send(stream_id, TAIL)
    assert pair.protocol.held_octets == 20_000
    pair.protocol.submit_stream_reset(stream_id, Code.REQUEST_CANCELLED)
    assert pair.protocol.held_octets == 0
