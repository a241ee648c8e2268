"""What the observer is told of exchanges that handlers did not finish."""

from __future__ import annotations

import logging

import pytest
import trio

from hface_trio import BodyTooLargeError, HTTPStream
from hface_trio.connections import Observer, StreamRecord

from .served import Version


class Noting(Observer):
    def __init__(self) -> None:
        self.statuses: list[int | None] = []

    def stream_closed(self, record: StreamRecord) -> None:
        self.statuses.append(record.status)


async def fail(_: HTTPStream) -> None:
    raise LookupError("a bug")


async def refuse(_: HTTPStream) -> None:
    raise BodyTooLargeError("too much")


async def return_early(_: HTTPStream) -> None:
    return


@pytest.mark.parametrize(("handler", "status"), [(fail, 500), (refuse, 413), (return_early, 500)])
async def test_it_hears_the_status_that_was_sent_for_them(
    version: Version, handler, status: int, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    observer = Noting()
    with caplog.at_level(logging.WARNING, "hface_trio"):
        async with version.connected(handler, observer=observer) as (connection, _):
            async with connection.open_stream(version.request(), end_stream=True) as stream:
                await stream.receive_response()
                assert stream.status == status
    assert observer.statuses == [status]
    (record,) = caplog.records
    assert (record.levelno, record.exc_info is None) == (
        (logging.WARNING, True) if status == 413 else (logging.ERROR, handler is return_early)
    )
