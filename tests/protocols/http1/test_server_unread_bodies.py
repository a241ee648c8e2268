"""A body that nobody reads behind the response is dropped where it is short, and else ends the connection."""

from __future__ import annotations

import pytest

from hface_trio.events import ConnectionTerminated, DataReceived, HeadersReceived
from hface_trio.protocols import OutputEnd

from ..taken import events_of
from .drive import GET, OK, feed, opened, post, server


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
    assert events_of(protocol) == [ConnectionTerminated(0, "request body not read")]
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
