"""The receiving side of a stream: a bounded queue between the connection's reader and whoever receives.

It behaves as a memory channel of 64 events that never makes its sender wait: what does not fit is data, and data is
joined by stream behind the events, so that a peer which sends one octet at a time costs one octet at a time. How many
octets can lie here is bounded by receive windows, since credit returns only when an event is taken. The order within a
stream is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import trio

from ..events import DatagramReceived, DataReceived, Event, PriorityUpdateReceived, StreamEvent
from ._wakeup import Wakeup

__all__ = ["MAX_EVENTS", "EventQueue"]

MAX_EVENTS = 64

_EventT = TypeVar("_EventT", bound=Event)


class _Joined:
    """Data of one stream for which there was no room."""

    __slots__ = ("data", "end_stream")

    def __init__(self) -> None:
        self.data: bytearray = bytearray()
        self.end_stream: bool = False


class EventQueue(Generic[_EventT]):
    """Events of one stream (or, used raw, of one connection), waiting for their receiver.

    The queue ends in one of two ways, both behind what was put before: ``end`` (the peer sent END_STREAM) or ``fail``.
    """

    __slots__ = ("_ended", "_events", "_failure", "_joined", "_wakeup", "datagrams_dropped", "waiting_since")

    def __init__(self) -> None:
        self._events: deque[_EventT] = deque()
        self._joined: dict[int, _Joined] | None = None
        self._ended = False
        self._failure: Callable[[], Exception] | None = None
        self._wakeup = Wakeup()
        self.datagrams_dropped: int = 0
        """Datagrams that found no room, or made it."""
        self.waiting_since: float = 0.0
        """When the waiting receiver began to wait."""

    @property
    def waiting(self) -> bool:
        """Whether a receiver waits for an event."""
        return self._wakeup.waiting

    @property
    def ready(self) -> bool:
        """Whether an event can be taken now, and nobody waits for one."""
        return bool(self._events) and not self._wakeup.waiting

    def put(self, event: _EventT) -> None:
        """Append an event. Never waits."""
        if isinstance(event, PriorityUpdateReceived):  # only the latest counts
            for earlier in self._events:
                if isinstance(earlier, PriorityUpdateReceived) and earlier.stream_id == event.stream_id:
                    self._events.remove(earlier)
                    break
        if self._joined is None and (len(self._events) < MAX_EVENTS or not isinstance(event, DataReceived)):
            self._events.append(event)
        else:
            self._put_crowded(event)
        if self._wakeup.waiting:
            self._wakeup.wake()

    def put_datagram(self, event: DatagramReceived) -> int:
        """Append a datagram; where 64 events wait the oldest datagram makes room, or this one is lost. Never waits.

        Returns:
            How many octets more, or less, wait now.
        """
        n_octets = len(event.data)
        if len(self._events) >= MAX_EVENTS:
            self.datagrams_dropped += 1
            oldest = next((number for number, e in enumerate(self._events) if isinstance(e, DatagramReceived)), None)
            if oldest is None:
                return 0
            dropped = self._events[oldest]
            n_octets -= len(dropped.data) if isinstance(dropped, DatagramReceived) else 0
            del self._events[oldest]
        self._events.append(event)  # type: ignore[arg-type]  # whoever is given datagrams takes them
        if self._wakeup.waiting:
            self._wakeup.wake()
        return n_octets

    def _put_crowded(self, event: _EventT) -> None:
        joined = self._joined = {} if self._joined is None else self._joined
        if isinstance(event, DataReceived):
            data = joined.setdefault(event.stream_id, _Joined())
            data.data += event.data
            data.end_stream = event.end_stream
            return
        if not isinstance(event, StreamEvent):  # of the connection: behind everything
            for stream_id in list(joined):
                self._unjoin(stream_id)
        elif event.stream_id in joined:
            self._unjoin(event.stream_id)
        self._events.append(event)

    def end(self) -> None:
        """Let the receiver find the end behind what it has not taken yet."""
        self._ended = True
        if self._wakeup.waiting:
            self._wakeup.wake()

    def reopen(self) -> None:
        """Take the end back: a request without a body has become a tunnel."""
        self._ended = False

    def fail(self, make_failure: Callable[[], Exception]) -> None:
        """Let the receiver find an error behind what it has not taken yet. The first failure stays."""
        if self._failure is None and not self._ended:
            self._failure = make_failure
            if self._wakeup.waiting:
                self._wakeup.wake()

    def clear(self) -> int:
        """Drop all events; return how many data octets were dropped."""
        n_octets = 0 if self._joined is None else sum(len(joined.data) for joined in self._joined.values())
        n_octets += sum(len(event.data) for event in self._events if isinstance(event, DataReceived))
        self._events.clear()
        self._joined = None
        return n_octets

    def get_nowait(self) -> _EventT:
        """Take the next event.

        Raises:
            trio.WouldBlock: there is none yet.
            trio.EndOfChannel: the peer ended the stream.
            HfaceError: the stream failed.
        """
        if self._events:
            event = self._events.popleft()
            if self._joined is not None and len(self._events) < MAX_EVENTS:
                self._unjoin(next(iter(self._joined)))
            return event
        if self._failure is not None:
            raise self._failure()
        if self._ended:
            raise trio.EndOfChannel
        raise trio.WouldBlock

    async def get(self) -> _EventT:
        """Wait for the next event and take it.

        Raises:
            trio.BusyResourceError: another task waits.
            trio.EndOfChannel: the peer ended the stream.
            HfaceError: the stream failed.

        Cancellation: nothing is taken.
        """
        if self._wakeup.waiting:
            raise trio.BusyResourceError("another task receives from this stream")
        if self._events or self._ended or self._failure is not None:
            await trio.lowlevel.checkpoint()
        while not (self._events or self._ended or self._failure is not None):
            self.waiting_since = trio.current_time()
            await self._wakeup.wait()
        return self.get_nowait()

    def _unjoin(self, stream_id: int) -> None:
        if self._joined is None:
            return
        joined = self._joined.pop(stream_id)
        if not self._joined:
            self._joined = None
        event = DataReceived(stream_id, bytes(joined.data), joined.end_stream)
        self._events.append(event)  # type: ignore[arg-type]  # a DataReceived came in, so one may come out
