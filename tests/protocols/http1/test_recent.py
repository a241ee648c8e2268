"""What is remembered of requests: enough to take the same fields again, never more than a bound, and no user's secrets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hface_trio.events import ConnectionTerminated, Event, HeadersReceived
from hface_trio.protocols.http1 import _recent as recent

from ..taken import events_of
from .drive import GET, OK, feed, post, received, server, termination


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    recent.forget()
    yield
    recent.forget()


def request(target: bytes = b"/", *fields: bytes, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    lines = b"".join(field + b"\r\n" for field in (b"Host: a", *fields))
    return b"%b %b HTTP/%b\r\n%b\r\n" % (method, target, version, lines)


def learned(octets: bytes, **limits: float) -> list[Event]:
    """Feed a request twice to one connection and return what it was the second time."""
    protocol = server(**limits)
    for event in feed(protocol, octets):
        if isinstance(event, HeadersReceived):
            protocol.submit_headers(event.stream_id, OK, end_stream=True)
            protocol.discard_input(event.stream_id)
    protocol.bytes_to_send()
    return feed(protocol, octets)


def is_known(octets: bytes) -> bool:
    return recent.RecentFields().find(octets, 0) is not None


@pytest.mark.parametrize(
    "octets",
    [
        GET,
        request(b"/a?b", b"Accept: */*", b"X:  y "),
        request(b"http://h:1/p", b"Connection: x", b"X: y"),
        request(b"*", method=b"OPTIONS"),
        request(b"/", b"Connection: close", method=b"HEAD"),
        request(b"/", b"Connection: upgrade", b"Upgrade: h"),
        request(b"/", b"Expect: 100-continue", b"TE: trailers", b"Connection: TE"),
        request(b"/", method=b"POST"),
    ],
)
def test_a_request_means_the_same_the_second_time(octets: bytes) -> None:
    first = received(octets)
    learned(octets)
    assert is_known(octets) == (b"close" not in octets)
    assert received(octets) == first


def test_what_came_once_is_not_remembered() -> None:
    received(GET)
    received(GET)
    assert not is_known(GET)


def test_it_is_the_fields_that_are_remembered_not_the_target() -> None:
    learned(request(b"/a", b"Accept: */*"))
    [event] = received(request(b"/b?c", b"Accept: */*", method=b"HEAD"))
    assert isinstance(event, HeadersReceived)
    assert event.headers == [
        (b":method", b"HEAD"),
        (b":scheme", b"http"),
        (b":authority", b"a"),
        (b":path", b"/b?c"),
        (b"accept", b"*/*"),
    ]


def test_the_scheme_is_the_connection_s() -> None:
    learned(GET)
    [event] = feed(server(secure=True), GET)
    assert isinstance(event, HeadersReceived)
    assert event.headers[1] == (b":scheme", b"https")


def test_a_section_can_be_changed_by_who_gets_it() -> None:
    learned(request(b"/", b"A: b"))
    for _ in range(3):
        [event] = received(request(b"/", b"A: b"))
        assert isinstance(event, HeadersReceived)
        assert list(event.headers)[-1] == (b"a", b"b")
        event.headers.clear()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "octets",
    [
        request(b"/", b"Cookie: a=b"),
        request(b"/", b"Authorization: Basic YTpi"),
        request(b"/", b"Proxy-Authorization: Basic YTpi"),
        request(b"/", b"Connection: authorization", b"Authorization: Basic YTpi"),
        request(b"/", b"X: " + b"y" * 1024),
        request(b"/", version=b"1.0"),
        post(b"Content-Length: 0"),
        post(b"Content-Length: 1", body=b"x"),
        post(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    ],
)
def test_what_is_personal_long_old_framed_or_wrong_is_not_in_the_table(octets: bytes) -> None:
    learned(octets)
    assert not is_known(octets)


PERSONAL = [b"Cookie: a=b", b"Authorization: Basic YTpi", b"Proxy-Authorization: Basic YTpi"]


@pytest.mark.parametrize("field", PERSONAL)
def test_what_is_personal_is_remembered_by_its_connection_only(field: bytes) -> None:
    protocol, octets = server(), request(b"/", field)
    first = received(octets)
    for stream_id in (1, 3):
        assert [type(event) for event in feed(protocol, octets)] == [type(event) for event in first]
        protocol.submit_headers(stream_id, OK, end_stream=True)
    assert protocol._recent.find(octets, 0) is not None
    [again] = feed(protocol, octets)
    assert isinstance(again, HeadersReceived)
    assert [again.headers] == [event.headers for event in first if isinstance(event, HeadersReceived)]
    assert not is_known(octets)


def test_of_what_is_personal_the_latest_is_remembered() -> None:
    protocol = server()
    for stream_id, cookie in ((1, b"Cookie: a"), (3, b"Cookie: a"), (5, b"Cookie: b"), (7, b"Cookie: b")):
        feed(protocol, request(b"/", cookie))
        protocol.submit_headers(stream_id, OK, end_stream=True)
    assert protocol._recent.find(request(b"/", b"Cookie: a"), 0) is None
    assert protocol._recent.find(request(b"/", b"Cookie: b"), 0) is not None


def test_a_target_that_cannot_be_taken_is_refused_the_second_time_too() -> None:
    learned(GET)
    assert termination(received(request(b"no/form"))) == ConnectionTerminated(400, "request target of no known form")
    assert termination(received(request(b"/#"))) == ConnectionTerminated(400, "malformed request target")


def test_connect_is_looked_at_closely() -> None:
    learned(request())
    [event] = received(request(b"h:1", method=b"CONNECT"))
    assert isinstance(event, HeadersReceived)
    assert (event.headers[1], event.end_stream) == ((b":authority", b"h:1"), False)
    assert termination(received(request(b"/", method=b"CONNECT"))) is not None


def test_limits_are_each_server_s_own() -> None:
    octets = request(b"/", b"A: b", b"C: d")
    learned(octets)
    assert received(octets, header_fields=2) == []
    assert received(octets, header_section_octets=len(octets) - 1) == []
    assert received(octets, header_fields=3, header_section_octets=len(octets)) != []


def test_pipelined_requests_are_known_too() -> None:
    protocol = server()
    learned(GET)
    taken = feed(protocol, GET + GET)
    for stream_id in (1, 3):
        assert [event.stream_id for event in taken if isinstance(event, HeadersReceived)] == [stream_id]
        protocol.submit_headers(stream_id, OK, end_stream=True)
        taken = events_of(protocol)


def test_the_table_has_a_bound() -> None:
    for number in range(1000):
        learned(request(b"/", b"X: %d" % number))
        assert len(recent._table) <= 256
    assert is_known(request(b"/", b"X: 999"))
