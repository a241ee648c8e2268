"""No cross-talk over HTTP/3: an upload that nobody reads does not slow down a neighbour, on its own connection or on another.

The handler of the upload reads when the neighbour's request was answered, not before. Rounds alone and beside the upload take
turns, and medians are compared, because the times of one machine vary by more than what is looked for.
"""

from __future__ import annotations

import contextlib
import functools
import json
import statistics
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest
import trio

import hface_trio
from hface_trio import HTTPConnection

from ._payload import chunks, digest
from ._process import ServerProcess

ROUNDS = 15
SMALL, LARGE = 40_000, 40_000_000
STILL_SECONDS = 0.03
SECONDS = 50


async def connect(server: ServerProcess, nursery: trio.Nursery) -> HTTPConnection:
    tls_config = hface_trio.ClientTLSConfig(cafile=server.cafile)
    return await hface_trio.connect(nursery, server.https_url, http_versions=["3"], tls_config=tls_config)


def head(method: bytes, path: str) -> list[tuple[bytes, bytes]]:
    return [(b":method", method), (b":scheme", b"https"), (b":authority", b"127.0.0.1"), (b":path", path.encode())]


async def get(connection: HTTPConnection) -> None:
    async with connection.open_stream(head(b"GET", "/hello"), end_stream=True) as stream:
        await stream.receive_response()
        assert await stream.read_body() == b"hello\n"


async def get_anew(server: ServerProcess) -> None:
    async with trio.open_nursery() as nursery:
        connection = await connect(server, nursery)
        await get(connection)
        nursery.cancel_scope.cancel()


async def seconds_of(act: Callable[[], Awaitable[None]]) -> float:
    began = trio.current_time()
    await act()
    return trio.current_time() - began


async def upload(
    server: ServerProcess,
    connection: HTTPConnection,
    key: str,
    n_octets: int,
    released: trio.Event,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    """Upload to a handler that reads when it is released; begin when nothing moves any more."""
    async with connection.open_stream(head(b"POST", f"/hold?id={key}")) as stream, trio.open_nursery() as nursery:

        async def send() -> None:
            for chunk in chunks(n_octets):
                await stream.send_data(chunk)
            await stream.send_data(b"", end_stream=True)

        nursery.start_soon(send)
        await trio.to_thread.run_sync(server.wait, key, "begin")
        await trio.to_thread.run_sync(functools.partial(server.wait_stalled, key, still_seconds=STILL_SECONDS))
        task_status.started()
        await released.wait()
        await trio.to_thread.run_sync(server.release, key)
        await stream.receive_response()
        shown = json.loads(await stream.read_body())
        assert (shown["octets"], shown["sha256"]) == (n_octets, digest(n_octets))


@contextlib.asynccontextmanager
async def unread_upload(
    server: ServerProcess, connection: HTTPConnection, n_octets: int, *, finish: bool
) -> AsyncGenerator[None]:
    """An upload that nobody reads in the block; after it, it is finished or given up."""
    async with trio.open_nursery() as nursery:
        released = trio.Event()
        await nursery.start(upload, server, connection, server.new_key(), n_octets, released)
        yield
        if finish:
            released.set()
        else:
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("where", ["same connection", "new connection"])
@pytest.mark.parametrize("n_octets", [SMALL, LARGE])
async def test_an_upload_that_nobody_reads_does_not_slow_down_a_neighbour(
    server: ServerProcess, n_octets: int, where: str
) -> None:
    alone: list[float] = []
    beside: list[float] = []
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            connection = await connect(server, nursery)
            act = functools.partial(get, connection)
            if where == "new connection":
                act = functools.partial(get_anew, server)
            await act()
            for number in range(ROUNDS):
                alone.append(await seconds_of(act))
                finish = n_octets == SMALL or (where == "same connection" and number == ROUNDS - 1)
                async with unread_upload(server, connection, n_octets, finish=finish):
                    beside.append(await seconds_of(act))
            await connection.aclose()
    assert statistics.median(beside) <= 2 * statistics.median(alone) + 0.005
