"""Holds what is to be sent, uncopied, and what shall happen to the transport after it."""

from __future__ import annotations

from collections.abc import Iterable

from .._interfaces import Buffer, OutputEnd

__all__ = ["OutputQueue"]

_CAPACITY_OCTETS = 256 * 1024
_ORDER = {OutputEnd.OPEN: 0, OutputEnd.HALF_CLOSED: 1, OutputEnd.CLOSED: 2, OutputEnd.ABORTED: 3}


class OutputQueue:
    """A queue of buffers with a bound, and its end. Ends only ever get more final."""

    __slots__ = ("_buffers", "end", "octets")

    def __init__(self) -> None:
        self._buffers: list[Buffer] = []
        self.octets = 0
        """How much is queued."""
        self.end = OutputEnd.OPEN
        """What shall happen once the queue is empty."""

    @property
    def capacity(self) -> int:
        """How much more the application may queue."""
        return 0 if self.octets >= _CAPACITY_OCTETS else _CAPACITY_OCTETS - self.octets

    def write(self, buffer: Buffer) -> None:
        """Queue one buffer."""
        self._buffers.append(buffer)
        self.octets += len(buffer)

    def write_all(self, buffers: Iterable[Buffer]) -> None:
        """Queue some buffers."""
        for buffer in buffers:
            self.write(buffer)

    def take(self) -> list[Buffer]:
        """Empty the queue."""
        taken = self._buffers
        if taken:
            self._buffers = []
            self.octets = 0
            return taken
        return []

    def finish(self, end: OutputEnd) -> None:
        """End the output, unless it has ended as finally before. To abort drops what is queued."""
        if _ORDER[end] > _ORDER[self.end]:
            self.end = end
            if end is OutputEnd.ABORTED:
                self.take()
