"""What the observer is told of exchanges that handlers did not finish."""

from __future__ import annotations

import logging

import pytest
import trio

from hface_trio import BodyTooLargeError, HTTPStream, NoTunnelError
from hface_trio.connections import Observer, StreamRecord

from .served import Version


class Noting(Observer):
    def __init__(self) -> None:
        self.statuses: list[int | None] = []
        self.error_codes: list[int | None] = []

    def stream_closed(self, record: StreamRecord) -> None:
        self.statuses.append(record.status)
        self.error_codes.append(record.error_code)


async def fail(_: HTTPStream) -> None:
    raise LookupError("a bug")


async def refuse(_: HTTPStream) -> None:
    raise BodyTooLargeError("too much")


async def make_no_tunnel(_: HTTPStream) -> None:
    raise NoTunnelError("not here")


async def return_early(_: HTTPStream) -> None:
    return


@pytest.mark.parametrize(
    ("handler", "status"), [(fail, 500), (refuse, 413), (make_no_tunnel, 501), (return_early, 500)]
)
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
        (logging.WARNING, True) if status != 500 else (logging.ERROR, handler is return_early)
    )


@pytest.mark.parametrize("n_octets", [0, 3000])
async def test_an_exchange_is_whole_though_the_handler_did_not_read_the_request(
    version: Version, n_octets: int, autojump_clock: trio.testing.MockClock
) -> None:
    observer = Noting()

    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=b"hello")

    async with version.connected(handler, observer=observer) as (connection, _):
        async with connection.open_stream(version.request(b"POST")) as stream:
            if n_octets:
                await stream.send_data(bytes(n_octets))
            await stream.receive_response()
            assert await stream.read_body() == b"hello"
            await trio.sleep(0.1)
    assert (observer.statuses, observer.error_codes) == ([200], [None])
