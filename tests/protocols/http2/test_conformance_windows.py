"""RFC 9113 §6.9, clause by clause: windows and what moves them."""

from __future__ import annotations

import pytest
from hyperframe.frame import DataFrame, SettingsFrame, WindowUpdateFrame

from hface_trio.limits import Limits
from hface_trio.protocols.http2 import HTTP2Settings

from .raw_peer import POST, assert_alive, assert_connection_error, assert_stream_error, data_frame, raw_frame, server
from .wire import FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR, WINDOW_UPDATE


@pytest.mark.parametrize("payload", [b"", b"\0\0\1", b"\0\0\0\0\1"])
def test_window_update_of_wrong_length(payload):
    peer = server()
    peer.send(raw_frame(WINDOW_UPDATE, 0, 0, payload))
    assert_connection_error(peer, FRAME_SIZE_ERROR)


def test_window_update_of_0_on_the_connection():
    peer = server()
    peer.send(raw_frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\0"))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_window_update_of_0_on_a_stream():
    peer = server()
    peer.send(peer.request(1), raw_frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\0"))
    assert_stream_error(peer, 1, PROTOCOL_ERROR)


def test_window_update_of_an_idle_stream():
    peer = server()
    peer.send(WindowUpdateFrame(1, 1))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_reserved_bit_of_window_update_is_ignored():
    peer = server()
    peer.send(raw_frame(WINDOW_UPDATE, 0, 0, b"\x80\0\0\1"))
    assert peer.protocol.send_window() == 65536


def test_connection_window_past_its_maximum():
    peer = server()
    peer.send(WindowUpdateFrame(0, 2**31 - 1))
    assert_connection_error(peer, FLOW_CONTROL_ERROR)


def test_stream_window_past_its_maximum():
    peer = server()
    peer.send(peer.request(1), WindowUpdateFrame(1, 2**31 - 1))
    assert_stream_error(peer, 1, FLOW_CONTROL_ERROR)


def test_stream_window_past_its_maximum_by_settings():
    peer = server()
    peer.send(peer.request(1), WindowUpdateFrame(1, 2**31 - 1 - 65535), SettingsFrame(0, {4: 65536}))
    assert_connection_error(peer, FLOW_CONTROL_ERROR)


def test_stream_window_at_its_maximum():
    peer = server()
    peer.send(peer.request(1), WindowUpdateFrame(1, 2**31 - 1 - 65535), WindowUpdateFrame(0, 2**31 - 1 - 65535))
    assert peer.protocol.send_window(1) == peer.protocol.send_window() == 2**31 - 1
    assert_alive(peer)


def test_more_data_than_the_streams_window():
    peer = server(limits=Limits(stream_window_octets=1000))
    peer.send(peer.request(1, POST, end_stream=False), DataFrame(1, b"x" * 1000))
    assert_alive(peer)
    peer.send(DataFrame(1, b"x"))
    assert_stream_error(peer, 1, FLOW_CONTROL_ERROR)


def test_padding_counts_against_the_window():
    peer = server(limits=Limits(stream_window_octets=1000))
    peer.send(peer.request(1, POST, end_stream=False), data_frame(1, b"x" * 900, pad=100))
    assert_stream_error(peer, 1, FLOW_CONTROL_ERROR)


def test_more_data_than_the_connections_window():
    limits = Limits(stream_window_octets=70_000, concurrent_streams=1)
    peer = server(HTTP2Settings(window_growth_octets=0), limits=limits)
    assert peer.protocol.receive_window() == 70_000
    peer = server(
        HTTP2Settings(window_growth_octets=0), limits=Limits(stream_window_octets=60_000, concurrent_streams=1)
    )
    frames = [peer.request(1, POST, end_stream=False)]
    frames += [data_frame(1, b"", pad=255)] * 200  # padding is given back at once
    peer.send(*frames)
    assert_alive(peer)
    peer.protocol._connection.ledger.available = 9
    peer.send(DataFrame(1, b"x" * 10))
    assert_connection_error(peer, FLOW_CONTROL_ERROR)
