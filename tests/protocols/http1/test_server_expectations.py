"""Clients that wait for 100 get it when it is due, and nobody else does."""

from __future__ import annotations

import pytest

from hface_trio.protocols import OutputEnd

from .drive import GET, OK, answer, feed, opened, post, server

WAITING = post(b"Content-Length: 2", b"Expect: 100-Continue")


def test_100_is_sent_when_the_application_asks_for_it_and_once() -> None:
    protocol = server()
    stream_id = opened(protocol, WAITING)
    assert protocol.awaits_continue
    assert protocol.bytes_to_send() == b""
    for _ in range(2):
        protocol.submit_continue(stream_id)
    assert protocol.bytes_to_send() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert not protocol.awaits_continue


def test_100_may_be_submitted_as_an_interim_response() -> None:
    protocol = server()
    stream_id = opened(protocol, WAITING)
    protocol.submit_informational(stream_id, [(b":status", b"100")])
    protocol.submit_continue(stream_id)
    assert protocol.bytes_to_send().count(b"100 Continue") == 1


@pytest.mark.parametrize(
    "request_octets",
    [
        GET,
        post(b"Content-Length: 0", b"Expect: 100-continue"),
        WAITING + b"x",
        WAITING.replace(b"HTTP/1.1", b"HTTP/1.0"),
        post(b"Content-Length: 2", b"Expect: something-else"),
    ],
    ids=["no expectation", "no body", "body has begun", "old client", "other expectation"],
)
def test_100_is_not_sent_to_who_does_not_wait(request_octets: bytes) -> None:
    protocol = server()
    protocol.submit_continue(opened(protocol, request_octets))
    assert protocol.bytes_to_send() == b""


def test_a_final_response_instead_of_100_ends_the_connection() -> None:
    protocol = server()
    assert b"onnection: close" in answer(protocol, WAITING, [(b":status", b"417")])
    protocol.discard_input(1)
    assert protocol.output_end is OutputEnd.CLOSED


def test_a_final_response_behind_100_keeps_the_connection() -> None:
    protocol = server()
    stream_id = opened(protocol, WAITING)
    protocol.submit_continue(stream_id)
    feed(protocol, b"ab")
    protocol.submit_headers(stream_id, OK, end_stream=True)
    assert b"lose" not in protocol.bytes_to_send()
    assert opened(protocol) == 3


def test_a_body_that_was_not_held_back_keeps_the_connection() -> None:
    protocol = server()
    assert b"lose" not in answer(protocol, WAITING + b"ab", OK)


def test_interim_responses_come_before_the_final_one() -> None:
    protocol = server()
    stream_id = opened(protocol)
    for _ in range(2):
        protocol.submit_informational(stream_id, [(b":status", b"103"), (b"link", b"</a>")])
    protocol.submit_headers(stream_id, OK, end_stream=True)
    octets = protocol.bytes_to_send()
    assert octets.startswith(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 2 + b"HTTP/1.1 200 OK\r\n")
