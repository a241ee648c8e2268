"""Statuses that do not exist, and content where a status has none (RFC 9110 §15)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio

from hface_trio import HTTPStream, LocalProtocolError
from hface_trio.connections import _rules
from hface_trio.protocols.http1 import _format

from .served import Version

Clock = trio.testing.MockClock


async def respond(stream: HTTPStream, status: int, body: bytes) -> None:
    await stream.send_response(status, body=body)


async def respond_in_parts(stream: HTTPStream, status: int, body: bytes) -> None:
    await stream.send_headers([(b":status", b"%d" % status)], end_stream=not body)
    if body:
        await stream.send_data(body, end_stream=True)


@pytest.mark.parametrize("send", [respond, respond_in_parts])
@pytest.mark.parametrize("body", [b"", b"body"])
@pytest.mark.parametrize("status", [0, 99, 100, 199, 600, 999, 1000])
async def test_a_status_that_does_not_exist_is_not_sent(
    version: Version,
    status: int,
    body: bytes,
    send: Callable[[HTTPStream, int, bytes], Awaitable[None]],
    autojump_clock: Clock,
) -> None:
    async def handler(stream: HTTPStream) -> None:
        with pytest.raises(LocalProtocolError, match="status"):
            await send(stream, status, body)
        await stream.send_response(503)

    async with version.connected(handler) as (connection, _):
        async with connection.open_stream(version.request(), end_stream=True) as stream:
            await stream.receive_response()
            assert stream.status == 503


@pytest.mark.parametrize("status", [204, 205, 304])
async def test_what_has_no_content_gets_none(version: Version, status: int, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        with pytest.raises(LocalProtocolError):
            await stream.send_response(status, body=b"body")
        await stream.send_headers([(b":status", b"%d" % status)])
        with pytest.raises(LocalProtocolError):
            await stream.send_data(b"body")
        await stream.send_data(b"", end_stream=True)

    async with version.connected(handler) as (connection, _):
        for _ in range(2):  # the connection serves on
            async with connection.open_stream(version.request(), end_stream=True) as stream:
                await stream.receive_response()
                assert stream.status == status
                assert await stream.read_body() == b""


async def test_a_205_says_that_it_has_no_content(version: Version, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(205)

    async with version.connected(handler) as (connection, _):
        async with connection.open_stream(version.request(), end_stream=True) as stream:
            head = await stream.receive_response()
            assert (b"content-length", b"0") in head.headers


@pytest.mark.parametrize("status", [600, 999])
async def test_a_client_reads_a_response_whose_status_does_not_exist(
    version: Version, status: int, autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another server would send them.
    monkeypatch.setitem(_format._STATUS_LINES, 599, b"HTTP/1.1 %d Odd\r\n" % status)
    monkeypatch.setitem(_rules._STATUSES, b"%d" % status, status)

    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"599" if version.number == "1.1" else b"%d" % status)])
        await stream.send_data(b"body", end_stream=True)

    async with version.connected(handler) as (connection, _):
        async with connection.open_stream(version.request(), end_stream=True) as stream:
            await stream.receive_response()
            assert stream.status == status
            assert await stream.read_body() == b"body"
