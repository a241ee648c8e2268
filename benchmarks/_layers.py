"""What the microbenchmarks have in common: a layer, and how its time is taken."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Awaitable, Callable

import trio

__all__ = ["Layer", "Stopwatch", "best_of", "best_of_async"]

_ROUNDS = 5


@dataclasses.dataclass(frozen=True)
class Layer:
    """One line of the table.

    Args:
        group: what it is compared with.
        name: what was done.
        microseconds: of processor time for each, in the best of some rounds: what disturbs only ever adds.
    """

    group: str
    name: str
    microseconds: float


class Stopwatch:
    """Adds up the processor time of what is measured, and leaves out what lies between."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def start(self) -> None:
        """Go on."""
        self._began = time.thread_time()

    def stop(self) -> None:
        """Pause."""
        self.seconds += time.thread_time() - self._began


def best_of(group: str, name: str, count: int, act: Callable[[int, Stopwatch], None]) -> Layer:
    """Return the best time of some rounds.

    Args:
        group: see :class:`Layer`.
        name: see :class:`Layer`.
        count: how often ``act`` does it in a round.
        act: is called with ``count`` and a stopwatch; the first call is to warm up.
    """
    times: list[float] = []
    for _ in range(_ROUNDS + 1):
        watch = Stopwatch()
        act(count, watch)
        times.append(watch.seconds)
    return Layer(group, name, min(times[1:]) / count * 1e6)


def best_of_async(group: str, name: str, count: int, act: Callable[[int, Stopwatch], Awaitable[None]]) -> Layer:
    """Return the same of an asynchronous function; every round has a trio loop of its own."""
    return best_of(group, name, count, lambda number, watch: trio.run(act, number, watch))
