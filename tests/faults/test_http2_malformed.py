"""Ninety-nine streams in flight complete while the hundredth is malformed, for each kind of malformed."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
import trio.testing
from hyperframe.frame import Frame

from hface_trio import HTTPStream

from ..http2.harness import serving2
from ..http2.raw import (
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    GET,
    NO_ERROR,
    POST,
    PROTOCOL_ERROR,
    STREAM_CLOSED,
    RawPeer,
)

Clock = trio.testing.MockClock
BODY = b"x" * 5000


async def echo(stream: HTTPStream) -> None:
    await stream.send_headers([(b":status", b"200")])
    async for chunk in stream.iter_data():
        await stream.send_data(chunk)
    await stream.send_data(b"", end_stream=True)


def with_field(name: bytes, value: bytes) -> list[tuple[bytes, bytes]]:
    return [*GET, (name, value)]


def without(name: bytes) -> list[tuple[bytes, bytes]]:
    return [field for field in GET if field[0] != name]


SECTIONS = {
    "an upper-case name": with_field(b"Upper", b"x"),
    "an empty name": with_field(b"", b"x"),
    "a name with a space": with_field(b"a b", b"x"),
    "a name with a colon": with_field(b"a:b", b"x"),
    "a name with NUL": with_field(b"a\0b", b"x"),
    "a value with CR": with_field(b"a", b"x\ry"),
    "a value with LF": with_field(b"a", b"x\ny"),
    "a value with NUL": with_field(b"a", b"x\0y"),
    "a value with a space in front": with_field(b"a", b" x"),
    "a value with a tab behind": with_field(b"a", b"x\t"),
    "connection": with_field(b"connection", b"close"),
    "keep-alive": with_field(b"keep-alive", b"timeout=5"),
    "proxy-connection": with_field(b"proxy-connection", b"close"),
    "transfer-encoding": with_field(b"transfer-encoding", b"chunked"),
    "upgrade": with_field(b"upgrade", b"h2c"),
    "te other than trailers": with_field(b"te", b"gzip"),
    "no :method": without(b":method"),
    "no :scheme": without(b":scheme"),
    "no :path": without(b":path"),
    "an empty :path": [*without(b":path"), (b":path", b"")],
    "two :path": [*GET, (b":path", b"/")],
    "two :method": [(b":method", b"GET"), *GET],
    "an unknown pseudo-header": [*GET, (b":unknown", b"x")],
    "a :status": [*GET, (b":status", b"200")],
    "a pseudo-header behind a field": [(b"a", b"b"), *GET],
    "content-length without a body": with_field(b"content-length", b"5"),
    "content-length that is no number": with_field(b"content-length", b"5x"),
    "two content-lengths": [*GET, (b"content-length", b"0"), (b"content-length", b"1")],
    "host unlike :authority": with_field(b"host", b"elsewhere"),
    "neither host nor :authority": without(b":authority"),
    "CONNECT with :path": [(b":method", b"CONNECT"), *GET[1:]],
    ":protocol without CONNECT": [*GET, (b":protocol", b"websocket")],
}


def bad_section(fields: list[tuple[bytes, bytes]]) -> Callable[[RawPeer, int], list[Frame | bytes]]:
    return lambda peer, stream_id: [peer.headers(stream_id, fields)]


def raw(frame_type: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return struct.pack(">HBBBL", len(payload) >> 8, len(payload) & 0xFF, frame_type, flags, stream_id) + payload


def long(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [*fields, (b"content-length", b"10")]


FRAMES: dict[str, tuple[Callable[[RawPeer, int], list[Frame | bytes]], int]] = {
    "a body longer than content-length": (
        lambda p, i: [p.headers(i, long(POST), end=False), p.data(i, b"x" * 11)],
        PROTOCOL_ERROR,
    ),
    "a body shorter than content-length": (
        lambda p, i: [p.headers(i, long(POST), end=False), p.data(i, b"x" * 9, end=True)],
        PROTOCOL_ERROR,
    ),
    "trailers without END_STREAM": (
        lambda p, i: [p.headers(i, POST, end=False), p.headers(i, [(b"a", b"b")], end=False)],
        PROTOCOL_ERROR,
    ),
    "a pseudo-header in trailers": (
        lambda p, i: [p.headers(i, POST, end=False), p.headers(i, [(b":path", b"/")])],
        PROTOCOL_ERROR,
    ),
    "an upper-case name in trailers": (
        lambda p, i: [p.headers(i, POST, end=False), p.headers(i, [(b"Upper", b"x")])],
        PROTOCOL_ERROR,
    ),
    "too many fields in trailers": (
        lambda p, i: [p.headers(i, POST, end=False), p.headers(i, [(b"a", b"b")] * 200)],
        ENHANCE_YOUR_CALM,
    ),
    "a window update of 0": (lambda p, i: [p.headers(i, POST, end=False), raw(8, 0, i, bytes(4))], PROTOCOL_ERROR),
    "a window that overflows": (
        lambda p, i: [p.headers(i, POST, end=False), p.window(i, 2**31 - 1)],
        FLOW_CONTROL_ERROR,
    ),
    "more data than the window": (
        lambda p, i: [p.headers(i, POST, end=False), *(p.data(i, bytes(16_384)) for _ in range(5))],
        FLOW_CONTROL_ERROR,
    ),
    "DATA behind the end": (lambda p, i: [p.headers(i, GET, end=True), p.data(i, b"late")], STREAM_CLOSED),
    "a stream that depends on itself": (
        lambda p, i: [p.headers(i, POST, end=False), raw(2, 0, i, struct.pack(">LB", i, 16))],
        PROTOCOL_ERROR,
    ),
    "a PRIORITY of a wrong size": (
        lambda p, i: [p.headers(i, POST, end=False), raw(2, 0, i, bytes(4))],
        6,  # FRAME_SIZE_ERROR
    ),
}
for _name, _fields in SECTIONS.items():
    FRAMES[_name] = (bad_section(_fields), PROTOCOL_ERROR)


@pytest.mark.parametrize("kind", FRAMES)
async def test_the_other_ninety_nine_complete(autojump_clock: Clock, kind: str) -> None:
    make, code = FRAMES[kind]
    async with serving2(echo) as s:
        peer = await s.peer()
        good = [await peer.request(POST, end=False) for _ in range(99)]
        await peer.send(*(peer.data(stream_id, BODY[:2000]) for stream_id in good[:50]))
        bad = peer.next_id()
        # in one read with frames of the others in front of it and behind it
        await peer.send(
            *(peer.data(stream_id, BODY[:2000]) for stream_id in good[50:]),
            *make(peer, bad),
            *(peer.data(stream_id, BODY[2000:], end=True) for stream_id in good),
        )
        for stream_id in good:
            assert await peer.response(stream_id) == (200, BODY)
        await peer.alive()
        assert peer.goaways() == []
        assert [reset for reset in peer.resets() if reset[1] != NO_ERROR] == [(bad, code)]
        s.assert_nothing_left()
        await peer.close()


async def test_a_section_over_the_limit_is_answered_with_431(autojump_clock: Clock) -> None:
    async with serving2(echo) as s:
        peer = await s.peer()
        good = await peer.request(POST, end=False)
        bad = await peer.request([*GET, *((b"a", b"b") for _ in range(200))])
        assert (await peer.response(bad))[0] == 431
        await peer.send(peer.data(good, BODY, end=True))
        assert await peer.response(good) == (200, BODY)
        await peer.close()
