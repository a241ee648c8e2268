"""What a server makes of requests: their form in events, and the answers to those it refuses."""

from __future__ import annotations

import pytest

from hface_trio.events import ConnectionTerminated, DataReceived, HeadersReceived, StreamResetSent, TrailersReceived
from hface_trio.protocols import OutputEnd

from ..taken import events_of, joined
from .drive import GET, OK, feed, opened, post, received, server, termination


def head(octets: bytes, *, secure: bool = False) -> HeadersReceived:
    event = feed(server(secure=secure), octets)[0]
    assert isinstance(event, HeadersReceived)
    return event


def get(*fields: bytes, line: bytes = b"GET / HTTP/1.1") -> bytes:
    return b"\r\n".join([line, *fields, b"", b""])


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


# Refusals

REFUSED = [
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (get(b"Host: a", b"Host: a"), 400),
    (get(b"Host: a b"), 400),
    (get(b"Host: a/b"), 400),
    (get(b"Host: u@a"), 400),
    (get(b"Host: a:b"), 400),
    (get(b"Host: a, b"), 400),
    (get(b"Host: [::1"), 400),
    (get(b"Host: %zz"), 400),
    (get(b"Host: a", b"Host: b", line=b"GET / HTTP/1.0"), 400),
    (get(b"Host: a", line=b"GET /#f HTTP/1.1"), 400),
    (get(b"Host: a", line=b"GET a HTTP/1.1"), 400),
    (get(b"Host: a", line=b"GET a:80 HTTP/1.1"), 400),
    (get(b"Host: a", line=b"GET * HTTP/1.1"), 400),
    (get(b"Host: a", line=b"GET http:///p HTTP/1.1"), 400),
    (get(b"Host: a", line=b"GET http://u@h/ HTTP/1.1"), 400),
    (get(b"Host: a", line=b"GET http://h:x/ HTTP/1.1"), 400),
    (get(b"Host: a", line=b"CONNECT / HTTP/1.1"), 400),
    (get(b"Host: a", line=b"CONNECT h HTTP/1.1"), 400),
    (get(b"Host: a", line=b"CONNECT h: HTTP/1.1"), 400),
    (get(b"Host: a", line=b"CONNECT :80 HTTP/1.1"), 400),
    (get(b"Host: a", line=b"CONNECT http://h:80/ HTTP/1.1"), 400),
    (get(b"Host: a", b"Content-Length: 1", line=b"CONNECT h:80 HTTP/1.1"), 400),
    (get(b"Host: a", b"Transfer-Encoding: chunked", line=b"CONNECT h:80 HTTP/1.1"), 400),
    (post(b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
    (post(b"Content-Length: 5", b"Content-Length: 5"), 400),
    (post(b"Content-Length: 5, 5"), 400),
    (post(b"Content-Length: x"), 400),
    (post(b"Transfer-Encoding: gzip, chunked"), 501),
    (post(b"Transfer-Encoding: chunked, gzip"), 400),
    (get(b"Host: a", b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.0"), 400),
    (get(b"Host: a", line=b"GET / HTTP/2.0"), 505),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
    (b"\n", 400),
    (post(b"Content-Length: 1001"), 413),
    (b"GET /" + b"x" * 2000 + b" HTTP/1.1\r\n", 431),
    (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 21, 431),
]


@pytest.mark.parametrize(("octets", "status"), REFUSED)
def test_a_refused_request_is_answered_and_the_connection_ends(octets: bytes, status: int) -> None:
    protocol = server(request_body_octets=1000, header_section_octets=1000, header_fields=10)
    taken = feed(protocol, octets)
    assert [type(event) for event in taken] == [ConnectionTerminated]
    assert taken[0].error_code == status  # type: ignore[attr-defined]
    answer = protocol.bytes_to_send()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nconnection: close\r\n" in answer
    assert protocol.output_end is OutputEnd.CLOSED


def test_an_answer_says_nothing_of_what_the_peer_sent() -> None:
    protocol = server()
    feed(protocol, b"GET /secret HTTP/1.1\r\nsecret\r\n")
    assert protocol.bytes_to_send() == (
        b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"content-length: 16\r\nconnection: close\r\n\r\n400 Bad Request\n"
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"x\r\n", 400), (b"1\r\nab", 400), (b"1;" + b"a" * 40, 400), (b"b\r\n", 413), (b"0\r\n bad\r\n", 400)],
)
def test_a_refused_body_resets_the_stream_and_is_answered(body: bytes, status: int) -> None:
    protocol = server(request_body_octets=10, chunk_overhead_octets=10)
    feed(protocol, post(b"Transfer-Encoding: chunked"))
    taken = feed(protocol, body)
    assert [event for event in taken if not isinstance(event, DataReceived)] == [
        StreamResetSent(1, status),
        ConnectionTerminated(status, taken[-1].message),  # type: ignore[attr-defined]
    ]
    assert protocol.bytes_to_send().startswith(b"HTTP/1.1 %d " % status)
    assert protocol.output_end is OutputEnd.CLOSED


def test_a_refused_body_behind_the_response_head_cuts_the_response_off() -> None:
    protocol = server()
    stream_id = opened(protocol, post(b"Transfer-Encoding: chunked"))
    protocol.submit_headers(stream_id, OK)
    assert feed(protocol, b"x\r\n")[0] == StreamResetSent(stream_id, 400)
    assert protocol.output_end is OutputEnd.ABORTED
    assert protocol.bytes_to_send() == b""


@pytest.mark.parametrize("read", [False, True])
def test_a_refused_body_behind_the_whole_response_ends_the_connection(read: bool) -> None:
    protocol = server()
    stream_id = opened(protocol, post(b"Transfer-Encoding: chunked"))
    protocol.submit_headers(stream_id, OK, end_stream=True)
    if not read:
        protocol.discard_input(stream_id)
    taken = feed(protocol, b"x\r\n")
    assert [type(event) for event in taken] == [StreamResetSent] * read + [ConnectionTerminated]
    assert protocol.output_end is OutputEnd.CLOSED
    assert protocol.bytes_to_send().count(b"HTTP/1.1") == 1


def test_the_answer_to_a_refused_head_request_ends_with_its_head() -> None:
    protocol = server()
    feed(protocol, b"HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    feed(protocol, b"x\r\n")
    assert protocol.bytes_to_send().endswith(b"\r\n\r\n")


def test_nothing_is_read_behind_a_refusal() -> None:
    protocol = server()
    assert len(feed(protocol, b"bad\r\n" + GET)) == 1
    protocol.bytes_to_send()
    assert feed(protocol, GET) == []
    assert protocol.bytes_to_send() == b""


# Heads over the limit that are still readable


LARGE = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 100 + b"\r\n\r\n"


def test_a_large_head_is_answered_and_the_connection_goes_on() -> None:
    protocol = server(header_section_octets=100)
    taken = feed(protocol, LARGE + GET)
    assert [type(event) for event in taken] == [HeadersReceived]
    answer = protocol.bytes_to_send()
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"connection" not in answer
    assert protocol.output_end is OutputEnd.OPEN


def test_too_many_fields_are_answered_likewise() -> None:
    protocol = server(header_fields=3)
    assert feed(protocol, get(b"Host: a", b"A: b", b"C: d", b"E: f")) == []
    assert protocol.bytes_to_send().startswith(b"HTTP/1.1 431 ")
    assert protocol.output_end is OutputEnd.OPEN


def test_the_answer_to_a_large_head_request_has_no_body() -> None:
    protocol = server(header_section_octets=100)
    feed(protocol, LARGE.replace(b"GET", b"HEAD"))
    assert protocol.bytes_to_send().endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "octets",
    [
        LARGE.replace(b"Host: a\r\n", b"Host: a\r\nContent-Length: 1\r\n"),
        LARGE.replace(b"Host: a\r\n", b"Host: a\r\nTransfer-Encoding: chunked\r\n"),
        LARGE.replace(b"Host: a\r\n", b"Host: a\r\nConnection: close\r\n"),
        LARGE.replace(b"HTTP/1.1", b"HTTP/1.0"),
        LARGE.replace(b"GET /", b"CONNECT a:1"),
    ],
)
def test_a_large_head_with_anything_behind_it_ends_the_connection(octets: bytes) -> None:
    protocol = server(header_section_octets=100)
    assert termination(feed(protocol, octets)) == ConnectionTerminated(431, "request head over its limit")
    assert protocol.output_end is OutputEnd.CLOSED


def test_a_large_head_with_doubtful_framing_is_refused_for_that() -> None:
    octets = LARGE.replace(b"Host: a\r\n", b"Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n")
    assert feed(server(header_section_octets=150), octets)[0].error_code == 400  # type: ignore[attr-defined]


def test_a_large_head_behind_goaway_ends_the_connection() -> None:
    protocol = server(header_section_octets=100)
    protocol.bytes_received(LARGE[:5])
    protocol.submit_goaway()
    feed(protocol, LARGE[5:])
    assert b"connection: close" in protocol.bytes_to_send()
    assert protocol.output_end is OutputEnd.CLOSED


def test_answers_to_large_heads_that_nobody_reads_end_the_connection() -> None:
    protocol = server(header_section_octets=100, control_output_octets=1000)
    for _ in range(50):
        feed(protocol, LARGE)
    assert protocol.output_end is OutputEnd.ABORTED
    assert protocol.buffered_octets == 0


def test_answers_to_large_heads_that_are_read_are_not_counted() -> None:
    protocol = server(header_section_octets=100, control_output_octets=1000)
    for _ in range(50):
        feed(protocol, LARGE)
        protocol.buffers_to_send()
    assert protocol.output_end is OutputEnd.OPEN


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
