"""How a server's connection ends when the peer ends its side, or the transport breaks."""

from __future__ import annotations

import pytest

from hface_trio.errors import LocalProtocolError
from hface_trio.events import ConnectionTerminated, HeadersReceived, StreamResetReceived
from hface_trio.protocols import OutputEnd

from ..taken import events_of
from .drive import GET, LAST, OK, OLD, at, body, ended, feed, opened, post, server, termination

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
    assert events_of(protocol) == [ConnectionTerminated(0, None)]
    assert protocol.output_end is OutputEnd.CLOSED


def test_the_grace_period_covers_what_is_left_of_the_body_in_the_buffer() -> None:
    protocol = server(stream_window_octets=2)
    taken = feed(protocol, post(b"Content-Length: 4", b"Connection: close", body=b"abcd"))
    taken += ended(protocol)
    protocol.acknowledge(1, 2)
    taken += events_of(protocol)
    assert body(taken) == b"abcd"
    assert termination(taken) is None


def test_pipelined_requests_before_the_end_share_one_grace_period() -> None:
    keep = b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
    protocol = server()
    feed(protocol, keep + keep + keep)
    ended(protocol)
    protocol.clock(0.5)
    protocol.submit_headers(1, OK, end_stream=True)
    assert [type(event) for event in events_of(protocol)] == [HeadersReceived]
    assert at(protocol, 1)[0] == StreamResetReceived(3, 0)


def test_the_last_pipelined_response_ends_the_connection() -> None:
    keep = b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
    protocol = server()
    feed(protocol, keep + keep)
    ended(protocol)
    for stream_id in (1, 3):
        assert termination(events_of(protocol)) is None
        protocol.submit_headers(stream_id, OK, end_stream=True)
    assert events_of(protocol) == [ConnectionTerminated(0, None)]
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
    assert events_of(protocol) == [StreamResetReceived(1, 502), ConnectionTerminated(502, "connection lost")]
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
    assert events_of(protocol)[0] == StreamResetReceived(1, 502)


def test_loss_behind_the_whole_response_resets_nothing() -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol, post(b"Content-Length: 5")), OK, end_stream=True)
    protocol.discard_input(1)
    protocol.connection_lost()
    assert events_of(protocol) == [ConnectionTerminated(502, "connection lost")]


def test_loss_behind_the_end_drops_what_was_not_sent() -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol, LAST), OK, end_stream=True)
    assert events_of(protocol) == [ConnectionTerminated(0, None)]
    protocol.connection_lost()
    assert events_of(protocol) == []
    assert protocol.output_end is OutputEnd.ABORTED
    assert protocol.bytes_to_send() == b""
