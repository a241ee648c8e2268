"""A handler that ends because its peer has left did not fail, whatever its exception came wrapped in."""

from __future__ import annotations

import logging

import pytest
import trio

from hface_trio import HTTPStream, StreamResetError

from .served import Version


@pytest.mark.parametrize("fails_itself", [False, True])
async def test_groups_count_by_what_is_in_them(
    version: Version, fails_itself: bool, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    began, ended = trio.Event(), trio.Event()

    async def fail(stream: HTTPStream) -> None:
        try:
            await stream.receive()
        except StreamResetError:
            if fails_itself:
                raise ValueError("a bug") from None
            raise

    async def handler(stream: HTTPStream) -> None:
        began.set()
        try:
            async with trio.open_nursery() as outer, trio.open_nursery() as inner:
                inner.start_soon(fail, stream)
                outer.start_soon(trio.sleep_forever)
        finally:
            ended.set()

    with caplog.at_level(logging.WARNING, "hface_trio"):
        async with version.connected(handler, on_peer_gone="raise") as (connection, _):
            async with connection.open_stream(version.request(b"POST")) as stream:
                with trio.fail_after(5):
                    await began.wait()
                stream.reset(version.cancelled)
            with trio.fail_after(5):
                await ended.wait()
                await trio.sleep(0.1)
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * fails_itself
