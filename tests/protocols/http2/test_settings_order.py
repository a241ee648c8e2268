"""The values of a SETTINGS frame count one after the other, in the order in which they appear (RFC 9113 §6.5.3)."""

from __future__ import annotations

import struct

from hyperframe.frame import HeadersFrame

from hface_trio.protocols.http2 import HTTP2ErrorCode

from .raw_peer import RESPONSE, assert_alive, assert_connection_error, raw_frame, server, settled

HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE = 1, 4
SETTINGS = 4


def settings(*pairs: tuple[int, int]) -> bytes:
    return raw_frame(SETTINGS, 0, 0, b"".join(struct.pack(">HL", *pair) for pair in pairs))


def test_a_table_that_is_emptied_and_grows_again_in_one_frame_is_empty() -> None:
    peer = settled(server())
    fields = [*RESPONSE, (b"x-name", b"a value to remember")]
    for stream_id in (1, 3):
        peer.send(peer.request(stream_id))
        peer.protocol.submit_headers(stream_id, fields, end_stream=True)
    peer.frames()
    peer.send(settings((HEADER_TABLE_SIZE, 0), (HEADER_TABLE_SIZE, 4096)), peer.request(5))
    peer.frames()
    peer.protocol.submit_headers(5, fields, end_stream=True)
    (block,) = [frame.data for frame in peer.frames() if isinstance(frame, HeadersFrame)]
    assert block.startswith(b"\x20\x3f\xe1\x1f")  # size 0, then 4,096 (RFC 7541 §4.2, §6.3)
    assert len(block) > 20  # nothing refers to what was in it


def test_a_window_that_overflows_on_the_way_is_an_error() -> None:
    peer = settled(server())
    peer.send(peer.request(1))
    peer.send(raw_frame(8, 0, 1, struct.pack(">L", 2**20)))
    peer.send(settings((INITIAL_WINDOW_SIZE, 2**31 - 1), (INITIAL_WINDOW_SIZE, 1000)))
    assert_connection_error(peer, HTTP2ErrorCode.FLOW_CONTROL_ERROR)


def test_settings_repeated_over_and_over_in_a_frame_are_abuse() -> None:
    peer = settled(server())
    peer.send(settings(*[(INITIAL_WINDOW_SIZE, 1000 + number % 2) for number in range(500)]))
    assert_alive(peer)
    peer.send(settings(*[(INITIAL_WINDOW_SIZE, 1000 + number % 2) for number in range(2000)]))
    assert_connection_error(peer, HTTP2ErrorCode.ENHANCE_YOUR_CALM)
