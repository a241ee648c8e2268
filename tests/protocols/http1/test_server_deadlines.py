"""What a server's connection gives time for, how long, and what happens then."""

from __future__ import annotations

import math

from hface_trio.events import ConnectionTerminated
from hface_trio.limits import Timeouts
from hface_trio.protocols import OutputEnd, protocol_registry

from .drive import GET, LAST, OK, Engine, at, ended, feed, opened, post, server


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
