"""A request leaves nothing behind that only the garbage collector could free."""

from __future__ import annotations

import gc
import weakref

import pytest
import trio

from hface_trio import HTTPStream

from .served import Version

REQUESTS = 20


async def test_exchanges_free_what_they_made(version: Version, autojump_clock: trio.testing.MockClock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=await stream.read_body())

    async with version.connected(handler) as (connection, _):

        async def exchange() -> None:
            async with connection.open_stream(version.request(b"POST")) as stream:
                await stream.send_data(b"x" * 100_000, end_stream=True)
                await stream.receive_response()
                assert len(await stream.read_body()) == 100_000

        for _ in range(5):
            await exchange()
        await trio.sleep(1)
        gc.collect()
        gc.disable()
        try:
            for _ in range(REQUESTS):
                await exchange()
            await trio.sleep(1)
            found = gc.collect()
        finally:
            gc.enable()
    assert found < REQUESTS


@pytest.mark.parametrize("end", ["in order", "at once"])
async def test_a_connection_that_is_over_is_gone_on_the_server(
    version: Version, end: str, autojump_clock: trio.testing.MockClock
) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=await stream.read_body())

    async with version.connected(handler) as (connection, server):
        async with connection.open_stream(version.request(b"POST")) as stream:
            await stream.send_data(b"hello", end_stream=True)
            await stream.receive_response()
            assert await stream.read_body() == b"hello"
        gc.collect()
        gc.disable()
        try:
            (served,) = server._context.connections
            over = [weakref.ref(served), weakref.ref(served._driver), weakref.ref(served._protocol)]
            del served
            if end == "at once":
                for each in list(server._context.connections):
                    await each.aclose()
                    del each
            await connection.aclose()
            await trio.sleep(100)
            assert [reference() for reference in over] == [None, None, None]
        finally:
            gc.enable()
