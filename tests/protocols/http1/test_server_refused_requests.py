"""The answers to requests that a server refuses, and what becomes of the connection."""

from __future__ import annotations

import pytest

from hface_trio.events import ConnectionTerminated, DataReceived, HeadersReceived, StreamResetSent
from hface_trio.protocols import OutputEnd

from .drive import GET, OK, feed, get, opened, post, server, termination

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
    (get(b"Host: a", line=b"CONNECT h:0 HTTP/1.1"), 400),
    (get(b"Host: a", line=b"CONNECT h:65536 HTTP/1.1"), 400),
    (get(b"Host: a", line=b"CONNECT h:" + b"9" * 900 + b" HTTP/1.1"), 400),
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
