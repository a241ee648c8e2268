"""Tunnels: CONNECT and Upgrade, on both sides, from the octets behind the head to both ends."""

from __future__ import annotations

import pytest

from hface_trio.errors import LocalProtocolError
from hface_trio.events import ConnectionTerminated, DataReceived, HeadersReceived, StreamResetReceived, StreamResetSent
from hface_trio.protocols import OutputEnd
from hface_trio.protocols.http1._client import HTTP1Client
from hface_trio.protocols.http1._server import HTTP1Server

from ..taken import events_of
from .drive import GET, OK, REQUEST, client, feed, opened, post, request, server

CONNECT = b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h\r\n\r\n"
SWITCHING = [(b":status", b"101"), (b"upgrade", b"h")]


def accepted(octets: bytes, **limits: float) -> HTTP1Server:
    """Return a server whose stream 1 has become a tunnel."""
    protocol = server(**limits)
    protocol.bytes_received(octets)
    protocol.next_event()
    protocol.submit_headers(1, OK if octets.startswith(b"CONNECT") else SWITCHING)
    protocol.bytes_to_send()
    return protocol


def connected(octets: bytes = b"", **limits: float) -> HTTP1Client:
    """Return a client whose stream 1 has become a tunnel."""
    protocol = client(**limits)
    protocol.submit_headers(1, [(b":method", b"CONNECT"), (b":authority", b"a:1")])
    protocol.bytes_to_send()
    protocol.bytes_received(b"HTTP/1.1 200 OK\r\n\r\n" + octets)
    protocol.next_event()
    return protocol


# Server


def test_a_response_to_connect_declares_no_body() -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol, CONNECT), OK)
    assert protocol.bytes_to_send() == b"HTTP/1.1 200 OK\r\n\r\n"


def test_a_response_to_connect_cannot_declare_a_length() -> None:
    protocol = server()
    opened(protocol, CONNECT)
    with pytest.raises(LocalProtocolError):
        protocol.submit_headers(1, [*OK, (b"content-length", b"0")])
    assert protocol.bytes_to_send() == b""


def test_a_response_of_101_names_the_connection_option() -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol, UPGRADE), SWITCHING)
    octets = protocol.bytes_to_send()
    assert octets == b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h\r\nconnection: upgrade\r\n\r\n"


@pytest.mark.parametrize("octets", [CONNECT, UPGRADE])
def test_octets_behind_the_request_are_the_tunnel_s_first(octets: bytes) -> None:
    protocol = server()
    assert len(feed(protocol, octets + b"GET / HT")) == 1
    protocol.submit_headers(1, OK if octets is CONNECT else SWITCHING)
    assert events_of(protocol) == [DataReceived(1, b"GET / HT")]
    assert feed(protocol, b"\0\r\n") == [DataReceived(1, b"\0\r\n")]


@pytest.mark.parametrize("octets", [CONNECT, UPGRADE])
def test_octets_are_sent_raw(octets: bytes) -> None:
    protocol = accepted(octets)
    data = memoryview(b"raw")
    protocol.submit_data(1, data)
    assert protocol.buffers_to_send() == [data]


def test_a_tunnel_that_is_refused_keeps_the_connection() -> None:
    protocol = server()
    assert len(feed(protocol, CONNECT + GET)) == 1
    protocol.submit_headers(1, [(b":status", b"403")], end_stream=True)
    assert b"content-length: 0" in protocol.bytes_to_send()
    assert [type(event) for event in events_of(protocol)] == [HeadersReceived]


def test_an_upgrade_that_is_ignored_keeps_the_connection() -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol, UPGRADE), OK, end_stream=True)
    assert opened(protocol) == 3


def test_101_waits_for_the_whole_request() -> None:
    protocol = server()
    opened(protocol, post(b"Connection: upgrade", b"Upgrade: h", b"Content-Length: 2"))
    with pytest.raises(LocalProtocolError):
        protocol.submit_headers(1, SWITCHING)
    feed(protocol, b"ab")
    protocol.submit_headers(1, SWITCHING)
    assert feed(protocol, b"raw") == [DataReceived(1, b"raw")]


def test_a_tunnel_has_a_window() -> None:
    protocol = accepted(CONNECT, stream_window_octets=4)
    assert feed(protocol, b"012345") == [DataReceived(1, b"0123")]
    assert protocol.receive_capacity() == 0
    protocol.acknowledge(1, 4)
    assert events_of(protocol) == [DataReceived(1, b"45")]
    assert protocol.receive_capacity() == 2


def test_a_tunnel_has_no_trailers() -> None:
    with pytest.raises(LocalProtocolError):
        accepted(CONNECT).submit_trailers(1, [])


def test_the_peer_s_end_ends_one_direction() -> None:
    protocol = accepted(CONNECT)
    protocol.eof_received()
    assert events_of(protocol) == [DataReceived(1, b"", end_stream=True)]
    protocol.submit_data(1, b"more")
    assert protocol.output_end is OutputEnd.OPEN
    protocol.submit_data(1, b"", end_stream=True)
    assert events_of(protocol) == [ConnectionTerminated(0, None)]
    assert protocol.output_end is OutputEnd.CLOSED
    assert protocol.bytes_to_send() == b"more"


def test_our_end_ends_the_other() -> None:
    protocol = accepted(CONNECT)
    protocol.submit_data(1, b"last", end_stream=True)
    assert protocol.output_end is OutputEnd.HALF_CLOSED
    with pytest.raises(LocalProtocolError):
        protocol.submit_data(1, b"x")
    assert feed(protocol, b"more") == [DataReceived(1, b"more")]
    protocol.eof_received()
    assert events_of(protocol) == [DataReceived(1, b"", end_stream=True), ConnectionTerminated(0, None)]
    assert protocol.output_end is OutputEnd.CLOSED


def test_the_end_comes_behind_what_waits_for_credit() -> None:
    protocol = accepted(CONNECT, stream_window_octets=2)
    assert feed(protocol, b"0123") == [DataReceived(1, b"01")]
    protocol.eof_received()
    assert events_of(protocol) == []
    protocol.acknowledge(1, 2)
    assert events_of(protocol) == [DataReceived(1, b"23"), DataReceived(1, b"", end_stream=True)]


def test_a_tunnel_can_be_opened_in_the_grace_period() -> None:
    protocol = server()
    octets = UPGRADE.replace(b"upgrade\r\n", b"upgrade, close\r\n")
    assert len(feed(protocol, octets + b"early")) == 1
    protocol.eof_received()
    protocol.submit_headers(1, SWITCHING)
    assert events_of(protocol) == [DataReceived(1, b"early"), DataReceived(1, b"", end_stream=True)]
    assert protocol.get_timer() is None


def test_a_tunnel_that_is_closed_with_its_head_is_half_closed() -> None:
    protocol = server()
    protocol.submit_headers(opened(protocol, CONNECT), OK, end_stream=True)
    assert protocol.output_end is OutputEnd.HALF_CLOSED
    assert feed(protocol, b"x") == [DataReceived(1, b"x")]


@pytest.mark.parametrize("half_closed", [False, True])
def test_a_reset_tunnel_aborts(half_closed: bool) -> None:
    protocol = accepted(CONNECT)
    if half_closed:
        protocol.submit_data(1, b"", end_stream=True)
    protocol.submit_stream_reset(1, 502)
    assert protocol.output_end is OutputEnd.ABORTED


@pytest.mark.parametrize("half_closed", [False, True])
def test_a_lost_tunnel_is_reset(half_closed: bool) -> None:
    protocol = accepted(CONNECT)
    if half_closed:
        protocol.submit_data(1, b"", end_stream=True)
    protocol.connection_lost()
    assert events_of(protocol)[0] == StreamResetReceived(1, 502)


def test_a_tunnel_that_nobody_reads_ends_with_our_end() -> None:
    protocol = accepted(CONNECT)
    protocol.submit_data(1, b"last", end_stream=True)
    protocol.discard_input(1)
    assert protocol.output_end is OutputEnd.CLOSED
    assert protocol.bytes_to_send() == b"last"


def test_a_tunnel_is_not_timed() -> None:
    protocol = accepted(CONNECT)
    assert protocol.get_timer() is None


# Client


def test_connect_is_sent_with_its_authority_as_target() -> None:
    protocol = client()
    protocol.submit_headers(1, [(b":method", b"CONNECT"), (b":authority", b"a:1"), (b"a", b"b")])
    assert protocol.bytes_to_send() == b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\na: b\r\n\r\n"


def test_upgrade_is_sent_with_its_connection_option() -> None:
    protocol = client()
    protocol.submit_headers(1, [*REQUEST, (b"upgrade", b"h")], end_stream=True)
    assert protocol.bytes_to_send() == b"GET / HTTP/1.1\r\nhost: a\r\nupgrade: h\r\nconnection: upgrade\r\n\r\n"


def test_a_client_s_tunnel_opens_with_the_response() -> None:
    protocol = client()
    protocol.submit_headers(1, [(b":method", b"CONNECT"), (b":authority", b"a:1")])
    protocol.bytes_to_send()
    with pytest.raises(LocalProtocolError):
        protocol.submit_data(1, b"early")
    assert feed(protocol, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nraw") == [
        HeadersReceived(1, [(b":status", b"200"), (b"content-length", b"5")]),
        DataReceived(1, b"raw"),
    ]
    protocol.submit_data(1, b"data")
    assert protocol.bytes_to_send() == b"data"


def test_101_opens_a_client_s_tunnel() -> None:
    protocol = client()
    protocol.submit_headers(1, [*REQUEST, (b"upgrade", b"h")], end_stream=True)
    octets = b"HTTP/1.1 101 x\r\nUpgrade: h\r\nConnection: upgrade\r\n\r\nraw"
    assert feed(protocol, octets) == [HeadersReceived(1, SWITCHING), DataReceived(1, b"raw")]
    protocol.submit_data(1, b"data")
    assert protocol.bytes_to_send().endswith(b"\r\n\r\ndata")


def test_101_that_was_not_asked_for_is_refused() -> None:
    protocol = client()
    protocol.submit_headers(1, REQUEST, end_stream=True)
    assert feed(protocol, b"HTTP/1.1 101 x\r\nUpgrade: h\r\n\r\n")[0] == StreamResetSent(1, 400)


def test_101_before_the_request_is_complete_is_refused() -> None:
    protocol = client()
    protocol.submit_headers(1, [*request(b"POST"), (b"upgrade", b"h")])
    assert feed(protocol, b"HTTP/1.1 101 x\r\nUpgrade: h\r\n\r\n")[0] == StreamResetSent(1, 400)


def test_a_refused_connect_is_an_ordinary_response() -> None:
    protocol = client()
    protocol.submit_headers(1, [(b":method", b"CONNECT"), (b":authority", b"a:1")])
    assert feed(protocol, b"HTTP/1.1 403 x\r\nContent-Length: 1\r\n\r\nx")[1:] == [
        DataReceived(1, b"x", end_stream=True)
    ]
    assert protocol.is_available()


def test_both_ends_of_a_client_s_tunnel() -> None:
    protocol = connected(b"x")
    events_of(protocol)
    protocol.submit_data(1, b"", end_stream=True)
    assert protocol.output_end is OutputEnd.HALF_CLOSED
    assert feed(protocol, b"y") == [DataReceived(1, b"y")]
    protocol.eof_received()
    assert events_of(protocol) == [DataReceived(1, b"", end_stream=True), ConnectionTerminated(0, None)]
    assert protocol.output_end is OutputEnd.CLOSED


def test_a_connection_with_a_tunnel_takes_no_request() -> None:
    protocol = connected()
    assert not protocol.is_available()
