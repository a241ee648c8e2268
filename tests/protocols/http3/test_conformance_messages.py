"""RFC 9114 §4: messages, and what is malformed about some. A malformed message ends its stream, never the connection."""

from __future__ import annotations

import pytest

from hface_trio.errors import LocalProtocolError
from hface_trio.events import (
    DataReceived,
    HeadersReceived,
    InformationalReceived,
    StreamResetReceived,
    StreamResetSent,
    TrailersReceived,
)
from hface_trio.limits import Limits
from hface_trio.protocols.http3 import HTTP3ErrorCode as Code
from hface_trio.protocols.http3 import HTTP3Settings

from ..sections import changed
from .raw_peer import POST, REQUEST, RESPONSE, body, client, data, headers, open_request, server

CONNECT = [(b":method", b"CONNECT"), (b":authority", b"example.test:443")]
EXTENDED = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *REQUEST[1:]]


def test_a_request_without_body_is_one_event_when_its_end_comes_along():
    pair = server()
    stream_id = pair.request(headers())
    assert pair.events() == [HeadersReceived(stream_id, REQUEST, True)]


def test_the_end_may_come_later():
    pair = server()
    stream_id = pair.request(headers(), end=False)
    assert pair.events() == [HeadersReceived(stream_id, REQUEST, False)]
    pair.send(stream_id, end=True)
    assert pair.events() == [DataReceived(stream_id, b"", True)]


def test_body_and_trailers():
    pair = server()
    stream_id = pair.request(headers(POST), data(b"ab"), data(b"cd"), headers([(b"x", b"y")]))
    assert pair.events() == [
        HeadersReceived(stream_id, POST, False),
        DataReceived(stream_id, b"abcd", False),
        TrailersReceived(stream_id, [(b"x", b"y")]),
    ]


def test_trailers_are_told_when_the_stream_ends():
    pair = server()
    stream_id = pair.request(headers(POST), headers([(b"x", b"y")]), end=False)
    assert pair.events() == [HeadersReceived(stream_id, POST, False)]
    pair.send(stream_id, end=True)
    assert pair.events() == [TrailersReceived(stream_id, [(b"x", b"y")])]


def test_empty_trailers_are_trailers():
    pair = server()
    stream_id = pair.request(headers(POST), headers([]))
    assert pair.events()[-1] == TrailersReceived(stream_id, [])


def test_empty_data_is_no_event():
    pair = server()
    stream_id = pair.request(headers(POST), data(b""), end=False)
    assert pair.events() == [HeadersReceived(stream_id, POST, False)]


@pytest.mark.parametrize(
    "fields",
    [
        REQUEST[1:],
        REQUEST[:1] + REQUEST[2:],
        REQUEST[:3],
        REQUEST[:2] + REQUEST[3:],
        [*REQUEST, (b":path", b"/")],
        changed(REQUEST, b":authority", b"a:x"),
        changed(REQUEST, b":path", b"/x#y"),
        changed(CONNECT, b":authority", b"example.test"),
        changed(CONNECT, b":authority", b"example.test:65536"),
        [*REQUEST, (b":status", b"200")],
        [*REQUEST[:3], (b"a", b"b"), REQUEST[3]],
        [*REQUEST, (b"Upper", b"x")],
        [*REQUEST, (b"connection", b"close")],
        [*REQUEST, (b"transfer-encoding", b"chunked")],
        [*REQUEST, (b"te", b"gzip")],
        [*REQUEST, (b"x", b"a\r\nb")],
        [*REQUEST, (b"x", b"a\0b")],
        [*REQUEST, (b"content-length", b"x")],
        [*REQUEST, (b"host", b"elsewhere")],
        [*REQUEST[:3], (b":path", b"")],
        [*REQUEST, (b":protocol", b"websocket")],
        [(b":method", b"CONNECT"), *REQUEST[1:]],
    ],
)
def test_malformed_requests_are_stream_errors(fields):
    pair = server()
    stream_id = pair.request(headers(fields))
    assert pair.events() == []
    pair.assert_stream_error(stream_id, Code.MESSAGE_ERROR)


@pytest.mark.parametrize(
    "frames",
    [
        [headers([*POST, (b"content-length", b"3")]), data(b"ab")],
        [headers([*POST, (b"content-length", b"1")]), data(b"ab")],
        [headers([*POST, (b"content-length", b"1")])],
        [headers([*POST, (b"content-length", b"3")]), data(b"ab"), headers([(b"x", b"y")])],
    ],
)
def test_bodies_are_of_content_length(frames):
    pair = server()
    stream_id = pair.request(*frames)
    pair.assert_stream_error(stream_id, Code.MESSAGE_ERROR)


def test_a_malformed_body_is_told_to_who_knows_of_the_request():
    pair = server()
    stream_id = pair.request(headers([*POST, (b"content-length", b"1")]), end=False)
    pair.events()
    pair.send(stream_id, data(b"ab"))
    assert pair.events() == [StreamResetSent(stream_id, Code.MESSAGE_ERROR)]
    assert pair.peer.stops == {stream_id: Code.MESSAGE_ERROR}


def test_pseudo_header_fields_in_trailers_are_malformed():
    pair = server()
    stream_id = pair.request(headers(POST), headers([(b":path", b"/")]))
    pair.assert_stream_error(stream_id, Code.MESSAGE_ERROR)


def test_an_empty_stream_is_an_incomplete_request():
    pair = server()
    stream_id = pair.request(b"")
    pair.assert_stream_error(stream_id, Code.REQUEST_INCOMPLETE)


def test_cookies_are_joined():
    pair = server()
    pair.request(headers([*REQUEST, (b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")]))
    assert pair.events()[0].headers[4:] == [(b"cookie", b"a=1; b=2"), (b"x", b"y")]


def test_validation_can_be_turned_off():
    pair = server(HTTP3Settings(validate_inbound_headers=False))
    stream_id = pair.request(headers([*REQUEST, (b"Upper", b"x")]))
    assert pair.events()[0].stream_id == stream_id


def test_a_body_over_the_limit_is_answered_413():
    pair = server(limits=Limits(request_body_octets=10))
    stream_id = pair.request(headers([*POST, (b"content-length", b"11")]), end=False)
    assert dict(pair.peer.heads(stream_id)[0])[b":status"] == b"413"
    assert pair.events() == []
    stream_id = pair.request(headers(POST), data(b"x" * 11), end=False)
    assert dict(pair.peer.heads(stream_id)[0])[b":status"] == b"413"
    assert pair.events()[-1] == StreamResetSent(stream_id, Code.NO_ERROR)
    pair.assert_alive()


# §4.4 CONNECT, RFC 9220 extended CONNECT.


def test_connect_makes_a_tunnel():
    pair = server()
    stream_id = pair.request(headers(CONNECT), end=False)
    pair.protocol.submit_headers(stream_id, RESPONSE)
    pair.protocol.submit_data(stream_id, b"out")
    pair.send(stream_id, data(b"in"))
    assert body(pair.events(), stream_id) == b"in"
    assert pair.peer.body(stream_id) == b"out"


def test_other_frames_than_data_on_a_tunnel_are_unexpected():
    pair = server()
    stream_id = pair.request(headers(CONNECT), end=False)
    pair.peer.send(stream_id, headers([(b"x", b"y")]))
    pair.assert_closed(Code.FRAME_UNEXPECTED)


def test_a_client_takes_no_headers_on_its_tunnel():
    pair = client()
    stream_id = open_request(pair, CONNECT, end_stream=False)
    pair.send(stream_id, headers(RESPONSE))
    pair.peer.send(stream_id, headers([(b"x", b"y")]))
    pair.assert_closed(Code.FRAME_UNEXPECTED)


def test_extended_connect_is_taken():
    pair = server()
    stream_id = pair.request(headers(EXTENDED), end=False)
    assert pair.events() == [HeadersReceived(stream_id, EXTENDED, False)]


def test_extended_connect_is_malformed_where_it_was_not_offered():
    pair = server(HTTP3Settings(enable_connect_protocol=False))
    stream_id = pair.request(headers(EXTENDED), end=False)
    pair.assert_stream_error(stream_id, Code.MESSAGE_ERROR)


def test_extended_connect_is_not_sent_to_a_server_that_did_not_offer_it():
    pair = client()
    with pytest.raises(LocalProtocolError, match="extended CONNECT"):
        open_request(pair, EXTENDED, end_stream=False)
    pair = client(peer_settings={8: 1})
    open_request(pair, EXTENDED, end_stream=False)


# Responses.


def test_interim_and_final_responses():
    pair = client()
    stream_id = open_request(pair)
    pair.send(stream_id, headers([(b":status", b"103"), (b"link", b"</a>")]), headers(RESPONSE), data(b"x"), end=True)
    assert pair.events() == [
        InformationalReceived(stream_id, [(b":status", b"103"), (b"link", b"</a>")]),
        HeadersReceived(stream_id, RESPONSE, False),
        DataReceived(stream_id, b"x", True),
    ]


def test_data_before_the_final_response_is_unexpected():
    pair = client()
    stream_id = open_request(pair)
    pair.peer.send(stream_id, headers([(b":status", b"103")]), data(b"x"))
    pair.assert_closed(Code.FRAME_UNEXPECTED)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [(b":status", b"abc")],
        [(b":status", b"101")],
        [(b":status", b"200"), (b":path", b"/")],
        [(b":status", b"200"), (b"Upper", b"x")],
    ],
)
def test_malformed_responses_are_stream_errors(fields):
    pair = client()
    stream_id = open_request(pair, POST, end_stream=False)
    pair.send(stream_id, headers(fields))
    assert pair.events() == [StreamResetSent(stream_id, Code.MESSAGE_ERROR)]
    pair.assert_stream_error(stream_id, Code.MESSAGE_ERROR)


@pytest.mark.parametrize("frames", [[], [headers([(b":status", b"103")])]])
def test_a_stream_that_ends_before_its_response_is_malformed(frames):
    pair = client()
    stream_id = open_request(pair)
    pair.send(stream_id, *frames, end=True)
    assert pair.events()[-1] == StreamResetSent(stream_id, Code.MESSAGE_ERROR)


@pytest.mark.parametrize(
    ("method", "status", "length", "payload", "good"),
    [
        (b"GET", b"200", b"2", b"ab", True),
        (b"GET", b"200", b"3", b"ab", False),
        (b"GET", b"200", b"1", b"ab", False),
        (b"HEAD", b"200", b"3", b"", True),
        (b"HEAD", b"200", b"3", b"abc", False),
        (b"GET", b"304", b"3", b"", True),
        (b"GET", b"204", b"0", b"x", False),
    ],
)
def test_bodies_of_responses_are_as_long_as_they_have_to_be(method, status, length, payload, good):
    pair = client()
    stream_id = open_request(pair, [(b":method", method), *REQUEST[1:]])
    head = headers([(b":status", status), (b"content-length", length)])
    pair.send(stream_id, head, data(payload) if payload else b"", end=True)
    resets = [e for e in pair.events() if isinstance(e, StreamResetSent)]
    assert bool(resets) is not good


def test_no_more_interim_responses_than_the_limit():
    pair = client(limits=Limits(informational_responses=2))
    stream_id = open_request(pair)
    pair.send(stream_id, headers([(b":status", b"103")]) * 3)
    assert pair.events()[-1] == StreamResetSent(stream_id, Code.EXCESSIVE_LOAD)


def test_a_reset_of_the_server_keeps_its_code():
    pair = client()
    stream_id = open_request(pair)
    pair.peer.quic.reset_stream(stream_id, Code.REQUEST_REJECTED)
    pair.run()
    assert pair.events() == [StreamResetReceived(stream_id, Code.REQUEST_REJECTED)]


# What this side submits.


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [(b":status", b"103")],
        [(b":status", b"200"), (b"x", b"a\nb")],
        [(b":status", b"200"), (b":path", b"/")],
        [("status", "200")],
    ],
)
def test_malformed_responses_are_not_sent(fields):
    pair = server()
    stream_id = pair.request(headers())
    with pytest.raises(LocalProtocolError):
        pair.protocol.submit_headers(stream_id, fields)
    pair.run()
    assert stream_id not in pair.peer.received
    pair.protocol.submit_headers(stream_id, RESPONSE, end_stream=True)


def test_outbound_sections_are_brought_into_form():
    pair = server()
    stream_id = pair.request(headers())
    pair.protocol.submit_headers(
        stream_id, [*RESPONSE, (b"X-Name", b" v "), (b"connection", b"close")], end_stream=True
    )
    pair.run()
    assert pair.peer.heads(stream_id) == [[*RESPONSE, (b"x-name", b"v")]]


def test_a_tunnel_has_no_trailers():
    pair = server()
    stream_id = pair.request(headers(CONNECT), end=False)
    pair.protocol.submit_headers(stream_id, RESPONSE)
    with pytest.raises(LocalProtocolError):
        pair.protocol.submit_trailers(stream_id, [(b"x", b"y")])
    pair.protocol.submit_trailers(stream_id, [])
    pair.run()
    assert stream_id in pair.peer.ended


def test_data_needs_a_head_and_an_open_stream():
    pair = server()
    stream_id = pair.request(headers())
    for attempt in (
        lambda: pair.protocol.submit_data(stream_id, b"x"),
        lambda: pair.protocol.submit_trailers(stream_id, []),
        lambda: pair.protocol.submit_data(stream_id + 4, b"x"),
        lambda: pair.protocol.submit_headers(stream_id + 4, RESPONSE),
    ):
        with pytest.raises(LocalProtocolError):
            attempt()
    pair.protocol.submit_headers(stream_id, RESPONSE, end_stream=True)
    with pytest.raises(LocalProtocolError):
        pair.protocol.submit_data(stream_id, b"x")


def test_continue_is_sent_once_to_who_waits_for_it():
    pair = server()
    waiting = pair.request(headers([*POST, (b"expect", b"100-continue")]), end=False)
    other = pair.request(headers(POST), end=False)
    for stream_id in (waiting, waiting, other):
        pair.protocol.submit_continue(stream_id)
    pair.run()
    assert pair.peer.heads(waiting) == [[(b":status", b"100")]]
    assert other not in pair.peer.received


def test_continue_is_not_sent_when_the_body_has_come_already():
    pair = server()
    stream_id = pair.request(headers([*POST, (b"expect", b"100-continue")]), data(b"x"), end=False)
    pair.protocol.submit_continue(stream_id)
    pair.run()
    assert stream_id not in pair.peer.received
