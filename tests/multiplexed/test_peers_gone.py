"""Peers that abandon an exchange, row by row of the table of causes and effects."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream, StreamResetError

from .served import Outcomes, started
from .version import IDLE, Version

Clock = trio.testing.MockClock
BIG = b"x" * 1_000_000


@pytest.mark.parametrize("waiting_for", ["sleep", "receive", "send"])
async def test_a_reset_cancels_the_handler_whatever_it_waits_for(
    version: Version, autojump_clock: Clock, waiting_for: str
) -> None:
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

    async with version.serving(handler) as s:
        peer = await s.peer(window=100)
        stream_id = await peer.request(version.POST, end=False)
        await started(outcomes)
        await peer.read_for(1)
        await peer.reset(stream_id)
        assert await outcomes.next() == ("cancelled", StreamResetError)
        await peer.alive()
        s.assert_nothing_left()
        # where the directions end each for itself, the response is reset, and nothing else; elsewhere nothing is
        assert peer.resets() == ([(stream_id, version.codes.cancelled)] if peer.halves else [])
        assert peer.stops() == []
        await peer.close()


@pytest.mark.parametrize("request_open", [False, True])
async def test_the_cause_of_a_cancellation_tells_the_code(
    version: Version, autojump_clock: Clock, request_open: bool
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        try:
            await trio.sleep_forever()
        finally:
            outcomes.note((type(stream.cause), stream.cause and stream.cause.error_code))

    async with version.serving(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(version.POST, end=not request_open)
        await started(outcomes)
        await peer.reset(stream_id, 4711)
        assert await outcomes.next() == (StreamResetError, 4711)
        await peer.close()


@pytest.mark.parametrize("end", ["close", "close with a code", "vanish", "goaway and close"])
async def test_the_loss_of_the_connection_cancels_all_handlers(
    version: Version, autojump_clock: Clock, end: str
) -> None:
    outcomes = Outcomes()

    async with version.serving(outcomes.sleep, http3_settings=IDLE) as s:
        peer = await s.peer()
        for _ in range(5):
            await peer.request()
        await started(outcomes, 5)
        began = trio.current_time()
        if end == "vanish":
            await peer.vanish()
        else:
            if end == "goaway and close":
                await peer.goaway(0)
            await peer.close(version.codes.internal_error if end == "close with a code" else None)
        for _ in range(5):
            assert await outcomes.next() == ("cancelled", StreamResetError)
        # only silence has to be waited for
        assert trio.current_time() - began <= (11 if end == "vanish" and version.number == "3" else 1)
        await trio.sleep(3)
        assert s.server.statistics().connections == 0
        s.assert_nothing_left()


async def test_with_on_peer_gone_raise_the_next_call_raises(version: Version, autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        await trio.sleep(5)
        for call in (stream.receive(), stream.send_response(200), stream.flush()):
            try:
                await call
            except StreamResetError as exc:
                outcomes.note(exc.error_code)

    async with version.serving(handler, on_peer_gone="raise") as s:
        peer = await s.peer()
        stream_id = await peer.request(version.POST, end=False)
        await started(outcomes)
        began = trio.current_time()
        await peer.reset(stream_id)
        for _ in range(3):
            assert await outcomes.next_with_time() == (version.codes.cancelled, version.at(began + 5))
        await peer.alive()
        s.assert_nothing_left()
        await peer.close()


async def test_with_on_peer_gone_raise_a_waiting_call_raises_at_once(version: Version, autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        with outcomes.watching(stream):
            await stream.read_body()

    async with version.serving(handler, on_peer_gone="raise") as s:
        peer = await s.peer()
        stream_id = await peer.request(version.POST, end=False)
        await started(outcomes)
        began = trio.current_time()
        await peer.reset(stream_id)
        assert isinstance(await outcomes.next(), StreamResetError)
        assert trio.current_time() == version.at(began)
        await peer.close()


async def test_what_arrived_before_a_reset_is_delivered_first(version: Version, autojump_clock: Clock) -> None:
    received: list[bytes | str] = []

    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(1)
        try:
            async for chunk in stream.iter_data():
                received.append(chunk)
        except StreamResetError:
            received.append("reset")

    async with version.serving(handler, on_peer_gone="raise") as s:
        peer = await s.peer()
        stream_id = await peer.request(version.POST, end=False)
        await peer.alive()  # what is reset in the same read as it was opened never starts
        await peer.data(stream_id, b"abc")
        await peer.data(stream_id, b"def")
        await peer.reset(stream_id)
        await trio.sleep(2)
        await peer.close()
    assert received[-1] == "reset"
    assert b"".join(part for part in received if isinstance(part, bytes)) == b"abcdef"


@pytest.mark.parametrize("gone", ["reset", "close", "vanish"])
async def test_the_tail_of_a_handler_runs_on_when_the_peer_leaves_after_the_response(
    version: Version, autojump_clock: Clock, gone: str
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=b"hello")
        outcomes.note("answered")
        with outcomes.watching(stream):
            await trio.sleep(20)

    async with version.serving(handler, http3_settings=IDLE) as s:
        peer = await s.peer()
        began = trio.current_time()
        stream_id = await peer.request(version.POST, end=False)
        await peer.response(stream_id)
        assert await outcomes.next() == "answered"
        if gone == "reset":
            await peer.reset(stream_id)
        elif gone == "close":
            await peer.close()
        else:
            await peer.vanish()
        assert await outcomes.next_with_time() == ("done", version.at(began + 20))
        await peer.close()


async def test_giving_up_while_the_last_data_wait_for_room_is_no_failure(
    version: Version, autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        try:
            await stream.send_response(200, body=BIG)
        finally:
            outcomes.note("ended")

    async with version.serving(handler) as s:
        peer = await s.peer(window=100)
        stream_id = await peer.request()
        await started(outcomes)
        await peer.until(lambda: peer.body_octets(stream_id))
        await peer.reset(stream_id)
        assert await outcomes.next() == "ended"
        await peer.alive()
        s.assert_nothing_left()
        await peer.close()
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []
