"""What a server sends: framing, connection options, interim responses and phrases."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from hface_trio.events import HeadersReceived
from hface_trio.protocols import OutputEnd

from ..taken import events_of
from .drive import GET, HEAD, OK, OLD, answer, length, opened, server

OLD_KEEP_ALIVE = b"GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n"


# Framing


def test_a_declared_length_is_sent_as_it_is() -> None:
    octets = answer(server(), GET, [*OK, length(5)], b"he", b"llo")
    assert octets == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


def test_a_body_of_unknown_length_is_chunked() -> None:
    octets = answer(server(), GET, OK, b"he", b"", b"llo")
    assert octets == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"


def test_no_body_is_declared_as_one_of_no_octets() -> None:
    assert answer(server(), GET, OK) == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize("status", [b"204", b"304"])
def test_a_status_without_body_declares_none(status: bytes) -> None:
    octets = answer(server(), GET, [(b":status", status)])
    assert b"content-length" not in octets.lower()
    assert b"transfer-encoding" not in octets.lower()
    assert octets.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(("request_octets", "status"), [(HEAD, b"200"), (GET, b"304")], ids=["head", "not modified"])
def test_the_length_of_a_body_that_is_not_sent_may_be_declared(request_octets: bytes, status: bytes) -> None:
    octets = answer(server(), request_octets, [(b":status", status), length(5)])
    assert octets.endswith(b"\r\ncontent-length: 5\r\n\r\n")


def test_204_never_declares_a_length() -> None:
    assert b"content-length" not in answer(server(), GET, [(b":status", b"204"), length(0)])


def test_the_response_to_head_ends_without_a_body() -> None:
    octets = answer(server(), HEAD, OK, b"")
    assert octets.endswith(b"\r\n\r\n")
    assert octets.count(b"\r\n\r\n") == 1


def test_large_data_pass_through_uncopied() -> None:
    protocol = server()
    stream_id = opened(protocol)
    protocol.submit_headers(stream_id, OK)
    data = memoryview(bytearray(100_000))
    protocol.submit_data(stream_id, data)
    assert any(buffer is data for buffer in protocol.buffers_to_send())


def test_a_view_of_wide_items_counts_its_octets() -> None:
    view = memoryview(b"abcdefgh").cast("H")
    octets = answer(server(), GET, [*OK, length(8)], view)  # type: ignore[arg-type]
    assert octets.endswith(b"abcdefgh")


def test_trailers_end_a_chunked_response() -> None:
    protocol = server()
    stream_id = opened(protocol)
    protocol.submit_headers(stream_id, OK)
    protocol.submit_trailers(stream_id, [(b"a", b"b")])
    assert protocol.bytes_to_send().endswith(b"\r\n\r\n0\r\na: b\r\n\r\n")
    assert opened(protocol) == stream_id + 2


# HTTP/1.0


def test_a_client_of_http10_gets_a_body_that_ends_with_the_connection() -> None:
    protocol = server()
    octets = answer(protocol, OLD, OK, b"he", b"llo")
    assert octets == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello"
    assert protocol.output_end is OutputEnd.CLOSED


def test_a_client_of_http10_that_asks_is_kept_when_the_length_is_known() -> None:
    protocol = server()
    octets = answer(protocol, OLD_KEEP_ALIVE, [*OK, length(2)], b"ab")
    assert octets == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nab"
    assert opened(protocol, OLD_KEEP_ALIVE) == 3
    assert protocol.request_version(3) == "1.0"


def test_a_client_of_http10_that_asks_is_not_kept_when_it_is_not() -> None:
    protocol = server()
    octets = answer(protocol, OLD_KEEP_ALIVE, OK, b"ab")
    assert octets == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nab"
    assert protocol.output_end is OutputEnd.CLOSED


@pytest.mark.parametrize(
    "request_octets",
    [
        OLD,
        OLD.replace(b"\r\n\r\n", b"\r\nHost: a\r\n\r\n"),
        OLD.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"),
    ],
    ids=["bare", "with host", "without host"],
)
def test_other_clients_of_http10_are_not_kept(request_octets: bytes) -> None:
    protocol = server()
    assert b"onnection: close\r\n" in answer(protocol, request_octets, [*OK, length(2)], b"ab")
    assert protocol.output_end is OutputEnd.CLOSED


def test_trailers_to_http10_are_dropped() -> None:
    protocol = server()
    stream_id = opened(protocol, OLD)
    protocol.submit_headers(stream_id, OK)
    protocol.submit_data(stream_id, b"x")
    protocol.submit_trailers(stream_id, [(b"a", b"b")])
    assert protocol.bytes_to_send().endswith(b"\r\n\r\nx")


def test_interim_responses_to_http10_are_dropped() -> None:
    protocol = server()
    stream_id = opened(protocol, OLD)
    protocol.submit_informational(stream_id, [(b":status", b"103")])
    assert protocol.bytes_to_send() == b""


# Keeping the connection


def test_a_request_with_close_is_answered_with_close() -> None:
    protocol = server()
    request = GET.replace(b"Host", b"Connection: Close\r\nHost")
    assert answer(protocol, request, OK) == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    assert protocol.output_end is OutputEnd.CLOSED


def test_streams_are_numbered_one_three_five() -> None:
    protocol = server()
    ids = []
    for _ in range(3):
        ids.append(opened(protocol))
        protocol.submit_headers(ids[-1], OK, end_stream=True)
    assert ids == [1, 3, 5]


# Reason phrases


@pytest.mark.parametrize("status", [status.value for status in HTTPStatus if status.value >= 200])
def test_a_known_status_has_its_phrase(status: int) -> None:
    octets = answer(server(), GET, [(b":status", b"%d" % status)])
    assert octets.startswith(b"HTTP/1.1 %d %s\r\n" % (status, HTTPStatus(status).phrase.encode()))


@pytest.mark.parametrize(("status", "phrase"), [(299, b"Success"), (399, b"Redirection"), (599, b"Server Error")])
def test_an_unknown_status_has_the_phrase_of_its_class(status: int, phrase: bytes) -> None:
    assert answer(server(), GET, [(b":status", b"%d" % status)]).startswith(b"HTTP/1.1 %d %s\r\n" % (status, phrase))


# In turn


def test_a_request_while_the_response_waits_is_answered_behind_it() -> None:
    protocol = server()
    answer(protocol, GET + GET, OK)
    second = [event for event in events_of(protocol) if isinstance(event, HeadersReceived)]
    assert [event.stream_id for event in second] == [3]
