"""No cross-talk: sixteen streams that nobody reads do not slow down sixteen others.

The times of one machine vary by more than what is looked for, so each round is made in all its forms by turns, and medians
are compared.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import AsyncIterator

import pytest
import trio

import hface_trio
from hface_trio import HTTPConnection

from ._payload import MIB
from ._process import ServerProcess

ROUNDS = 20
STREAMS = 16
BODY = b"x" * MIB


def head(connection: HTTPConnection, path: str) -> list[tuple[bytes, bytes]]:
    host, port = connection.remote_address or ("", 0)
    authority = f"{host}:{port}".encode()
    return [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", authority), (b":path", path.encode())]


async def echo(connection: HTTPConnection) -> None:
    async with connection.open_stream(head(connection, "/echo")) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_data, BODY, True)
        await stream.receive_response()
        octets = 0
        async for chunk in stream.iter_data():
            octets += len(chunk)
        assert octets == MIB


async def round_of(connection: HTTPConnection) -> float:
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(STREAMS):
            nursery.start_soon(echo, connection)
    return trio.current_time() - began


@contextlib.asynccontextmanager
async def unread_uploads(server: ServerProcess, connection: HTTPConnection) -> AsyncIterator[None]:
    """Sixteen uploads at handlers that do not read."""

    async def upload(key: str, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with connection.open_stream(head(connection, f"/hold?id={key}")) as stream:
            task_status.started()
            await stream.send_data(BODY, end_stream=True)
            pytest.fail("the server took it all")

    async with trio.open_nursery() as nursery:
        for _ in range(STREAMS):
            await nursery.start(upload, server.new_key())
        yield
        nursery.cancel_scope.cancel()


async def test_streams_that_nobody_reads_do_not_slow_down_others(server: ServerProcess) -> None:
    alone: list[float] = []
    beside: list[float] = []
    across: list[float] = []
    async with trio.open_nursery() as nursery:

        async def connect() -> HTTPConnection:
            return await hface_trio.connect(nursery, server.http_url, http_versions=["2"])

        connection, other = await connect(), await connect()
        with trio.fail_after(50):
            await round_of(connection)  # windows grow first
            for _ in range(ROUNDS):
                alone.append(await round_of(connection))
                async with unread_uploads(server, connection):
                    beside.append(await round_of(connection))
                async with unread_uploads(server, other):
                    across.append(await round_of(connection))
        await connection.aclose()
        await other.aclose()
    bound = 2 * statistics.median(alone) + 0.005
    assert statistics.median(beside) <= bound
    assert statistics.median(across) <= bound
