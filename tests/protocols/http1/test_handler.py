"""The small face: one request-response cycle after the other, octets in and octets out."""

from __future__ import annotations

from typing import Any

import pytest

from hface_trio.errors import LocalProtocolError
from hface_trio.limits import Limits
from hface_trio.protocols.http1 import (
    BodyReceived,
    ConnectionClosed,
    H1HttpToolsProtocol,
    H1Protocol,
    ProtocolHandler,
    RequestReceived,
    Upgraded,
)

from .drive import GET, Engine, post

ONE = [RequestReceived(b"GET", b"/", ((b"host", b"a"),), "1.1"), BodyReceived(b"", more=False)]
_HANDLERS = {"h11": H1Protocol, "httptools": H1HttpToolsProtocol}


def make(**options: Any) -> H1Protocol:
    """Make a handler on the engine that the tests run on."""
    return _HANDLERS[Engine.name](**options)


def test_it_is_a_protocol_handler() -> None:
    assert isinstance(make(), ProtocolHandler)


def test_a_request_without_body_is_a_head_and_an_empty_body() -> None:
    assert make().receive_data(GET) == ONE


def test_a_request_with_a_body() -> None:
    handler = make()
    taken = handler.receive_data(post(b"Content-Length: 4", b"A: b", body=b"ab"))
    fields = ((b"host", b"a"), (b"content-length", b"4"), (b"a", b"b"))
    assert taken == [RequestReceived(b"POST", b"/", fields, "1.1"), BodyReceived(b"ab", more=True)]
    assert handler.receive_data(b"cd") == [BodyReceived(b"cd", more=False)]


def test_trailers_end_the_body() -> None:
    taken = make().receive_data(post(b"Transfer-Encoding: chunked", body=b"1\r\nx\r\n0\r\nA: b\r\n\r\n"))
    assert taken[1:] == [BodyReceived(b"x", more=True), BodyReceived(b"", more=False)]


def test_a_long_body_needs_no_credit() -> None:
    handler = make(limits=Limits(stream_window_octets=4))
    taken = handler.receive_data(post(b"Content-Length: 10", body=b"0123456789"))
    assert b"".join(event.data for event in taken if isinstance(event, BodyReceived)) == b"0123456789"
    assert taken[-1] == BodyReceived(b"89", more=False)


def test_an_old_client_is_told_apart() -> None:
    assert make().receive_data(b"GET / HTTP/1.0\r\n\r\n")[0] == RequestReceived(b"GET", b"/", (), "1.0")


def test_a_response_in_pieces() -> None:
    handler = make()
    handler.receive_data(GET)
    assert handler.send_response(200, [(b"content-length", b"3")]) == b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"
    assert handler.send_body(b"ab", more=True) == b"ab"
    assert handler.send_body(b"c") == b"c"


def test_an_interim_response_comes_first() -> None:
    handler = make()
    handler.receive_data(GET)
    assert handler.send_response(103, []) == b"HTTP/1.1 103 Early Hints\r\n\r\n"
    assert handler.send_response(200, []).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_large_body_is_one_call() -> None:
    handler = make()
    handler.receive_data(GET)
    handler.send_response(200, [(b"content-length", b"1000000")])
    assert handler.send_body(bytes(1_000_000)) == bytes(1_000_000)


def test_a_pipelined_request_waits_for_the_next_cycle() -> None:
    handler = make()
    assert handler.receive_data(GET + GET) == ONE
    handler.send_response(204, [])
    handler.send_body(b"")
    assert handler.pending_events() == []
    handler.start_new_cycle()
    assert handler.pending_events() == ONE


def test_the_next_request_comes_with_the_next_octets() -> None:
    handler = make()
    for _ in range(3):
        assert handler.receive_data(GET) == ONE
        handler.send_response(204, [])
        handler.send_body(b"")
        handler.start_new_cycle()


def test_a_body_that_nobody_reads_is_dropped_with_the_next_cycle() -> None:
    handler = make()
    handler.receive_data(post(b"Content-Length: 4"))
    handler.send_response(204, [])
    handler.send_body(b"")
    assert handler.receive_data(b"ab") == [BodyReceived(b"ab", more=True)]
    handler.start_new_cycle()
    assert handler.receive_data(b"cd" + GET) == ONE


def test_a_client_that_leaves_inside_its_body_is_told_behind_the_response_too() -> None:
    handler = make()
    handler.receive_data(post(b"Content-Length: 4"))
    handler.send_response(204, [])
    handler.send_body(b"")
    assert handler.receive_data(b"") == [ConnectionClosed("connection ended inside a request body")]


def test_a_new_cycle_waits_for_the_response() -> None:
    handler = make()
    handler.receive_data(GET)
    handler.send_response(200, [])
    with pytest.raises(LocalProtocolError):
        handler.start_new_cycle()


def test_a_response_that_is_not_due_is_refused() -> None:
    with pytest.raises(LocalProtocolError):
        make().send_response(200, [])
    handler = make()
    handler.receive_data(GET)
    with pytest.raises(LocalProtocolError):
        handler.send_body(b"x")


def test_the_end_of_the_client_is_told() -> None:
    handler = make()
    assert handler.receive_data(b"") == [ConnectionClosed("connection ended")]


def test_the_end_of_the_client_inside_a_request_is_told() -> None:
    handler = make()
    handler.receive_data(post(b"Content-Length: 5"))
    assert handler.receive_data(b"") == [ConnectionClosed("connection ended inside a request body")]


def test_the_end_behind_a_last_response_is_told_with_the_next_cycle() -> None:
    handler = make()
    handler.receive_data(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert b"close" in handler.send_response(204, [])
    handler.send_body(b"")
    assert handler.pending_events() == []
    handler.start_new_cycle()
    assert handler.pending_events() == [ConnectionClosed("connection ended")]


def test_a_malformed_request_is_told_and_answered() -> None:
    handler = make()
    assert handler.receive_data(b"bad\r\n") == [ConnectionClosed("malformed start line")]
    assert handler.data_to_send().startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_an_upgrade_is_told_once_it_is_agreed() -> None:
    handler = make()
    octets = GET.replace(b"\r\n\r\n", b"\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert handler.receive_data(octets + b"raw") == [
        RequestReceived(b"GET", b"/", ((b"host", b"a"), (b"upgrade", b"websocket")), "1.1"),
        BodyReceived(b"", more=False),
    ]
    assert handler.send_response(101, [(b"upgrade", b"websocket")]).startswith(b"HTTP/1.1 101 ")
    assert handler.pending_events() == [Upgraded("websocket"), BodyReceived(b"raw", more=True)]
    assert handler.send_body(b"frame", more=True) == b"frame"


def test_a_tunnel_is_told_once_it_is_agreed() -> None:
    handler = make()
    assert handler.receive_data(b"CONNECT a:1 HTTP/1.1\r\nHost: b\r\n\r\n") == [
        RequestReceived(b"CONNECT", b"a:1", ((b"host", b"a:1"),), "1.1")
    ]
    handler.send_response(200, [])
    assert handler.receive_data(b"raw") == [Upgraded("connect"), BodyReceived(b"raw", more=True)]


def test_events_compare_and_print() -> None:
    assert BodyReceived(b"a", more=True) == BodyReceived(b"a", more=True)
    assert BodyReceived(b"a", more=True) != BodyReceived(b"a", more=False)
    assert repr(Upgraded("h2c")) == "Upgraded(protocol='h2c')"
