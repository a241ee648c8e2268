"""What a server makes of requests: their form in events, their bodies, and their turn."""

from __future__ import annotations

import pytest

from hface_trio.events import ConnectionTerminated, DataReceived, HeadersReceived, StreamResetSent, TrailersReceived

from ..taken import events_of, joined
from .drive import GET, OK, feed, get, opened, post, received, server, termination


def head(octets: bytes, *, secure: bool = False) -> HeadersReceived:
    event = feed(server(secure=secure), octets)[0]
    assert isinstance(event, HeadersReceived)
    return event


# The form of HTTP/2


def test_a_request_becomes_a_section_in_the_form_of_http2() -> None:
    octets = get(b"Accept: a", b"HOST: b:80", b"X-Y:\t1 ", b"accept: c", b"Empty:", line=b"GET /p?q HTTP/1.1")
    assert head(octets) == HeadersReceived(
        1,
        [
            (b":method", b"GET"),
            (b":scheme", b"http"),
            (b":authority", b"b:80"),
            (b":path", b"/p?q"),
            (b"accept", b"a"),
            (b"x-y", b"1"),
            (b"accept", b"c"),
            (b"empty", b""),
        ],
        end_stream=True,
    )


def test_names_and_values_are_bytes() -> None:
    fields = head(post(b"Content-Length: 1", b"TE: trailers")).headers
    assert {type(part) for field in fields for part in field} == {bytes}


def test_tls_makes_the_scheme() -> None:
    assert (b":scheme", b"https") in head(GET, secure=True).headers


@pytest.mark.parametrize(
    ("method", "target", "pseudo"),
    [
        (b"GET", b"http://h:1/p?q", [b"http", b"h:1", b"/p?q"]),
        (b"GET", b"HTTPS://h", [b"https", b"h", b"/"]),
        (b"GET", b"http://h?q", [b"http", b"h", b"/?q"]),
        (b"GET", b"http://[::1]:80/", [b"http", b"[::1]:80", b"/"]),
        (b"OPTIONS", b"http://h", [b"http", b"h", b"*"]),
        (b"OPTIONS", b"*", [b"http", b"a", b"*"]),
        (b"GET", b"//x/y", [b"http", b"a", b"//x/y"]),
        (b"GET", b"/a:b@c", [b"http", b"a", b"/a:b@c"]),
    ],
)
def test_each_form_of_target(method: bytes, target: bytes, pseudo: list[bytes]) -> None:
    section = head(method + b" " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n").headers
    assert [value for name, value in section if name in {b":scheme", b":authority", b":path"}] == pseudo


def test_connect_has_method_and_authority_alone_and_stays_open() -> None:
    section = [(b":method", b"CONNECT"), (b":authority", b"h:443"), (b"a", b"b")]
    octets = get(b"Host: other", b"A: b", line=b"CONNECT h:443 HTTP/1.1")
    assert head(octets) == HeadersReceived(1, section, end_stream=False)


@pytest.mark.parametrize("fields", [[], [b"Host:"]])
def test_a_request_without_authority_has_none(fields: list[bytes]) -> None:
    version = b"HTTP/1.1" if fields else b"HTTP/1.0"
    section = head(get(*fields, line=b"GET / " + version)).headers
    assert section == [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/")]


def test_connection_fields_and_those_they_name_are_taken_out() -> None:
    octets = get(
        b"Host: a",
        b"Connection: X-Hop, keep-alive",
        b"Keep-Alive: 5",
        b"X-Hop: 1",
        b"Proxy-Connection: close",
        b"Stays: 1",
        b"Connection: Other",
        b"Other: 1",
    )
    assert head(octets).headers[4:] == [(b"stays", b"1")]


def test_what_a_connection_field_must_not_take_out_stays() -> None:
    octets = post(b"Connection: content-length, host, te", b"Content-Length: 1", b"TE: trailers", body=b"x")
    section = head(octets).headers
    assert (b"content-length", b"1") in section
    assert (b":authority", b"a") in section
    assert (b"te", b"trailers") in section


@pytest.mark.parametrize(
    ("value", "kept"), [(b"trailers", True), (b"gzip, Trailers", True), (b"gzip", False), (b"", False)]
)
def test_te_stays_only_for_trailers(value: bytes, kept: bool) -> None:
    assert head(get(b"Host: a", b"TE: " + value)).headers[4:] == [(b"te", b"trailers")] * kept


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ([b"Connection: Upgrade", b"Upgrade: WebSocket, h"], True),
        ([b"Upgrade: h"], False),
        ([b"Connection: keep-alive", b"Upgrade: h"], False),
    ],
)
def test_upgrade_stays_as_received_when_the_connection_field_names_it(fields: list[bytes], kept: bool) -> None:
    assert head(get(b"Host: a", *fields)).headers[4:] == [(b"upgrade", b"WebSocket, h")] * kept


def test_upgrade_in_http10_is_ignored() -> None:
    octets = get(b"Host: a", b"Connection: upgrade", b"Upgrade: h", line=b"GET / HTTP/1.0")
    assert head(octets).headers[4:] == []


def test_up_to_two_empty_lines_before_a_request_are_skipped() -> None:
    protocol = server()
    for stream_id in (1, 3):
        assert opened(protocol, b"\r\n\r\n" + GET) == stream_id
        protocol.submit_headers(stream_id, OK, end_stream=True)
    assert termination(feed(protocol, b"\r\n\r\n\r\n")) == ConnectionTerminated(400, "not a start line of HTTP/1.1")


# Bodies


def test_the_last_octet_of_a_content_length_ends_the_stream() -> None:
    protocol = server()
    assert feed(protocol, post(b"Content-Length: 5", body=b"he"))[1:] == [DataReceived(1, b"he")]
    assert feed(protocol, b"llo") == [DataReceived(1, b"llo", end_stream=True)]


def test_a_body_of_no_octets_ends_the_stream_with_its_head() -> None:
    assert head(post(b"Content-Length: 0")).end_stream
    assert feed(server(), post(b"Content-Length: 0"))[1:] == []


def test_chunks_of_one_read_are_joined_and_end_the_stream() -> None:
    octets = post(b"Transfer-Encoding: chunked", body=b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")
    taken = received(octets)
    assert taken[1:] == [DataReceived(1, b"hello", end_stream=True)]
    assert type(taken[1].data) is bytes  # type: ignore[attr-defined]


@pytest.mark.parametrize("extension", [b";a", b" ;a=b", b'\t;\ta\t=\t"b;c\\""', b";a;b;c=d"])
def test_chunk_extensions_are_dropped(extension: bytes) -> None:
    body = b"2%b\r\nhe\r\n003\r\nllo\r\n0%b\r\n\r\n" % (extension, extension)
    taken = received(post(b"Transfer-Encoding: chunked", body=body))
    assert joined(taken)[1:] == [DataReceived(1, b"hello", end_stream=True)]


def test_the_end_of_chunks_that_comes_late_is_an_empty_event() -> None:
    protocol = server()
    feed(protocol, post(b"Transfer-Encoding: chunked", body=b"1\r\nx\r\n"))
    assert feed(protocol, b"0\r\n") == []
    assert feed(protocol, b"\r\n") == [DataReceived(1, b"", end_stream=True)]


def test_trailers_end_the_stream() -> None:
    body = b"1\r\nx\r\n0\r\nA: b\r\nConnection: c\r\nB:  c \r\n\r\n"
    assert received(post(b"Transfer-Encoding: chunked", body=body))[1:] == [
        DataReceived(1, b"x"),
        TrailersReceived(1, [(b"a", b"b"), (b"b", b"c")]),
    ]


@pytest.mark.parametrize("field", [b"Content-Length: 1", b"Transfer-Encoding: gzip", b"Host: b"])
def test_fields_that_come_too_late_in_trailers_are_refused(field: bytes) -> None:
    taken = received(post(b"Transfer-Encoding: chunked", body=b"1\r\nx\r\n0\r\n" + field + b"\r\n\r\n"))
    assert taken[1:3] == [DataReceived(1, b"x"), StreamResetSent(1, taken[-1].error_code)]  # type: ignore[attr-defined]


# One at a time


def test_the_next_request_waits_until_the_response_is_complete() -> None:
    protocol = server()
    assert len(feed(protocol, GET + GET)) == 1
    protocol.submit_headers(1, OK)
    assert events_of(protocol) == []
    protocol.submit_data(1, b"x", end_stream=True)
    assert [type(event) for event in events_of(protocol)] == [HeadersReceived]


def test_what_is_wrong_with_the_next_request_waits_too() -> None:
    protocol = server()
    assert len(feed(protocol, GET + b"bad\r\n")) == 1
    protocol.submit_headers(1, OK, end_stream=True)
    assert termination(events_of(protocol)) == ConnectionTerminated(400, "malformed start line")
    answers = protocol.bytes_to_send()
    assert answers.index(b"HTTP/1.1 200 OK") < answers.index(b"HTTP/1.1 400 Bad Request")


def test_half_a_pipelined_request_is_completed_later() -> None:
    protocol = server()
    feed(protocol, GET + GET[:9])
    protocol.submit_headers(1, OK, end_stream=True)
    assert events_of(protocol) == []
    assert [type(event) for event in feed(protocol, GET[9:])] == [HeadersReceived]


def test_nothing_is_parsed_behind_a_last_request() -> None:
    protocol = server()
    feed(protocol, get(b"Host: a", b"Connection: close") + GET)
    protocol.submit_headers(1, OK, end_stream=True)
    assert events_of(protocol) == [ConnectionTerminated(0, None)]
