"""What a client sends, on which stream, and what it refuses to send."""

from __future__ import annotations

import pytest

from hface_trio.errors import LocalProtocolError

from .drive import NO_BODY, REQUEST, client, feed, fetching, request


def sent(headers: list[tuple[bytes, bytes]], *bodies: bytes) -> bytes:
    protocol = client()
    protocol.submit_headers(1, headers, end_stream=not bodies)
    for index, octets in enumerate(bodies):
        protocol.submit_data(1, octets, end_stream=index == len(bodies) - 1)
    return protocol.bytes_to_send()


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
        [(b":method", b"CONNECT"), (b":authority", b"a:0")],
        [(b":method", b"CONNECT"), (b":authority", b"a:65536")],
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
