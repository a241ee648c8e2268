"""Delivery: what arrives is handed on in order and once, whoever waits for the socket, until no more is wanted."""

from __future__ import annotations

import contextvars
import errno
import os
import select
import socket
import time
from collections.abc import Callable

import pytest
import trio
import trio.testing

from hface_trio.networking import ByteStream, SocketByteStream, SocketWatch, _socket_watch

from ._pairs import ALL, DEADLINE_SECONDS, NATIVE, Outcome, open_pair, tcp_pair

RANDOM = os.urandom(1 << 20)
SOCKETS = pytest.mark.parametrize("kind", ["tcp", "unix"])


@pytest.fixture(params=[False, True], ids=["alone", "watched"])
async def watched(request: pytest.FixtureRequest, nursery: trio.Nursery) -> bool:
    """Whether a watch waits for sockets, or each stream for its own."""
    if request.param:
        await nursery.start(SocketWatch().run)
    return request.param


@pytest.fixture
async def socket_watch(nursery: trio.Nursery) -> None:
    await nursery.start(SocketWatch().run)


class Taker:
    """Takes what is delivered: so many octets at a time, and so many in all."""

    def __init__(self, max_bytes: int = 65536, wanted: float = float("inf")) -> None:
        self.data = bytearray()
        self.ended = False
        self.changed = trio.Event()
        self.max_bytes = max_bytes
        self.wanted = wanted

    def __call__(self, data: bytes) -> int:
        assert not self.ended
        assert len(data) <= self.max_bytes
        self.data += data
        self.ended = not data
        self.changed.set()
        if self.ended or len(self.data) >= self.wanted:
            return 0
        return self.max_bytes

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self.changed = trio.Event()
            with trio.fail_after(DEADLINE_SECONDS):
                await self.changed.wait()


@ALL
@pytest.mark.parametrize("max_bytes", [1000, 65536])
async def test_data_arrive_in_order_and_then_their_end(kind, max_bytes, authority, watched):
    async with open_pair(kind, authority) as (near, far), trio.open_nursery() as nursery:

        async def send() -> None:
            await near.send_all(RANDOM)
            await near.send_eof()

        nursery.start_soon(send)
        taker = Taker(max_bytes)
        await far.deliver(taker, max_bytes)
        assert bytes(taker.data) == RANDOM
        assert taker.ended


@ALL
async def test_what_is_not_wanted_is_left(kind, authority, watched):
    async with open_pair(kind, authority) as (near, far):
        await near.send_all(b"abcdefgh")
        taker = Taker(2, wanted=4)
        await far.deliver(taker, 2)
        assert taker.data == b"abcd"
        assert await far.receive_some(1) == b"e"
        taker = Taker(1, wanted=2)
        await far.deliver(taker, 1)
        assert taker.data == b"fg"
        assert await far.receive_some() == b"h"


@ALL
async def test_a_cancelled_delivery_loses_nothing(kind, authority, watched):
    async with open_pair(kind, authority) as (near, far), trio.open_nursery() as nursery:
        nursery.start_soon(near.send_all, RANDOM)
        taker = Taker(5000)
        while len(taker.data) < len(RANDOM):
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as inner:
                    inner.start_soon(far.deliver, taker, 5000)
                    n_octets = len(taker.data)
                    await taker.until(lambda n_octets=n_octets: len(taker.data) > n_octets)
                    scope.cancel()
        assert bytes(taker.data) == RANDOM


@pytest.mark.parametrize("kind", ["tcp", "memory", "tls13-tcp", "tls13-memory"])
async def test_a_reset_is_told(kind, authority, watched):
    async with open_pair(kind, authority) as (near, far):
        taker = Taker()
        outcome = Outcome()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outcome.run, far.deliver, taker, 65536)
            await near.send_all(b"abc")
            await taker.until(lambda: len(taker.data) == 3)
            near.abort()
        assert type(outcome.exception) is trio.BrokenResourceError


@NATIVE
@pytest.mark.parametrize("how", ["aclose", "abort"])
async def test_a_stream_closed_by_another_task_ends_its_delivery(kind, how, authority, watched):
    async with open_pair(kind, authority) as (_, far):
        outcome = Outcome()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outcome.run, far.deliver, Taker(), 65536)
            await trio.testing.wait_all_tasks_blocked(0.01)
            if how == "abort":
                far.abort()
            else:
                await far.aclose()
        assert type(outcome.exception) is trio.ClosedResourceError
        with pytest.raises(trio.ClosedResourceError):
            await far.deliver(Taker(), 1)


@ALL
async def test_who_takes_may_close_the_stream(kind, authority, watched):
    async with open_pair(kind, authority) as (near, far):
        taken = []

        def take(data: bytes) -> int:
            taken.append(data)
            far.abort()
            return 100

        outcome = Outcome()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outcome.run, far.deliver, take, 100)
            await near.send_all(b"abc")
        assert taken == [b"abc"]
        assert isinstance(outcome.exception, (trio.ClosedResourceError, trio.BrokenResourceError))


@ALL
@pytest.mark.parametrize("closes", [False, True])
async def test_what_take_raises_is_raised_where_it_was_ordered_and_hurts_nobody_else(kind, closes, authority, watched):
    async with open_pair(kind, authority) as (near, far), open_pair(kind, authority) as (near_2, far_2):

        def take(_: bytes) -> int:
            if closes:
                far.abort()
            raise LookupError("a bug")

        outcome, taker = Outcome(), Taker(wanted=3)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outcome.run, far.deliver, take, 100)
            nursery.start_soon(far_2.deliver, taker, 100)
            await near.send_all(b"abc")
            await near_2.send_all(b"abc")
        assert type(outcome.exception) is LookupError
        assert taker.data == b"abc"


@NATIVE
async def test_one_task_receives_at_a_time(kind, authority, watched):
    async with open_pair(kind, authority) as (_, far), trio.open_nursery() as nursery:
        nursery.start_soon(far.deliver, Taker(), 65536)
        await trio.testing.wait_all_tasks_blocked(0.01)
        with pytest.raises(trio.BusyResourceError):
            await far.receive_some()
        with pytest.raises(trio.BusyResourceError):
            await far.deliver(Taker(), 1)
        nursery.cancel_scope.cancel()


@ALL
async def test_take_runs_in_the_context_of_who_ordered(kind, authority, watched):
    variable = contextvars.ContextVar("variable", default="nobody's")
    seen = []

    async def deliver(stream: ByteStream) -> None:
        variable.set("mine")

        def take(_: bytes) -> int:
            seen.append(variable.get())
            variable.set("changed")
            return 0

        await stream.deliver(take, 100)
        seen.append(variable.get())

    async with open_pair(kind, authority) as (near, far), trio.open_nursery() as nursery:
        nursery.start_soon(deliver, far)
        await trio.testing.wait_all_tasks_blocked(0.01)
        await near.send_all(b"abc")
    assert seen == ["mine", "changed"]
    assert variable.get() == "nobody's"


@SOCKETS
async def test_departures_are_told_beside_a_delivery(kind, authority, socket_watch):
    async with open_pair(kind, authority) as (near, far), trio.open_nursery() as nursery:
        gone, taker = trio.Event(), Taker()
        far.watch_departure(gone.set)
        nursery.start_soon(far.deliver, taker, 100)
        await near.send_all(b"abc")
        await taker.until(lambda: len(taker.data) == 3)
        assert not gone.is_set()
        await near.send_eof()
        with trio.fail_after(DEADLINE_SECONDS):
            await gone.wait()
        await taker.until(lambda: taker.ended)


@SOCKETS
@pytest.mark.parametrize("unwatch_first", [False, True])
async def test_to_stop_watching_for_one_does_not_stop_the_other(kind, unwatch_first, authority, socket_watch):
    async with open_pair(kind, authority) as (near, far):
        gone, taker = trio.Event(), Taker(wanted=3)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(far.deliver, taker, 100)
            await trio.testing.wait_all_tasks_blocked(0.01)
            far.watch_departure(gone.set)
            if unwatch_first:
                far.unwatch_departure()
            await near.send_all(b"abc")
        assert taker.data == b"abc"
        await near.send_all(b"not read")
        await near.send_eof()
        with trio.move_on_after(0.05 if unwatch_first else DEADLINE_SECONDS):
            await gone.wait()
        assert gone.is_set() is not unwatch_first


@SOCKETS
async def test_a_delivery_goes_on_when_the_watch_ends(kind, authority):
    async with open_pair(kind, authority) as (near, far), trio.open_nursery() as nursery:
        taker = Taker()
        async with trio.open_nursery() as watchers:
            await watchers.start(SocketWatch().run)
            nursery.start_soon(far.deliver, taker, 100)
            await near.send_all(b"abc")
            await taker.until(lambda: len(taker.data) == 3)
            watchers.cancel_scope.cancel()
        assert _socket_watch._registry.get() is None
        await near.send_all(b"def")
        await taker.until(lambda: len(taker.data) == 6)
        await nursery.start(SocketWatch().run)  # later deliveries use it; this one goes on alone
        await near.send_all(b"ghi")
        await taker.until(lambda: len(taker.data) == 9)
        nursery.cancel_scope.cancel()


async def test_whoever_has_the_number_of_a_closed_socket_is_not_hurt(socket_watch):
    """Two sockets have input at once; who takes the first one's closes the other, whose number goes to a new socket."""
    with trio.fail_after(DEADLINE_SECONDS):
        pairs = [tuple(SocketByteStream(sock) for sock in tcp_pair()) for _ in range(2)]
        fresh: list[SocketByteStream] = []
        taken: list[int] = []
        outcomes = [Outcome(), Outcome()]
        late = Taker(wanted=4)

        async with trio.open_nursery() as nursery:

            def make_take(index: int) -> Callable[[bytes], int]:
                def take(_: bytes) -> int:
                    taken.append(index)
                    pairs[1 - index][0].abort()
                    fresh.extend(SocketByteStream(sock) for sock in tcp_pair())
                    return 0

                return take

            for index, (near, _) in enumerate(pairs):
                nursery.start_soon(outcomes[index].run, near.deliver, make_take(index), 100)
            await trio.testing.wait_all_tasks_blocked(0.01)
            for _, far in pairs:
                far._socket.send(b"abc")
        assert len(taken) == 1
        assert {type(outcome.exception) for outcome in outcomes} == {type(None), trio.ClosedResourceError}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fresh[0].deliver, late, 100)
            await fresh[1].send_all(b"late")
        assert late.data == b"late"
        for stream in [*fresh, *(stream for pair in pairs for stream in pair)]:
            stream.abort()


async def test_many_sockets_are_served_in_turn(socket_watch):
    """More than are looked after in one step, all of them with input all the time."""
    with trio.fail_after(DEADLINE_SECONDS):
        pairs = [socket.socketpair() for _ in range(200)]
        streams = [SocketByteStream(near) for near, _ in pairs]
        takers = [Taker(1, wanted=20) for _ in pairs]
        ends: list[int] = []

        async def deliver(index: int) -> None:
            await streams[index].deliver(takers[index], 1)
            ends.append(min(len(taker.data) for taker in takers))

        async with trio.open_nursery() as nursery:
            for index, (_, far) in enumerate(pairs):
                far.send(bytes(20))
                nursery.start_soon(deliver, index)
        assert min(ends) >= 15  # when the first has all, the last has nearly all
        for stream, (_, far) in zip(streams, pairs, strict=True):
            stream.abort()
            far.close()


@pytest.mark.parametrize("kind", ["tcp", "unix", "tls13-tcp"])
async def test_what_has_come_is_taken_before_a_deadline_that_passed_since(kind, authority, watched):
    """A program that stood still, or a handler that blocks, is no reason to call a peer late."""
    for _ in range(5):  # the order of tasks in a scheduler pass is random
        async with open_pair(kind, authority) as (near, far), trio.open_nursery() as nursery:
            taker, scope = Taker(), trio.CancelScope()

            async def deliver(far: ByteStream, taker: Taker, scope: trio.CancelScope) -> None:
                with scope:
                    await far.deliver(taker, 100)

            nursery.start_soon(deliver, far, taker, scope)
            await trio.testing.wait_all_tasks_blocked(0.01)
            scope.deadline = trio.current_time() + 0.01
            assert near.send_nowait([b"abc"]) == 3
            time.sleep(0.02)  # noqa: ASYNC251  # the whole program stands still
            with trio.fail_after(DEADLINE_SECONDS):
                await taker.until(lambda taker=taker: taker.data == b"abc")
        assert scope.cancelled_caught


@SOCKETS
async def test_what_take_raises_is_raised_though_it_cancelled_the_delivery(kind, authority, watched):
    async with open_pair(kind, authority) as (near, far):
        outcome = Outcome()
        with trio.CancelScope() as scope:

            def take(_: bytes) -> int:
                scope.cancel()
                raise LookupError("a bug")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(outcome.run, far.deliver, take, 100)
                await near.send_all(b"abc")
        assert type(outcome.exception) is LookupError


@SOCKETS
async def test_nothing_is_taken_where_nothing_is_wanted(kind, authority, watched):
    async with open_pair(kind, authority) as (near, far):
        await near.send_all(b"abc")
        taker = Taker()
        await far.deliver(taker, 0)
        assert taker.data == b""
        assert not taker.ended


class FullEpoll:
    """Stands for an epoll object that takes no more sockets, for there is a limit on them."""

    def __init__(self, epoll: select.epoll) -> None:
        self._epoll = epoll

    def __getattr__(self, name: str) -> object:
        return getattr(self._epoll, name)

    def register(self, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


@SOCKETS
async def test_a_stream_for_which_the_watch_has_no_room_waits_for_itself(kind, authority, socket_watch):
    registry = _socket_watch._registry.get()
    assert registry is not None
    async with open_pair(kind, authority) as (near, far), open_pair(kind, authority) as (near_2, far_2):
        first, second = Taker(wanted=6), Taker(wanted=3)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(far.deliver, first, 100)
            await trio.testing.wait_all_tasks_blocked(0.01)
            registry.epoll = FullEpoll(registry.epoll)  # type: ignore[assignment]
            nursery.start_soon(far_2.deliver, second, 100)
            await near_2.send_all(b"def")
            await near.send_all(b"abc")
            await second.until(lambda: second.data == b"def")
            far_2.watch_departure(lambda: None)
            far_2.unwatch_departure()
            await near.send_all(b"ghi")
        assert first.data == b"abcghi"
        assert set(registry.readers) == set(registry.departures) == set()
