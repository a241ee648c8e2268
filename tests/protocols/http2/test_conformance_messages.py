"""RFC 9113 §8: a malformed message ends its own stream, and no other."""

from __future__ import annotations

import pytest
from hyperframe.frame import DataFrame, WindowUpdateFrame

from hface_trio.events import DataReceived, HeadersReceived, InformationalReceived, StreamResetSent, TrailersReceived
from hface_trio.limits import Limits
from hface_trio.protocols.http2 import HTTP2Settings

from ..sections import BAD_REQUESTS, BAD_RESPONSES, BAD_TRAILERS, EXTENDED
from .raw_peer import (
    POST,
    REQUEST,
    RESPONSE,
    RawPeer,
    assert_alive,
    assert_stream_error,
    client,
    goaways,
    open_request,
    resets,
    server,
)
from .wire import ENHANCE_YOUR_CALM, PROTOCOL_ERROR


def with_length(section, length: int):
    return [*section, (b"content-length", str(length).encode())]


# Frames that make a message malformed, on a stream of a server that may be open already.
MALFORMED_MESSAGES = {
    "trailers without the end": lambda p, i: [p.request(i, POST, end_stream=False), p.headers(i, [(b"a", b"b")])],
    "second request": lambda p, i: [p.request(i, POST, end_stream=False), p.request(i, POST)],
    "more data than content-length": lambda p, i: [
        p.request(i, with_length(POST, 3), end_stream=False),
        DataFrame(i, b"1234"),
    ],
    "less data than content-length": lambda p, i: [
        p.request(i, with_length(POST, 3), end_stream=False),
        DataFrame(i, b"12", flags=["END_STREAM"]),
    ],
    "less data than content-length, by trailers": lambda p, i: [
        p.request(i, with_length(POST, 3), end_stream=False),
        DataFrame(i, b"12"),
        p.headers(i, [(b"a", b"b")], "END_STREAM"),
    ],
    "no data for content-length": lambda p, i: [p.request(i, with_length(POST, 3))],
    "trailers of a tunnel": lambda p, i: [
        p.request(i, [(b":method", b"CONNECT"), (b":authority", b"a:1")], end_stream=False),
        p.headers(i, [(b"a", b"b")], "END_STREAM"),
    ],
    "window past its maximum": lambda p, i: [p.request(i, POST, end_stream=False), WindowUpdateFrame(i, 2**31 - 1)],
}


@pytest.mark.parametrize("section", BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_malformed_request_ends_its_stream_unseen(section):
    peer = server()
    if not section:
        peer.send(peer.headers(1, [(b"x", b"y")], "END_STREAM"))
    else:
        peer.send(peer.request(1, section))
    assert peer.events() == []
    assert_stream_error(peer, 1, PROTOCOL_ERROR)
    assert peer.protocol.open_streams == 0


@pytest.mark.parametrize("section", BAD_TRAILERS.values(), ids=BAD_TRAILERS)
def test_malformed_trailers_end_their_stream(section):
    peer = server()
    peer.send(peer.request(1, POST, end_stream=False), peer.headers(1, section, "END_STREAM"))
    assert peer.events() == [HeadersReceived(1, POST, False), StreamResetSent(1, PROTOCOL_ERROR)]
    assert_stream_error(peer, 1, PROTOCOL_ERROR)


@pytest.mark.parametrize("section", BAD_RESPONSES.values(), ids=BAD_RESPONSES)
def test_malformed_response_ends_its_stream(section):
    peer = client()
    assert open_request(peer) == 1
    peer.frames()
    peer.send(peer.headers(1, section or [(b"x", b"y")], "END_STREAM"))
    assert peer.events() == [StreamResetSent(1, PROTOCOL_ERROR)]
    assert_stream_error(peer, 1, PROTOCOL_ERROR)


@pytest.mark.parametrize("make", MALFORMED_MESSAGES.values(), ids=MALFORMED_MESSAGES)
def test_99_streams_in_flight_complete_while_the_100th_is_malformed(make):
    peer = server()
    ids = range(1, 199, 2)
    peer.send(*[peer.request(i, with_length(POST, 10), end_stream=False) for i in ids])
    peer.send(*[DataFrame(i, b"12345") for i in ids], *make(peer, 199), *[DataFrame(i, b"6789") for i in ids])
    for i in ids:
        peer.protocol.submit_headers(i, RESPONSE)
        peer.protocol.submit_data(i, b"ok", True)
    peer.send(*[DataFrame(i, b"0", flags=["END_STREAM"]) for i in ids])
    frames = peer.frames()
    assert [stream_id for stream_id, _ in resets(frames)] == [199]
    assert goaways(frames) == []
    events = peer.events()
    for i in ids:
        assert b"".join(e.data for e in events if isinstance(e, DataReceived) and e.stream_id == i) == b"1234567890"
    answered = {f.stream_id for f in frames if isinstance(f, DataFrame) and "END_STREAM" in f.flags}
    assert answered == set(ids)
    assert peer.protocol.open_streams == 0


def test_malformed_request_between_others_of_one_read():
    peer = server()
    bad = [*REQUEST, (b"Upper", b"case")]
    peer.send(peer.request(1), peer.request(3, bad), peer.request(5))
    assert [event.stream_id for event in peer.events()] == [1, 5]
    assert_stream_error(peer, 3, PROTOCOL_ERROR)


# §8.1 Framing.


def test_request_with_body_and_trailers():
    peer = server()
    peer.send(
        peer.request(1, with_length(POST, 3), end_stream=False),
        DataFrame(1, b"abc"),
        peer.headers(1, [(b"a", b"b")], "END_STREAM"),
    )
    assert peer.events() == [
        HeadersReceived(1, with_length(POST, 3), False),
        DataReceived(1, b"abc"),
        TrailersReceived(1, [(b"a", b"b")]),
    ]


def test_interim_responses_come_before_the_final_one():
    peer = client()
    open_request(peer)
    interim = [(b":status", b"103"), (b"link", b"</style.css>")]
    peer.send(peer.headers(1, interim), peer.headers(1, interim), peer.headers(1, RESPONSE, "END_STREAM"))
    assert peer.events() == [
        InformationalReceived(1, interim),
        InformationalReceived(1, interim),
        HeadersReceived(1, RESPONSE, True),
    ]


@pytest.mark.parametrize(
    "frames",
    [
        lambda p: [p.headers(1, [(b":status", b"103")], "END_STREAM")],
        lambda p: [p.headers(1, RESPONSE), p.headers(1, [(b":status", b"103")])],
        lambda p: [p.headers(1, RESPONSE), p.headers(1, [(b"a", b"b")])],
        lambda p: [DataFrame(1, b"x")],
        lambda p: [p.headers(1, with_length(RESPONSE, 3), "END_STREAM")],
        lambda p: [p.headers(1, with_length(RESPONSE, 3)), DataFrame(1, b"1234")],
        lambda p: [p.headers(1, [(b":status", b"204")]), DataFrame(1, b"x")],
        lambda p: [p.headers(1, [(b":status", b"304")]), DataFrame(1, b"x")],
    ],
    ids=[
        "interim that ends",
        "interim behind final",
        "trailers without end",
        "data before head",
        "no body for content-length",
        "more than content-length",
        "body of 204",
        "body of 304",
    ],
)
def test_response_that_breaks_the_framing(frames):
    peer = client()
    open_request(peer)
    peer.frames()
    peer.send(*frames(peer))
    assert_stream_error(peer, 1, PROTOCOL_ERROR)


@pytest.mark.parametrize(
    ("method", "status"), [(b"HEAD", b"200"), (b"GET", b"304"), (b"GET", b"204"), (b"CONNECT", b"200")]
)
def test_content_length_that_describes_no_body(method, status):
    peer = client()
    request = [(b":method", method), *REQUEST[1:]]
    if method == b"CONNECT":
        request = [(b":method", method), (b":authority", b"a:1")]
    open_request(peer, request, end_stream=method != b"CONNECT")
    peer.frames()
    peer.send(peer.headers(1, [(b":status", status), (b"content-length", b"3")], "END_STREAM"))
    assert [type(event) for event in peer.events()] == [HeadersReceived]
    assert_alive(peer)


def test_too_many_interim_responses():
    peer = client(limits=Limits(informational_responses=3))
    open_request(peer)
    peer.frames()
    peer.send(*[peer.headers(1, [(b":status", b"103")])] * 3)
    assert_alive(peer)
    peer.send(peer.headers(1, [(b":status", b"103")]))
    assert_stream_error(peer, 1, ENHANCE_YOUR_CALM)


# §8.5 CONNECT, RFC 8441.


def tunnel(peer: RawPeer) -> None:
    peer.protocol.submit_headers(1, RESPONSE)
    peer.protocol.submit_data(1, b"down")
    peer.send(DataFrame(1, b"up", flags=["END_STREAM"]))
    assert peer.events()[-1] == DataReceived(1, b"up", True)
    peer.protocol.submit_data(1, b"", True)
    assert peer.protocol.open_streams == 0


def test_connect_makes_a_tunnel():
    peer = server(limits=Limits(request_body_octets=1))
    peer.send(peer.request(1, [(b":method", b"CONNECT"), (b":authority", b"a:1")], end_stream=False))
    tunnel(peer)


def test_extended_connect_makes_a_tunnel():
    peer = server()
    peer.send(peer.request(1, EXTENDED, end_stream=False))
    tunnel(peer)


def test_extended_connect_has_to_be_allowed():
    peer = server(HTTP2Settings(enable_connect_protocol=False))
    peer.send(peer.request(1, EXTENDED, end_stream=False))
    assert_stream_error(peer, 1, PROTOCOL_ERROR)


# Limits on messages.


@pytest.mark.parametrize("end_stream", [True, False])
def test_section_over_the_limit_is_answered_431(end_stream):
    peer = server(limits=Limits(header_section_octets=1000))
    peer.send(peer.request(1, [*REQUEST, (b"x", b"y" * 1200)], end_stream=end_stream), peer.request(3))
    assert peer.events() == [HeadersReceived(3, REQUEST, True)]
    frames = peer.frames()
    assert peer.sent_headers[1][0] == (b":status", b"431")
    assert resets(frames) == ([] if end_stream else [(1, 0)])
    assert peer.protocol.open_streams == 1


def test_fields_over_the_limit_are_answered_431():
    peer = server(limits=Limits(header_fields=10))
    peer.send(peer.request(1, [*REQUEST, *[(b"a", b"b")] * 7]))
    peer.frames()
    assert peer.sent_headers[1][0] == (b":status", b"431")
    assert_alive(peer)


def test_trailers_over_the_limit_end_their_stream():
    peer = server(limits=Limits(header_fields=10))
    peer.send(peer.request(1, POST, end_stream=False), peer.headers(1, [(b"a", b"b")] * 11, "END_STREAM"))
    assert_stream_error(peer, 1, ENHANCE_YOUR_CALM)


def test_response_over_the_limit_ends_its_stream():
    peer = client(limits=Limits(header_fields=10))
    open_request(peer)
    peer.frames()
    peer.send(peer.headers(1, [*RESPONSE, *[(b"a", b"b")] * 10], "END_STREAM"))
    assert_stream_error(peer, 1, ENHANCE_YOUR_CALM)


def test_content_length_over_the_limit_is_answered_413():
    peer = server(limits=Limits(request_body_octets=1000))
    whole = peer.protocol.receive_window()
    peer.send(
        peer.request(1, with_length(POST, 1001), end_stream=False), DataFrame(1, b"x" * 1001, flags=["END_STREAM"])
    )
    assert peer.events() == []
    assert resets(peer.frames()) == [(1, 0)]
    assert peer.sent_headers[1][0] == (b":status", b"413")
    assert peer.protocol.receive_window() == whole - 1001
    assert_alive(peer)


@pytest.mark.parametrize("last", [["END_STREAM"], []])
def test_body_over_the_limit_is_answered_413(last):
    peer = server(limits=Limits(request_body_octets=1000))
    peer.send(peer.request(1, POST, end_stream=False), DataFrame(1, b"x" * 1000), DataFrame(1, b"x", flags=last))
    assert peer.events() == [
        HeadersReceived(1, POST, False),
        DataReceived(1, b"x" * 1000),
        StreamResetSent(1, 0),
    ]
    assert resets(peer.frames()) == ([] if last else [(1, 0)])
    assert peer.sent_headers[1][0] == (b":status", b"413")
    assert peer.protocol.open_streams == 0


def test_body_over_the_limit_behind_a_response_resets_the_stream():
    peer = server(limits=Limits(request_body_octets=1000))
    peer.send(peer.request(1, POST, end_stream=False))
    peer.protocol.submit_headers(1, RESPONSE)
    peer.frames()
    peer.send(DataFrame(1, b"x" * 1001))
    assert_stream_error(peer, 1, ENHANCE_YOUR_CALM)


# Cookies and switches.


def test_cookies_are_joined():
    peer = server()
    peer.send(peer.request(1, [*REQUEST, (b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")]))
    (event,) = peer.events()
    assert event.headers == [*REQUEST, (b"cookie", b"a=1; b=2"), (b"x", b"y")]


def test_cookies_are_left_alone_on_request():
    peer = server(HTTP2Settings(normalize_inbound_headers=False))
    fields = [*REQUEST, (b"cookie", b"a=1"), (b"cookie", b"b=2")]
    peer.send(peer.request(1, fields))
    (event,) = peer.events()
    assert event.headers == fields


def test_malformed_sections_are_shown_on_request():
    peer = server(HTTP2Settings(validate_inbound_headers=False))
    fields = [*REQUEST, (b"Upper", b"case\r\n"), (b"connection", b"close")]
    peer.send(peer.request(1, fields))
    (event,) = peer.events()
    assert event.headers == fields
