"""What is opened and reset in one read of the server starts no handler, in however many turns the read is taken."""

from __future__ import annotations

import struct

import pytest
import trio
from hpack import Encoder

from hface_trio import HTTPStream

from ..http2.harness import serving2

HEADERS, RST_STREAM = 1, 3
END_STREAM_AND_HEADERS = 5
REQUEST = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/")]


def frame(frame_type: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    return struct.pack(">L", len(payload))[1:] + bytes([frame_type, flags]) + struct.pack(">L", stream_id) + payload


@pytest.mark.parametrize("count", [1, 20, 100, 900])
async def test_no_handler_starts(count: int, autojump_clock: trio.testing.MockClock) -> None:
    started: list[bytes] = []

    async def handler(stream: HTTPStream) -> None:
        started.append(stream.path)
        await stream.send_response(200)

    block = Encoder().encode(REQUEST)
    octets = b"".join(
        frame(HEADERS, END_STREAM_AND_HEADERS, 2 * number + 1, block) + frame(RST_STREAM, 0, 2 * number + 1, bytes(4))
        for number in range(count)
    )
    assert len(octets) < 64 * 1024
    async with serving2(handler, buffer_octets=2**20) as served:
        peer = await served.peer()
        await trio.sleep(1)
        await peer.stream.send_all(octets)
        await trio.sleep(1)
        assert started == []
        await peer.close()
