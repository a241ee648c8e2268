"""A response submitted whole is the one that its parts would have been."""

from __future__ import annotations

import pytest

from hface_trio.errors import LocalProtocolError
from hface_trio.events import HeadersReceived
from hface_trio.models import HeadersType
from hface_trio.protocols.http1._server import HTTP1Server

from ..taken import events_of
from .drive import GET, feed, post, server

PLAIN = [(b"content-type", b"text/plain"), (b"set-cookie", b"a=b"), (b"x", b"")]
REQUESTS = {
    "plain": GET,
    "last": GET.replace(b"Host", b"Connection: close\r\nHost"),
    "old": b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    "very old": b"GET / HTTP/1.0\r\n\r\n",
    "head": GET.replace(b"GET", b"HEAD"),
    "pipelined": GET * 2,
    "expecting": post(b"Content-Length: 1", b"Expect: 100-continue"),
    "with a body": post(b"Content-Length: 1", body=b"x"),
    "with a part of a body": post(b"Content-Length: 2", body=b"x"),
    "offering to switch": GET.replace(b"Host", b"Connection: upgrade\r\nUpgrade: h\r\nHost"),
}
BODIES = {
    "short": b"hello",
    "empty": b"",
    "longest to be joined": bytes(4096),
    "long": bytes(4097),
    "max": bytes(65536),
}


def answering(octets: bytes, *, closing: bool) -> HTTP1Server:
    protocol = server()
    assert isinstance(feed(protocol, octets)[0], HeadersReceived)
    if closing:
        protocol.submit_goaway()
    return protocol


def in_parts(protocol: HTTP1Server, stream_id: int, status: int, fields: HeadersType, body: bytes) -> None:
    section = [(b":status", b"%d" % status), *fields, (b"content-length", b"%d" % len(body))]
    protocol.submit_headers(stream_id, section)
    protocol.submit_data(stream_id, body, end_stream=True)


def outcome(protocol: HTTP1Server) -> tuple[object, ...]:
    taken = events_of(protocol)
    octets = protocol.bytes_to_send()
    return taken, octets, protocol.output_end, protocol.idle, protocol.receive_capacity(), protocol.get_timer()


@pytest.mark.parametrize("closing", [False, True], ids=["open", "closing"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("octets", [octets for name, octets in REQUESTS.items() if name != "head"])
def test_it_is_the_same_for_every_request_and_body(octets: bytes, body: bytes, closing: bool) -> None:
    whole, parts = answering(octets, closing=closing), answering(octets, closing=closing)
    whole.submit_response(1, 200, PLAIN, body)
    in_parts(parts, 1, 200, PLAIN, body)
    assert outcome(whole) == outcome(parts)


@pytest.mark.parametrize("status", [200, 206, 404, 426, 599])
@pytest.mark.parametrize("fields", [[], PLAIN, [(b"te", b"x")], [(b"host", b"a")]])
def test_it_is_the_same_for_every_status_and_section(status: int, fields: HeadersType) -> None:
    whole, parts = answering(GET, closing=False), answering(GET, closing=False)
    whole.submit_response(1, status, fields, b"body")
    in_parts(parts, 1, status, fields, b"body")
    assert outcome(whole) == outcome(parts)


@pytest.mark.parametrize(
    ("octets", "fields"),
    [
        (GET, [(b"Upper", b"x")]),
        (GET, [(b"a", b"x\r\ny: z")]),
        (GET, [(b"connection", b"close")]),
        (GET, [(b"transfer-encoding", b"chunked")]),
        (GET, [(b"content-length", b"4")]),
        (GET, [(b"upgrade", b"h")]),
        (GET, [(b":status", b"200")]),
        (REQUESTS["head"], PLAIN),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN),
    ],
)
def test_what_cannot_be_sent_in_parts_cannot_be_sent_whole(octets: bytes, fields: HeadersType) -> None:
    for submit in (HTTP1Server.submit_response, in_parts):
        with pytest.raises(LocalProtocolError):
            submit(answering(octets, closing=False), 1, 200, fields, b"body")


@pytest.mark.parametrize("status", [99, 100, 101, 204, 304, 600])
def test_a_status_without_a_body_is_not_sent_with_one(status: int) -> None:
    for submit in (HTTP1Server.submit_response, in_parts):
        with pytest.raises(LocalProtocolError):
            submit(answering(GET, closing=False), 1, status, PLAIN, b"body")


def test_a_field_that_was_refused_once_is_refused_again() -> None:
    protocol = answering(GET, closing=False)
    for _ in range(2):
        with pytest.raises(LocalProtocolError):
            protocol.submit_response(1, 200, [(b"a", b"\0")], b"body")
    assert protocol.bytes_to_send() == b""
    protocol.submit_response(1, 200, [(b"a", b"b")], b"body")
    assert protocol.bytes_to_send() == b"HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 4\r\n\r\nbody"


@pytest.mark.parametrize("stream_id", [1, 3])
def test_there_is_one_response_to_a_request(stream_id: int) -> None:
    protocol = answering(GET, closing=False)
    protocol.submit_response(1, 200, [], b"body")
    with pytest.raises(LocalProtocolError):
        protocol.submit_response(stream_id, 200, [], b"body")
