"""How a server's connection ends: by the peer's end, by loss, by time, and by the application."""

from __future__ import annotations

import math

import pytest

from hface_trio.errors import LocalProtocolError
from hface_trio.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    HeadersReceived,
    StreamResetReceived,
)
from hface_trio.limits import Timeouts
from hface_trio.protocols import OutputEnd, protocol_registry
from hface_trio.protocols.http1._server import HTTP1Server

from .drive import GET, OK, Engine, body, events, feed, opened, post, server, termination

LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"


def ended(protocol: HTTP1Server) -> list[Event]:
    protocol.eof_received()
    return events(protocol)


def at(protocol: HTTP1Server, seconds: float) -> list[Event]:
    protocol.clock(seconds)
    return events(protocol)


# The peer ends its side


def test_the_end_of_an_idle_connection_is_clean() -> None:
    protocol = server()
    assert ended(protocol) == [ConnectionTerminated(0, None)]
    assert protocol.output_end is OutputEnd.CLOSED
    assert protocol.input_ended
    assert protocol.receive_capacity() == 0


@pytest.mark.parametrize("octets", [b"\r", b"\r\n"])
def test_an_empty_line_is_not_the_beginning_of_a_request(octets: bytes) -> None:
    protocol = server()
    feed(protocol, octets)
    assert ended(protocol) == [ConnectionTerminated(0, None)]


def test_the_end_inside_a_head_is_an_error() -> None:
    protocol = server()
    feed(protocol, GET[:-2])
    assert ended(protocol) == [ConnectionTerminated(400, "connection ended inside a request head")]
    assert protocol.output_end is OutputEnd.CLOSED
    assert protocol.bytes_to_send() == b""


@pytest.mark.parametrize("declared", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("last", [False, True])
def test_the_end_inside_a_body_resets_the_stream(declared: bytes, last: bool) -> None:
    protocol = server()
    opened(protocol, post(declared, *[b"Connection: close"] * last, body=b"1\r\n"))
    taken = ended(protocol)
    assert taken[0] == StreamResetReceived(1, 400)
    assert termination(taken) == taken[-1]
    assert taken[-1].error_code == 400  # type: ignore[attr-defined]
    assert protocol.output_end is OutputEnd.CLOSED


def test_the_end_behind_a_complete_request_resets_the_stream_at_once() -> None:
    protocol = server()
    opened(protocol)
    taken = ended(protocol)
    assert taken[0] == StreamResetReceived(1, 0)
    assert isinstance(taken[1], ConnectionTerminated)
    with pytest.raises(LocalProtocolError):
        protocol.submit_headers(1, OK)


def test_so_it_does_with_another_request_in_the_buffer() -> None:
    protocol = server()
    feed(protocol, GET + GET)
    assert ended(protocol)[0] == StreamResetReceived(1, 0)


def test_the_end_in_the_middle_of_the_response_aborts() -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol), OK)
    ended(protocol)
    assert protocol.output_end is OutputEnd.ABORTED


@pytest.mark.parametrize("octets", [LAST, OLD])
def test_the_end_behind_a_last_request_leaves_it_a_grace_period(octets: bytes) -> None:
    protocol = server()
    opened(protocol, octets)
    assert protocol.final_request
    protocol.clock(5)
    assert ended(protocol) == []
    assert protocol.get_timer() == 6
    assert at(protocol, 5.9) == []
    assert at(protocol, 6) == [StreamResetReceived(1, 0), ConnectionTerminated(0, "client ended its side")]


def test_a_last_request_that_is_answered_in_time_is_answered() -> None:
    protocol = server()
    opened(protocol, LAST)
    ended(protocol)
    protocol.submit_headers(1, OK, end_stream=True)
    assert protocol.bytes_to_send().startswith(b"HTTP/1.1 200 OK")
    assert events(protocol) == [ConnectionTerminated(0, None)]
    assert protocol.output_end is OutputEnd.CLOSED


def test_the_grace_period_covers_what_is_left_of_the_body_in_the_buffer() -> None:
    protocol = server(stream_window_octets=2)
    taken = feed(protocol, post(b"Content-Length: 4", b"Connection: close", body=b"abcd"))
    taken += ended(protocol)
    protocol.acknowledge(1, 2)
    taken += events(protocol)
    assert body(taken) == b"abcd"
    assert termination(taken) is None


def test_pipelined_requests_before_the_end_share_one_grace_period() -> None:
    keep = b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
    protocol = server()
    feed(protocol, keep + keep + keep)
    ended(protocol)
    protocol.clock(0.5)
    protocol.submit_headers(1, OK, end_stream=True)
    assert [type(event) for event in events(protocol)] == [HeadersReceived]
    assert at(protocol, 1)[0] == StreamResetReceived(3, 0)


def test_the_last_pipelined_response_ends_the_connection() -> None:
    keep = b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
    protocol = server()
    feed(protocol, keep + keep)
    ended(protocol)
    for stream_id in (1, 3):
        assert termination(events(protocol)) is None
        protocol.submit_headers(stream_id, OK, end_stream=True)
    assert events(protocol) == [ConnectionTerminated(0, None)]
    assert protocol.bytes_to_send().count(b"200 OK") == 2


def test_the_end_while_a_body_is_dropped_ends_the_connection_alone() -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol, post(b"Content-Length: 5")), OK, end_stream=True)
    protocol.discard_input(1)
    assert [type(event) for event in ended(protocol)] == [ConnectionTerminated]
    assert protocol.output_end is OutputEnd.CLOSED
    assert protocol.bytes_to_send().startswith(b"HTTP/1.1 200 OK")


def test_the_end_is_told_once() -> None:
    protocol = server()
    ended(protocol)
    assert ended(protocol) == []
    assert feed(protocol, GET) == []


# The transport breaks


@pytest.mark.parametrize("octets", [GET, LAST, post(b"Content-Length: 5")])
def test_loss_resets_the_stream_and_aborts(octets: bytes) -> None:
    protocol = server()
    opened(protocol, octets)
    protocol.submit_headers(1, OK)
    protocol.connection_lost()
    assert events(protocol) == [StreamResetReceived(1, 502), ConnectionTerminated(502, "connection lost")]
    assert protocol.output_end is OutputEnd.ABORTED
    assert protocol.bytes_to_send() == b""
    assert protocol.receive_capacity() == 0
    protocol.submit_stream_reset(1, 500)
    protocol.acknowledge(1, 5)
    with pytest.raises(LocalProtocolError):
        protocol.submit_data(1, b"x")


def test_the_end_inside_a_body_that_is_read_behind_the_response_resets_the_stream() -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol, post(b"Content-Length: 5")), OK, end_stream=True)
    assert ended(protocol)[0] == StreamResetReceived(1, 400)
    assert protocol.output_end is OutputEnd.CLOSED
    assert protocol.bytes_to_send().startswith(b"HTTP/1.1 200 OK")


def test_loss_inside_a_body_that_is_read_behind_the_response_resets_the_stream() -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol, post(b"Content-Length: 5")), OK, end_stream=True)
    protocol.connection_lost()
    assert events(protocol)[0] == StreamResetReceived(1, 502)


def test_loss_behind_the_whole_response_resets_nothing() -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol, post(b"Content-Length: 5")), OK, end_stream=True)
    protocol.discard_input(1)
    protocol.connection_lost()
    assert events(protocol) == [ConnectionTerminated(502, "connection lost")]


def test_loss_behind_the_end_drops_what_was_not_sent() -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol, LAST), OK, end_stream=True)
    assert events(protocol) == [ConnectionTerminated(0, None)]
    protocol.connection_lost()
    assert events(protocol) == []
    assert protocol.output_end is OutputEnd.ABORTED
    assert protocol.bytes_to_send() == b""


# Time


def test_there_is_no_timer_before_the_clock_starts() -> None:
    make = protocol_registry.http1_servers.load(Engine.name)
    assert make(secure=False).get_timer() is None


def test_a_connection_without_a_request_ends_silently() -> None:
    protocol = server()
    assert protocol.get_timer() == 10
    assert at(protocol, 9.9) == []
    assert at(protocol, 10) == [ConnectionTerminated(0, "idle")]
    assert protocol.bytes_to_send() == b""
    assert protocol.output_end is OutputEnd.CLOSED
    assert protocol.get_timer() is None


def test_the_first_head_is_timed_from_the_start() -> None:
    protocol = server()
    protocol.clock(9)
    feed(protocol, GET[:5])
    assert protocol.get_timer() == 10
    assert at(protocol, 10) == [ConnectionTerminated(408, "request head not complete in time")]
    assert protocol.bytes_to_send().startswith(b"HTTP/1.1 408 ")
    assert protocol.output_end is OutputEnd.CLOSED


def test_a_later_head_is_timed_from_its_first_octet() -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol), OK, end_stream=True)
    protocol.bytes_to_send()
    protocol.clock(50)
    for octet in GET[:5]:
        feed(protocol, bytes([octet]))
        protocol.clock(52)
    assert protocol.get_timer() == 60
    assert at(protocol, 60) == [ConnectionTerminated(408, "request head not complete in time")]


def test_a_head_that_waited_in_the_buffer_is_timed_from_when_it_is_due() -> None:
    protocol = server()
    feed(protocol, GET + GET[:5])
    protocol.clock(100)
    protocol.submit_headers(1, OK, end_stream=True)
    assert protocol.get_timer() == 110


def test_an_idle_connection_ends_silently() -> None:
    protocol = server()
    protocol.clock(5)
    protocol.submit_headers(opened(protocol), OK, end_stream=True)
    protocol.bytes_to_send()
    assert protocol.get_timer() == 80
    assert at(protocol, 80) == [ConnectionTerminated(0, "idle")]
    assert protocol.bytes_to_send() == b""


def test_nothing_is_timed_while_a_request_is_handled() -> None:
    protocol = server()
    opened(protocol, post(b"Content-Length: 5"))
    assert protocol.get_timer() is None
    assert at(protocol, 1e6) == []


def test_a_body_that_is_dropped_has_one_deadline() -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol, post(b"Content-Length: 5")), OK, end_stream=True)
    protocol.discard_input(1)
    protocol.clock(20)
    feed(protocol, b"a")
    assert protocol.get_timer() == 30
    assert at(protocol, 30) == [ConnectionTerminated(0, "unread request body not complete in time")]
    assert protocol.output_end is OutputEnd.CLOSED


def test_timeouts_can_be_off() -> None:
    off = math.inf
    protocol = server(timeouts=Timeouts(request_head_seconds=off, idle_seconds=off, half_close_grace_seconds=off))
    assert protocol.get_timer() is None
    opened(protocol, LAST)
    ended(protocol)
    assert protocol.get_timer() is None


# An unread body behind the response


@pytest.mark.parametrize("options", [(), (b"Connection: close",)])
def test_a_body_goes_on_behind_the_response_until_nobody_reads_it(options: tuple[bytes, ...]) -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol, post(b"Content-Length: 4", *options)), OK, end_stream=True)
    assert feed(protocol, b"ab") == [DataReceived(1, b"ab")]
    feed(protocol, b"cd")
    assert protocol.output_end is (OutputEnd.CLOSED if options else OutputEnd.OPEN)


def test_a_short_rest_of_a_body_is_dropped_and_the_connection_kept() -> None:
    protocol = server(drain_octets=10)
    protocol.submit_headers(opened(protocol, post(b"Content-Length: 12", body=b"ab")), OK, end_stream=True)
    protocol.discard_input(1)
    assert b"lose" not in protocol.bytes_to_send()
    assert feed(protocol, b"cdefgh") == []
    assert protocol.receive_capacity() > 0
    assert [type(event) for event in feed(protocol, b"ijkl" + GET)] == [HeadersReceived]


def test_a_short_rest_in_chunks_is_dropped_too() -> None:
    protocol = server(drain_octets=100)
    protocol.submit_headers(opened(protocol, post(b"Transfer-Encoding: chunked")), OK, end_stream=True)
    protocol.discard_input(1)
    assert feed(protocol, b"5\r\nhello\r\n0\r\nA: b\r\n\r\n") == []
    assert opened(protocol) == 3


def test_the_held_rest_of_a_body_is_dropped_at_once() -> None:
    protocol = server(stream_window_octets=2)
    feed(protocol, post(b"Content-Length: 5", body=b"abcde"))
    protocol.submit_headers(1, OK, end_stream=True)
    protocol.discard_input(1)
    assert protocol.buffered_octets == len(protocol.bytes_to_send())
    assert opened(protocol) == 3


def test_a_long_rest_of_a_body_ends_the_connection_at_once() -> None:
    protocol = server(drain_octets=10)
    protocol.submit_headers(opened(protocol, post(b"Content-Length: 11")), OK, end_stream=True)
    protocol.discard_input(1)
    assert events(protocol) == [ConnectionTerminated(0, "request body not read")]
    assert protocol.output_end is OutputEnd.CLOSED
    assert protocol.bytes_to_send().startswith(b"HTTP/1.1 200 OK")


def test_a_long_rest_in_chunks_ends_the_connection_when_it_shows() -> None:
    protocol = server(drain_octets=10)
    protocol.submit_headers(opened(protocol, post(b"Transfer-Encoding: chunked")), OK, end_stream=True)
    protocol.discard_input(1)
    assert feed(protocol, b"5\r\nhello") == []
    assert feed(protocol, b"\r\n5\r\nhello") == [ConnectionTerminated(0, "request body not read")]
    assert protocol.output_end is OutputEnd.CLOSED


def test_nothing_is_dropped_when_the_connection_ends_anyway() -> None:
    protocol = server()
    request = post(b"Content-Length: 5", b"Connection: close")
    protocol.submit_headers(opened(protocol, request), OK, end_stream=True)
    assert protocol.output_end is OutputEnd.HALF_CLOSED
    protocol.discard_input(1)
    assert protocol.output_end is OutputEnd.CLOSED


# The application ends it


@pytest.mark.parametrize("code", [400, 408, 500, 503, 599])
def test_a_reset_before_the_response_is_answered_with_its_status(code: int) -> None:
    protocol = server()
    protocol.submit_stream_reset(opened(protocol), code)
    octets = protocol.bytes_to_send()
    assert octets.startswith(b"HTTP/1.1 %d " % code)
    assert b"connection: close" in octets
    assert protocol.output_end is OutputEnd.CLOSED
    assert events(protocol) == [ConnectionTerminated(code, "stream reset")]


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
    assert events(protocol) == [ConnectionTerminated(0, None)]
    assert protocol.output_end is OutputEnd.CLOSED
    assert protocol.has_expired()


def test_goaway_tells_the_client_with_the_response_under_way() -> None:
    protocol = server()
    opened(protocol)
    protocol.submit_goaway()
    assert events(protocol) == []
    protocol.submit_headers(1, OK, end_stream=True)
    assert b"onnection: close" in protocol.bytes_to_send()
    assert protocol.output_end is OutputEnd.CLOSED


def test_goaway_behind_the_response_head_ends_the_connection_behind_the_response() -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol, GET + GET), OK)
    protocol.submit_goaway()
    assert protocol.output_end is OutputEnd.OPEN
    protocol.submit_data(1, b"", end_stream=True)
    assert events(protocol) == [ConnectionTerminated(0, None)]
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
    assert events(protocol) == [ConnectionTerminated(0, "bye")]
    assert protocol.output_end is OutputEnd.CLOSED


def test_close_before_the_response_answers_with_a_status() -> None:
    protocol = server()
    opened(protocol)
    protocol.submit_close(503, "too much")
    assert protocol.bytes_to_send().startswith(b"HTTP/1.1 503 ")
    assert events(protocol) == [ConnectionTerminated(503, "too much")]


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
    taken = events(protocol)
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
