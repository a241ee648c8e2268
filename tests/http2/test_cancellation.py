"""A cancellation at each checkpoint of an exchange, one after the other: nothing leaks, and nothing is half done."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable

import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream, Timeouts
from hface_trio.events import TrailersReceived

from .harness import URL, serving2
from .raw import GET, POST

Clock = trio.testing.MockClock
BODY = b"x" * 300_000
MAX_CHECKPOINTS = 2000


class CancelAtCheckpoint(trio.abc.Instrument):
    """Cancels a scope when a task comes to its n-th checkpoint, and counts."""

    def __init__(self, task: trio.lowlevel.Task, scope: trio.CancelScope, n: int) -> None:
        self._task = task
        self._scope = scope
        self._n = n
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self.count += 1
            if self.count == self._n:
                self._scope.cancel()


async def cancelled_at(n: int, exchange: Callable[[], Awaitable[object]]) -> bool:
    """Run an exchange, cancelled at its n-th checkpoint; return whether it came that far."""
    with trio.CancelScope() as scope:
        instrument = CancelAtCheckpoint(trio.lowlevel.current_task(), scope, n)
        trio.lowlevel.add_instrument(instrument)
        try:
            await exchange()
        finally:
            trio.lowlevel.remove_instrument(instrument)
    return instrument.count >= n


async def everything(stream: HTTPStream) -> None:
    """A handler with each kind of checkpoint."""
    await stream.send_informational([(b":status", b"103")])
    await stream.send_headers([(b":status", b"200")])
    async for chunk in stream.iter_data():
        assert chunk
    await stream.send_data(BODY)
    await stream.flush()
    await stream.send_trailers([(b"x-end", b"1")])


async def exchange_of(connection: hface_trio.HTTPConnection) -> None:
    async with connection.open_stream(POST) as stream:
        await stream.send_data(BODY[:10])
        await stream.flush()
        await stream.receive_response()
        received = 0
        await stream.send_data(BODY[10:])
        await stream.send_trailers([(b"a", b"b")])
        async for event in stream:
            received += 0 if isinstance(event, TrailersReceived) else len(event.data)
        assert received == len(BODY)
        assert stream.trailers == [(b"x-end", b"1")]


async def wait_until_idle(s) -> None:
    """In virtual time a moment is enough."""
    await trio.sleep(0.5)
    s.assert_nothing_left()


async def test_a_client_cancelled_at_each_checkpoint_keeps_its_connection(autojump_clock: Clock) -> None:
    async with serving2(everything) as s, trio.open_nursery() as nursery:
        connection = await hface_trio.connect(nursery, URL, http_versions=["2"], networking=s.network)
        n = 1
        while await cancelled_at(n, lambda: exchange_of(connection)):
            await wait_until_idle(s)
            assert connection.is_available()
            assert connection.statistics().buffered_octets == 0
            n += 1
            assert n < MAX_CHECKPOINTS
        assert n > 8
        await exchange_of(connection)
        await connection.aclose()
        await wait_until_idle(s)


async def test_a_handler_cancelled_at_each_checkpoint_keeps_the_connection(autojump_clock: Clock) -> None:
    n = 1
    came_that_far = True

    async def handler(stream: HTTPStream) -> None:
        nonlocal came_that_far
        if stream.method == b"GET":
            await stream.send_response(200)
            return
        came_that_far = await cancelled_at(n, functools.partial(everything, stream))
        if came_that_far:
            stream.cancel()
            await trio.lowlevel.checkpoint()

    async with serving2(handler) as s, trio.open_nursery() as nursery:
        connection = await hface_trio.connect(nursery, URL, http_versions=["2"], networking=s.network)
        while came_that_far:
            with contextlib.suppress(hface_trio.HfaceError, trio.BrokenResourceError):
                await exchange_of(connection)
            await wait_until_idle(s)
            async with connection.open_stream(GET, end_stream=True) as stream:
                await stream.receive_response()
            assert connection.statistics().buffered_octets == 0
            n += 1
            assert n < MAX_CHECKPOINTS
        assert n > 8
        await connection.aclose()


async def test_a_connect_cancelled_at_each_checkpoint_leaves_nothing(autojump_clock: Clock) -> None:
    async with serving2(everything) as s:

        async def connect_and_fetch() -> None:
            async with trio.open_nursery() as nursery:
                connection = await hface_trio.connect(nursery, URL, http_versions=["2"], networking=s.network)
                async with connection:
                    await exchange_of(connection)

        n = 1
        while await cancelled_at(n, connect_and_fetch):
            await trio.sleep(5)
            assert s.server.statistics().connections == 0
            s.assert_nothing_left()
            n += 1
            assert n < MAX_CHECKPOINTS
        assert n > 10


async def test_a_server_cancelled_at_any_time_leaves_nothing(autojump_clock: Clock) -> None:
    """After each number of steps of all tasks together."""

    class CancelAfterSteps(trio.abc.Instrument):
        def __init__(self, scope: trio.CancelScope, n: int) -> None:
            self.scope, self.n = scope, n

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            self.n -= 1
            if self.n == 0:
                self.scope.cancel()

    async def run_once(n: int) -> bool:
        ended = False
        with trio.CancelScope() as scope:
            async with serving2(everything, timeouts=Timeouts(linger_seconds=0)) as s:
                instrument = CancelAfterSteps(scope, n)
                trio.lowlevel.add_instrument(instrument)
                try:
                    peer = await s.peer()
                    one, other = await peer.request(POST, end=False), await peer.request()
                    await peer.send(peer.data(one, BODY[:5000], end=True))
                    await peer.response(one)
                    await peer.response(other)
                    await peer.close()
                    ended = True
                finally:
                    trio.lowlevel.remove_instrument(instrument)
        return not ended

    n = 1
    while await run_once(n):
        n += 3
        assert n < 10 * MAX_CHECKPOINTS
    assert n > 20
