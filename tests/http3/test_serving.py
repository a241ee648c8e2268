"""What serving has of its own over QUIC: its tables, QPACK, and no pushes."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream, LocalProtocolError

from .harness import hello, serving3
from .raw import GET, pack_frame, section

Clock = trio.testing.MockClock


async def test_a_push_is_refused_with_nothing_sent(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        with pytest.raises(LocalProtocolError):
            await stream.push(GET).__aenter__()
        await stream.send_response(200, body=b"still here")

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, b"still here")
        assert len(peer.sections(stream_id)) == 1
        await peer.close()


async def test_hundreds_of_requests_leave_nothing_in_any_table(autojump_clock: Clock) -> None:
    async with serving3(hello) as s:
        peer = await s.peer()
        for _ in range(300):
            assert await peer.response(await peer.request()) == (200, b"hello")
        await peer.read_for(1)
        (connection,) = s.server._context.connections
        protocol = connection._protocol
        assert protocol.open_streams == 0
        assert protocol.quic.open_streams == 6  # of control and QPACK, both ways
        assert len(protocol.quic._machine._streams) == 6
        assert protocol.unacknowledged_octets == 0
        await peer.close()


async def test_a_qpack_block_that_needs_a_dynamic_table_is_refused(autojump_clock: Clock) -> None:
    async with serving3(hello) as s:
        peer = await s.peer()
        await peer.send(peer.next_id(), pack_frame(1, b"\x02\x00" + section(GET)[2:]), end=True)
        await peer.read_to_end()
        assert peer.closed_with == 0x200
        await peer.close()
