"""What a client makes of responses, and of how they end."""

from __future__ import annotations

import pytest

from hface_trio.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    HeadersReceived,
    InformationalReceived,
    StreamResetReceived,
    StreamResetSent,
    TrailersReceived,
)
from hface_trio.protocols import OutputEnd

from ..taken import events_of
from .drive import NO_BODY, body, client, ended, feed, fetching


def answered(octets: bytes, method: bytes = b"GET") -> list[Event]:
    protocol = client()
    fetching(protocol, method)
    return feed(protocol, octets)


def test_a_head_that_is_the_latest_once_more_says_the_same_again() -> None:
    protocol = client()
    head = b"HTTP/1.1 200 OK\r\nX-Count: 1\r\nContent-Length: 2\r\n\r\n"
    for octets in (b"ab", b"cd", b"ef"):
        fetching(protocol)
        received = feed(protocol, head + octets)
        assert isinstance(received[0], HeadersReceived)
        assert received[0].headers == [(b":status", b"200"), (b"x-count", b"1"), (b"content-length", b"2")]
        assert body(received) == octets
        received[0].headers.clear()  # whoever has it may change it
    fetching(protocol)
    first, *_ = feed(protocol, head.replace(b"X-Count: 1", b"X-Count: 2") + b"gh")
    assert isinstance(first, HeadersReceived)
    assert (b"x-count", b"2") in first.headers


def test_the_same_head_means_what_its_request_makes_of_it() -> None:
    protocol = client()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    for method, octets in ((b"GET", b"ab"), (b"HEAD", b""), (b"GET", b"cd")):
        fetching(protocol, method)
        assert body(feed(protocol, head + octets)) == octets
    assert protocol.is_available()


def test_chunked_bodies_behind_the_same_head_are_decoded_each() -> None:
    protocol = client()
    for octets in (b"ab", b"cd", b"ef"):
        fetching(protocol)
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert body(feed(protocol, head + b"2\r\n" + octets + b"\r\n0\r\n\r\n")) == octets


# Responses


def test_a_response_becomes_a_section_in_the_form_of_http2() -> None:
    octets = b"HTTP/1.1 404 Nope\r\nA: b\r\nConnection: x\r\nX: y\r\nKeep-Alive: 5\r\nContent-Length: 2\r\n\r\nab"
    assert answered(octets) == [
        HeadersReceived(1, [(b":status", b"404"), (b"a", b"b"), (b"content-length", b"2")]),
        DataReceived(1, b"ab", end_stream=True),
    ]


def test_chunks_and_trailers() -> None:
    octets = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\nA: b\r\n\r\n"
    assert answered(octets)[1:] == [DataReceived(1, b"abc"), TrailersReceived(1, [(b"a", b"b")])]


@pytest.mark.parametrize(
    ("method", "octets"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        (b"GET", NO_BODY),
    ],
)
def test_a_response_without_body_ends_with_its_head(method: bytes, octets: bytes) -> None:
    protocol = client()
    fetching(protocol, method)
    assert [type(event) for event in feed(protocol, octets)] == [HeadersReceived]
    assert protocol.is_available()


def test_426_says_what_to_upgrade_to() -> None:
    taken = answered(b"HTTP/1.1 426 x\r\nConnection: upgrade\r\nUpgrade: h\r\nContent-Length: 0\r\n\r\n")
    assert (b"upgrade", b"h") in taken[0].headers  # type: ignore[attr-defined]


def test_interim_responses_come_before_the_final_one() -> None:
    octets = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + NO_BODY
    assert [type(event) for event in answered(octets)] == [
        InformationalReceived,
        InformationalReceived,
        HeadersReceived,
    ]
    assert answered(octets)[1] == InformationalReceived(1, [(b":status", b"103"), (b"link", b"</a>")])


def test_interim_responses_are_bounded() -> None:
    protocol = client(informational_responses=2)
    fetching(protocol)
    taken = feed(protocol, b"HTTP/1.1 103 x\r\n\r\n" * 3)
    assert [type(event) for event in taken[:2]] == [InformationalReceived] * 2
    assert taken[2:] == [StreamResetSent(1, 400), ConnectionTerminated(400, "too many interim responses")]


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 200 OK\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n",
        b"HTTP/2.0 200 OK\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    ],
)
def test_a_response_that_breaks_the_protocol_resets_the_stream(octets: bytes) -> None:
    protocol = client()
    fetching(protocol)
    taken = feed(protocol, octets)
    assert taken[-2] == StreamResetSent(1, 400)
    assert taken[-1].error_code == 400  # type: ignore[attr-defined]
    assert protocol.output_end is OutputEnd.ABORTED
    assert protocol.has_expired()


@pytest.mark.parametrize("octets", [b"H", NO_BODY, b"\r\n", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_octets_that_no_request_asked_for_end_the_connection(octets: bytes) -> None:
    protocol = client()
    assert feed(protocol, octets) == [ConnectionTerminated(400, "response that no request asked for")]
    assert protocol.output_end is OutputEnd.ABORTED


def test_octets_behind_a_response_end_the_connection_but_not_the_response() -> None:
    taken = answered(NO_BODY + b"x")
    assert [type(event) for event in taken] == [HeadersReceived, ConnectionTerminated]
    assert taken[0].end_stream  # type: ignore[attr-defined]


# The end of a response


def test_a_body_without_length_ends_with_the_connection() -> None:
    protocol = client()
    fetching(protocol)
    assert body(feed(protocol, b"HTTP/1.1 200 OK\r\n\r\nhello")) == b"hello"
    assert protocol.has_expired()
    protocol.eof_received()
    assert events_of(protocol) == [DataReceived(1, b"", end_stream=True), ConnectionTerminated(0, None)]


def test_a_body_without_length_that_is_lost_is_reset() -> None:
    protocol = client()
    fetching(protocol)
    feed(protocol, b"HTTP/1.1 200 OK\r\n\r\nhello")
    protocol.connection_lost()
    assert events_of(protocol)[0] == StreamResetReceived(1, 502)


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"", 0),
        (b"HTTP/1.1 200", 400),
        (b"HTTP/1.1 100 Continue\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 400),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", 400),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", 400),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", 400),
    ],
)
def test_a_response_that_is_cut_short_is_reset(octets: bytes, code: int) -> None:
    protocol = client()
    fetching(protocol)
    feed(protocol, octets)
    protocol.eof_received()
    taken = events_of(protocol)
    assert taken[0] == StreamResetReceived(1, code)
    assert taken[1].error_code == code  # type: ignore[attr-defined]


@pytest.mark.parametrize(("octets", "code"), [(b"", 502), (b"H", 400), (b"HTTP/1.1 200 OK\r\n", 400)])
def test_a_response_that_is_lost_tells_whether_it_had_begun(octets: bytes, code: int) -> None:
    protocol = client()
    fetching(protocol)
    feed(protocol, octets)
    protocol.connection_lost()
    assert events_of(protocol)[0] == StreamResetReceived(1, code)
    assert protocol.output_end is OutputEnd.ABORTED


def test_the_end_of_an_idle_connection_is_clean() -> None:
    protocol = client()
    protocol.eof_received()
    assert events_of(protocol) == [ConnectionTerminated(0, None)]
    assert protocol.has_expired()
    assert not protocol.is_available()


def test_a_lost_idle_connection_resets_nothing() -> None:
    protocol = client()
    protocol.connection_lost()
    assert events_of(protocol) == [ConnectionTerminated(502, "connection lost")]


# What is read


def test_the_client_reads_until_the_window_is_full() -> None:
    protocol = client(stream_window_octets=4)
    fetching(protocol)
    assert protocol.receive_capacity() > 4
    feed(protocol, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n012")
    assert protocol.receive_capacity() == 1
    feed(protocol, b"3")
    assert protocol.receive_capacity() == 0


@pytest.mark.parametrize(("status", "whole"), [(200, False), (302, False), (413, True), (500, True)])
def test_the_end_of_a_connection_that_broke_while_sending_ends_what_a_refusal_says_only(
    status: int, whole: bool
) -> None:
    protocol = client()
    fetching(protocol)
    feed(protocol, b"HTTP/1.1 %d x\r\n\r\npart" % status)
    protocol.output_lost()
    last = ended(protocol)[0]
    assert isinstance(last, DataReceived if whole else StreamResetReceived)
