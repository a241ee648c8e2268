"""RFC 9113 §3.4 and §6, clause by clause: the preface, and the frames that speak of the whole connection."""

from __future__ import annotations

import struct

import pytest
from hyperframe.frame import PingFrame, SettingsFrame

from hface_trio.events import PingAcknowledged, SettingsAcknowledged, SettingsReceived
from hface_trio.protocols.http2 import PREFACE

from .raw_peer import assert_alive, assert_connection_error, client, raw_frame, server
from .wire import ACK, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY, PING, PROTOCOL_ERROR, SETTINGS

# §3.4 Preface.


def test_server_speaks_settings_first():
    peer = server(start=False)
    first = peer.frames()[0]
    assert isinstance(first, SettingsFrame)
    assert first.settings == {1: 4096, 3: 100, 4: 65536, 5: 16384, 6: 65536, 8: 1}


def test_client_speaks_preface_and_settings_first():
    peer = client(start=False)
    output = peer.protocol.bytes_to_send()
    assert output.startswith(PREFACE)
    assert output[len(PREFACE) + 3] == SETTINGS


def test_invalid_preface_ends_the_connection():
    peer = server(start=False)
    peer.send(b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n")
    assert_connection_error(peer, PROTOCOL_ERROR)


@pytest.mark.parametrize("frame", [PingFrame(0, b"12345678"), SettingsFrame(0, flags=["ACK"])])
def test_first_frame_must_be_settings(frame):
    peer = server(start=False)
    peer.send(PREFACE, frame)
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_first_frame_of_a_server_must_be_settings():
    peer = client(start=False)
    peer.send(PingFrame(0, b"12345678"))
    assert_connection_error(peer, PROTOCOL_ERROR)


# §6.5 SETTINGS.


@pytest.mark.parametrize(
    ("flags", "stream_id", "payload", "code"),
    [
        (0, 1, b"", PROTOCOL_ERROR),
        (ACK, 1, b"", PROTOCOL_ERROR),
        (ACK, 0, b"\0\1\0\0\0\0", FRAME_SIZE_ERROR),
        (0, 0, b"\0\1\0\0\0", FRAME_SIZE_ERROR),
    ],
)
def test_settings_of_wrong_form(flags, stream_id, payload, code):
    peer = server()
    peer.send(raw_frame(SETTINGS, flags, stream_id, payload))
    assert_connection_error(peer, code)


@pytest.mark.parametrize(
    ("setting", "value", "code"),
    [
        (2, 2, PROTOCOL_ERROR),
        (4, 2**31, FLOW_CONTROL_ERROR),
        (5, 16383, PROTOCOL_ERROR),
        (5, 2**24, PROTOCOL_ERROR),
        (8, 2, PROTOCOL_ERROR),
        (9, 2, PROTOCOL_ERROR),
    ],
)
def test_settings_out_of_range(setting, value, code):
    peer = server()
    peer.send(SettingsFrame(0, {setting: value}))
    assert_connection_error(peer, code)


def test_an_early_wrong_value_is_not_healed_by_a_later_one():
    peer = server()
    peer.send(raw_frame(SETTINGS, 0, 0, struct.pack(">HLHL", 5, 1, 5, 16384)))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_client_refuses_a_server_that_enables_push():
    peer = client()
    peer.send(SettingsFrame(0, {2: 1}))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_extended_connect_cannot_be_taken_back():
    peer = client(peer_settings={8: 1})
    peer.send(SettingsFrame(0, {8: 0}))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_settings_are_acknowledged_and_told():
    peer = server()
    peer.send(SettingsFrame(0, {4: 1000, 0xAB: 7}))
    (frame,) = peer.frames()
    assert isinstance(frame, SettingsFrame)
    assert "ACK" in frame.flags
    assert peer.events() == [SettingsReceived({4: 1000, 0xAB: 7})]
    assert peer.protocol.peer_settings == {4: 1000}


def test_own_settings_are_in_force_once_acknowledged():
    peer = server()
    peer.protocol.submit_settings({3: 7})
    (frame,) = peer.frames()
    assert frame.settings == {3: 7}
    assert peer.protocol.local_settings[3] == 100
    peer.send(SettingsFrame(0, flags=["ACK"]))
    assert peer.events() == [SettingsAcknowledged({3: 7})]
    assert peer.protocol.local_settings[3] == 7


# §6.7 PING.


@pytest.mark.parametrize("payload", [b"", b"1234567", b"123456789"])
@pytest.mark.parametrize("flags", [0, ACK])
def test_ping_of_wrong_length(flags, payload):
    peer = server()
    peer.send(raw_frame(PING, flags, 0, payload))
    assert_connection_error(peer, FRAME_SIZE_ERROR)


def test_ping_on_a_stream():
    peer = server()
    peer.send(raw_frame(PING, 0, 1, b"12345678"))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_acknowledgement_of_no_ping_is_ignored():
    peer = server()
    peer.send(raw_frame(PING, ACK, 0, b"12345678"))
    assert peer.events() == []
    assert_alive(peer)


def test_ping_tells_the_round_trip_time():
    peer = client()
    data = peer.protocol.submit_ping()
    peer.protocol.clock(10.0)  # nobody told the time before, so it was asked for
    peer.frames()
    peer.protocol.clock(10.25)
    peer.send(raw_frame(PING, ACK, 0, data))
    assert peer.events() == [PingAcknowledged(data, 0.25)]


# §6.8 GOAWAY.


def test_goaway_on_a_stream():
    peer = server()
    peer.send(raw_frame(GOAWAY, 0, 1, b"\0" * 8))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_goaway_too_short():
    peer = server()
    peer.send(raw_frame(GOAWAY, 0, 0, b"\0" * 7))
    assert_connection_error(peer, FRAME_SIZE_ERROR)
