"""What is special to clients: responses, resets that are none, alternative services, priorities."""

from __future__ import annotations

import pytest
from hyperframe.frame import AltSvcFrame, DataFrame, HeadersFrame, PriorityFrame, RstStreamFrame, SettingsFrame

from hface_trio.errors import LocalProtocolError
from hface_trio.events import (
    AlternativeServiceReceived,
    DataReceived,
    HeadersReceived,
    PushPromiseReceived,
    StopSendingReceived,
    StreamResetReceived,
    TrailersReceived,
)
from hface_trio.protocols.http2 import HTTP2Settings, StreamDependency

from ..sections import BAD_REQUESTS, EXTENDED
from .raw_peer import (
    POST,
    REQUEST,
    RESPONSE,
    assert_alive,
    assert_connection_error,
    assert_stream_error,
    client,
    open_request,
    promise,
    raw_frame,
    resets,
)
from .wire import ENHANCE_YOUR_CALM, PROTOCOL_ERROR


def test_request_and_response_with_bodies_and_trailers():
    peer = client()
    stream_id = open_request(peer, POST, end_stream=False)
    peer.protocol.submit_data(stream_id, b"question")
    peer.protocol.submit_trailers(stream_id, [(b"t", b"1")])
    frames = peer.frames()
    assert [type(f) for f in frames] == [HeadersFrame, DataFrame, HeadersFrame]
    assert peer.sent_headers[1] == [(b"t", b"1")]
    assert "END_STREAM" in frames[-1].flags
    peer.send(peer.headers(1, RESPONSE), DataFrame(1, b"answer"), peer.headers(1, [(b"u", b"2")], "END_STREAM"))
    assert peer.events() == [
        HeadersReceived(1, RESPONSE, False),
        DataReceived(1, b"answer"),
        TrailersReceived(1, [(b"u", b"2")]),
    ]
    assert peer.protocol.open_streams == 0


def test_empty_trailers_are_an_end():
    peer = client()
    stream_id = open_request(peer, POST, end_stream=False)
    peer.frames()
    peer.protocol.submit_trailers(stream_id, [])
    (frame,) = peer.frames()
    assert isinstance(frame, DataFrame)
    assert "END_STREAM" in frame.flags


def test_full_duplex():
    peer = client()
    open_request(peer, POST, end_stream=False)
    peer.send(peer.headers(1, RESPONSE), DataFrame(1, b"early"))
    assert peer.events() == [HeadersReceived(1, RESPONSE, False), DataReceived(1, b"early")]
    peer.protocol.submit_data(1, b"late", True)
    peer.send(DataFrame(1, b"last", flags=["END_STREAM"]))
    assert peer.protocol.open_streams == 0


@pytest.mark.parametrize("section", [s for s in BAD_REQUESTS.values() if s])
def test_malformed_request_is_not_sent(section):
    peer = client(HTTP2Settings(normalize_outbound_headers=False))
    with pytest.raises(LocalProtocolError):
        peer.protocol.submit_headers(1, section, True)
    assert peer.frames() == []
    assert peer.protocol.open_streams == 0
    open_request(peer)


def test_ids_are_taken_in_their_order():
    peer = client()
    assert peer.protocol.get_available_stream_id() == peer.protocol.get_available_stream_id() == 1
    with pytest.raises(LocalProtocolError):
        peer.protocol.submit_headers(3, REQUEST, True)
    open_request(peer)
    with pytest.raises(LocalProtocolError):
        peer.protocol.submit_headers(1, REQUEST, True)


def test_client_sends_no_interim_response():
    peer = client()
    with pytest.raises(LocalProtocolError):
        peer.protocol.submit_informational(1, [(b":status", b"103")])


def test_extended_connect_needs_the_servers_word():
    peer = client()
    with pytest.raises(LocalProtocolError):
        open_request(peer, EXTENDED, end_stream=False)
    peer.send(SettingsFrame(0, {8: 1}))
    assert open_request(peer, EXTENDED, end_stream=False) == 1


def test_large_section_is_sent_in_fragments():
    peer = client()
    open_request(peer, [*REQUEST, (b"x", bytes(range(33, 127)) * 400)])
    frames = peer.protocol.bytes_to_send()
    assert frames[3] == 1
    assert len(frames) > 16384 + 9


# Resets.


@pytest.mark.parametrize("code", [0, 1, 7, 8, 11])
def test_reset_before_the_end_of_the_response_is_a_reset(code):
    peer = client()
    open_request(peer, POST, end_stream=False)
    peer.send(peer.headers(1, RESPONSE), RstStreamFrame(1, code))
    assert peer.events()[-1] == StreamResetReceived(1, code)


def test_no_error_after_a_whole_response_stops_only_the_request():
    peer = client()
    open_request(peer, POST, end_stream=False)
    peer.send(peer.headers(1, RESPONSE), DataFrame(1, b"no, thanks", flags=["END_STREAM"]), RstStreamFrame(1, 0))
    assert peer.events() == [
        HeadersReceived(1, RESPONSE, False),
        DataReceived(1, b"no, thanks", True),
        StopSendingReceived(1, 0),
    ]
    assert peer.protocol.open_streams == 0


def test_server_may_stop_any_number_of_requests_behind_its_answers():
    peer = client()
    for _ in range(1500):
        stream_id = open_request(peer, POST, end_stream=False)
        peer.send(peer.headers(stream_id, RESPONSE, "END_STREAM"), RstStreamFrame(stream_id, 0))
        assert peer.events()[-1] == StopSendingReceived(stream_id, 0)
    assert peer.protocol.is_available()


@pytest.mark.parametrize("cancelled", [False, True])
def test_server_may_reset_each_request_once_and_not_more(cancelled):
    peer = client()
    for _ in range(1500):
        stream_id = open_request(peer)
        if cancelled:
            peer.protocol.submit_stream_reset(stream_id, 8)
        peer.send(RstStreamFrame(stream_id, 2))
    assert peer.protocol.is_available()
    peer.send(*[RstStreamFrame(stream_id, 2)] * 1500)
    assert peer.protocol.has_expired()


def test_other_code_after_a_whole_response_is_a_reset():
    peer = client()
    open_request(peer, POST, end_stream=False)
    peer.send(peer.headers(1, RESPONSE, "END_STREAM"), RstStreamFrame(1, 8))
    assert peer.events()[-1] == StreamResetReceived(1, 8)


def test_cancelled_request_frees_its_place():
    peer = client(peer_settings={3: 1})
    for _ in range(500):
        stream_id = open_request(peer)
        peer.protocol.submit_stream_reset(stream_id, 8)
        assert resets(peer.frames()) == [(stream_id, 8)]
        peer.send(peer.headers(stream_id, RESPONSE), DataFrame(stream_id, b"late", flags=["END_STREAM"]))
        assert all(not isinstance(e, (HeadersReceived, DataReceived)) for e in peer.events())
    assert peer.protocol.is_available()
    assert peer.protocol.open_streams == 0


def cancelled(peer, count):
    for _ in range(count):
        peer.protocol.submit_stream_reset(open_request(peer), 8)
    peer.frames()
    peer.events()


def test_late_responses_to_requests_that_were_cancelled_long_ago_are_dropped():
    peer = client()
    cancelled(peer, 1500)
    for stream_id in range(1, 2 * 1500, 2):
        section = peer.headers(stream_id, [*RESPONSE, (b"x-stream", b"%d" % stream_id)])
        peer.send(section, DataFrame(stream_id, b"late" * 100, flags=["END_STREAM"]))
    assert peer.events() == []
    assert resets(peer.frames()) == []
    stream_id = open_request(peer)
    peer.send(peer.headers(stream_id, [*RESPONSE, (b"x-stream", b"3")], "END_STREAM"))
    assert peer.events() == [HeadersReceived(stream_id, [*RESPONSE, (b"x-stream", b"3")], True)]


def test_responses_to_what_is_over_and_forgotten_cannot_come_without_end():
    peer = client(HTTP2Settings(remembered_streams=8))
    cancelled(peer, 100)
    for _ in range(20):
        peer.send(*[peer.headers(stream_id, RESPONSE) for stream_id in range(1, 151, 2)])
    assert_connection_error(peer, ENHANCE_YOUR_CALM)


# Switches.


def test_malformed_responses_are_shown_on_request():
    peer = client(HTTP2Settings(validate_inbound_headers=False, accept_push=True))
    open_request(peer)
    odd = [(b":status", b"200"), (b"Upper", b"x"), (b"content-length", b"2"), (b"cookie", b"a")]
    trailers = [(b":path", b"/"), (b"priority", b"u=1")]
    peer.send(promise(peer, 2, [(b":method", b"PUT")]))
    peer.send(peer.headers(1, odd), DataFrame(1, b"ok"), peer.headers(1, trailers, "END_STREAM"))
    assert peer.events() == [
        PushPromiseReceived(1, 2, [(b":method", b"PUT")]),
        HeadersReceived(1, odd, False),
        DataReceived(1, b"ok"),
        TrailersReceived(1, trailers),
    ]


def test_malformed_requests_are_sent_on_request():
    peer = client(HTTP2Settings(validate_outbound_headers=False, normalize_outbound_headers=False))
    open_request(peer, [(b":method", b"GET"), (b"Connection", b"close")])
    assert len(peer.frames()) == 1


# Trailers that are none.


@pytest.mark.parametrize(
    ("first", "trailers"),
    [
        (RESPONSE, [(b"Upper", b"x")]),
        ([*RESPONSE, (b"content-length", b"3")], [(b"a", b"b")]),
    ],
)
def test_malformed_end_of_a_response(first, trailers):
    peer = client()
    open_request(peer)
    peer.frames()
    peer.send(peer.headers(1, first), DataFrame(1, b"x"), peer.headers(1, trailers, "END_STREAM"))
    assert_stream_error(peer, 1, PROTOCOL_ERROR)


def test_headers_behind_the_end_of_a_response():
    peer = client()
    open_request(peer, POST, end_stream=False)
    peer.frames()
    peer.send(peer.headers(1, RESPONSE, "END_STREAM"), peer.headers(1, [(b"a", b"b")], "END_STREAM"))
    assert_stream_error(peer, 1, 5)


# Alternative services.


def test_alternative_service_of_an_origin():
    peer = client()
    peer.send(AltSvcFrame(0, b"https://example.test", b'h3=":443"'))
    assert peer.events() == [AlternativeServiceReceived(b"https://example.test", b'h3=":443"')]


def test_alternative_service_of_a_streams_origin():
    peer = client()
    open_request(peer)
    peer.send(AltSvcFrame(1, b"", b"clear"))
    assert peer.events() == [AlternativeServiceReceived(b"https://example.test", b"clear")]


@pytest.mark.parametrize(
    "frame",
    [
        AltSvcFrame(0, b"", b"clear"),
        AltSvcFrame(1, b"https://example.test", b"clear"),
        AltSvcFrame(9, b"", b"clear"),
        raw_frame(0xA, 0, 0, b""),
        raw_frame(0xA, 0, 0, b"\0"),
        raw_frame(0xA, 0, 0, b"\0\5abc"),
    ],
)
def test_useless_alternative_service_is_ignored(frame):
    peer = client()
    open_request(peer)
    peer.frames()
    peer.send(frame)
    assert peer.events() == []
    assert_alive(peer)


# Priorities.


def test_priority_is_updated():
    peer = client()
    open_request(peer)
    peer.frames()
    peer.protocol.prioritize(1, urgency=5, incremental=True)
    assert peer.protocol.bytes_to_send() == raw_frame(0x10, 0, 0, b"\0\0\0\1u=5, i")
    assert peer.protocol.priority(1) == (5, True)


@pytest.mark.parametrize(("stream_id", "urgency"), [(1, 8), (1, -1), (0, 3)])
def test_priority_out_of_range_is_refused(stream_id, urgency):
    with pytest.raises(LocalProtocolError):
        client().protocol.prioritize(stream_id, urgency=urgency)


def test_dependency_is_sent():
    peer = client()
    peer.protocol.submit_dependency(3, StreamDependency(1, 256, True))
    (frame,) = peer.frames()
    assert isinstance(frame, PriorityFrame)
    assert (frame.stream_id, frame.depends_on, frame.stream_weight, frame.exclusive) == (3, 1, 255, True)


@pytest.mark.parametrize("dependency", [StreamDependency(1, 0), StreamDependency(1, 257), StreamDependency(3, 5)])
def test_dependency_out_of_range_is_refused(dependency):
    with pytest.raises(LocalProtocolError):
        client().protocol.submit_dependency(3, dependency)


def test_server_must_not_update_priorities():
    peer = client()
    peer.send(raw_frame(0x10, 0, 0, b"\0\0\0\1u=1"))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_dependency_of_a_response_is_read():
    peer = client()
    open_request(peer)
    peer.send(peer.headers(1, RESPONSE, "PRIORITY", depends_on=3, stream_weight=4))
    assert peer.protocol.dependency(1) == (3, 5, False)
