"""Trailers mean the same on every version: they are sent where HTTP has a place for them, dropped or refused elsewhere."""

from __future__ import annotations

import pytest
import trio

from hface_trio import HTTPStream, LocalProtocolError

from .served import Version

TRAILERS = [(b"x-checksum", b"1")]


async def test_trailers_come_behind_the_body(version: Version, autojump_clock: trio.testing.MockClock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(b"body")
        await stream.send_trailers(TRAILERS)

    async with version.connected(handler) as (connection, _):
        async with connection.open_stream(version.request(), end_stream=True) as stream:
            await stream.receive_response()
            assert await stream.read_body() == b"body"
            assert stream.trailers == TRAILERS


@pytest.mark.parametrize("trailers", [TRAILERS, []])
async def test_trailers_of_an_answer_to_head_are_dropped(
    version: Version, trailers: list[tuple[bytes, bytes]], autojump_clock: trio.testing.MockClock
) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        await stream.send_trailers(trailers)

    async with version.connected(handler) as (connection, _):
        for _ in range(2):  # and the connection goes on
            async with connection.open_stream(version.request(b"HEAD"), end_stream=True) as stream:
                await stream.receive_response()
                assert await stream.read_body() == b""
                assert stream.trailers is None


async def test_trailers_do_no_harm_behind_a_declared_length(
    version: Version, autojump_clock: trio.testing.MockClock
) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200"), (b"content-length", b"4")])
        await stream.send_data(b"body")
        await stream.send_trailers(TRAILERS)

    async with version.connected(handler) as (connection, _):
        for _ in range(2):
            async with connection.open_stream(version.request(), end_stream=True) as stream:
                await stream.receive_response()
                assert await stream.read_body() == b"body"
                assert stream.trailers == (None if version.number == "1.1" else TRAILERS)


@pytest.mark.parametrize("status", [b"204", b"304"])
async def test_a_status_without_content_takes_no_trailers(
    version: Version, status: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", status)])
        with pytest.raises(LocalProtocolError):
            await stream.send_trailers(TRAILERS)
        await stream.send_trailers([])

    async with version.connected(handler) as (connection, _):
        for _ in range(2):
            async with connection.open_stream(version.request(), end_stream=True) as stream:
                await stream.receive_response()
                assert await stream.read_body() == b""
                assert stream.trailers is None


@pytest.mark.parametrize("name", [b"content-length", b"host", b"transfer-encoding"])
async def test_what_frames_and_routes_is_no_trailer(
    version: Version, name: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        if name != b"transfer-encoding" or version.number == "1.1":  # elsewhere it is taken out of every section
            with pytest.raises(LocalProtocolError):
                await stream.send_trailers([(name, b"1")])
        await stream.send_data(b"body", end_stream=True)

    async with version.connected(handler) as (connection, _):
        async with connection.open_stream(version.request(), end_stream=True) as stream:
            await stream.receive_response()
            assert await stream.read_body() == b"body"
