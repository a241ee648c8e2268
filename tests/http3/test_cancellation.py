"""A cancellation at each checkpoint of an exchange, one after the other: nothing leaks, and nothing is half done."""

from __future__ import annotations

import contextlib
import functools

import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream, Timeouts
from hface_trio.events import TrailersReceived
from hface_trio.testing import MemoryNetworking

from ..http2.test_cancellation import cancelled_at
from .harness import LATENCY, Served, serving3
from .raw import GET, POST, data

Clock = trio.testing.MockClock
BODY = b"x" * 100_000
MAX_CHECKPOINTS = 2000


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


async def wait_until_idle(s: Served) -> None:
    """In virtual time a moment is enough."""
    await trio.sleep(0.5)
    s.assert_nothing_left()


async def test_a_client_cancelled_at_each_checkpoint_keeps_its_connection(autojump_clock: Clock) -> None:
    async with serving3(everything) as s, trio.open_nursery() as nursery:
        connection = await s.connect(nursery)
        n = 1
        while await cancelled_at(n, functools.partial(exchange_of, connection)):
            await wait_until_idle(s)
            assert connection.statistics().buffered_octets == 0
            assert connection.is_available()
            n += 3 if n > 30 else 1
            assert n < MAX_CHECKPOINTS
        assert n > 10
        await connection.aclose()


async def test_a_handler_cancelled_at_each_checkpoint_costs_its_own_stream(autojump_clock: Clock) -> None:
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

    async with serving3(handler) as s, trio.open_nursery() as nursery:
        connection = await s.connect(nursery)
        while came_that_far:
            with contextlib.suppress(hface_trio.HfaceError, trio.BrokenResourceError):
                await exchange_of(connection)
            await wait_until_idle(s)
            async with connection.open_stream(GET, end_stream=True) as stream:
                await stream.receive_response()
            assert connection.statistics().buffered_octets == 0
            n += 3 if n > 30 else 1
            assert n < MAX_CHECKPOINTS
        assert n > 8
        await connection.aclose()


async def test_a_connect_cancelled_at_each_checkpoint_leaves_nothing(autojump_clock: Clock) -> None:
    network = MemoryNetworking(to_servers=LATENCY, to_clients=LATENCY)
    async with serving3(everything, network=network) as s:

        async def connect_and_fetch() -> None:
            async with trio.open_nursery() as nursery:
                connection = await s.connect(nursery)
                async with connection, connection.open_stream(GET, end_stream=True) as stream:
                    await stream.receive_response()

        n = 1
        while await cancelled_at(n, connect_and_fetch):
            await trio.sleep(20)
            assert s.server.statistics().connections == 0
            assert list(network._links.sockets) == [("localhost", 443)]
            s.assert_nothing_left()
            n += 1
            assert n < MAX_CHECKPOINTS
        assert n > 5


class CancelAfterSteps(trio.abc.Instrument):
    """Cancels a scope after a number of steps of all tasks together."""

    def __init__(self, scope: trio.CancelScope, n: int) -> None:
        self.scope, self.n = scope, n

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.n -= 1
        if self.n == 0:
            self.scope.cancel()


async def cancelled_after(n: int, body) -> bool:
    """Run something that is cancelled after so many steps; return whether it was before its end."""
    ended = False
    with trio.CancelScope() as scope:
        instrument = CancelAfterSteps(scope, n)
        trio.lowlevel.add_instrument(instrument)
        try:
            await body()
            ended = True
        finally:
            trio.lowlevel.remove_instrument(instrument)
    return not ended


async def test_a_server_cancelled_at_any_time_leaves_nothing(autojump_clock: Clock) -> None:
    network = MemoryNetworking()

    async def body() -> None:
        async with serving3(everything, timeouts=Timeouts(linger_seconds=0), network=network) as s:
            peer = await s.peer()
            one = await peer.request(POST, data(BODY[:5000]))
            other = await peer.request()
            await peer.response(one)
            await peer.response(other)
            await peer.close()

    n = 1
    while await cancelled_after(n, body):
        assert ("localhost", 443) not in network._links.sockets
        n += 3
        assert n < 10 * MAX_CHECKPOINTS
    assert n > 20


async def test_a_client_and_its_connection_cancelled_at_any_time_leave_nothing(autojump_clock: Clock) -> None:
    network = MemoryNetworking()
    async with serving3(everything, network=network) as s:

        async def body() -> None:
            async with trio.open_nursery() as nursery:
                connection = await s.connect(nursery)
                async with connection:
                    await exchange_of(connection)

        n = 1
        while await cancelled_after(n, body):
            await trio.sleep(11)
            assert list(network._links.sockets) == [("localhost", 443)]
            assert s.server.statistics().connections == 0
            s.assert_nothing_left()
            n += 10
            assert n < 10 * MAX_CHECKPOINTS
        assert n > 20
