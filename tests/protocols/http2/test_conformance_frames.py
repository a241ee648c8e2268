"""RFC 9113 §4 and §6, clause by clause: frames and field sections, whatever the streams do."""

from __future__ import annotations

import pytest
from hyperframe.frame import ContinuationFrame, DataFrame, PriorityFrame, RstStreamFrame, SettingsFrame

from hface_trio.events import DataReceived, HeadersReceived, StreamResetReceived, UnknownFrameReceived
from hface_trio.protocols.http2 import HTTP2Settings

from .raw_peer import (
    POST,
    REQUEST,
    assert_alive,
    assert_connection_error,
    assert_stream_error,
    body,
    client,
    data_frame,
    open_request,
    raw_frame,
    server,
)
from .wire import (
    COMPRESSION_ERROR,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_SIZE_ERROR,
    HAS_PRIORITY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)

# §4.1, §4.2 Frames.


def test_unknown_frame_is_shown_and_ignored():
    peer = server()
    peer.send(raw_frame(0xFE, 0xFF, 5, b"payload"), peer.request(1))
    assert [type(event) for event in peer.events()] == [UnknownFrameReceived, HeadersReceived]
    assert_alive(peer)


def test_unknown_flags_are_ignored():
    peer = server()
    peer.send(raw_frame(PING, 0xFE, 0, b"12345678"))
    assert [frame.opaque_data for frame in peer.frames()] == [b"12345678"]


@pytest.mark.parametrize("frame_type", [DATA, HEADERS, SETTINGS, CONTINUATION, PING, 0xFE])
def test_frame_longer_than_max_frame_size(frame_type):
    peer = server()
    peer.send(peer.request(1, POST, end_stream=False), raw_frame(frame_type, 0, 1, length=16385))
    assert_connection_error(peer, FRAME_SIZE_ERROR)


def test_longer_frames_are_accepted_once_allowed():
    peer = server(HTTP2Settings(max_frame_octets=32768))
    peer.send(peer.request(1, POST, end_stream=False), DataFrame(1, b"x" * 32768, flags=["END_STREAM"]))
    assert len(body(peer.events(), 1)) == 32768


def test_smaller_frames_may_be_asked_for_only_after_acknowledgement():
    peer = server(HTTP2Settings(max_frame_octets=32768))
    peer.protocol.submit_settings({5: 16384})
    peer.send(peer.request(1, POST, end_stream=False), DataFrame(1, b"x" * 32768))
    assert_alive(peer)
    peer.send(SettingsFrame(0, flags=["ACK"]), DataFrame(1, b"x" * 16385))
    assert_connection_error(peer, FRAME_SIZE_ERROR)


# §4.3 Field sections.


def test_section_in_fragments_arrives_whole():
    peer = server()
    peer.send(*peer.continued(1, REQUEST, 3, "END_STREAM"))
    assert peer.events() == [HeadersReceived(1, REQUEST, True)]


@pytest.mark.parametrize(
    "interruption",
    [
        raw_frame(PING, 0, 0, b"12345678"),
        raw_frame(DATA, 0, 1, b"x"),
        raw_frame(HEADERS, END_HEADERS, 3, b"\x82"),
        raw_frame(CONTINUATION, END_HEADERS, 3, b"\x82"),
        raw_frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"),
        raw_frame(SETTINGS, 0, 0),
        raw_frame(0xFE, 0, 1, b"unknown"),
    ],
)
def test_section_must_not_be_interrupted(interruption):
    peer = server()
    peer.send(peer.continued(1, REQUEST, 3)[0], interruption)
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_malformed_section_is_a_compression_error():
    peer = server()
    peer.send(raw_frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff\xff\xff\xff\xff\xff\xff"))
    assert_connection_error(peer, COMPRESSION_ERROR)


def test_malformed_section_on_a_stream_that_was_reset_is_a_compression_error():
    peer = server()
    peer.send(peer.request(1, POST, end_stream=False))
    peer.protocol.submit_stream_reset(1, 8)
    peer.frames()
    peer.events()
    peer.send(raw_frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x80"))
    assert_connection_error(peer, COMPRESSION_ERROR)


# §6.1 DATA.


def test_data_on_stream_0():
    peer = server()
    peer.send(raw_frame(DATA, 0, 0, b"x"))
    assert_connection_error(peer, PROTOCOL_ERROR)


@pytest.mark.parametrize(("payload", "code"), [(b"\x01", 1), (b"\x05abcd", 1), (b"", 6)])
def test_data_with_too_much_padding(payload, code):
    peer = server()
    peer.send(peer.request(1, POST, end_stream=False), raw_frame(DATA, PADDED, 1, payload))
    assert_connection_error(peer, code)


@pytest.mark.parametrize("pad", [0, 1, 255])
def test_padding_is_not_data(pad):
    peer = server()
    peer.send(peer.request(1, POST, end_stream=False), data_frame(1, b"abc", "END_STREAM", pad=pad))
    assert peer.events()[-1] == DataReceived(1, b"abc", True)


def test_nothing_but_padding_is_no_event():
    peer = server()
    peer.send(peer.request(1, POST, end_stream=False), data_frame(1, b"", pad=7))
    assert [type(event) for event in peer.events()] == [HeadersReceived]


# §6.2 HEADERS.


def test_headers_on_stream_0():
    peer = server()
    peer.send(raw_frame(HEADERS, END_HEADERS, 0, b"\x82"))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_headers_with_padding_and_priority():
    peer = server()
    frame = peer.headers(1, REQUEST, "END_STREAM", "PADDED", "PRIORITY", pad_length=9, depends_on=3, stream_weight=7)
    peer.send(frame)
    assert peer.events() == [HeadersReceived(1, REQUEST, True)]
    assert peer.protocol.dependency(1) == (3, 8, False)


@pytest.mark.parametrize(
    ("flags", "payload", "code"),
    [
        (PADDED, b"\x05\x82\x84", 1),
        (PADDED, b"", 6),
        (HAS_PRIORITY, b"\0\0\0\0", 6),
        (PADDED | HAS_PRIORITY, b"\x03\0\0\0\0\x10\x82", 1),
    ],
)
def test_headers_that_do_not_hold_what_they_say(flags, payload, code):
    peer = server()
    peer.send(raw_frame(HEADERS, flags | END_HEADERS, 1, payload))
    assert_connection_error(peer, code)


# §6.3 PRIORITY, and RFC 7540 §5.3.1.


def test_priority_on_stream_0():
    peer = server()
    peer.send(raw_frame(PRIORITY, 0, 0, b"\0\0\0\1\0"))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_priority_of_wrong_length_is_a_stream_error():
    peer = server()
    peer.send(peer.request(1), raw_frame(PRIORITY, 0, 1, b"\0\0\0\0"))
    assert_stream_error(peer, 1, FRAME_SIZE_ERROR)


@pytest.mark.parametrize("stream_id", [1, 3, 101])
def test_priority_is_read_in_any_state(stream_id):
    peer = server()
    peer.send(peer.request(1), peer.request(3), PriorityFrame(stream_id, depends_on=5, stream_weight=9, exclusive=True))
    assert_alive(peer)
    if stream_id < 100:
        assert peer.protocol.dependency(stream_id) == (5, 10, True)


def test_stream_that_depends_on_itself_by_priority():
    peer = server()
    peer.send(peer.request(1), PriorityFrame(1, depends_on=1))
    assert_stream_error(peer, 1, PROTOCOL_ERROR)


def test_stream_that_depends_on_itself_by_headers():
    peer = server()
    peer.send(peer.headers(1, REQUEST, "END_STREAM", "PRIORITY", depends_on=1))
    assert peer.events() == []
    assert_stream_error(peer, 1, PROTOCOL_ERROR)


def test_idle_stream_that_depends_on_itself():
    peer = server()
    peer.send(PriorityFrame(1, depends_on=1))
    assert_connection_error(peer, PROTOCOL_ERROR)


# §6.4 RST_STREAM.


def test_reset_on_stream_0():
    peer = server()
    peer.send(raw_frame(RST_STREAM, 0, 0, b"\0\0\0\0"))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_reset_of_an_idle_stream():
    peer = server()
    peer.send(RstStreamFrame(1, 8))
    assert_connection_error(peer, PROTOCOL_ERROR)


@pytest.mark.parametrize("payload", [b"", b"\0\0\0", b"\0\0\0\0\0"])
def test_reset_of_wrong_length(payload):
    peer = server()
    peer.send(peer.request(1), raw_frame(RST_STREAM, 0, 1, payload))
    assert_connection_error(peer, FRAME_SIZE_ERROR)


@pytest.mark.parametrize("code", [0, 8, 0xFFFFFFFF])
def test_reset_ends_the_stream_with_any_code(code):
    peer = server()
    peer.send(peer.request(1), RstStreamFrame(1, code))
    assert peer.events()[-1] == StreamResetReceived(1, code)
    assert peer.protocol.open_streams == 0
    assert_alive(peer)


# §6.10 CONTINUATION.


def test_continuation_of_nothing():
    peer = server()
    peer.send(ContinuationFrame(1, b"\x82", flags=["END_HEADERS"]))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_continuation_of_a_complete_section():
    peer = server()
    peer.send(peer.request(1, POST, end_stream=False), ContinuationFrame(1, b"\x82", flags=["END_HEADERS"]))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_continuation_on_stream_0():
    peer = server()
    peer.send(peer.continued(1, REQUEST, 3)[0], raw_frame(CONTINUATION, END_HEADERS, 0, b"\x82"))
    assert_connection_error(peer, PROTOCOL_ERROR)


# §6.6 PUSH_PROMISE.


def test_client_must_not_promise():
    peer = server()
    peer.send(peer.request(1), raw_frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2\x82"))
    assert_connection_error(peer, PROTOCOL_ERROR)


@pytest.mark.parametrize(
    ("stream_id", "payload", "code"),
    [
        (0, b"\0\0\0\2\x82", PROTOCOL_ERROR),
        (1, b"\0\0\0", FRAME_SIZE_ERROR),
        (1, b"\0\0\0\0\x82", PROTOCOL_ERROR),
        (1, b"\0\0\0\3\x82", PROTOCOL_ERROR),
    ],
)
def test_promise_of_wrong_form(stream_id, payload, code):
    peer = client(HTTP2Settings(accept_push=True))
    open_request(peer)
    peer.frames()
    peer.send(raw_frame(PUSH_PROMISE, END_HEADERS, stream_id, payload))
    assert_connection_error(peer, code)
