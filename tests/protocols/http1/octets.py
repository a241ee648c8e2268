"""Streams of octets, right and wrong, and both sides of a connection that take them cut in any way."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from hface_trio.events import DataReceived, Event, HeadersReceived, TrailersReceived
from hface_trio.protocols import HTTPOverTCPProtocol
from hface_trio.protocols.http1._client import HTTP1Client
from hface_trio.protocols.http1._server import HTTP1Server

from ..taken import joined
from .drive import OK, client, request, server

_LIMITS = {
    "header_section_octets": 120,
    "header_fields": 5,
    "request_body_octets": 60,
    "chunk_overhead_octets": 12,
    "pipelined_octets": 1 << 20,
    "informational_responses": 2,
}

# Streams of octets

_TARGETS = st.sampled_from([b"/", b"/a?b=c", b"*", b"http://h/p", b"a:1", b"/" + b"x" * 90])
_METHODS = st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"CONNECT"])
_FIELDS = st.sampled_from(
    [
        b"Accept: */*",
        b"Connection: close",
        b"Connection: x-a",
        b"X-A:",
        b"X-Long: " + b"y" * 70,
        b"Expect: 100-continue",
        b"Upgrade: h",
        b"Bad : name",
        b" folded",
        b"Nul: \0",
        b"TE: trailers",
    ]
)
_DATA = st.binary(max_size=30)


def _chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%b\r\n%b\r\n" % (len(data), extension, data)


_EXTENSIONS = st.sampled_from([b"", b"", b"", b";a=b", b';a="q;"', b";", b";a=toolongforit"])
_CHUNKS = st.lists(st.builds(_chunk, st.binary(min_size=1, max_size=20), _EXTENSIONS), max_size=4).map(b"".join)
_TRAILERS = st.sampled_from([b"", b"", b"A: b\r\n", b"A: b\r\nC: d\r\n", b"Content-Length: 1\r\n", b"bad\r\n"])
_CHUNKED_BODY = st.builds(lambda chunks, trailers: chunks + b"0\r\n" + trailers + b"\r\n", _CHUNKS, _TRAILERS)
_BODY = st.one_of(
    st.just((b"", b"")),
    _DATA.map(lambda data: (b"Content-Length: %d\r\n" % len(data), data)),
    _CHUNKED_BODY.map(lambda octets: (b"Transfer-Encoding: chunked\r\n", octets)),
)


def _request(method: bytes, target: bytes, fields: list[bytes], body: tuple[bytes, bytes], blank: bytes) -> bytes:
    head = b"%b%b %b HTTP/1.1\r\nHost: a\r\n" % (blank, method, target)
    return head + b"".join(field + b"\r\n" for field in fields) + body[0] + b"\r\n" + body[1]


REQUESTS = st.lists(
    st.builds(
        _request,
        _METHODS,
        _TARGETS,
        st.lists(_FIELDS, max_size=3),
        _BODY,
        st.sampled_from([b"", b"", b"\r\n", b"\r\n\r\n\r\n"]),
    ),
    min_size=1,
    max_size=3,
).map(b"".join)


def _response(status: int, fields: list[bytes], body: tuple[bytes, bytes]) -> bytes:
    head = b"HTTP/1.1 %d x\r\n" % status
    return head + b"".join(field + b"\r\n" for field in fields) + body[0] + b"\r\n" + body[1]


RESPONSES = st.lists(
    st.builds(_response, st.sampled_from([100, 101, 103, 200, 204, 304, 426]), st.lists(_FIELDS, max_size=2), _BODY),
    min_size=1,
    max_size=3,
).map(b"".join)


def mutate(octets: bytes, edits: list[tuple[int, bytes]]) -> bytes:
    for edit, replacement in edits:
        position = edit % (len(octets) + 1)
        octets = octets[:position] + replacement + octets[position + 1 :]
    return octets


EDITS = st.lists(
    st.tuples(
        st.integers(0, 2000), st.sampled_from([b"", b"\r", b"\n", b"\0", b" ", b":", b"0", b"g", b"\r\n", b"\xff"])
    ),
    max_size=2,
)
CUTS = st.lists(st.integers(1, 40), max_size=60)


# What they mean


class Server:
    """Answers every request at once when it is complete, and takes all data at once."""

    def __init__(self) -> None:
        self.protocol: HTTP1Server = server(**_LIMITS)
        self.events: list[Event] = []

    def react(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            self.protocol.acknowledge(event.stream_id, len(event.data))
        complete = isinstance(event, TrailersReceived) or getattr(event, "end_stream", False)
        if isinstance(event, HeadersReceived) and event.headers[0][1] == b"CONNECT":
            self.protocol.submit_headers(event.stream_id, OK)
        elif complete and not (isinstance(event, DataReceived) and self._tunnel(event.stream_id)):
            self.protocol.submit_headers(event.stream_id, OK, end_stream=True)  # type: ignore[attr-defined]

    def _tunnel(self, stream_id: int) -> bool:
        return any(
            isinstance(event, HeadersReceived) and event.stream_id == stream_id and event.headers[0][1] == b"CONNECT"
            for event in self.events
        )


class Client:
    """Sends one request: a second one would meet more or less of the octets, depending on when it is sent."""

    def __init__(self, method: bytes) -> None:
        self.protocol: HTTP1Client = client(**_LIMITS)
        self.events: list[Event] = []
        section = request(method)
        if method == b"CONNECT":
            section = [(b":method", method), (b":authority", b"a:1")]
        elif method == b"GET":
            section.append((b"upgrade", b"h"))
        self.protocol.submit_headers(1, section, end_stream=True)

    def react(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            self.protocol.acknowledge(event.stream_id, len(event.data))


def run(side: Any, octets: bytes, cuts: list[int]) -> list[Event]:
    protocol: HTTPOverTCPProtocol = side.protocol
    position = 0
    while position < len(octets):
        step = cuts.pop() if cuts else len(octets)
        protocol.bytes_received(octets[position : position + step])
        position += step
        while (event := protocol.next_event()) is not None:
            side.events.append(event)
            side.react(event)
        protocol.buffers_to_send()
    return joined(side.events)
