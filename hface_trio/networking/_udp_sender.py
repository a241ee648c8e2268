"""One sender for each UDP socket: connections hand it datagrams, and it alone waits for the socket.

What leaves at once leaves within ``submit``, without a task being woken. What does not is queued for each connection
and sent by ``run``, a burst of each connection in turn, so that none holds up the others for more than that.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Hashable, Sequence

import trio

from ..models import DatagramType
from ._interfaces import DatagramSocket

__all__ = ["DatagramSender", "SenderStatistics"]

_BURST = 32  # datagrams of one connection in its turn
_ROOM_OCTETS = 64 * 1024
_QUEUE_OCTETS = 256 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class SenderStatistics:
    """What a sender holds, and what it has dropped.

    Args:
        queued_connections: connections that have datagrams waiting.
        queued_datagrams: datagrams waiting, of all connections.
        queued_octets: their octets.
        dropped: datagrams dropped because their connection had too many waiting, or the socket was gone.
    """

    queued_connections: int
    queued_datagrams: int
    queued_octets: int
    dropped: int


class _Queue:
    """What waits of one connection."""

    __slots__ = ("datagrams", "octets", "room")

    def __init__(self) -> None:
        self.datagrams: deque[DatagramType] = deque()
        self.octets = 0
        self.room: trio.Event | None = None  # set when there is room, or none ever again


class DatagramSender:
    """Sends the datagrams of many connections through one socket.

    Args:
        socket: where to send them; it is not closed here.
        room_octets: what a connection may have waiting before it is told to wait.
        queue_octets: what a connection may have waiting at all; what goes beyond is dropped, as a network would.

    Its ``run`` has to run in a task for as long as more may be submitted than leaves at once.
    """

    def __init__(
        self, socket: DatagramSocket, *, room_octets: int = _ROOM_OCTETS, queue_octets: int = _QUEUE_OCTETS
    ) -> None:
        self._socket = socket
        self._room_octets = room_octets
        self._queue_octets = queue_octets
        self._queues: dict[Hashable, _Queue] = {}
        self._turns: deque[Hashable] = deque()
        self._work = trio.Event()
        self._idle: trio.Event | None = None
        self._closed = False
        self._dropped = 0

    @property
    def socket(self) -> DatagramSocket:
        """The socket that is sent through."""
        return self._socket

    def submit(self, connection_key: Hashable, datagrams: Sequence[DatagramType]) -> bool:
        """Send datagrams of a connection, now or in its turn; when ``run`` has ended, now or never. Never waits.

        Args:
            connection_key: whose they are.
            datagrams: payloads and where they go.

        Returns:
            Whether there is room for more. If not, ``wait_room`` before the connection is asked for datagrams again.
        """
        sent = 0
        if not self._turns:
            try:
                sent = self._socket.send_nowait(datagrams)
            except trio.ClosedResourceError:
                self._close()
                self._dropped += len(datagrams)
                return True
        if sent < len(datagrams):
            if self._closed:  # nobody would send them later
                self._dropped += len(datagrams) - sent
            else:
                self._enqueue(connection_key, datagrams, sent)
        return self.has_room(connection_key)

    def has_room(self, connection_key: Hashable) -> bool:
        """Whether a connection may submit more datagrams."""
        queue = self._queues.get(connection_key)
        return queue is None or queue.octets < self._room_octets

    async def wait_room(self, connection_key: Hashable) -> None:
        """Wait until a connection may submit more datagrams.

        Raises:
            trio.ClosedResourceError: the socket was closed, or ``run`` has ended.
        """
        waited = False
        while not self._closed and not self.has_room(connection_key):
            queue = self._queues[connection_key]
            if queue.room is None:
                queue.room = trio.Event()
            await queue.room.wait()
            waited = True
        if not waited:
            await trio.lowlevel.checkpoint()
        if self._closed:
            raise trio.ClosedResourceError("the socket is closed")

    async def flush(self) -> None:
        """Wait until nothing waits any more.

        Raises:
            trio.ClosedResourceError: the socket was closed, or ``run`` has ended.
        """
        if self._turns and not self._closed:
            if self._idle is None:
                self._idle = trio.Event()
            await self._idle.wait()
        else:
            await trio.lowlevel.checkpoint()
        if self._closed:
            raise trio.ClosedResourceError("the socket is closed")

    def forget(self, connection_key: Hashable) -> None:
        """Drop what waits of a connection. A connection that has nothing waiting leaves no trace anyhow."""
        queue = self._queues.pop(connection_key, None)
        if queue is not None:
            self._turns.remove(connection_key)
            self._dropped += len(queue.datagrams)
            _set(queue.room)
            self._tell_if_idle()

    def statistics(self) -> SenderStatistics:
        """Return what waits, and what was dropped."""
        queues = self._queues.values()
        return SenderStatistics(
            queued_connections=len(self._queues),
            queued_datagrams=sum(len(queue.datagrams) for queue in queues),
            queued_octets=sum(queue.octets for queue in queues),
            dropped=self._dropped,
        )

    async def run(self) -> None:
        """Send what waits, until the socket is closed. One task.

        Cancellation: what waits is dropped, and whoever waits for room is told.
        """
        try:
            while True:
                await self._work.wait()
                if self._closed:
                    break
                await self._socket.wait_writable()
                self._send_turns()
                if not self._turns:
                    self._work = trio.Event()
        except trio.ClosedResourceError:
            return
        finally:
            self._close()

    def _enqueue(self, key: Hashable, datagrams: Sequence[DatagramType], start: int) -> None:
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = _Queue()
            self._turns.append(key)
            self._work.set()
        for number in range(start, len(datagrams)):
            datagram = datagrams[number]
            octets = queue.octets + len(datagram[0])
            if octets > self._queue_octets and queue.datagrams:
                self._dropped += len(datagrams) - number
                break
            queue.datagrams.append(datagram)
            queue.octets = octets

    def _send_turns(self) -> None:
        """Send a burst of each connection, once round or until the socket takes no more."""
        for _ in range(len(self._turns)):
            key = self._turns[0]
            queue = self._queues[key]
            waiting = queue.datagrams
            burst = [waiting[number] for number in range(min(_BURST, len(waiting)))]
            sent = self._socket.send_nowait(burst)
            if not sent:
                break
            for _ in range(sent):
                queue.octets -= len(waiting.popleft()[0])
            if not waiting:
                self._turns.popleft()
                del self._queues[key]
            else:
                self._turns.rotate(-1)
            if queue.room is not None and queue.octets < self._room_octets:
                _set(queue.room)
                queue.room = None
            if sent < len(burst):
                break
        self._tell_if_idle()

    def _tell_if_idle(self) -> None:
        if not self._turns and self._idle is not None:
            self._idle.set()
            self._idle = None

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._work.set()
        for queue in self._queues.values():
            self._dropped += len(queue.datagrams)
            _set(queue.room)
        self._queues.clear()
        self._turns.clear()
        self._tell_if_idle()


def _set(event: trio.Event | None) -> None:
    if event is not None:
        event.set()
