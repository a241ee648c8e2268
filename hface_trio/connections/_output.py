"""The output of a serial connection: whoever submits sends, and what does not leave at once is sent by a flusher.

Usually all output leaves in the one system call of the task that made it. When the transport is full, the rest waits here and
a task of the connection's nursery, the flusher, sends it; it ends when all has left. So no send is ever cut off by the
cancellation of whoever made it, and a task may go on while its last 64 KiB leave.

The flusher gives up when the peer takes nothing for ``write_progress_seconds``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import trio

from ._ledger import Ledger
from ._nobody import tell_nobody

if TYPE_CHECKING:
    from ..networking import Buffer, ByteStream

__all__ = ["SEND_BUFFER_OCTETS", "SerialOutput", "behind"]

SEND_BUFFER_OCTETS = 64 * 1024
"""A sender waits while more than this is unsent."""

_MAX_BUFFERS = 64

_JOINED_OCTETS = 4 * 1024
"""Up to this size one buffer costs less than several: no vector for the system, one record of TLS."""


class SerialOutput:
    """Sends buffers in order.

    Args:
        transport: where to.
        nursery: the flusher's.
        ledger: is told what waits.
        progress_seconds: see the module.
        on_failure: called once, when the transport broke or the peer took nothing in time.
    """

    __slots__ = (
        "_failed",
        "_flushing",
        "_ledger",
        "_nursery",
        "_on_failure",
        "_pending",
        "_progress_seconds",
        "_room",
        "_transport",
        "_unsent",
        "ledger_octets",
        "octets_sent",
        "passive",
    )

    def __init__(
        self,
        transport: ByteStream,
        nursery: trio.Nursery,
        ledger: Ledger,
        progress_seconds: float,
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._transport = transport
        self._nursery = nursery
        self._ledger = ledger
        self._progress_seconds = progress_seconds
        self._on_failure = on_failure
        self._pending: deque[Buffer] | None = None  # most connections never need one
        self._unsent = 0
        self._flushing = False
        self._room: trio.lowlevel.ParkingLot | None = None
        self._failed = False
        self.passive: bool = False
        """Set when no flusher can be started any more: what waits is taken by whoever closes."""
        self.ledger_octets = 0
        self.octets_sent = 0

    @property
    def unsent_octets(self) -> int:
        """Octets that have not left."""
        return self._unsent

    @property
    def failed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._failed

    @property
    def busy(self) -> bool:
        """Whether the flusher is at work: not everything has reached the kernel."""
        return self._flushing

    def push(self, buffers: Sequence[Buffer]) -> None:
        """Send buffers, now or by the flusher. Never waits; drops them when the transport has failed."""
        if self._failed:
            return
        n_octets = sum(map(len, buffers))
        if n_octets <= _JOINED_OCTETS and len(buffers) > 1:
            buffers = (b"".join(buffers),)
        if self._flushing or self.passive:
            self._queue(buffers, n_octets)
            return
        try:
            sent = self._transport.send_nowait(buffers)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            self._fail(exc)
            return
        self.octets_sent += sent
        if sent < n_octets:
            self._queue(behind(buffers, sent), n_octets - sent)
        elif not self._transport.unsent_octets:
            return
        self._start_flusher()

    async def wait_room(self) -> None:
        """Wait until at most 64 KiB is unsent, or the output failed. A checkpoint."""
        await trio.lowlevel.checkpoint()
        while self._unsent > SEND_BUFFER_OCTETS:
            await self._wait()

    async def wait_flushed(self) -> None:
        """Wait until everything has reached the kernel, or the output failed. No checkpoint when it has."""
        while self._flushing:
            await self._wait()

    def shed(self) -> None:
        """Give up what waits, and the connection with it."""
        self._fail(trio.BrokenResourceError("output was given up to save memory"))

    def close(self) -> None:
        """Drop what waits and let nobody wait any longer; tells nobody."""
        self._failed = True
        self._pending = None
        self._unsent = 0
        self._ledger.release(self)
        self._wake()

    def let_go(self) -> None:
        """Forget whom to tell: the connection is over."""
        self._on_failure = tell_nobody

    def take_pending(self) -> list[Buffer]:
        """Take what waits away from the flusher, which has ended or is about to be cancelled."""
        pending, self._pending = self._pending, None
        return [] if pending is None else list(pending)

    def _queue(self, buffers: Sequence[Buffer], n_octets: int) -> None:
        if self._pending is None:
            self._pending = deque(buffers)
        else:
            self._pending.extend(buffers)
        self._unsent += n_octets
        self._ledger.adjust(self, n_octets)

    async def _wait(self) -> None:
        if self._room is None:
            self._room = trio.lowlevel.ParkingLot()
        await self._room.park()

    def _wake(self) -> None:
        if self._room is not None:
            self._room.unpark_all()

    def _start_flusher(self) -> None:
        if not self.passive:
            self._flushing = True
            self._nursery.start_soon(self._flush)

    def _fail(self, exc: Exception) -> None:
        if not self._failed:
            self._failed = True
            self._on_failure(exc)  # first: those who wait shall find themselves cancelled
            self.close()

    async def _flush(self) -> None:
        try:
            while not self._failed and (self._pending or self._transport.unsent_octets):
                before = (self.octets_sent, self._transport.unsent_octets)
                with trio.move_on_after(self._progress_seconds) as scope:
                    await self._flush_pending(scope)
                if scope.cancelled_caught and before == (self.octets_sent, self._transport.unsent_octets):
                    self._fail(trio.TooSlowError("the peer took nothing in time"))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            self._fail(exc)
        finally:
            self._flushing = False
            self._wake()

    async def _flush_pending(self, scope: trio.CancelScope) -> None:
        transport = self._transport
        while self._pending:
            await transport.wait_writable()
            if self._pending and (sent := transport.send_nowait(_first(self._pending))):
                self._take(self._pending, sent)
                scope.deadline = trio.current_time() + self._progress_seconds
        await transport.flush()

    def _take(self, pending: deque[Buffer], n_octets: int) -> None:
        self.octets_sent += n_octets
        self._unsent -= n_octets
        self._ledger.adjust(self, -n_octets)
        rest = n_octets
        while rest:
            buffer = pending.popleft()
            if len(buffer) > rest:
                pending.appendleft(memoryview(buffer)[rest:])
                rest = 0
            else:
                rest -= len(buffer)
        while pending and not len(pending[0]):
            pending.popleft()
        if self._unsent <= SEND_BUFFER_OCTETS:
            self._wake()


def _first(pending: deque[Buffer]) -> list[Buffer]:
    if len(pending) <= _MAX_BUFFERS:
        return list(pending)
    return [pending[i] for i in range(_MAX_BUFFERS)]


def behind(buffers: Sequence[Buffer], n_octets: int) -> list[Buffer]:
    """Return what of ``buffers`` lies behind the first ``n_octets``."""
    rest: list[Buffer] = []
    for buffer in buffers:
        if n_octets >= len(buffer):
            n_octets -= len(buffer)
        elif n_octets:
            rest.append(memoryview(buffer)[n_octets:])
            n_octets = 0
        else:
            rest.append(buffer)
    return rest
