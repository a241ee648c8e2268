"""Peers that say STOP_SENDING, or are gone without a word."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream, SendingStoppedError, StreamResetError

from .harness import ADDRESS, Outcomes, serving3, started
from .raw import POST, Window, data, headers

Clock = trio.testing.MockClock
BIG = b"x" * 1_000_000
SMALL = Window(stream=100)


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


async def test_the_loss_of_the_servers_socket_cancels_all_handlers(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async with serving3(outcomes.sleep) as s:
        peer = await s.peer()
        for _ in range(5):
            await peer.request()
        await started(outcomes, 5)
        began = trio.current_time()
        await s.network._links.sockets[ADDRESS].aclose()
        for _ in range(5):
            assert await outcomes.next() == ("cancelled", StreamResetError)
        assert trio.current_time() - began <= 1
        await trio.sleep(3)
        assert s.server.statistics().connections == 0
        s.assert_nothing_left()


async def test_the_tail_of_a_handler_runs_on_when_the_peer_says_stop_sending_after_the_response(
    autojump_clock: Clock,
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=b"hello")
        outcomes.note("answered")
        with outcomes.watching(stream):
            await trio.sleep(20)

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.response(stream_id)
        assert await outcomes.next() == "answered"
        await peer.stop(stream_id)
        outcome, at = await outcomes.next_with_time()
        assert outcome == "done"
        assert at >= 20
        await peer.close()


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
