"""What trio's own means cost, and a byte stream on top of a socket: the units in which a design is reckoned."""

from __future__ import annotations

import functools
import socket
from collections.abc import Awaitable, Callable, Iterator

import trio
import trio.testing
from _layers import Layer, Stopwatch, best_of_async

from hface_trio.networking import SocketByteStream, UDPSocket

__all__ = ["measure_datagrams", "measure_sockets", "measure_trio"]

_COUNT = 5000
_MESSAGE = bytes(100)
_DATAGRAM = bytes(1200)
_BATCH = 16
"""Datagrams that are sent together."""


async def _checkpoint(count: int, watch: Stopwatch) -> None:
    watch.start()
    for _ in range(count):
        await trio.lowlevel.checkpoint()
    watch.stop()


async def _channel(count: int, watch: Stopwatch) -> None:
    """Wake a task through a channel, and be woken through another one: two wake-ups, of which one is counted."""
    there, here = trio.open_memory_channel[int](1)
    back, answers = trio.open_memory_channel[int](1)

    async def answer() -> None:
        async for value in here:
            back.send_nowait(value)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        watch.start()
        for number in range(count // 2):
            there.send_nowait(number)
            await answers.receive()
        watch.stop()
        nursery.cancel_scope.cancel()


async def _task(count: int, watch: Stopwatch) -> None:
    async def nothing() -> None:
        pass

    async with trio.open_nursery() as nursery:
        watch.start()
        for _ in range(count):
            nursery.start_soon(nothing)
        await trio.testing.wait_all_tasks_blocked()
        watch.stop()


async def _scope(count: int, watch: Stopwatch) -> None:
    watch.start()
    for _ in range(count):
        with trio.CancelScope():  # noqa: ASYNC100  # it is what is measured
            pass
    watch.stop()


async def _deadline(count: int, watch: Stopwatch) -> None:
    watch.start()
    for _ in range(count):
        with trio.move_on_after(10):  # noqa: ASYNC100
            pass
    watch.stop()


async def _nursery(count: int, watch: Stopwatch) -> None:
    watch.start()
    for _ in range(count):
        async with trio.open_nursery():
            pass
    watch.stop()


def measure_trio() -> Iterator[Layer]:
    """Measure trio's means."""
    acts: dict[str, Callable[[int, Stopwatch], Awaitable[None]]] = {
        "checkpoint": _checkpoint,
        "wake a task through a channel": _channel,
        "start a task, and its end": _task,
        "cancel scope": _scope,
        "cancel scope with a deadline": _deadline,
        "nursery without tasks": _nursery,
    }
    for name, act in acts.items():
        yield best_of_async("trio", name, _COUNT, act)


async def _echo(
    count: int,
    watch: Stopwatch,
    receive: Callable[[], Awaitable[object]],
    send: Callable[[bytes], Awaitable[object]],
    peer: socket.socket,
) -> None:
    """Receive and send with one kind of stream; the other end is a plain socket whose time is not counted."""
    for _ in range(count):
        peer.send(_MESSAGE)
        watch.start()
        await receive()
        await send(_MESSAGE)
        watch.stop()
        peer.recv(1000)


def _pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer, accepted


async def _raw_socket(count: int, watch: Stopwatch) -> None:
    peer, accepted = _pair()
    with peer, trio.socket.from_stdlib_socket(accepted) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await _echo(count, watch, lambda: sock.recv(65536), sock.send, peer)


async def _trio_stream(count: int, watch: Stopwatch) -> None:
    peer, accepted = _pair()
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(accepted))
    with peer:
        async with stream:
            await _echo(count, watch, stream.receive_some, stream.send_all, peer)


async def _our_stream(count: int, watch: Stopwatch) -> None:
    peer, accepted = _pair()
    stream = SocketByteStream(accepted)
    with peer:
        await _echo(count, watch, stream.receive_some, stream.send_all, peer)
        await trio.aclose_forcefully(stream)


async def _our_stream_nowait(count: int, watch: Stopwatch) -> None:
    peer, accepted = _pair()
    stream = SocketByteStream(accepted)

    async def send(data: bytes) -> None:
        stream.send_nowait([data])

    with peer:
        await _echo(count, watch, stream.receive_some, send, peer)
        await trio.aclose_forcefully(stream)


def measure_sockets() -> Iterator[Layer]:
    """Measure receiving 100 octets, that are there already, and sending as many."""
    acts: dict[str, Callable[[int, Stopwatch], Awaitable[None]]] = {
        "trio.socket": _raw_socket,
        "trio.SocketStream": _trio_stream,
        "hface_trio SocketByteStream": _our_stream,
        "hface_trio SocketByteStream, send_nowait": _our_stream_nowait,
    }
    for name, act in acts.items():
        yield best_of_async("receive and send on a socket", name, _COUNT, act)


async def _send_datagrams(count: int, watch: Stopwatch, *, segmentation: bool) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own,
    ):
        for each in (peer, own):
            each.bind(("127.0.0.1", 0))
        sender = UDPSocket(own, segmentation=segmentation)
        batch = [(_DATAGRAM, peer.getsockname())] * _BATCH
        for _ in range(count // _BATCH):
            watch.start()
            sender.send_nowait(batch)
            watch.stop()
            for _ in batch:
                peer.recv(2048)
        await sender.aclose()


async def _receive_datagrams(count: int, watch: Stopwatch) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own,
    ):
        for each in (peer, own):
            each.bind(("127.0.0.1", 0))
        receiver = UDPSocket(own)
        for _ in range(count // _BATCH):
            for _ in range(_BATCH):
                peer.sendto(_DATAGRAM, own.getsockname())
            watch.start()
            left = _BATCH
            while left > 0:
                left -= len(await receiver.receive())
            watch.stop()
        await receiver.aclose()


def measure_datagrams() -> Iterator[Layer]:
    """Measure a datagram of 1,200 octets, sixteen of them at a time."""
    acts: dict[str, Callable[[int, Stopwatch], Awaitable[None]]] = {
        "send, one call for each": functools.partial(_send_datagrams, segmentation=False),
        "send, UDP_SEGMENT": functools.partial(_send_datagrams, segmentation=True),
        "receive": _receive_datagrams,
    }
    for name, act in acts.items():
        yield best_of_async("datagrams, 16 at a time, each", name, _COUNT, act)
