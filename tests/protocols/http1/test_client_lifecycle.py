"""When a client's connection can be used again, and how it ends."""

from __future__ import annotations

import pytest

from hface_trio.errors import LocalProtocolError
from hface_trio.events import ConnectionTerminated, DataReceived, HeadersReceived, StreamResetReceived, StreamResetSent
from hface_trio.protocols import OutputEnd
from hface_trio.protocols.http1._client import HTTP1Client

from ..taken import events_of
from .drive import NO_BODY, client, feed, fetching, request

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
