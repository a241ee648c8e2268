"""A cancellation at each checkpoint of an exchange, one after the other: nothing leaks, and nothing is half done."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Awaitable, Callable, Iterator

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream, Timeouts
from hface_trio.events import TrailersReceived
from hface_trio.testing import MemoryNetworking

from .version import Serving, Version

Clock = trio.testing.MockClock
BODY = b"x" * 300_000
MAX_CHECKPOINTS = 2000


class CancelAtCheckpoint(trio.abc.Instrument):
    """Cancels a scope when a task, or any, comes to its n-th checkpoint, and counts."""

    def __init__(self, scope: trio.CancelScope, n: int, task: trio.lowlevel.Task | None = None) -> None:
        self._task = task
        self._scope = scope
        self._n = n
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self._task is None or task is self._task:
            self.count += 1
            if self.count == self._n:
                self._scope.cancel()


async def _cancelled(n: int, act: Callable[[], Awaitable[object]], task: trio.lowlevel.Task | None) -> bool:
    with trio.CancelScope() as scope:
        instrument = CancelAtCheckpoint(scope, n, task)
        trio.lowlevel.add_instrument(instrument)
        try:
            await act()
        finally:
            trio.lowlevel.remove_instrument(instrument)
    return instrument.count >= n


async def cancelled_at(n: int, act: Callable[[], Awaitable[object]]) -> bool:
    """Run something, cancelled at this task's n-th checkpoint; return whether it came that far."""
    return await _cancelled(n, act, trio.lowlevel.current_task())


async def cancelled_after(n: int, act: Callable[[], Awaitable[object]]) -> bool:
    """Run something, cancelled after n steps of all tasks together; return whether it came that far."""
    return await _cancelled(n, act, None)


@contextlib.contextmanager
def unless_cancelled() -> Iterator[None]:
    """Let assertions fail only where nothing is cancelled.

    Who had been woken before a cancellation goes on to its next checkpoint: so a peer may see how a server ends that is
    cancelled together with it.
    """
    try:
        yield
    except AssertionError:
        if trio.current_effective_deadline() > -math.inf:
            raise


async def everything(stream: HTTPStream) -> None:
    """A handler with each kind of checkpoint, which sends as much as it receives."""
    octets = 0
    await stream.send_informational([(b":status", b"103")])
    await stream.send_headers([(b":status", b"200")])
    async for chunk in stream.iter_data():
        assert chunk
        octets += len(chunk)
    await stream.send_data(BODY[:octets])
    await stream.flush()
    await stream.send_trailers([(b"x-end", b"1")])


async def exchange_of(connection: hface_trio.HTTPConnection, version: Version) -> None:
    octets = octets_of(version)
    async with connection.open_stream(version.POST) as stream:
        await stream.send_data(BODY[:10])
        await stream.flush()
        await stream.receive_response()
        received = 0
        await stream.send_data(BODY[10:octets])
        await stream.send_trailers([(b"a", b"b")])
        async for event in stream:
            received += 0 if isinstance(event, TrailersReceived) else len(event.data)
        assert received == octets
        assert stream.trailers == [(b"x-end", b"1")]


async def connect_and_fetch(s: Serving, version: Version) -> None:
    async with trio.open_nursery() as nursery:
        connection = await s.connect(nursery)
        async with connection:
            await exchange_of(connection, version)


def octets_of(version: Version) -> int:
    """How much an exchange takes: more than the windows; where each packet costs, not much more."""
    return len(BODY) if version.number == "2" else 100_000


def step_of(version: Version, n: int) -> int:
    """How far on the next cancellation is: what comes after the first is more of the same where packets make it many."""
    return 1 if version.number == "2" or n <= 30 else 3


async def wait_until_idle(s: Serving) -> None:
    """In virtual time a moment is enough."""
    await trio.sleep(0.5)
    s.assert_nothing_left()


async def test_a_client_cancelled_at_each_checkpoint_keeps_its_connection(
    version: Version, autojump_clock: Clock
) -> None:
    async with version.serving(everything) as s, trio.open_nursery() as nursery:
        connection = await s.connect(nursery)
        n = 1
        while await cancelled_at(n, functools.partial(exchange_of, connection, version)):
            await wait_until_idle(s)
            assert connection.is_available()
            assert connection.statistics().buffered_octets == 0
            n += step_of(version, n)
            assert n < MAX_CHECKPOINTS
        assert n > (10 if version.number == "3" else 8)
        await exchange_of(connection, version)
        await connection.aclose()
        await wait_until_idle(s)


async def test_a_handler_cancelled_at_each_checkpoint_keeps_the_connection(
    version: Version, autojump_clock: Clock
) -> None:
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

    async with version.serving(handler) as s, trio.open_nursery() as nursery:
        connection = await s.connect(nursery)
        while came_that_far:
            with contextlib.suppress(hface_trio.HfaceError, trio.BrokenResourceError):
                await exchange_of(connection, version)
            await wait_until_idle(s)
            async with connection.open_stream(version.GET, end_stream=True) as stream:
                await stream.receive_response()
            assert connection.statistics().buffered_octets == 0
            n += step_of(version, n)
            assert n < MAX_CHECKPOINTS
        assert n > 8
        await connection.aclose()


async def test_a_connect_cancelled_at_each_checkpoint_leaves_nothing(version: Version, autojump_clock: Clock) -> None:
    async with version.serving(everything) as s:
        servers = version.listeners(s.network)

        act = functools.partial(connect_and_fetch, s, version)
        n = 1
        while await cancelled_at(n, act):
            await trio.sleep(20)
            assert s.server.statistics().connections == 0
            assert version.listeners(s.network) == servers
            s.assert_nothing_left()
            n += step_of(version, n)
            assert n < MAX_CHECKPOINTS
        assert n > 10


async def test_a_server_cancelled_at_any_time_leaves_nothing(version: Version, autojump_clock: Clock) -> None:
    networks: list[MemoryNetworking] = []

    async def serve_and_fetch() -> None:
        async with version.serving(everything, timeouts=Timeouts(linger_seconds=0)) as s:
            networks.append(s.network)
            with unless_cancelled():
                peer = await s.peer()
                one, other = await peer.request(version.POST, end=False), await peer.request()
                await peer.data(one, BODY[:5000], end=True)
                await peer.response(one)
                await peer.response(other)
                await peer.close()

    n = 1
    while await cancelled_after(n, serve_and_fetch):
        assert [version.listeners(network) for network in networks] == [[]] * len(networks)
        networks.clear()
        n += 3
        assert n < 10 * MAX_CHECKPOINTS
    assert n > 20


async def test_a_client_and_its_connection_cancelled_at_any_time_leave_nothing(
    version: Version, autojump_clock: Clock
) -> None:
    async with version.serving(everything) as s:
        servers = version.listeners(s.network)

        act = functools.partial(connect_and_fetch, s, version)
        n = 1
        while await cancelled_after(n, act):
            await trio.sleep(11)
            assert version.listeners(s.network) == servers
            assert s.server.statistics().connections == 0
            s.assert_nothing_left()
            n += 10
            assert n < 10 * MAX_CHECKPOINTS
        assert n > 20


@pytest.mark.parametrize("cancelled", [True, False])
async def test_what_fails_without_a_cancellation_is_not_passed_over(autojump_clock: Clock, cancelled: bool) -> None:
    async def fail() -> None:
        with unless_cancelled():
            raise AssertionError

    with trio.CancelScope() as scope:
        if cancelled:
            scope.cancel()
            await fail()
        else:
            with pytest.raises(AssertionError):
                await fail()
