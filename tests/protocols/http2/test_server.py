"""What is special to servers: responses, interim ones, promises, alternative services."""

from __future__ import annotations

import pytest
from hyperframe.frame import AltSvcFrame, DataFrame, HeadersFrame, PushPromiseFrame, RstStreamFrame

from hface_trio.errors import LocalProtocolError
from hface_trio.events import StreamResetReceived, StreamResetSent
from hface_trio.protocols.http2 import H2ClientProtocol, H2ServerProtocol, HTTP2Settings

from ..sections import BAD_RESPONSES, BAD_TRAILERS
from .raw_peer import (
    POST,
    REQUEST,
    RESPONSE,
    RawPeer,
    assert_alive,
    assert_connection_error,
    raw_frame,
    requested,
    resets,
    server,
)


def test_what_the_protocol_says_of_itself():
    protocol = server().protocol
    assert (protocol.http_version, protocol.multiplexed, protocol.receive_capacity()) == ("2", True, 65536)
    codes = protocol.error_codes
    assert (codes.protocol_error, codes.internal_error, codes.connect_error) == (1, 2, 10)


# Responses.


def test_interim_response_head_data_and_trailers():
    peer = requested()
    peer.protocol.submit_informational(1, [(b":status", b"103"), (b"link", b"</x>")])
    peer.protocol.submit_headers(1, RESPONSE)
    peer.protocol.submit_data(1, b"body")
    peer.protocol.submit_trailers(1, [(b"t", b"1")])
    frames = peer.frames()
    assert [type(f) for f in frames] == [HeadersFrame, HeadersFrame, DataFrame, HeadersFrame]
    assert ["END_STREAM" in f.flags for f in frames] == [False, False, False, True]
    assert peer.protocol.open_streams == 0


@pytest.mark.parametrize(
    "submit",
    [
        lambda p: p.submit_data(1, b"x"),
        lambda p: p.submit_trailers(1, [(b"a", b"b")]),
        lambda p: p.submit_headers(1, [(b":status", b"103")]),
        lambda p: p.submit_informational(1, RESPONSE),
        lambda p: p.submit_headers(3, RESPONSE),
        lambda p: p.submit_headers(2, RESPONSE),
        lambda p: p.submit_data(3, b"x"),
        lambda p: p.submit_headers(1, REQUEST),
        lambda p: p.submit_push_promise(3, REQUEST),
        lambda p: p.submit_push_promise(1, POST),
        lambda p: p.submit_push_promise(1, RESPONSE),
        lambda p: p.submit_alternative_service(b"clear"),
        lambda p: p.submit_alternative_service(b"clear", origin=b"https://a", stream_id=1),
        lambda p: p.submit_alternative_service(b"clear", stream_id=3),
        lambda p: p.submit_alternative_service(b"x" * 20_000, origin=b"https://a"),
        lambda p: p.submit_settings({5: 1}),
        lambda p: p.submit_ping(b"short"),
        lambda p: p.submit_goaway(last_stream_id=-1),
    ],
)
def test_what_is_not_allowed_is_refused_and_changes_nothing(submit):
    peer = requested(end_stream=False)
    with pytest.raises(LocalProtocolError):
        submit(peer.protocol)
    assert peer.frames() == []
    peer.protocol.submit_headers(1, RESPONSE)
    peer.protocol.submit_data(1, b"x", True)
    peer.send(DataFrame(1, b"", flags=["END_STREAM"]))
    assert peer.protocol.open_streams == 0


@pytest.mark.parametrize("section", BAD_RESPONSES.values(), ids=BAD_RESPONSES)
def test_malformed_response_is_not_sent(section):
    peer = requested(settings=HTTP2Settings(normalize_outbound_headers=False))
    with pytest.raises(LocalProtocolError):
        peer.protocol.submit_headers(1, section)
    peer.protocol.submit_headers(1, RESPONSE, True)
    peer.frames()
    assert peer.sent_headers[1] == RESPONSE


@pytest.mark.parametrize("section", BAD_TRAILERS.values(), ids=BAD_TRAILERS)
def test_malformed_trailers_are_not_sent(section):
    peer = requested(settings=HTTP2Settings(normalize_outbound_headers=False))
    peer.protocol.submit_headers(1, RESPONSE)
    with pytest.raises(LocalProtocolError):
        peer.protocol.submit_trailers(1, section)
    peer.protocol.submit_trailers(1, [(b"a", b"b")])
    assert peer.protocol.open_streams == 0


def test_data_can_be_sent_between_head_and_end():
    peer = requested()
    assert not peer.protocol.can_send(1)
    peer.protocol.submit_headers(1, RESPONSE)
    assert peer.protocol.can_send(1)
    peer.protocol.submit_data(1, b"x", True)
    assert not peer.protocol.can_send(1)
    assert not peer.protocol.can_send(99)


def test_head_is_sent_once():
    peer = requested()
    peer.protocol.submit_headers(1, RESPONSE)
    for submit in (peer.protocol.submit_headers, peer.protocol.submit_informational):
        with pytest.raises(LocalProtocolError):
            submit(1, RESPONSE)


def test_reset_by_the_application_is_told_once():
    peer = requested()
    peer.protocol.submit_stream_reset(1, 2)
    peer.protocol.submit_stream_reset(1, 2)
    peer.protocol.submit_stream_reset(99, 2)
    assert peer.events() == [StreamResetSent(1, 2)]
    assert resets(peer.frames()) == [(1, 2)]


def test_refused_stream_can_be_tried_again_by_the_client():
    peer = requested()
    peer.protocol.refuse_stream(1)
    assert resets(peer.frames()) == [(1, 7)]


def test_answer_without_reading_then_no_error():
    peer = requested(POST, end_stream=False)
    peer.protocol.submit_headers(1, RESPONSE, True)
    peer.protocol.submit_stream_reset(1, 0)
    assert resets(peer.frames()) == [(1, 0)]
    peer.send(DataFrame(1, b"x" * 16384), DataFrame(1, b"", flags=["END_STREAM"]))
    assert_alive(peer)


def test_secrets_are_never_indexed_on_the_wire():
    peer = requested()
    peer.protocol.submit_headers(1, [*RESPONSE, (b"set-cookie", b"a=b"), (b"x", b"y")], True)
    peer.frames()
    from hpack import NeverIndexedHeaderTuple

    assert [type(f) is NeverIndexedHeaderTuple for f in peer.sent_headers[1]] == [False, True, False]


# 100 (Continue).


def waiting(**arguments) -> RawPeer:
    return requested([*POST, (b"expect", b"100-continue")], end_stream=False, **arguments)


def test_continue_is_sent_once_to_who_waits_for_it():
    peer = waiting()
    peer.protocol.submit_continue(1)
    peer.protocol.submit_continue(1)
    (frame,) = peer.frames()
    assert peer.sent_headers[1] == [(b":status", b"100")]
    assert "END_STREAM" not in frame.flags


@pytest.mark.parametrize("case", ["no expectation", "data came", "answered", "no such stream"])
def test_continue_is_harmless_otherwise(case):
    peer = requested(POST, end_stream=False) if case == "no expectation" else waiting()
    if case == "data came":
        peer.send(DataFrame(1, b"x"))
    elif case == "answered":
        peer.protocol.submit_headers(1, RESPONSE)
    peer.frames()
    peer.protocol.submit_continue(9 if case == "no such stream" else 1)
    assert peer.frames() == []


# Promises.


def test_promise_and_its_response():
    peer = requested()
    promised = peer.protocol.submit_push_promise(1, REQUEST)
    assert promised == 2
    peer.protocol.submit_headers(2, RESPONSE)
    peer.protocol.submit_data(2, b"pushed", True)
    frames = peer.frames()
    assert [type(f) for f in frames] == [PushPromiseFrame, HeadersFrame, DataFrame]
    assert (frames[0].stream_id, frames[0].promised_stream_id) == (1, 2)
    assert peer.protocol.open_streams == 1


def test_promise_to_a_client_of_ours():
    peer = H2ClientProtocol(secure=True, settings=HTTP2Settings(accept_push=True))
    ours = H2ServerProtocol(secure=True)
    peer.submit_headers(1, REQUEST, True)
    ours.bytes_received(peer.bytes_to_send())
    ours.submit_headers(ours.submit_push_promise(1, REQUEST), RESPONSE, True)
    peer.bytes_received(ours.bytes_to_send())
    assert peer.open_streams == 1


@pytest.mark.parametrize("case", ["push off", "none allowed", "goaway", "answered", "drained"])
def test_promise_is_refused_if_nobody_wants_it(case):
    settings = {"push off": {2: 0}, "none allowed": {3: 0}}.get(case, {})
    peer = requested(peer_settings=settings, end_stream=False)
    if case == "goaway":
        peer.send(raw_frame(7, 0, 0, b"\0" * 8))
    elif case == "answered":
        peer.protocol.submit_headers(1, RESPONSE, True)
    elif case == "drained":
        peer.protocol.submit_goaway()
    with pytest.raises(LocalProtocolError):
        peer.protocol.submit_push_promise(1, REQUEST)


@pytest.mark.parametrize("responded", [True, False])
def test_promised_stream_reset_by_the_client(responded):
    peer = requested()
    peer.protocol.submit_push_promise(1, REQUEST)
    if responded:
        peer.protocol.submit_headers(2, RESPONSE)
    peer.send(RstStreamFrame(2, 8))
    assert peer.events() == [StreamResetReceived(2, 8)]


def test_no_interim_response_and_no_promise_on_a_promise():
    peer = requested()
    peer.protocol.submit_push_promise(1, REQUEST)
    with pytest.raises(LocalProtocolError):
        peer.protocol.submit_informational(2, [(b":status", b"103")])
    with pytest.raises(LocalProtocolError):
        peer.protocol.submit_push_promise(2, REQUEST)


def test_request_on_a_promised_stream():
    peer = requested()
    peer.protocol.submit_push_promise(1, REQUEST)
    peer.frames()
    peer.send(peer.request(2))
    assert_connection_error(peer, 1)


# Alternative services.


def test_alternative_services_are_advertised():
    peer = requested()
    peer.protocol.submit_alternative_service(b'h3=":443"', origin=b"https://example.test")
    peer.protocol.submit_alternative_service(b"clear", stream_id=1)
    frames = peer.frames()
    assert [(f.stream_id, f.origin, f.field) for f in frames if isinstance(f, AltSvcFrame)] == [
        (0, b"https://example.test", b'h3=":443"'),
        (1, b"", b"clear"),
    ]


def test_alternative_service_from_a_client_is_ignored():
    peer = requested()
    peer.send(AltSvcFrame(0, b"https://example.test", b"clear"), AltSvcFrame(1, b"", b"clear"))
    assert peer.events() == []
    assert_alive(peer)
