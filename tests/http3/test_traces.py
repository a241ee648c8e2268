"""Traces through serve() and connect(): one for each connection and side, however it ends."""

from __future__ import annotations

import dataclasses
import gc
import json
from pathlib import Path

import trio
import trio.testing

from hface_trio import Timeouts
from hface_trio.protocols.http3 import HTTP3Settings
from hface_trio.protocols.quic import QUICSettings
from hface_trio.protocols.quic._compat_aioquic._traces import Trace

from .harness import hello, serving3

Clock = trio.testing.MockClock
GET = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", b"/")]


def traced(directory: Path) -> HTTP3Settings:
    directory.mkdir(exist_ok=True)
    return dataclasses.replace(HTTP3Settings(), quic=QUICSettings(qlog_directory=str(directory)))


def count(directory: Path) -> int:
    for path in directory.iterdir():
        json.loads(path.read_text())
    return len(list(directory.iterdir()))


async def test_each_connection_writes_one_trace_on_each_side(autojump_clock: Clock, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "client", tmp_path / "server"
    async with serving3(hello, http3_settings=traced(theirs)) as s:
        for number in range(1, 5):
            async with trio.open_nursery() as nursery:
                connection = await s.connect(nursery, http3_settings=traced(ours))
                async with connection.open_stream(GET, end_stream=True) as stream:
                    await stream.read_body()
                if number % 2:
                    await connection.aclose()
                else:
                    nursery.cancel_scope.cancel()
            assert count(ours) == number
        await trio.sleep(10)
        assert count(theirs) == 4


async def test_the_end_of_a_server_writes_the_traces_of_its_connections(autojump_clock: Clock, tmp_path: Path) -> None:
    async with serving3(hello, http3_settings=traced(tmp_path)) as s:
        peer = await s.peer()
        await peer.alive()
        s.nursery.cancel_scope.cancel()
    assert count(tmp_path) == 1


async def test_handshakes_that_are_given_up_leave_a_trace_on_disk_and_none_in_memory(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with serving3(hello, http3_settings=traced(tmp_path), timeouts=Timeouts(handshake_seconds=5)) as s:
        for _ in range(3):
            peer = await s.raw()
            await trio.sleep(0.001)
            await peer.vanish()
        await trio.sleep(20)
        assert count(tmp_path) == 3
        gc.collect()
        assert [o for o in gc.get_objects() if isinstance(o, Trace)] == []
