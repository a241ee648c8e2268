"""How a server's connection ends when the application ends it, or a part of it."""

from __future__ import annotations

import pytest

from hface_trio.events import ConnectionTerminated, DataReceived, HeadersReceived, StreamResetReceived
from hface_trio.protocols import OutputEnd

from ..taken import events_of
from .drive import GET, OK, OLD, body, feed, opened, post, server


@pytest.mark.parametrize("code", [400, 408, 500, 503, 599])
def test_a_reset_before_the_response_is_answered_with_its_status(code: int) -> None:
    protocol = server()
    protocol.submit_stream_reset(opened(protocol), code)
    octets = protocol.bytes_to_send()
    assert octets.startswith(b"HTTP/1.1 %d " % code)
    assert b"connection: close" in octets
    assert protocol.output_end is OutputEnd.CLOSED
    assert events_of(protocol) == [ConnectionTerminated(code, "stream reset")]


@pytest.mark.parametrize("code", [0, 200, 399, 600])
def test_a_reset_with_no_status_is_not_answered(code: int) -> None:
    protocol = server()
    protocol.submit_stream_reset(opened(protocol), code)
    assert protocol.bytes_to_send() == b""
    assert protocol.output_end is OutputEnd.CLOSED


def test_the_answer_to_a_reset_head_request_has_no_body() -> None:
    protocol = server()
    protocol.submit_stream_reset(opened(protocol, GET.replace(b"GET", b"HEAD")), 500)
    assert protocol.bytes_to_send().endswith(b"\r\n\r\n")


@pytest.mark.parametrize("octets", [GET, OLD])
def test_a_reset_inside_the_response_aborts(octets: bytes) -> None:
    protocol = server()
    stream_id = opened(protocol, octets)
    protocol.submit_headers(stream_id, OK)
    protocol.submit_stream_reset(stream_id, 500)
    assert protocol.output_end is OutputEnd.ABORTED
    assert protocol.bytes_to_send() == b""


def test_a_reset_behind_the_response_drops_the_rest_of_the_body() -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol, post(b"Content-Length: 5")), OK, end_stream=True)
    protocol.submit_stream_reset(1, 500)
    assert protocol.output_end is OutputEnd.OPEN
    assert [type(event) for event in feed(protocol, b"abcde" + GET)] == [HeadersReceived]


def test_a_body_that_is_dropped_early_is_still_read_until_the_response_is_complete() -> None:
    protocol = server(stream_window_octets=2)
    opened(protocol, post(b"Content-Length: 5"))
    protocol.discard_input(1)
    assert body(feed(protocol, b"abcde")) == b"ab"
    assert protocol.receive_capacity() == 0
    protocol.submit_headers(1, OK, end_stream=True)
    assert opened(protocol) == 3


def test_goaway_ends_an_idle_connection_at_once() -> None:
    protocol = server()
    protocol.submit_goaway()
    assert events_of(protocol) == [ConnectionTerminated(0, None)]
    assert protocol.output_end is OutputEnd.CLOSED
    assert protocol.has_expired()


def test_half_an_empty_line_is_no_request_that_has_begun() -> None:
    protocol = server()
    feed(protocol, b"\r")
    protocol.submit_goaway()
    assert events_of(protocol) == [ConnectionTerminated(0, None)]
    assert protocol.output_end is OutputEnd.CLOSED


def test_goaway_tells_the_client_with_the_response_under_way() -> None:
    protocol = server()
    opened(protocol)
    protocol.submit_goaway()
    assert events_of(protocol) == []
    protocol.submit_headers(1, OK, end_stream=True)
    assert b"onnection: close" in protocol.bytes_to_send()
    assert protocol.output_end is OutputEnd.CLOSED


def test_goaway_behind_the_response_head_ends_the_connection_behind_the_response() -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol, GET + GET), OK)
    protocol.submit_goaway()
    assert protocol.output_end is OutputEnd.OPEN
    protocol.submit_data(1, b"", end_stream=True)
    assert events_of(protocol) == [ConnectionTerminated(0, None)]
    assert protocol.output_end is OutputEnd.CLOSED


def test_goaway_lets_a_request_that_has_begun_be_answered() -> None:
    protocol = server()
    feed(protocol, GET[:5])
    protocol.submit_goaway()
    assert opened(protocol, GET[5:]) == 1
    protocol.submit_headers(1, OK, end_stream=True)
    assert protocol.output_end is OutputEnd.CLOSED


def test_close_ends_an_idle_connection() -> None:
    protocol = server()
    protocol.submit_close(0, "bye")
    assert events_of(protocol) == [ConnectionTerminated(0, "bye")]
    assert protocol.output_end is OutputEnd.CLOSED


def test_close_before_the_response_answers_with_a_status() -> None:
    protocol = server()
    opened(protocol)
    protocol.submit_close(503, "too much")
    assert protocol.bytes_to_send().startswith(b"HTTP/1.1 503 ")
    assert events_of(protocol) == [ConnectionTerminated(503, "too much")]


def test_close_inside_the_response_aborts() -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol), OK)
    protocol.submit_close()
    assert protocol.output_end is OutputEnd.ABORTED


def test_close_behind_the_response_keeps_it() -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol, post(b"Content-Length: 5")), OK, end_stream=True)
    protocol.submit_close()
    assert protocol.output_end is OutputEnd.CLOSED
    assert protocol.bytes_to_send().startswith(b"HTTP/1.1 200 OK")


def test_what_came_before_the_end_is_told_before_it() -> None:
    protocol = server()
    protocol.bytes_received(post(b"Content-Length: 5", body=b"ab"))
    protocol.connection_lost()
    taken = events_of(protocol)
    assert [type(event) for event in taken] == [
        HeadersReceived,
        DataReceived,
        StreamResetReceived,
        ConnectionTerminated,
    ]


def test_idle_says_whether_a_stream_is_under_way() -> None:
    protocol = server()
    assert protocol.idle
    opened(protocol)
    assert not protocol.idle
    protocol.submit_headers(1, OK, end_stream=True)
    assert protocol.idle
