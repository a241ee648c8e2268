"""Noticing that peers have gone while nobody reads from them.

A reader that is paused does not see the end of its stream: the system tells it only behind the unread data. Linux tells
it at once to those who ask (``EPOLLRDHUP``), but trio's own epoll does not ask. So all paused sockets of a trio run
sit in one more epoll object, which one task awaits through trio's.

A socket is registered in that object exactly as long as it has a callback here. It must be taken out *before* it is
closed: the descriptor may belong to another socket a moment later.
"""

from __future__ import annotations

import logging
import select
from collections.abc import Callable

import trio

__all__ = ["DepartureWatch", "unwatch", "watch"]

_logger = logging.getLogger("hface_trio.networking")


class _Registry:
    """The watched sockets of one trio run, for as long as somebody serves them."""

    __slots__ = ("callbacks", "epoll", "serving", "turn")

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.callbacks: dict[int, Callable[[], None]] = {}
        self.serving = 0
        self.turn = trio.Lock()

    def add(self, fd: int, callback: Callable[[], None]) -> None:
        if fd not in self.callbacks:
            # EPOLLHUP and EPOLLERR, which a reset brings, come unasked.
            self.epoll.register(fd, select.EPOLLRDHUP | select.EPOLLONESHOT)
        self.callbacks[fd] = callback

    def discard(self, fd: int) -> None:
        if self.callbacks.pop(fd, None) is not None:
            self.epoll.unregister(fd)

    def fire(self) -> None:
        # A callback may close other sockets of the batch, and open new ones under their numbers. So each event is
        # matched with the callback that stood for its socket when the events were taken.
        departed = [(fd, self.callbacks.get(fd)) for fd, _ in self.epoll.poll(0, 256)]
        for fd, callback in departed:
            if callback is None or self.callbacks.get(fd) is not callback:
                continue
            self.discard(fd)
            try:
                callback()
            except Exception:
                _logger.exception("A departure callback failed")


_registry: trio.lowlevel.RunVar[_Registry | None] = trio.lowlevel.RunVar("hface_trio.networking.departure", None)


class DepartureWatch:
    """Serves ``ByteStream.watch_departure`` for all socket streams of this trio run while it runs.

    A server starts one in its nursery. Several may run at the same time: one serves, and another takes over when it
    ends. Where the system has no ``EPOLLRDHUP`` it runs and does nothing.
    """

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; does not return.

        An exception of a callback is logged (``hface_trio.networking``) and the watch goes on; ``KeyboardInterrupt``
        and ``SystemExit`` end it.

        Cancellation: callbacks that are still waiting are dropped with the last watch.
        """
        if not hasattr(select, "EPOLLRDHUP"):
            task_status.started()
            await trio.sleep_forever()
        registry = _registry.get()
        if registry is None:
            registry = _Registry()
            _registry.set(registry)
        registry.serving += 1
        try:
            task_status.started()
            async with registry.turn:
                while True:
                    await trio.lowlevel.wait_readable(registry.epoll.fileno())
                    registry.fire()
        finally:
            registry.serving -= 1
            if not registry.serving:
                _registry.set(None)
                trio.lowlevel.notify_closing(registry.epoll.fileno())
                registry.epoll.close()


def watch(fd: int, callback: Callable[[], None]) -> None:
    """Have ``callback`` called once when the peer of ``fd`` has gone; does nothing while no watch runs."""
    registry = _registry.get()
    if registry is not None:
        registry.add(fd, callback)


def unwatch(fd: int) -> None:
    """Undo ``watch``; harmless when nothing is watched."""
    registry = _registry.get()
    if registry is not None:
        registry.discard(fd)
