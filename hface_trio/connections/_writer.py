"""The writer of a multiplexed connection: the only task that sends.

Streams put their data into send queues and wake the writer. Each of its rounds takes what the protocol has queued (heads,
resets, credit), fills up one write's worth with data of the streams in fair order, and sends it in one call. So what many
streams submit in one scheduler pass leaves together, and a priority or a reset acts on all data that is not on its way yet.

Order (RFC 9218 §10): lower urgency first. Within an urgency, streams whose response is of use in parts, and those whose peer
said nothing about it, take turns frame by frame; of the others the oldest goes first, in turns with the former.

The transport is given up when the peer takes nothing for ``write_progress_seconds``; a stream whose peer opens no window for so
long is reset by the driver, which asks :meth:`Writer.stalled`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from ..protocols import HTTPProtocol
from ._ledger import Ledger
from ._nobody import tell_nobody
from ._output import SEND_BUFFER_OCTETS
from ._send_queue import SendQueue, Urgency
from ._wakeup import Wakeup
from ._wire import Wire

if TYPE_CHECKING:
    from ..networking import Buffer

__all__ = ["CLOGGED_OCTETS", "Writer"]

_WRITE_OCTETS = 64 * 1024
_TURN_OCTETS = 16 * 1024
CLOGGED_OCTETS = 2 * _WRITE_OCTETS  # one write's worth of data may wait besides
_PROGRESS_OCTETS = 1024
_URGENCIES = 8


class Writer:
    """Sends what the protocol and the streams have.

    Args:
        protocol: gives output and capacity.
        wire: where to.
        ledger: is told what waits.
        priority_of: urgency (0 to 7) and whether parts are of use; ``None`` where the peer said nothing.
        pump: takes the protocol's events.
        retime: looks when the protocol's timer is due.
        on_failure: called once when the transport broke or the peer took nothing in time.
    """

    def __init__(
        self,
        protocol: HTTPProtocol,
        wire: Wire,
        ledger: Ledger,
        *,
        priority_of: Callable[[int], tuple[int, bool] | None],
        pump: Callable[[], None],
        retime: Callable[[], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._protocol = protocol
        self._wire = wire
        self._ledger = ledger
        self._priority_of = priority_of
        self._pump = pump
        self._retime = retime
        self._on_failure = on_failure
        self._queues: dict[int, SendQueue] = {}
        self._levels = [Urgency() for _ in range(_URGENCIES)]
        self._ready_count = 0
        self._wakeup = Wakeup()
        self._rounds = 0
        self._flushed = trio.lowlevel.ParkingLot()
        self.sending: bool = False
        """Whether it waits for the network, or is about to."""
        self.patience: int = 0
        """How many scheduler passes to wait before sending."""
        self._wanted = False
        self._closed = False
        self.failed: bool = False

    def let_go(self) -> None:
        """Forget whom to tell: the connection is over, and ``run`` has ended."""
        self._priority_of = self._pump = self._retime = self._on_failure = tell_nobody

    @property
    def has_queues(self) -> bool:
        """Whether any stream has a queue."""
        return bool(self._queues)

    @property
    def queued_octets(self) -> int:
        """Octets that the protocol has not taken."""
        return sum(queue.octets for queue in self._queues.values())

    # For streams

    def open(self, stream_id: int, on_shed: Callable[[], None]) -> SendQueue:
        """Return the queue of a stream, new unless it has one."""
        queue = self._queues.get(stream_id)
        if queue is None:
            queue = self._queues[stream_id] = SendQueue(stream_id, on_shed)
        return queue

    def get(self, stream_id: int) -> SendQueue | None:
        """Return the queue of a stream, if it has one."""
        return self._queues.get(stream_id)

    def close(self, queue: SendQueue) -> None:
        """Forget a queue and what is in it; whoever waits for it goes on."""
        if queue.closed:
            return
        queue.closed = True
        self._queues.pop(queue.stream_id, None)
        queue.buffers.clear()
        queue.octets = 0
        queue.end_stream = False
        self._ledger.release(queue)
        queue.room.unpark_all()
        on_empty = queue.let_go()
        if on_empty is not None:
            on_empty()

    def submit_at_once(self, stream_id: int, data: Buffer, end_stream: bool) -> bool:
        """Hand data of a stream that has nothing queued to the protocol, if it takes all of it; return whether it did.

        Only while nobody else has anything to send; the protocol holds one write's worth.
        """
        if self._ready_count or len(data) > self._protocol.send_capacity(stream_id):
            return False
        self._protocol.submit_data(stream_id, data, end_stream)
        self.wake()
        return True

    def put(self, queue: SendQueue, data: Buffer, end_stream: bool) -> None:
        """Queue data. Never waits."""
        n_octets = len(data)
        if queue.empty:
            queue.progress_at = trio.current_time()
            queue.progress_octets = 0
            if self.submit_at_once(queue.stream_id, data, end_stream):
                return
        if n_octets:
            queue.buffers.append(data)
            queue.octets += n_octets
            self._ledger.adjust(queue, n_octets)
        queue.end_stream = queue.end_stream or end_stream
        self.make_ready(queue)

    async def wait_room(self, queue: SendQueue) -> None:
        """Wait until at most 64 KiB of a queue is unsent, or it was closed."""
        while queue.octets > SEND_BUFFER_OCTETS and not queue.closed:
            await queue.room.park()

    async def wait_empty(self, queue: SendQueue) -> None:
        """Wait until the protocol has taken everything of a queue, or it was closed."""
        while not queue.empty and not queue.closed:
            await queue.room.park()

    def make_ready(self, queue: SendQueue) -> None:
        """Take note that a stream has something to send, and may."""
        if queue.ready or queue.closed or queue.empty:
            return
        queue.ready = True
        self._ready_count += 1
        self._enqueue(queue)
        self.wake()

    def capacity_increased(self, stream_id: int) -> None:
        """Take note that a stream may send again."""
        if (queue := self._queues.get(stream_id)) is not None:
            self.make_ready(queue)

    def priority_changed(self, stream_id: int) -> None:
        """Take note that a stream's place among the others may be another now."""
        queue = self._queues.get(stream_id)
        if queue is not None and queue.ready and any(level.remove(queue) for level in self._levels):
            self._enqueue(queue)

    def stalled(self, since: float) -> list[int]:
        """Return the streams that have sent next to nothing of what they have since a time."""
        return [queue.stream_id for queue in self._queues.values() if not queue.empty and queue.progress_at <= since]

    # For the connection

    def wake(self) -> None:
        """Let the writer look for something to send."""
        self._wanted = True
        if not self.sending:
            self._wakeup.wake()

    async def wait_flushed(self) -> None:
        """Wait until everything that the protocol has taken so far has reached the kernel, or the transport failed."""
        rounds = self._rounds + (2 if self.sending else 1)  # a round that sends already may not have it
        self.wake()
        while self._rounds < rounds and not (self.failed or self._closed):
            await self._flushed.park()

    async def wait_round(self) -> bool:
        """Wait until the writer has sent again; return whether it goes on."""
        if not (self.failed or self._closed):
            await self._flushed.park()
        return not (self.failed or self._closed)

    def is_clogged(self, octets: int) -> bool:
        """Whether more than so many octets of heads, resets and the like wait for a transport that takes nothing."""
        waits = self.sending or self.patience
        return bool(waits) and not (self.failed or self._closed) and self._protocol.queued_octets > octets

    async def wait_unclogged(self) -> None:
        """Wait until the protocol's output has room for more heads."""
        while self.is_clogged(CLOGGED_OCTETS):
            await self._flushed.park()

    def close_all(self) -> None:
        """Forget all queues: nothing more will be sent."""
        self._closed = True
        for queue in list(self._queues.values()):
            self.close(queue)
        self._flushed.unpark_all()

    async def run(self) -> None:
        """Send until cancelled or the transport fails."""
        wire = self._wire
        at_a_stretch = False
        try:
            while True:
                self._wakeup.clear()
                wire.prepare()
                self._fill()
                self._wanted = False
                found = wire.collect()
                if found:
                    self.sending = True
                    if at_a_stretch:  # let others run
                        await trio.lowlevel.checkpoint()
                    await wire.send()
                    self.sending = False
                    self._pump()  # what left has made room
                self._retime()
                self._rounds += 1
                self._flushed.unpark_all()
                at_a_stretch = found and (self._wanted or self._ready_count > 0)
                if not at_a_stretch:
                    await self._wakeup.wait()
                if self.patience:
                    await self._wait_for_handlers()
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError) as exc:
            self._fail(exc)
        finally:
            self.sending = False

    async def _wait_for_handlers(self) -> None:
        """Let handlers that were started just now answer, so that what they say leaves together and in one go."""
        while self.patience and self._protocol.queued_octets <= _WRITE_OCTETS:
            self.patience -= 1
            await trio.lowlevel.checkpoint()
        self.patience = 0

    def _fail(self, exc: Exception) -> None:
        if not self.failed:
            self.failed = True
            self._on_failure(exc)
            self.close_all()

    def _fill(self) -> None:
        """Hand the protocol one write's worth of data in fair order."""
        self._pump()
        protocol = self._protocol
        collected = 0
        while collected < _WRITE_OCTETS and self._ready_count:
            queue, in_turns = self._next()
            if queue.closed or queue.empty:
                continue
            capacity = protocol.send_capacity(queue.stream_id)
            if queue.octets and not capacity:
                continue  # the protocol tells when there is more
            collected += self._submit(queue, min(capacity, _TURN_OCTETS if in_turns else _WRITE_OCTETS - collected))
            if queue.octets <= SEND_BUFFER_OCTETS and queue.room:
                queue.room.unpark_all()
            if not (queue.octets or queue.end_stream):
                if queue.on_empty is not None:
                    queue.on_empty()
            elif not queue.ready:
                queue.ready = True
                self._ready_count += 1
                self._enqueue(queue)

    def _submit(self, queue: SendQueue, limit: int) -> int:
        """Hand at most ``limit`` octets of a queue to the protocol; return how many."""
        taken = 0
        while True:
            data: Buffer = queue.take(limit - taken) if queue.octets else b""
            taken += len(data)
            last = not queue.octets and queue.end_stream
            if last:
                queue.end_stream = False
            self._protocol.submit_data(queue.stream_id, data, last)
            if not queue.octets or taken >= limit:
                break
            # What frames data takes room too, on some versions.
            limit = min(limit, taken + self._protocol.send_capacity(queue.stream_id))
            if taken >= limit:
                break
        self._ledger.adjust(queue, -taken)
        queue.progress_octets += taken
        if queue.progress_octets >= _PROGRESS_OCTETS:
            queue.progress_octets = 0
            queue.progress_at = trio.current_time()
        return taken

    def _enqueue(self, queue: SendQueue) -> None:
        priority = self._priority_of(queue.stream_id)
        if priority is None:
            self._levels[3].parallel.append(queue)
            return
        urgency, incremental = priority
        if incremental:
            self._levels[urgency].parallel.append(queue)
        else:
            self._levels[urgency].sequential[queue.stream_id] = queue

    def _next(self) -> tuple[SendQueue, bool]:
        for level in self._levels:
            if (found := level.next()) is not None:
                found[0].ready = False
                self._ready_count -= 1
                return found
        self._ready_count = 0  # cannot be: counted wherever a queue is made ready or taken
        raise LookupError("no stream is ready")
