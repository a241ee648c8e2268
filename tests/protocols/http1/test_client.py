"""The client: what it sends, what it makes of responses, and when the connection can be used again."""

from __future__ import annotations

import pytest

from hface_trio.errors import LocalProtocolError
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
from hface_trio.protocols.http1._client import HTTP1Client

from ..taken import events_of
from .drive import REQUEST, body, client, feed, fetching, request

NO_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def sent(headers: list[tuple[bytes, bytes]], *bodies: bytes) -> bytes:
    protocol = client()
    protocol.submit_headers(1, headers, end_stream=not bodies)
    for index, octets in enumerate(bodies):
        protocol.submit_data(1, octets, end_stream=index == len(bodies) - 1)
    return protocol.bytes_to_send()


def answered(octets: bytes, method: bytes = b"GET") -> list[Event]:
    protocol = client()
    fetching(protocol, method)
    return feed(protocol, octets)


# Requests


def test_a_request_begins_with_its_host() -> None:
    headers = [*request(b"GET", authority=b"h:1", path=b"/p?q"), (b"a", b"b")]
    assert sent(headers) == b"GET /p?q HTTP/1.1\r\nhost: h:1\r\na: b\r\n\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        [(b":method", b"GET"), (b":path", b"/"), (b"a", b"b"), (b"host", b"h")],
        [*request(b"GET", authority=b"h"), (b"a", b"b"), (b"host", b"h")],
    ],
)
def test_a_host_field_is_sent_once_and_first(headers: list[tuple[bytes, bytes]]) -> None:
    assert sent(headers) == b"GET / HTTP/1.1\r\nhost: h\r\na: b\r\n\r\n"


def test_a_request_without_authority_has_an_empty_host() -> None:
    assert sent([(b":method", b"GET"), (b":path", b"/")]) == b"GET / HTTP/1.1\r\nhost: \r\n\r\n"


def test_options_of_the_whole_server() -> None:
    assert sent(request(b"OPTIONS", path=b"*")).startswith(b"OPTIONS * HTTP/1.1\r\n")


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PATCH"])
def test_the_absence_of_an_expected_body_is_declared(method: bytes) -> None:
    assert sent(request(method)).endswith(b"\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"OPTIONS"])
def test_the_absence_of_another_body_is_not(method: bytes) -> None:
    assert b"content-length" not in sent(request(method))


def test_a_body_of_unknown_length_is_chunked() -> None:
    octets = sent(request(b"POST"), b"ab", b"c")
    assert octets.endswith(b"\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")


def test_a_declared_length_is_sent_as_it_is() -> None:
    octets = sent([*request(b"PUT"), (b"content-length", b"3")], b"ab", b"c")
    assert octets.endswith(b"\r\ncontent-length: 3\r\n\r\nabc")


def test_request_trailers_are_sent() -> None:
    protocol = client()
    protocol.submit_headers(1, request(b"POST"))
    protocol.submit_trailers(1, [(b"a", b"b")])
    assert protocol.bytes_to_send().endswith(b"\r\n\r\n0\r\na: b\r\n\r\n")


def test_te_names_its_connection_option() -> None:
    assert sent([*REQUEST, (b"te", b"trailers")]).endswith(b"\r\nte: trailers\r\nconnection: TE\r\n\r\n")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        request(b""),
        request(b"G T"),
        request(b"GET", path=b""),
        request(b"GET", path=b"a"),
        request(b"GET", path=b"*"),
        request(b"GET", path=b"/a b"),
        request(b"GET", path=b"/a#b"),
        request(b"GET", path=b"/\xc3\xa4"),
        request(b"GET", path=b"/ HTTP/1.1\r\nx: y"),
        request(b"GET", authority=b"a b"),
        request(b"GET", authority=b"u@a"),
        request(b"GET", protocol=b"websocket"),
        request(b"GET", status=b"200"),
        [(b":method", b"GET"), (b":authority", b"a")],
        [*REQUEST, (b":path", b"/")],
        [(b"a", b"b"), *REQUEST],
        [*REQUEST, (b"host", b"b")],
        [*REQUEST, (b"A", b"b")],
        [*REQUEST, (b"a", b"b\r\nc: d")],
        [*REQUEST, (b"connection", b"close")],
        [*REQUEST, (b"transfer-encoding", b"chunked")],
        [*REQUEST, (b"te", b"gzip")],
        [*REQUEST, (b"content-length", b"1"), (b"content-length", b"1")],
        [*REQUEST, (b"content-length", b"5")],
        [(b":method", b"CONNECT"), (b":authority", b"a")],
        [(b":method", b"CONNECT"), (b":authority", b"a:1"), (b":path", b"/")],
        [(b":method", b"CONNECT"), (b":authority", b"a:1"), (b"content-length", b"1")],
        [(b":method", b"CONNECT"), (b":authority", b"a:1"), (b"upgrade", b"h")],
    ],
)
def test_a_request_that_cannot_be_sent_changes_nothing(headers: list[tuple[bytes, bytes]]) -> None:
    protocol = client()
    with pytest.raises(LocalProtocolError):
        protocol.submit_headers(1, headers, end_stream=True)
    assert protocol.bytes_to_send() == b""
    assert protocol.is_available()
    protocol.submit_headers(1, REQUEST, end_stream=True)


# Streams


def test_a_stream_id_is_offered_until_it_is_taken() -> None:
    protocol = client()
    assert [protocol.get_available_stream_id() for _ in range(2)] == [1, 1]
    fetching(protocol)
    assert not protocol.is_available()
    with pytest.raises(LocalProtocolError):
        protocol.get_available_stream_id()
    feed(protocol, NO_BODY)
    assert protocol.get_available_stream_id() == 3


@pytest.mark.parametrize("stream_id", [0, 2, 3])
def test_another_stream_id_cannot_be_taken(stream_id: int) -> None:
    with pytest.raises(LocalProtocolError):
        client().submit_headers(stream_id, REQUEST)


def test_one_request_is_under_way_at_a_time() -> None:
    protocol = client()
    fetching(protocol)
    for stream_id in (1, 3):
        with pytest.raises(LocalProtocolError):
            protocol.submit_headers(stream_id, REQUEST)


def test_a_client_sends_no_interim_responses() -> None:
    protocol = client()
    fetching(protocol)
    with pytest.raises(LocalProtocolError):
        protocol.submit_informational(1, [(b":status", b"103")])


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


# Keeping the connection


def test_a_kept_connection_takes_one_request_after_the_other() -> None:
    protocol = client()
    for stream_id in (1, 3, 5):
        assert fetching(protocol) == stream_id
        assert feed(protocol, NO_BODY)[0].stream_id == stream_id  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n",
    ],
)
def test_a_response_that_closes_expires_the_connection_with_its_head(octets: bytes) -> None:
    protocol = client()
    fetching(protocol)
    feed(protocol, octets)
    assert protocol.has_expired()
    assert feed(protocol, b"x") == [DataReceived(1, b"x", end_stream=True), ConnectionTerminated(0, None)]
    assert protocol.output_end is OutputEnd.CLOSED


def uploading(protocol: HTTP1Client) -> None:
    protocol.submit_headers(1, request(b"POST"))
    protocol.submit_data(1, b"some")
    protocol.bytes_to_send()


def test_an_early_response_does_not_stop_the_request() -> None:
    protocol = client()
    uploading(protocol)
    assert [type(event) for event in feed(protocol, NO_BODY)] == [HeadersReceived]
    assert not protocol.is_available()
    protocol.submit_data(1, b"rest", end_stream=True)
    assert protocol.bytes_to_send() == b"4\r\nrest\r\n0\r\n\r\n"
    assert protocol.get_available_stream_id() == 3


def test_octets_behind_an_early_response_reset_the_stream() -> None:
    protocol = client()
    uploading(protocol)
    assert feed(protocol, NO_BODY + b"x")[1] == StreamResetSent(1, 400)


def test_a_server_that_leaves_behind_an_early_response_resets_the_stream() -> None:
    protocol = client()
    uploading(protocol)
    feed(protocol, NO_BODY)
    protocol.eof_received()
    assert events_of(protocol)[0] == StreamResetReceived(1, 0)


def test_a_server_that_leaves_before_its_response_resets_the_stream() -> None:
    protocol = client()
    uploading(protocol)
    protocol.eof_received()
    assert events_of(protocol)[0] == StreamResetReceived(1, 0)


# The application ends it


def test_a_reset_ends_the_connection() -> None:
    protocol = client()
    fetching(protocol)
    protocol.submit_stream_reset(3)
    assert protocol.output_end is OutputEnd.OPEN
    protocol.submit_stream_reset(1)
    assert protocol.output_end is OutputEnd.ABORTED
    assert events_of(protocol) == [ConnectionTerminated(0, "stream reset")]
    protocol.submit_stream_reset(1)
    protocol.acknowledge(1, 5)
    with pytest.raises(LocalProtocolError):
        protocol.submit_data(1, b"x")


def test_goaway_lets_the_response_come() -> None:
    protocol = client()
    fetching(protocol)
    protocol.submit_goaway()
    assert protocol.has_expired()
    assert [type(event) for event in feed(protocol, NO_BODY)] == [HeadersReceived, ConnectionTerminated]
    assert protocol.output_end is OutputEnd.CLOSED


def test_goaway_ends_an_idle_connection() -> None:
    protocol = client()
    protocol.submit_goaway()
    assert events_of(protocol) == [ConnectionTerminated(0, None)]
    assert not protocol.is_available()


@pytest.mark.parametrize(("busy", "end"), [(False, OutputEnd.CLOSED), (True, OutputEnd.ABORTED)])
def test_close_ends_the_connection(busy: bool, end: OutputEnd) -> None:
    protocol = client()
    if busy:
        fetching(protocol)
    protocol.submit_close(7, "bye")
    assert events_of(protocol) == [ConnectionTerminated(7, "bye")]
    assert protocol.output_end is end
    protocol.submit_close(8)
    assert events_of(protocol) == []


def test_a_client_has_no_timers() -> None:
    protocol = client()
    protocol.clock(5)
    fetching(protocol)
    assert protocol.get_timer() is None


def test_what_every_http1_connection_says_of_itself() -> None:
    protocol = client()
    assert protocol.http_version == "1.1"
    assert not protocol.multiplexed
    assert protocol.error_codes.protocol_error == 400
    assert protocol.error_codes.internal_error == 500
    assert protocol.error_codes.connect_error == 502


def test_the_client_reads_until_the_window_is_full() -> None:
    protocol = client(stream_window_octets=4)
    fetching(protocol)
    assert protocol.receive_capacity() > 4
    feed(protocol, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n012")
    assert protocol.receive_capacity() == 1
    feed(protocol, b"3")
    assert protocol.receive_capacity() == 0
