"""Input of a socket that is handed on where it is noticed, while the task that wants it sleeps.

The task wakes for the end of its delivery only: when no more is wanted, or something is wrong. Meanwhile the socket's input
is received by the task of :class:`~hface_trio.networking.SocketWatch`, in the context of the task that sleeps. As anywhere in
trio, what has come is taken before a deadline is heard of that has passed since.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

import trio

from ._socket_watch import unwatch_input, watch_input

__all__ = ["SocketDelivery", "is_readable"]


class SocketDelivery:
    """Delivers the input of a socket.

    Args:
        sock: the socket.
        take: gets what arrives, ``b""`` for the end; returns how many octets it takes next, at most, and 0 for no more.
        max_bytes: how many it takes first.
    """

    __slots__ = ("_failure", "_is_last", "_max_bytes", "_receiving", "_socket", "_take", "_task", "broken")

    def __init__(self, sock: socket.socket, take: Callable[[bytes], int], max_bytes: int) -> None:
        self._socket = sock
        self._take = take
        self._max_bytes = max_bytes
        self._task: trio.lowlevel.Task | None = None
        self._failure: BaseException | None = None
        self._receiving = False
        self._is_last = False  # the task was cancelled, and takes what has come
        self.broken: OSError | None = None
        """Why the socket gave no more."""

    async def run(self) -> int:
        """Deliver until no more is wanted, the socket is ``broken``, or nobody watches it.

        Returns:
            How many octets are still wanted.

        Raises:
            BaseException: of ``take``, or what ``fail`` was given.
        """
        fd = self._socket.fileno()
        if not watch_input(fd, self):
            return self._max_bytes

        def abort(_: object) -> trio.lowlevel.Abort:
            if self._receiving or is_readable(fd):
                self._is_last = True
                return trio.lowlevel.Abort.FAILED
            self._task = None
            unwatch_input(fd)
            return trio.lowlevel.Abort.SUCCEEDED

        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)
        failure, self._failure = self._failure, None
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # its traceback has this frame
        return self._max_bytes

    def arrived(self) -> None:
        """Receive, and hand it on."""
        if self._task is not None:
            self._task.context.run(self._receive)

    def _receive(self) -> None:
        try:
            data = self._socket.recv(self._max_bytes)
        except BlockingIOError:
            if self._is_last:
                self.stop()
            return
        except OSError as exc:
            self.broken = exc
            self.stop()
            return
        self._receiving = True
        try:
            self._max_bytes = self._take(data)
        except BaseException as exc:  # noqa: BLE001  # raised in the task that has ordered the delivery
            self._failure = exc  # even if that has been stopped meanwhile
            self.stop()
            return
        finally:
            self._receiving = False
        if self._max_bytes <= 0 or self._is_last:
            self.stop()

    def fail(self, failure: Exception) -> None:
        """End the delivery, if it goes on; ``failure`` is raised there."""
        if self._task is not None:
            self._failure = failure
            self.stop()

    def stop(self) -> None:
        """End the delivery, if it goes on."""
        if self._task is not None:
            unwatch_input(self._socket.fileno())
            self.watch_ended()

    def watch_ended(self) -> None:
        """Let the task go on by itself."""
        if self._task is not None:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task)


def is_readable(fd: int) -> bool:
    """Return whether a receive would not wait: there are octets, or it would tell of an end. True where nobody knows."""
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))
