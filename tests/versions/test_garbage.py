"""A request leaves nothing behind that only the garbage collector could free."""

from __future__ import annotations

import gc

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
