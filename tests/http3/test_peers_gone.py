"""Peers that abandon an exchange, row by row of the table of causes and effects."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream, SendingStoppedError, StreamResetError
from hface_trio.protocols.http3 import HTTP3Settings
from hface_trio.protocols.quic import QUICSettings

from .harness import Outcomes, serving3, started
from .raw import POST, Code, Window, data, headers

Clock = trio.testing.MockClock
BIG = b"x" * 1_000_000
SMALL = Window(stream=100)
IDLE = HTTP3Settings(quic=QUICSettings(idle_timeout_seconds=10))


@pytest.mark.parametrize("waiting_for", ["sleep", "receive", "send"])
async def test_a_reset_cancels_the_handler_whatever_it_waits_for(autojump_clock: Clock, waiting_for: str) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            outcomes.note("started")
            if waiting_for == "sleep":
                await trio.sleep_forever()
            elif waiting_for == "receive":
                await stream.read_body()
            else:
                await stream.send_headers([(b":status", b"200")])
                await stream.send_data(BIG)

    async with serving3(handler) as s:
        peer = await s.peer(window=SMALL)
        stream_id = await peer.request(POST, end=False)
        await started(outcomes)
        await peer.read_for(1)
        await peer.reset(stream_id)
        assert await outcomes.next() == ("cancelled", StreamResetError)
        await peer.alive()
        s.assert_nothing_left()
        assert peer.resets() == [(stream_id, Code.REQUEST_CANCELLED)]  # of the response, and nothing else
        assert peer.stops() == []
        await peer.close()


@pytest.mark.parametrize("waiting_for", ["sleep", "send"])
async def test_stop_sending_with_the_request_complete_cancels_the_handler(
    autojump_clock: Clock, waiting_for: str
) -> None:
    """A cancelled GET is this alone: its own reset is no longer possible."""
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            outcomes.note("started")
            if waiting_for == "sleep":
                await trio.sleep_forever()
            await stream.send_headers([(b":status", b"200")])
            await stream.send_data(BIG)

    async with serving3(handler) as s:
        peer = await s.peer(window=SMALL)
        stream_id = await peer.request()
        await started(outcomes)
        await peer.read_for(1)
        await peer.stop(stream_id, 4711)
        assert await outcomes.next() == ("cancelled", StreamResetError)
        await peer.alive()
        s.assert_nothing_left()
        assert peer.resets() == [(stream_id, 4711)]
        await peer.close()


async def test_stop_sending_with_the_request_open_ends_sending_alone(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        await stream.send_headers([(b":status", b"200")])
        for part in (BIG, b"again"):
            try:
                await stream.send_data(part)
            except SendingStoppedError as exc:
                outcomes.note(exc.error_code)
        outcomes.note(await stream.read_body())

    async with serving3(handler) as s:
        peer = await s.peer(window=SMALL)
        stream_id = await peer.request(POST, data(b"one "), end=False)
        await started(outcomes)
        await peer.read_for(1)
        await peer.stop(stream_id, 4711)
        for _ in range(2):
            assert await outcomes.next() == 4711
        await peer.send(stream_id, data(b"two"), end=True)
        assert await outcomes.next() == b"one two"
        await peer.alive()
        assert peer.resets() == [(stream_id, 4711)]
        s.assert_nothing_left()
        await peer.close()


async def test_a_handler_that_ends_after_stop_sending_is_no_failure(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        await stream.send_headers([(b":status", b"200")])
        try:
            await stream.read_body()
            await stream.send_data(b"too late")
        except SendingStoppedError:
            outcomes.note("stopped")

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await started(outcomes)
        await peer.stop(stream_id)
        await peer.send(stream_id, data(b"x"), end=True)
        assert await outcomes.next() == "stopped"
        await peer.alive()
        s.assert_nothing_left()
        await peer.close()
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


async def test_the_cause_of_a_cancellation_tells_the_code(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        try:
            await trio.sleep_forever()
        finally:
            outcomes.note((type(stream.cause), stream.cause and stream.cause.error_code))

    async with serving3(handler) as s:
        peer = await s.peer()
        reset = await peer.request(POST, end=False)
        await started(outcomes)
        await peer.reset(reset, 4711)
        assert await outcomes.next() == (StreamResetError, 4711)
        stopped = await peer.request()
        await started(outcomes)
        await peer.stop(stopped, 4712)
        assert await outcomes.next() == (StreamResetError, 4712)
        await peer.close()


@pytest.mark.parametrize("end", ["close", "close with a code", "vanish", "goaway and close", "the server's socket"])
async def test_the_loss_of_the_connection_cancels_all_handlers(autojump_clock: Clock, end: str) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            outcomes.note("started")
            await trio.sleep_forever()

    async with serving3(handler, http3_settings=IDLE) as s:
        peer = await s.peer()
        for _ in range(5):
            await peer.request()
        await started(outcomes, 5)
        began = trio.current_time()
        if end == "vanish":
            await peer.vanish()
        elif end == "the server's socket":
            await s.network._links.sockets["localhost", 443].aclose()
        else:
            if end == "goaway and close":
                await peer.goaway(0)
            await peer.close(Code.INTERNAL_ERROR if end == "close with a code" else Code.NO_ERROR)
        for _ in range(5):
            assert await outcomes.next() == ("cancelled", StreamResetError)
        assert trio.current_time() - began <= (11 if end == "vanish" else 1)
        await trio.sleep(3)
        assert s.server.statistics().connections == 0
        s.assert_nothing_left()


async def test_with_on_peer_gone_raise_the_next_call_raises(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        await trio.sleep(5)
        for call in (stream.receive(), stream.send_response(200), stream.flush()):
            try:
                await call
            except StreamResetError as exc:
                outcomes.note(exc.error_code)

    async with serving3(handler, on_peer_gone="raise") as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await started(outcomes)
        await peer.reset(stream_id)
        for _ in range(3):
            assert await outcomes.next() == Code.REQUEST_CANCELLED
        await peer.alive()
        s.assert_nothing_left()
        await peer.close()


async def test_with_on_peer_gone_raise_a_waiting_call_raises_at_once(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        with outcomes.watching(stream):
            await stream.read_body()

    async with serving3(handler, on_peer_gone="raise") as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await started(outcomes)
        began = trio.current_time()
        await peer.reset(stream_id)
        assert isinstance(await outcomes.next(), StreamResetError)
        assert trio.current_time() - began < 0.1
        await peer.close()


async def test_what_arrived_before_a_reset_is_delivered_first(autojump_clock: Clock) -> None:
    received: list[bytes | str] = []

    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(1)
        try:
            async for chunk in stream.iter_data():
                received.append(chunk)
        except StreamResetError:
            received.append("reset")

    async with serving3(handler, on_peer_gone="raise") as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.alive()  # what is reset in the same read as it was opened never starts
        await peer.send(stream_id, data(b"abc"))
        await peer.send(stream_id, data(b"def"))
        await peer.reset(stream_id)
        await trio.sleep(2)
        await peer.close()
    assert received[-1] == "reset"
    assert b"".join(part for part in received if isinstance(part, bytes)) == b"abcdef"


@pytest.mark.parametrize("gone", ["reset", "stop", "close", "vanish"])
async def test_the_tail_of_a_handler_runs_on_when_the_peer_leaves_after_the_response(
    autojump_clock: Clock, gone: str
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=b"hello")
        outcomes.note("answered")
        with outcomes.watching(stream):
            await trio.sleep(20)

    async with serving3(handler, http3_settings=IDLE) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.response(stream_id)
        assert await outcomes.next() == "answered"
        if gone == "reset":
            await peer.reset(stream_id)
        elif gone == "stop":
            await peer.stop(stream_id)
        elif gone == "close":
            await peer.close()
        else:
            await peer.vanish()
        outcome, at = await outcomes.next_with_time()
        assert outcome == "done"
        assert at >= 20
        await peer.close()


async def test_a_stop_while_the_last_data_wait_for_room_is_no_failure(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        try:
            await stream.send_response(200, body=BIG)
        finally:
            outcomes.note("ended")

    async with serving3(handler) as s:
        peer = await s.peer(window=SMALL)
        stream_id = await peer.request()
        await started(outcomes)
        await peer.until(lambda: peer.body_octets(stream_id))
        await peer.stop(stream_id)
        assert await outcomes.next() == "ended"
        await peer.alive()
        s.assert_nothing_left()
        await peer.close()
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("came_first", ["nothing", "a later stream", "a part of the head"])
async def test_stop_sending_that_comes_before_its_request_starts_no_handler(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture, came_first: str
) -> None:
    """Nobody waits for the answer; a handler could not give one."""
    paths: list[bytes] = []

    async def handler(stream: HTTPStream) -> None:
        paths.append(stream.path)
        await stream.send_response(200, body=b"hello")

    async with serving3(handler) as s:
        peer = await s.peer()
        first = peer.next_id()
        request = headers([*POST[:3], (b":path", b"/stopped")])
        peer.put(first, request)
        sender = peer.quic._streams[first].sender
        held_from = 5 if came_first == "a part of the head" else 0
        sender._pending.subtract(held_from, len(request))
        if came_first != "nothing":
            await peer.response(await peer.request())
        await peer.stop(first, 4711)
        await peer.alive()
        if sender._reset_error_code is None:  # it was not asked to stop: now comes what was held up
            sender._pending.add(held_from, len(request))
            sender.buffer_is_empty = False
            peer.flush()
        await peer.alive()
        assert await peer.response(await peer.request()) == (200, b"hello")
        assert b"/stopped" not in paths
        assert first in dict(peer.resets())
        s.assert_nothing_left()
        (connection,) = s.server._context.connections
        assert connection._protocol.quic.open_streams <= 7
        await peer.close()
    assert caplog.records == []
