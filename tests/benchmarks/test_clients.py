"""The benchmark's own clients: what they make of answers, right and wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
from _client import Exchange, Outcome
from _client_http1 import HTTP1Client
from _client_http2 import HTTP2Client, frame
from _client_http3 import HTTP3Client, pack_frame, pack_varint

OK = [(b":status", b"200"), (b"content-length", b"5")]


def test_http1_answers_in_any_pieces() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    for size in (1, 7, len(answer)):
        client = HTTP1Client("localhost", "http")
        exchange = client.open("GET", "/")
        for position in range(0, len(answer), size):
            client.receive(answer[position : position + size])
        assert (exchange.outcome, exchange.status, exchange.octets) == (Outcome.COMPLETE, 200, 5)
        assert not client.closing


def test_http1_hears_that_the_server_wants_no_more() -> None:
    client = HTTP1Client("localhost", "http")
    client.open("GET", "/")
    client.receive(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
    assert client.closing


def test_http1_sends_an_upload_whole() -> None:
    client = HTTP1Client("localhost", "http")
    client.open("POST", "/", 200_000)
    sent = b""
    while output := b"".join(client.take_output()):
        sent += output
    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.startswith(b"POST / HTTP/1.1\r\n")
    assert len(body) == 200_000


class HTTP2Server:
    """A server on h2, and the client that talks to it."""

    def __init__(self) -> None:
        self.codec = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
        self.codec.initiate_connection()
        self.client = HTTP2Client("localhost", "https")

    def turn(self) -> list[Any]:
        """Carry what each has to say to the other; return what the server saw."""
        events = self.codec.receive_data(b"".join(self.client.take_output()))
        self.client.receive(self.codec.data_to_send())
        return events


@pytest.fixture
def http2() -> HTTP2Server:
    server = HTTP2Server()
    server.turn()
    return server


def test_http2_answers(http2: HTTP2Server) -> None:
    exchange = http2.client.open("GET", "/")
    http2.turn()
    http2.codec.send_headers(1, OK)
    http2.codec.send_data(1, b"hello", end_stream=True)
    http2.turn()
    assert (exchange.outcome, exchange.status, exchange.body) == (Outcome.COMPLETE, 200, b"hello")


def test_http2_uploads_keep_to_the_window(http2: HTTP2Server) -> None:
    exchange = http2.client.open("POST", "/", 100_000)
    received = 0
    for _ in range(10):
        for event in http2.turn():
            if isinstance(event, h2.events.DataReceived):
                received += len(event.data)
        assert received <= 65_535 or exchange.upload_octets == 0
        http2.codec.increment_flow_control_window(65_535)
        if http2.codec.streams[1].open:
            http2.codec.increment_flow_control_window(65_535, 1)
    assert received == 100_000


@pytest.mark.parametrize(
    ("code", "outcome"), [(7, Outcome.RETRYABLE), (2, Outcome.FAILED)], ids=["refused", "internal error"]
)
def test_http2_resets(http2: HTTP2Server, code: int, outcome: Outcome) -> None:
    exchange = http2.client.open("GET", "/")
    http2.turn()
    http2.codec.reset_stream(1, code)
    http2.turn()
    assert exchange.outcome is outcome


def test_http2_requests_above_the_last_stream_are_retryable(http2: HTTP2Server) -> None:
    first, second = http2.client.open("GET", "/"), http2.client.open("GET", "/")
    http2.client.receive(frame(7, 0, 0, struct.pack(">LL", 1, 0)))
    assert http2.client.closing
    assert (first.outcome, second.outcome) == (None, Outcome.RETRYABLE)


@pytest.mark.parametrize(
    "make", [lambda: HTTP1Client("localhost", "http"), lambda: HTTP2Client("localhost", "https")], ids=["1.1", "2"]
)
def test_a_lost_connection_fails_what_is_under_way(make: Callable[[], HTTP1Client | HTTP2Client]) -> None:
    client = make()
    ended: list[Exchange] = []
    exchange = client.open("GET", "/", 0, ended.append)
    client.connection_lost()
    assert exchange.outcome is Outcome.FAILED
    assert ended == [exchange]


@pytest.mark.parametrize(
    ("value", "octets"),
    [(0, b"\x00"), (63, b"\x3f"), (64, b"\x40\x40"), (15_293, b"\x7b\xbd"), (494_878_333, b"\x9d\x7f\x3e\x7d")],
)
def test_variable_length_integers(value: int, octets: bytes) -> None:
    assert pack_varint(value) == octets


def test_http3_frames_in_any_pieces() -> None:
    octets = pack_frame(1, b"section") + pack_frame(0, b"hello") + pack_frame(0x21, b"reserved") + pack_frame(0, b"!")
    for size in range(1, len(octets) + 1):
        taken = HTTP3Client.frames_of(octets[position : position + size] for position in range(0, len(octets), size))
        joined: dict[int, bytes] = {}
        for kind, payload in taken:
            joined[kind] = joined.get(kind, b"") + payload
        assert joined == {1: b"section", 0: b"hello!", 0x21: b"reserved"}
