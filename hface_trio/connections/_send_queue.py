"""What waits to be sent of each stream, and whose turn it is among streams of one urgency."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from ._nobody import tell_nobody

if TYPE_CHECKING:
    from ..networking import Buffer

__all__ = ["SendQueue", "Urgency"]


class SendQueue:
    """Data of one stream that the protocol has not taken yet.

    Args:
        stream_id: the stream.
        on_shed: resets the stream, when memory is short.
    """

    __slots__ = (
        "_on_shed",
        "buffers",
        "closed",
        "end_stream",
        "ledger_octets",
        "octets",
        "on_empty",
        "progress_at",
        "progress_octets",
        "ready",
        "room",
        "stream_id",
    )

    def __init__(self, stream_id: int, on_shed: Callable[[], None]) -> None:
        self.stream_id: int = stream_id
        self.buffers: deque[Buffer] = deque()
        self.octets: int = 0
        self.end_stream: bool = False
        self.closed: bool = False
        self.ready: bool = False
        self.room: trio.lowlevel.ParkingLot = trio.lowlevel.ParkingLot()
        self.progress_at: float = 0.0
        self.progress_octets: int = 0
        self.on_empty: Callable[[], None] | None = None
        self.ledger_octets: int = 0
        self._on_shed = on_shed

    @property
    def empty(self) -> bool:
        """Whether the protocol has taken everything."""
        return not self.octets and not self.end_stream

    def shed(self) -> None:
        """Reset the stream."""
        self._on_shed()

    def let_go(self) -> Callable[[], None] | None:
        """Refer to the stream no longer, which refers to this; return what was to be called when all had been taken."""
        on_empty, self.on_empty = self.on_empty, None
        self._on_shed = tell_nobody
        return on_empty

    def take(self, n_octets: int) -> Buffer:
        """Take octets from the front: a whole buffer where it fits, a part of it otherwise."""
        buffer = self.buffers[0]
        if len(buffer) <= n_octets:
            self.buffers.popleft()
        else:
            view = memoryview(buffer)
            buffer, self.buffers[0] = view[:n_octets], view[n_octets:]
        self.octets -= len(buffer)
        return buffer


class Urgency:
    """Streams of one urgency that have something to send."""

    __slots__ = ("_parallel_next", "parallel", "sequential")

    def __init__(self) -> None:
        self.parallel: deque[SendQueue] = deque()
        self.sequential: dict[int, SendQueue] = {}
        self._parallel_next = False

    def next(self) -> tuple[SendQueue, bool] | None:
        """Return whose turn it is, and whether it takes turns frame by frame."""
        if self.parallel and (self._parallel_next or not self.sequential):
            self._parallel_next = False
            return self.parallel.popleft(), True
        if self.sequential:
            self._parallel_next = True
            stream_id = min(self.sequential)
            return self.sequential.pop(stream_id), False
        return None

    def remove(self, queue: SendQueue) -> bool:
        """Take a stream out, if it is in here; return whether it was."""
        if self.sequential.pop(queue.stream_id, None) is not None:
            return True
        if queue in self.parallel:
            self.parallel.remove(queue)
            return True
        return False
