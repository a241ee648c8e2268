"""Parking of one task, leaner than an event: it can be used again, and waking costs one reschedule."""

from __future__ import annotations

import trio

__all__ = ["Wakeup"]


class Wakeup:
    """One task waits; anyone wakes it. A wake-up with nobody waiting is remembered, once."""

    __slots__ = ("_set", "_task")

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None
        self._set = False

    @property
    def waiting(self) -> bool:
        """Whether a task waits now."""
        return self._task is not None

    def wake(self) -> None:
        """Wake the waiting task, or let the next wait return at once."""
        task = self._task
        if task is None:
            self._set = True
        else:
            self._task = None
            trio.lowlevel.reschedule(task)

    def clear(self) -> None:
        """Forget a remembered wake-up."""
        self._set = False

    async def wait(self) -> None:
        """Wait for ``wake``; always a checkpoint.

        Raises:
            trio.BusyResourceError: another task waits already.
        """
        if self._task is not None:
            raise trio.BusyResourceError("another task waits for this already")
        if self._set:
            await trio.lowlevel.checkpoint()
            self._set = False
            return

        def abort(_: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)
