"""RFC 9114 §5 to §7: streams, frames, settings and their errors, each clause with a raw peer."""

from __future__ import annotations

import pytest

from hface_trio.events import DataReceived, HeadersReceived, SettingsReceived, TrailersReceived
from hface_trio.protocols.http3 import HTTP3ErrorCode as Code
from hface_trio.protocols.http3 import HTTP3Settings
from hface_trio.protocols.http3._frames import pack_frame, pack_varint, read_varint

from .raw_peer import (
    CONTROL,
    DECODER,
    ENCODER,
    POST,
    PUSH,
    REQUEST,
    body,
    client,
    data,
    headers,
    open_request,
    section,
    server,
    settings_frame,
)

GREASE = 0x21 + 0x1F * 7


# §6.2 Unidirectional streams.


def test_this_side_opens_control_and_qpack_streams_and_says_its_settings_first():
    pair = server(start=False)
    types = {read_varint(octets)[0] for stream_id, octets in pair.peer.received.items() if stream_id % 4 == 3}
    assert types == {CONTROL, ENCODER, DECODER}
    frame_type, payload = pair.peer.frames(3)[0]
    assert frame_type == 4
    settings = {}
    position = 0
    while position < len(payload):
        key, position = read_varint(payload, position)
        settings[key], position = read_varint(payload, position)
    assert settings == {6: 65536, 8: 1, 0x33: 1}


def test_additional_settings_are_sent():
    pair = server(HTTP3Settings(additional_settings=((GREASE, 5), (6, 1000))), start=False)
    payload = pair.peer.frames(3)[0][1]
    assert pack_varint(GREASE) + pack_varint(5) in payload
    assert payload.startswith(pack_varint(6) + pack_varint(1000))


@pytest.mark.parametrize("stream_type", [CONTROL, ENCODER, DECODER])
def test_a_second_critical_stream_is_a_stream_creation_error(stream_type):
    pair = server()
    pair.peer.uni(stream_type)
    pair.assert_closed(Code.STREAM_CREATION_ERROR)


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("how", ["end", "reset"])
def test_closing_a_critical_stream_ends_the_connection(index, how):
    pair = server()
    stream_id = 2 + 4 * index
    if how == "end":
        pair.peer.send(stream_id, end=True)
    else:
        pair.peer.quic.reset_stream(stream_id, 0x100)
    pair.assert_closed(Code.CLOSED_CRITICAL_STREAM)


@pytest.mark.parametrize("stream_id", [3, 7, 11])
def test_stopping_a_critical_stream_ends_the_connection(stream_id):
    pair = server()
    pair.peer.quic.stop_stream(stream_id, 0x100)
    pair.assert_closed(Code.CLOSED_CRITICAL_STREAM)


def test_a_push_stream_of_a_client_is_a_stream_creation_error():
    pair = server()
    pair.peer.uni(PUSH, pack_varint(0))
    pair.assert_closed(Code.STREAM_CREATION_ERROR)


def test_a_push_stream_of_a_server_is_an_id_error_since_no_push_was_allowed():
    pair = client()
    pair.peer.uni(PUSH, pack_varint(0))
    pair.assert_closed(Code.ID_ERROR)


def test_a_stream_of_unknown_type_is_stopped_and_nothing_else_happens():
    pair = server()
    stream_id = pair.peer.uni(GREASE, b"whatever")
    pair.run()
    assert pair.peer.stops == {stream_id: Code.STREAM_CREATION_ERROR}
    pair.assert_alive()


def test_a_stream_type_may_come_octet_by_octet():
    pair = server(start=False)
    stream_id = 2
    for octet in b"\x80\x00\x00\x00" + settings_frame({6: 5}):
        pair.send(stream_id, bytes([octet]))
    assert pair.protocol.peer_settings == {6: 5}


def test_a_stream_that_ends_before_it_says_what_it_is_does_no_harm():
    pair = server()
    stream_id = pair.peer.quic.get_next_available_stream_id(is_unidirectional=True)
    pair.send(stream_id, b"\x40", end=True)
    stream_id = pair.peer.quic.get_next_available_stream_id(is_unidirectional=True)
    pair.peer.send(stream_id, b"\x40")
    pair.run()
    pair.peer.quic.reset_stream(stream_id, 1)
    pair.run()
    pair.assert_alive()


def test_more_short_streams_than_the_limit_can_be_opened_one_after_the_other():
    pair = server()
    for _ in range(40):
        pair.peer.uni(GREASE)
        pair.run()
    assert len(pair.peer.stops) == 40
    pair.assert_alive()


class Taker:
    def __init__(self, protocol):
        self.protocol = protocol
        self.calls = []

    def data_received(self, stream_id, data, end_stream):
        self.calls.append((stream_id, data, end_stream))
        self.protocol.acknowledge(stream_id, len(data))

    def reset_received(self, stream_id, error_code):
        self.calls.append((stream_id, error_code))


def test_registered_stream_types_go_to_who_registered():
    pair = server()
    taker = Taker(pair.protocol)
    pair.protocol.register_stream_type(0x54, taker)
    first = pair.peer.uni(0x54, b"hello")
    pair.run()
    pair.send(first, b" world", end=True)
    second = pair.peer.uni(0x54)
    pair.run()
    pair.peer.quic.reset_stream(second, 77)
    pair.run()
    assert taker.calls == [(first, b"hello", False), (first, b" world", True), (second, b"", False), (second, 77)]


# §6.2.1, §7.2.4 Settings.


def test_settings_are_told():
    pair = server(start=False)
    pair.events()
    pair.peer.uni(CONTROL, settings_frame({6: 4096, GREASE: 1}))
    pair.run()
    assert pair.events() == [SettingsReceived({6: 4096, GREASE: 1})]


@pytest.mark.parametrize("frame", [pack_frame(7, b"\0"), pack_frame(0xD, b"\0"), pack_frame(GREASE, b"")])
def test_another_first_frame_is_missing_settings(frame):
    pair = server(start=False)
    pair.peer.uni(CONTROL, frame)
    pair.assert_closed(Code.MISSING_SETTINGS)


def test_a_second_settings_frame_is_unexpected():
    pair = server()
    pair.peer.send(pair.control, settings_frame())
    pair.assert_closed(Code.FRAME_UNEXPECTED)


@pytest.mark.parametrize("identifier", [0, 2, 3, 4, 5])
def test_reserved_settings_are_refused(identifier):
    pair = server(start=False)
    pair.peer.uni(CONTROL, settings_frame({identifier: 0}))
    pair.assert_closed(Code.SETTINGS_ERROR)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\x06\x01\x06\x01", Code.SETTINGS_ERROR),  # twice
        (b"\x08\x02", Code.SETTINGS_ERROR),  # neither 0 nor 1
        (b"\x33\x02", Code.SETTINGS_ERROR),
        (b"\x06", Code.FRAME_ERROR),  # no value
        (b"\x06\x40", Code.FRAME_ERROR),  # half a value
        (b"\x46", Code.FRAME_ERROR),  # half an identifier
    ],
)
def test_malformed_settings(payload, code):
    pair = server(start=False)
    pair.peer.uni(CONTROL, pack_frame(4, payload))
    pair.assert_closed(code)


# §7.1, §7.2 Frames where they may be.


@pytest.mark.parametrize("frame_type", [0x0, 0x1, 0x5, 0x2, 0x6, 0x8, 0x9])
def test_frames_that_may_not_be_on_a_control_stream(frame_type):
    pair = server()
    pair.peer.send(pair.control, pack_frame(frame_type, b"\0\0"))
    pair.assert_closed(Code.FRAME_UNEXPECTED)


@pytest.mark.parametrize("frame_type", [0x3, 0x4, 0x7, 0xD, 0xF0700, 0xF0701, 0x2, 0x6, 0x8, 0x9, 0x5])
def test_frames_that_may_not_be_on_a_request_stream(frame_type):
    pair = server()
    pair.request(headers(), pack_frame(frame_type, b"\0"))
    pair.assert_closed(Code.FRAME_UNEXPECTED)


def test_data_before_headers_is_unexpected():
    pair = server()
    pair.request(data(b"x"))
    pair.assert_closed(Code.FRAME_UNEXPECTED)


@pytest.mark.parametrize("frame", [headers([(b"a", b"b")]), data(b"x")])
def test_headers_and_data_behind_trailers_are_unexpected(frame):
    pair = server()
    pair.request(headers(POST), headers([(b"x", b"y")]), frame)
    pair.assert_closed(Code.FRAME_UNEXPECTED)


def test_a_stream_that_ends_within_a_frame_is_a_frame_error():
    pair = server()
    pair.request(headers(POST), data(b"hello")[:-1])
    pair.assert_closed(Code.FRAME_ERROR)


def test_a_stream_that_ends_within_the_head_of_a_frame_is_a_frame_error():
    pair = server()
    pair.request(headers(POST), b"\x00")
    pair.assert_closed(Code.FRAME_ERROR)


def test_unknown_frames_are_skipped_wherever_they_are():
    pair = server()
    grease = pack_frame(GREASE, b"g" * 3000)
    pair.peer.send(pair.control, grease)
    stream_id = pair.request(
        grease, headers(POST), grease, data(b"ab"), grease, data(b"cd"), headers([(b"x", b"y")]), grease
    )
    events = pair.events()
    assert [type(e) for e in events if not isinstance(e, DataReceived)] == [HeadersReceived, TrailersReceived]
    assert body(events, stream_id) == b"abcd"


@pytest.mark.parametrize("frame_type", [0x3, 0x7, 0xD])
@pytest.mark.parametrize("payload", [b"", b"\x40", b"\x00\x00"])
def test_frames_of_one_integer_hold_exactly_that(frame_type, payload):
    pair = server()
    pair.peer.send(pair.control, pack_frame(frame_type, payload))
    pair.assert_closed(Code.FRAME_ERROR)


def test_a_huge_control_frame_is_excessive_load():
    pair = server()
    pair.peer.send(pair.control, pack_varint(0xF0700) + pack_varint(2**30))
    pair.assert_closed(Code.EXCESSIVE_LOAD)


# §7.2.3, §7.2.5, §7.2.7 Push.


def test_cancel_push_of_what_was_never_promised_is_an_id_error():
    for pair in (server(), client()):
        pair.peer.send(pair.control, pack_frame(3, b"\0"))
        pair.assert_closed(Code.ID_ERROR)


def test_max_push_id_may_grow_and_not_shrink():
    pair = server()
    pair.send(pair.control, pack_frame(0xD, b"\x05"), pack_frame(0xD, b"\x05"), pack_frame(0xD, b"\x09"))
    pair.assert_alive()
    pair.peer.send(pair.control, pack_frame(0xD, b"\x08"))
    pair.assert_closed(Code.ID_ERROR)


def test_max_push_id_of_a_server_is_unexpected():
    pair = client()
    pair.peer.send(pair.control, pack_frame(0xD, b"\x05"))
    pair.assert_closed(Code.FRAME_UNEXPECTED)


def test_push_promise_is_an_id_error_for_a_client():
    pair = client()
    stream_id = open_request(pair)
    pair.peer.send(stream_id, pack_frame(0x5, b"\0" + section(REQUEST)))
    pair.assert_closed(Code.ID_ERROR)


# §5.2 GOAWAY.


def test_goaway_with_an_id_of_no_request_is_an_id_error():
    pair = client()
    pair.peer.send(pair.control, pack_frame(7, b"\x03"))
    pair.assert_closed(Code.ID_ERROR)


def test_goaway_ids_may_not_grow():
    pair = client()
    open_request(pair)
    pair.send(pair.control, pack_frame(7, b"\x08"))
    pair.peer.send(pair.control, pack_frame(7, b"\x0c"))
    pair.assert_closed(Code.ID_ERROR)


def test_push_ids_in_goaway_may_not_grow_either():
    pair = server()
    pair.send(pair.control, pack_frame(7, b"\x03"))
    pair.peer.send(pair.control, pack_frame(7, b"\x04"))
    pair.assert_closed(Code.ID_ERROR)
