"""One task of a server that waits for many sockets, in the place of many that wait for one each.

All sockets of a trio run that are watched sit in one more epoll object, which one task awaits through trio's. Two things
are waited for:

- **Input.** trio is told again of a socket each time somebody waits for it, and a task is woken each time. Here a socket
  stays registered for as long as its stream delivers, and what arrives on many sockets is received in one step of one task.
- **Departures** while nobody reads. A reader that is paused does not see the end of its stream: the system tells it only
  behind the unread data. Linux tells it at once to those who ask (``EPOLLRDHUP``), but trio's own epoll does not ask.

A socket must be taken out *before* it is closed: the descriptor may belong to another socket a moment later.
"""

from __future__ import annotations

import contextlib
import logging
import select
from collections.abc import Callable
from typing import Protocol

import trio

__all__ = ["Reader", "SocketWatch", "unwatch_departure", "unwatch_input", "watch_departure", "watch_input"]

_logger = logging.getLogger("hface_trio.networking")

_DEPARTURES = 64
"""That are told of in one step at most. Input of all sockets is received in one step: a scheduler pass may be long."""


class Reader(Protocol):
    """Whoever receives from a socket when there is something."""

    def arrived(self) -> None:
        """Receive, without waiting; there may be nothing after all. Raises no ``Exception``."""

    def watch_ended(self) -> None:
        """Go on without: nobody watches any more, and the reader is registered no more."""


class _Registry:
    """The watched sockets of one trio run, for as long as somebody serves them."""

    __slots__ = ("departures", "epoll", "readers", "serving", "turn")

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.readers: dict[int, Reader] = {}
        self.departures: dict[int, Callable[[], None]] = {}
        self.serving = 0
        self.turn = trio.Lock()

    def add_reader(self, fd: int, reader: Reader) -> None:
        self._ask(fd, arrivals=True, departure=fd in self.departures)
        self.readers[fd] = reader

    def discard_reader(self, fd: int) -> None:
        if self.readers.pop(fd, None) is not None:
            self._ask_less(fd)

    def add_departure(self, fd: int, callback: Callable[[], None]) -> None:
        self._ask(fd, arrivals=fd in self.readers, departure=True)
        self.departures[fd] = callback

    def discard_departure(self, fd: int) -> None:
        if self.departures.pop(fd, None) is not None:
            self._ask_less(fd)

    def _ask(self, fd: int, *, arrivals: bool, departure: bool) -> None:
        # EPOLLHUP and EPOLLERR, which a reset brings, come unasked.
        events = (select.EPOLLIN if arrivals else 0) | (select.EPOLLRDHUP if departure else 0)
        if fd in self.readers or fd in self.departures:
            self.epoll.modify(fd, events)
        else:
            self.epoll.register(fd, events)

    def _ask_less(self, fd: int) -> None:
        if fd in self.readers or fd in self.departures:
            self._ask(fd, arrivals=fd in self.readers, departure=fd in self.departures)
        else:
            self.epoll.unregister(fd)

    def fire(self) -> None:
        # Whoever is called may close other sockets of the batch, and open new ones under their numbers. So a departure is
        # matched with the callback that stood for its socket when the events were taken; for input it does not matter.
        events = self.epoll.poll(0, len(self.readers) + _DEPARTURES)
        departed = [(fd, self.departures.get(fd)) for fd, event in events if event != select.EPOLLIN]
        for fd, event in events:
            if event != select.EPOLLRDHUP and (reader := self.readers.get(fd)) is not None:
                reader.arrived()
        for fd, callback in departed:
            if callback is None or self.departures.get(fd) is not callback:
                continue
            self.discard_departure(fd)
            try:
                callback()
            except Exception:
                _logger.exception("A departure callback failed")

    def close(self) -> None:
        trio.lowlevel.notify_closing(self.epoll.fileno())
        self.epoll.close()
        readers, self.readers = self.readers, {}
        for reader in readers.values():
            reader.watch_ended()


_registry: trio.lowlevel.RunVar[_Registry | None] = trio.lowlevel.RunVar("hface_trio.networking.sockets", None)


class SocketWatch:
    """Serves ``ByteStream.deliver`` and ``ByteStream.watch_departure`` for all socket streams of this trio run while it runs.

    A server starts one in its nursery. Several may run at the same time: one serves, and another takes over when it
    ends. Where the system has no epoll it runs and does nothing: streams then wait for themselves, and tell of no departures.
    """

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; does not return.

        An exception of a departure's callback is logged (``hface_trio.networking``) and the watch goes on;
        ``KeyboardInterrupt`` and ``SystemExit`` end it.

        Cancellation: departures that are still waited for are dropped with the last watch.
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
                registry.close()


def watch_input(fd: int, reader: Reader) -> bool:
    """Have ``reader`` told whenever there is something to receive; return whether a watch runs that does, and has room."""
    registry = _registry.get()
    if registry is None:
        return False
    try:
        registry.add_reader(fd, reader)
    except OSError:  # the system watches no more sockets in this way
        return False
    return True


def unwatch_input(fd: int) -> None:
    """Undo ``watch_input``; harmless when nothing is watched."""
    registry = _registry.get()
    if registry is not None:
        registry.discard_reader(fd)


def watch_departure(fd: int, callback: Callable[[], None]) -> None:
    """Have ``callback`` called once when the peer of ``fd`` has gone; does nothing while no watch runs, or has room."""
    registry = _registry.get()
    if registry is not None:
        with contextlib.suppress(OSError):
            registry.add_departure(fd, callback)


def unwatch_departure(fd: int) -> None:
    """Undo ``watch_departure``; harmless when nothing is watched."""
    registry = _registry.get()
    if registry is not None:
        registry.discard_departure(fd)
