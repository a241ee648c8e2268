"""Drives HTTP/1.1 protocols by hand, as the tests of this directory do."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings

from hface_trio.events import ConnectionTerminated, DataReceived, Event, HeadersReceived, StreamEvent
from hface_trio.limits import Limits, Timeouts
from hface_trio.protocols import HTTPOverTCPProtocol, protocol_registry
from hface_trio.protocols.http1._client import HTTP1Client
from hface_trio.protocols.http1._server import HTTP1Server

from ..taken import events_of

ENGINES = ("h11", "httptools")


class Engine:
    """The engine of what ``server`` and ``client`` make: each test of this directory runs on every one."""

    name = ENGINES[0]


GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD")
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
NO_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"
OK = [(b":status", b"200")]
REQUEST = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/")]


def examples(number: int) -> settings:
    """Return the settings of a property, which may be slow on a busy machine."""
    return settings(max_examples=number, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def get(*fields: bytes, line: bytes = b"GET / HTTP/1.1") -> bytes:
    """Return a head with the given field lines, and no others."""
    return b"\r\n".join([line, *fields, b"", b""])


def post(*fields: bytes, body: bytes = b"") -> bytes:
    """Return a POST with the given field lines."""
    return b"".join([b"POST / HTTP/1.1\r\nHost: a\r\n", *(field + b"\r\n" for field in fields), b"\r\n", body])


def request(method: bytes, **pseudo: bytes) -> list[tuple[bytes, bytes]]:
    """Return a request section with another method, and whatever else differs."""
    section = {b":method": method, b":scheme": b"http", b":authority": b"a", b":path": b"/"}
    section.update({b":" + name.encode(): value for name, value in pseudo.items()})
    return list(section.items())


def server(*, secure: bool = False, timeouts: Timeouts | None = None, **limits: Any) -> HTTP1Server:
    """Make a server whose clock stands at 0."""
    make = protocol_registry.http1_servers.load(Engine.name)
    protocol: HTTP1Server = make(secure=secure, limits=Limits(**limits), timeouts=timeouts or Timeouts())
    protocol.clock(0)
    return protocol


def client(**limits: Any) -> HTTP1Client:
    """Make a client."""
    make = protocol_registry.http1_clients.load(Engine.name)
    protocol: HTTP1Client = make(secure=False, limits=Limits(**limits), timeouts=Timeouts())
    return protocol


def feed(protocol: HTTPOverTCPProtocol, data: bytes) -> list[Event]:
    """Feed octets in one piece and take the events."""
    protocol.bytes_received(data)
    return events_of(protocol)


def ended(protocol: HTTPOverTCPProtocol) -> list[Event]:
    """End the peer's side and take the events."""
    protocol.eof_received()
    return events_of(protocol)


def at(protocol: HTTPOverTCPProtocol, seconds: float) -> list[Event]:
    """Let it be some time and take the events."""
    protocol.clock(seconds)
    return events_of(protocol)


def received(data: bytes, **limits: Any) -> list[Event]:
    """Return what a fresh server makes of some octets."""
    return feed(server(**limits), data)


def opened(protocol: HTTP1Server, data: bytes = GET) -> int:
    """Feed a request and return its stream."""
    head = next(event for event in feed(protocol, data) if isinstance(event, HeadersReceived))
    return head.stream_id


def length(octets: int) -> tuple[bytes, bytes]:
    """Return a content-length field."""
    return (b"content-length", b"%d" % octets)


def answer(protocol: HTTP1Server, request: bytes, headers: list[tuple[bytes, bytes]], *bodies: bytes) -> bytes:
    """Answer a request and return the octets; without ``bodies`` the head ends the stream."""
    stream_id = opened(protocol, request)
    protocol.submit_headers(stream_id, headers, end_stream=not bodies)
    for index, data in enumerate(bodies):
        protocol.submit_data(stream_id, data, end_stream=index == len(bodies) - 1)
    return protocol.bytes_to_send()


def fetching(protocol: HTTP1Client, method: bytes = b"GET", **pseudo: bytes) -> int:
    """Send a whole request and return its stream."""
    stream_id = protocol.get_available_stream_id()
    protocol.submit_headers(stream_id, request(method, **pseudo), end_stream=True)
    protocol.bytes_to_send()
    return stream_id


def body(taken: list[Event]) -> bytes:
    """Join the data of some events."""
    return b"".join(event.data for event in taken if isinstance(event, DataReceived))


def termination(taken: list[Event]) -> ConnectionTerminated | None:
    """Return the end of the connection, if it is among the events."""
    return next((event for event in taken if isinstance(event, ConnectionTerminated)), None)


def stream_events(taken: list[Event]) -> list[Event]:
    """Return the events of streams."""
    return [event for event in taken if isinstance(event, StreamEvent)]
