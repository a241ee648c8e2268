"""Handlers that end otherwise than they should, row by row of the table of causes and effects."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream, Limits, Timeouts

from .served import hello
from .version import Version

Clock = trio.testing.MockClock
BIG = b"x" * 1_000_000


@pytest.mark.parametrize("request_open", [False, True])
async def test_a_handler_that_raises_before_the_head_is_answered_with_500_and_logged_once(
    version: Version, autojump_clock: Clock, caplog: pytest.LogCaptureFixture, request_open: bool
) -> None:
    async def handler(stream: HTTPStream) -> None:
        raise ValueError("a secret")

    async with version.serving(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(version.POST, end=not request_open)
        assert await peer.response(stream_id) == (500, b"")
        assert not any(b"secret" in value for _, value in peer.sections(stream_id)[0])
        await peer.alive()
        assert peer.stops() == ([(stream_id, version.codes.no_error)] if request_open else [])
        assert peer.resets() == []
        await peer.close()
    errors = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert len(errors) == len(caplog.records) == 1
    assert errors[0].exc_info is not None


@pytest.mark.parametrize("request_open", [False, True])
async def test_a_handler_that_raises_after_the_head_resets_with_internal_error(
    version: Version, autojump_clock: Clock, caplog: pytest.LogCaptureFixture, request_open: bool
) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(b"part")
        raise ValueError

    async with version.serving(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(version.POST, end=not request_open)
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, version.codes.internal_error)]
        assert not peer.ended(stream_id)
        await peer.alive()
        assert peer.stops() == ([(stream_id, version.codes.internal_error)] if request_open else [])
        await peer.close()
    assert len(caplog.records) == 1


@pytest.mark.parametrize("sent", ["nothing", "head"])
async def test_a_handler_that_returns_without_finishing_is_logged(
    version: Version, autojump_clock: Clock, caplog: pytest.LogCaptureFixture, sent: str
) -> None:
    async def handler(stream: HTTPStream) -> None:
        if sent == "head":
            await stream.send_headers([(b":status", b"200")])

    async with version.serving(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        if sent == "head":
            await peer.until(peer.resets)
            assert peer.resets() == [(stream_id, version.codes.internal_error)]
        else:
            assert (await peer.response(stream_id))[0] == 500
        await peer.alive()
        await peer.close()
    assert ["without finishing" in r.message for r in caplog.records] == [True]


@pytest.mark.parametrize("request_open", [False, True])
@pytest.mark.parametrize("sent", ["nothing", "head", "data that wait"])
async def test_a_cancelled_handler_resets_with_cancel(
    version: Version, autojump_clock: Clock, caplog: pytest.LogCaptureFixture, sent: str, request_open: bool
) -> None:
    async def handler(stream: HTTPStream) -> None:
        if sent != "nothing":
            await stream.send_headers([(b":status", b"200")])
        if sent == "data that wait":
            await stream.send_data(BIG)
        await trio.sleep_forever()

    async with version.serving(handler, timeouts=Timeouts(handler_seconds=5)) as s:
        peer = await s.peer(window=100)
        stream_id = await peer.request(version.POST, end=not request_open)
        began = trio.current_time()
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, version.codes.cancelled)]
        assert trio.current_time() == version.at(began + 5)
        await peer.alive()
        assert peer.stops() == ([(stream_id, version.codes.cancelled)] if request_open else [])
        s.assert_nothing_left()
        await peer.close()
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


async def test_a_stream_cancelled_by_itself_resets_with_cancel(version: Version, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        stream.cancel()
        await trio.sleep_forever()

    async with version.serving(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, version.codes.cancelled)]
        await peer.close()


async def test_a_reset_by_the_handler_carries_its_code(version: Version, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        stream.reset(4711)

    async with version.serving(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, 4711)]
        await peer.alive()
        await peer.close()


async def test_an_answer_without_reading_stops_the_upload_with_no_error(
    version: Version, autojump_clock: Clock
) -> None:
    async with version.serving(hello) as s:
        peer = await s.peer()
        stream_id = await peer.request(version.POST, b"x" * 10_000, end=False)
        assert await peer.response(stream_id) == (200, b"hello")
        await peer.until(peer.stops)
        assert peer.stops() == [(stream_id, version.codes.no_error)]
        assert peer.resets() == []
        await peer.alive()
        s.assert_nothing_left()
        await peer.close()


async def test_credit_of_data_nobody_read_returns_to_the_connection(version: Version, autojump_clock: Clock) -> None:
    """And so do the streams: 25 MB, on 400 of them, through a window of 5 MB."""
    async with version.serving(hello, limits=Limits(concurrent_streams=10)) as s:
        peer = await s.peer()
        assert peer.allowed() < 6_000_000
        for _ in range(400):
            await peer.response(await peer.request(version.POST, b"x" * 64_000, end=False))
        await peer.alive()
        assert peer.allowed() > 25_000_000
        assert peer.goaways() == []
        await peer.close()
