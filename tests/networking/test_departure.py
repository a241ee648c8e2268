"""Departures: noticed behind unread data, within moments, and never for another socket."""

from __future__ import annotations

import logging
import socket

import pytest
import trio
import trio.testing

from hface_trio.networking import ByteStream, SocketByteStream, SocketWatch, _socket_watch

from ._pairs import DEADLINE_SECONDS, open_pair, tcp_pair

SOON_SECONDS = 1
NEVER_SECONDS = 0.05

KINDS = ["tcp", "unix", "tls13-tcp", "memory", "tls13-memory"]


@pytest.fixture
async def departure_watch(nursery):
    await nursery.start(SocketWatch().run)


class Callback:
    def __init__(self) -> None:
        self.calls = 0
        self.called = trio.Event()

    def __call__(self) -> None:
        self.calls += 1
        self.called.set()

    async def expect(self) -> None:
        with trio.fail_after(SOON_SECONDS):
            await self.called.wait()

    async def expect_nothing(self) -> None:
        with trio.move_on_after(NEVER_SECONDS):
            await self.called.wait()
        assert self.calls == 0


async def _leave(stream: ByteStream, how: str) -> None:
    if how == "abort":
        stream.abort()
    elif how == "aclose":
        await stream.aclose()
    else:
        await stream.send_eof()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["send_eof", "aclose", "abort"])
async def test_a_departure_behind_unread_data(kind, how, authority, departure_watch):
    async with open_pair(kind, authority) as (near, far):
        await far.send_all(b"not read")
        callback = Callback()
        near.watch_departure(callback)
        await callback.expect_nothing()
        await _leave(far, how)
        await callback.expect()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_departure_that_has_been_is_told_later_not_at_once(kind, authority, departure_watch):
    async with open_pair(kind, authority) as (near, far):
        await far.send_all(b"not read")
        await far.send_eof()
        callback = Callback()
        near.watch_departure(callback)
        assert callback.calls == 0
        await callback.expect()


@pytest.mark.parametrize("kind", KINDS)
async def test_it_is_told_once(kind, authority, departure_watch):
    async with open_pair(kind, authority) as (near, far):
        callback = Callback()
        near.watch_departure(callback)
        await far.send_eof()
        await callback.expect()
        await far.aclose()
        await trio.sleep(NEVER_SECONDS)
        assert callback.calls == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_more_data_are_no_departure(kind, authority, departure_watch):
    async with open_pair(kind, authority) as (near, far):
        callback = Callback()
        near.watch_departure(callback)
        await far.send_all(bytes(50_000))
        await callback.expect_nothing()


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_told_once_unwatched(kind, authority, departure_watch):
    async with open_pair(kind, authority) as (near, far):
        callback = Callback()
        near.watch_departure(callback)
        near.unwatch_departure()
        await far.send_eof()
        await callback.expect_nothing()


@pytest.mark.parametrize("kind", KINDS)
async def test_to_watch_again_replaces_the_callback(kind, authority, departure_watch):
    async with open_pair(kind, authority) as (near, far):
        first, second = Callback(), Callback()
        near.watch_departure(first)
        near.watch_departure(second)
        await far.send_eof()
        await second.expect()
        assert first.calls == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_reading_goes_on_after_unwatching(kind, authority, departure_watch):
    async with open_pair(kind, authority) as (near, far):
        await far.send_all(b"abc")
        near.watch_departure(Callback())
        near.unwatch_departure()
        assert await near.receive_some() == b"abc"
        near.watch_departure(Callback())
        await far.send_eof()
        assert await near.receive_some() == b""


@pytest.mark.parametrize("kind", KINDS)
async def test_this_sides_own_end_is_no_departure(kind, authority, departure_watch):
    async with open_pair(kind, authority) as (near, _):
        callback = Callback()
        near.watch_departure(callback)
        await near.send_eof()
        await callback.expect_nothing()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_closed_stream_is_told_nothing(kind, authority, departure_watch):
    async with open_pair(kind, authority) as (near, far):
        callback = Callback()
        near.watch_departure(callback)
        await near.aclose()
        await far.aclose()
        await callback.expect_nothing()
        with pytest.raises(trio.ClosedResourceError):
            near.watch_departure(callback)


async def test_a_socket_with_the_number_of_a_closed_one_is_not_mistaken_for_it(departure_watch):
    with trio.fail_after(DEADLINE_SECONDS):
        near, far = (SocketByteStream(sock) for sock in tcp_pair())
        stale = Callback()
        near.watch_departure(stale)
        number = near._fd
        await near.aclose()
        await far.aclose()
        near_again, far_again = tcp_pair()
        assert number in {near_again.fileno(), far_again.fileno()}
        streams = [SocketByteStream(near_again), SocketByteStream(far_again)]
        fresh = Callback()
        streams[0].watch_departure(fresh)
        await streams[1].aclose()
        await fresh.expect()
        assert stale.calls == 0
        await streams[0].aclose()


async def test_a_callback_may_close_another_socket_that_departs_at_the_same_time(departure_watch):
    with trio.fail_after(DEADLINE_SECONDS):
        pairs = [tuple(SocketByteStream(sock) for sock in tcp_pair()) for _ in range(2)]
        called: list[int] = []
        replacement = Callback()
        new_sockets: list[socket.socket] = []

        def make_callback(index: int):
            def callback() -> None:
                called.append(index)
                other = pairs[1 - index][0]
                other.abort()
                # The number is free now, and taken at once by a socket that nobody has left.
                for sock in tcp_pair():
                    new_sockets.append(sock)
                    _socket_watch.watch_departure(sock.fileno(), replacement)

            return callback

        for index, (near, _) in enumerate(pairs):
            near.watch_departure(make_callback(index))
        for _, far in pairs:
            far.abort()
        await trio.sleep(NEVER_SECONDS)
        assert len(called) == 1
        assert replacement.calls == 0
        for sock in new_sockets:
            _socket_watch.unwatch_departure(sock.fileno())
            sock.close()
        for near, _ in pairs:
            near.abort()


async def test_a_failing_callback_is_logged_and_the_watch_goes_on(authority, departure_watch, caplog):
    def fail() -> None:
        raise RuntimeError("a bug")

    async with open_pair("tcp", authority) as (near, far):
        near.watch_departure(fail)
        await far.aclose()
        await trio.sleep(NEVER_SECONDS)
    assert [(record.name, record.levelno) for record in caplog.records] == [("hface_trio.networking", logging.ERROR)]
    async with open_pair("tcp", authority) as (near, far):
        callback = Callback()
        near.watch_departure(callback)
        await far.aclose()
        await callback.expect()


async def test_an_interrupt_in_a_callback_goes_up(authority):
    def interrupt() -> None:
        raise KeyboardInterrupt

    async with open_pair("tcp", authority) as (near, far):
        with pytest.raises(BaseExceptionGroup) as info:
            async with trio.open_nursery() as nursery:
                await nursery.start(SocketWatch().run)
                near.watch_departure(interrupt)
                await far.aclose()
                await trio.sleep(SOON_SECONDS)
        assert info.group_contains(KeyboardInterrupt)


async def test_without_a_watch_nothing_is_told(authority):
    async with open_pair("tcp", authority) as (near, far):
        callback = Callback()
        near.watch_departure(callback)
        await far.aclose()
        await callback.expect_nothing()
        near.unwatch_departure()


async def test_another_watch_takes_over_when_one_ends(authority):
    async with open_pair("tcp", authority) as (near, far), trio.open_nursery() as outer:
        async with trio.open_nursery() as inner:
            await inner.start(SocketWatch().run)
            await outer.start(SocketWatch().run)
            callback = Callback()
            near.watch_departure(callback)
            inner.cancel_scope.cancel()
        await far.aclose()
        await callback.expect()
        outer.cancel_scope.cancel()


async def test_watches_may_follow_each_other(authority):
    for _ in range(2):
        async with open_pair("tcp", authority) as (near, far), trio.open_nursery() as nursery:
            await nursery.start(SocketWatch().run)
            callback = Callback()
            near.watch_departure(callback)
            await far.aclose()
            await callback.expect()
            nursery.cancel_scope.cancel()
        await near.aclose()


async def test_where_the_system_cannot_tell_it_runs_and_does_nothing(authority, monkeypatch):
    monkeypatch.delattr(_socket_watch.select, "EPOLLRDHUP")
    async with open_pair("tcp", authority) as (near, far), trio.open_nursery() as nursery:
        await nursery.start(SocketWatch().run)
        callback = Callback()
        near.watch_departure(callback)
        await far.aclose()
        await callback.expect_nothing()
        nursery.cancel_scope.cancel()


async def test_many_departures_at_once(departure_watch):
    with trio.fail_after(DEADLINE_SECONDS):
        pairs = [tuple(SocketByteStream(sock) for sock in tcp_pair()) for _ in range(100)]
        callbacks = [Callback() for _ in pairs]
        for (near, _), callback in zip(pairs, callbacks, strict=True):
            near.watch_departure(callback)
        for _, far in pairs:
            far.abort()
        for callback in callbacks:
            await callback.expect()
        for near, _ in pairs:
            await near.aclose()
