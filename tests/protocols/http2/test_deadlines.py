"""What a connection gives its peer time for, and how it asks whether the peer is there."""

from __future__ import annotations

import pytest
from hyperframe.frame import DataFrame, PingFrame, SettingsFrame

from hface_trio.events import DataReceived, HeadersReceived, StreamResetReceived
from hface_trio.protocols._interfaces import OutputEnd
from hface_trio.protocols.http2 import HTTP2Settings

from .raw_peer import POST, REQUEST, RESPONSE, RawPeer, acknowledge_ping, client, goaways, server
from .wire import CANCEL

# Time.


def test_settings_have_to_be_acknowledged_in_time():
    peer = server(start=False)
    peer.start(acknowledge=False)
    peer.protocol.clock(5.0)
    assert peer.protocol.get_timer() == 10.0
    peer.protocol.clock(10.0)
    assert goaways(peer.frames()) == [(0, 4)]
    assert peer.events()[-1].error_code == 4


def test_acknowledged_settings_are_no_more_waited_for():
    peer = server()
    assert peer.protocol.get_timer() == 75.0  # idle
    peer.protocol.submit_settings({3: 5})
    assert peer.protocol.get_timer() == 0.0
    peer.protocol.clock(1.0)
    assert peer.protocol.get_timer() == 11.0
    peer.send(SettingsFrame(0, flags=["ACK"]))
    assert peer.protocol.get_timer() == 75.0


def test_idle_server_ends_in_order():
    peer = server()
    peer.send(peer.request(1))
    peer.protocol.clock(1000.0)
    assert peer.protocol.get_timer() is None
    peer.protocol.submit_headers(1, RESPONSE, True)
    peer.frames()
    assert peer.protocol.get_timer() == 1001.0
    peer.protocol.clock(1001.0)
    assert peer.protocol.get_timer() == 1076.0
    peer.protocol.clock(1075.0)
    assert peer.frames() == []
    peer.protocol.clock(1076.0)
    acknowledge_ping(peer)
    assert peer.protocol.output_end is OutputEnd.CLOSED


def test_long_exchange_is_not_taken_for_idleness():
    peer = server()
    peer.send(peer.request(1))
    peer.protocol.submit_headers(1, RESPONSE, True)  # an hour later, but nobody told
    peer.protocol.clock(3600.0)
    assert not peer.protocol.draining
    assert peer.protocol.get_timer() == 3675.0


def test_client_without_streams_waits():
    peer = client()
    assert peer.protocol.get_timer() is None


def test_preface_has_to_come_in_time():
    peer = server(start=False)
    peer.protocol.clock(0.0)
    peer.send(b"PRI * HT")
    peer.protocol.clock(9.9)
    assert not peer.protocol.has_expired()
    peer.protocol.clock(10.0)
    assert peer.protocol.output_end is OutputEnd.CLOSED


@pytest.mark.parametrize("cut", [3, 12, -1])
def test_request_head_has_to_come_in_time_from_its_first_octet(cut):
    peer = server()
    peer.protocol.clock(50.0)
    data = peer.request(1).serialize()
    peer.send(data[:cut])
    peer.protocol.clock(59.0)
    peer.send(data[cut : cut + 1] if cut > 0 else b"")
    assert peer.protocol.get_timer() == 60.0
    peer.protocol.clock(60.0)
    assert goaways(peer.frames()) == [(0, 11)]


def test_section_in_fragments_has_to_come_in_time():
    peer = server()
    frames = peer.continued(1, REQUEST, 2)
    peer.protocol.clock(50.0)
    for i, frame in enumerate(frames[:-1]):
        peer.protocol.clock(50.0 + i / 10)
        peer.send(frame)
    assert peer.protocol.get_timer() == 60.0


def test_slow_body_frame_is_not_hurried_here():
    peer = server()
    peer.send(peer.request(1, POST, end_stream=False))
    peer.send(DataFrame(1, b"x" * 100).serialize()[:50])
    peer.protocol.clock(1000.0)
    assert peer.protocol.get_timer() is None
    peer.send(DataFrame(1, b"x" * 100).serialize()[50:])
    assert peer.events()[-1] == DataReceived(1, b"x" * 100)


def test_busy_connection_whose_reads_end_within_frames_is_not_slow():
    peer = server()
    data = b"".join(peer.request(2 * i + 1).serialize() for i in range(50))
    for i in range(0, len(data), 7):
        peer.protocol.clock(i / 10)
        peer.send(data[i : i + 7])
    assert sum(isinstance(e, HeadersReceived) for e in peer.events()) == 50


# Keep-alive.


def keeping_alive() -> RawPeer:
    return server(HTTP2Settings(keep_alive_interval_seconds=20, keep_alive_timeout_seconds=5))


def test_silent_peer_is_pinged_and_lost():
    peer = keeping_alive()
    peer.send(peer.request(1))
    peer.events()
    assert peer.protocol.get_timer() == 20.0
    peer.protocol.clock(20.0)
    assert sum(isinstance(f, PingFrame) for f in peer.frames()) == 1
    assert peer.protocol.get_timer() == 25.0
    peer.protocol.clock(25.0)
    assert peer.events()[0] == StreamResetReceived(1, CANCEL)
    assert peer.protocol.output_end is OutputEnd.ABORTED


def test_answering_peer_is_kept():
    peer = keeping_alive()
    peer.send(peer.request(1))
    for round_ in range(1, 10):
        peer.protocol.clock(20.0 * round_)
        acknowledge_ping(peer)
    assert peer.protocol.get_timer() == 200.0


def test_peer_that_sends_is_not_pinged():
    peer = keeping_alive()
    peer.send(peer.request(1, POST, end_stream=False))
    for second in range(1, 100):
        peer.protocol.clock(float(second))
        peer.send(DataFrame(1, b"x"))
    assert [f for f in peer.frames() if isinstance(f, PingFrame)] == []
