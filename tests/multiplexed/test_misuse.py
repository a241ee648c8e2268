"""Handlers that call what may not be called now, or with what may not be sent: nothing of it leaves."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream, LocalProtocolError

from .version import Version

Clock = trio.testing.MockClock
BIG = b"x" * 1_000_000

MISUSES = {
    "a status that is none": lambda s: s.send_headers([(b":status", b"20")]),
    "no status": lambda s: s.send_headers([(b"a", b"b")]),
    "an interim status as final": lambda s: s.send_headers([(b":status", b"103")]),
    "101": lambda s: s.send_headers([(b":status", b"101")]),
    "101 as interim": lambda s: s.send_informational([(b":status", b"101")]),
    "a final status as interim": lambda s: s.send_informational([(b":status", b"200")]),
    "data before the head": lambda s: s.send_data(b"x"),
    "trailers before the head": lambda s: s.send_trailers([(b"a", b"b")]),
    "a field with a line break": lambda s: s.send_headers([(b":status", b"200"), (b"a", b"b\r\nc: d")]),
    "a field with NUL": lambda s: s.send_headers([(b":status", b"200"), (b"a", b"b\0")]),
    "a field name with a space": lambda s: s.send_headers([(b":status", b"200"), (b"a b", b"c")]),
    "an empty field name": lambda s: s.send_headers([(b":status", b"200"), (b"", b"c")]),
    "a pseudo-header of requests": lambda s: s.send_headers([(b":status", b"200"), (b":path", b"/")]),
    "an end with content-length": lambda s: s.send_headers([(b":status", b"200"), (b"content-length", b"5")], True),
    "a body with 204": lambda s: s.send_response(204, body=b"x"),
    "a client's call": lambda s: s.receive_response(),
}


@pytest.mark.parametrize("misuse", MISUSES.values(), ids=MISUSES)
async def test_misuse_is_refused_with_nothing_sent(version: Version, autojump_clock: Clock, misuse) -> None:
    async def handler(stream: HTTPStream) -> None:
        with pytest.raises(LocalProtocolError):
            await misuse(stream)
        await stream.send_response(200, body=b"still here")

    async with version.serving(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, b"still here")
        assert len(peer.sections(stream_id)) == 1
        await peer.close()


async def test_misuse_behind_the_head_is_refused_with_nothing_sent(version: Version, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200"), (b"content-length", b"4")])
        for misuse in (
            stream.send_headers([(b":status", b"200")]),
            stream.send_informational([(b":status", b"103")]),
            stream.send_data(b"too long"),
            stream.send_data(b"a", end_stream=True),
            stream.send_trailers([(b"a", b"b")]),
        ):
            with pytest.raises(LocalProtocolError):
                await misuse
        await stream.send_data(b"four")
        for fields in ([(b":status", b"200")], [(b"a", b"b\n")], [(b"A B", b"c")]):
            with pytest.raises(LocalProtocolError):
                await stream.send_trailers(fields)
        await stream.send_trailers([(b"a", b"b")])
        for misuse in (stream.send_data(b"x"), stream.send_trailers([(b"a", b"b")])):
            with pytest.raises(LocalProtocolError):
                await misuse

    async with version.serving(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, b"four")
        assert [fields[0] for fields in peer.sections(stream_id)] == [(b":status", b"200"), (b"a", b"b")]
        await peer.close()


async def test_two_tasks_may_not_receive_or_send_at_once(version: Version, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.receive)
            nursery.start_soon(stream.send_data, BIG)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await stream.receive()
            with pytest.raises(trio.BusyResourceError):
                await stream.send_data(b"x")
        await stream.send_data(b"", end_stream=True)

    async with version.serving(handler) as s:
        peer = await s.peer(window=100)
        stream_id = await peer.request(version.POST, end=False)
        await peer.read_for(1)
        await peer.credit(stream_id, 2_000_000)
        await peer.data(stream_id, b"x", end=True)
        assert await peer.response(stream_id) == (200, BIG)
        await peer.close()


async def test_a_cancelled_part_of_a_body_breaks_the_sending_side(version: Version, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        with trio.move_on_after(1) as scope:
            await stream.send_data(BIG)
        assert scope.cancelled_caught
        for call in (stream.send_data(b"x"), stream.send_trailers([(b"a", b"b")])):
            with pytest.raises(trio.BrokenResourceError):
                await call

    async with version.serving(handler) as s:
        peer = await s.peer(window=100)
        stream_id = await peer.request()
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, version.codes.internal_error)]
        assert not peer.ended(stream_id)
        await peer.close()
