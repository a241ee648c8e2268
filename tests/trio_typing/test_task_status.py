"""Code written with the names of trio-typing runs with this library; its session installs the package, see noxfile."""

from __future__ import annotations

import trio
from trio_typing import Nursery, TaskStatus

import hface_trio
from hface_trio.server import Server


async def hello(stream: hface_trio.HTTPStream) -> None:
    await stream.send_response(200, body=b"hello")


async def serve_hello(task_status: TaskStatus[Server]) -> None:
    await hface_trio.serve(hello, "http://127.0.0.1:0", task_status=task_status)


async def start(nursery: Nursery) -> Server:
    return await nursery.start(serve_hello)


async def test_serve_runs_with_a_trio_typing_task_status() -> None:
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            server = await start(nursery)
            async with hface_trio.open_client() as client:
                response = await client.get(str(server.endpoints[0]) + "/")
            assert response.body == b"hello"
            await server.shutdown(1)
