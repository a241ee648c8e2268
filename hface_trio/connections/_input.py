"""The receiving side of a stream: a bounded queue between the connection's reader and whoever receives.

It behaves as a memory channel of 64 events that never makes its sender wait: what does not fit is data, and data is
joined behind the last event, so that a peer which sends one octet at a time costs one octet at a time. How many octets
can lie here is bounded by the stream's receive window, since credit returns only when an event is taken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import trio

from ..events import DataReceived, Event, PriorityUpdateReceived
from ._wakeup import Wakeup

__all__ = ["MAX_EVENTS", "EventQueue"]

MAX_EVENTS = 64

_EventT = TypeVar("_EventT", bound=Event)


class EventQueue(Generic[_EventT]):
    """Events of one stream (or, used raw, of one connection), waiting for their receiver.

    The queue ends in one of two ways, both behind what was put before: ``end`` (the peer sent END_STREAM) or ``fail``.
    """

    __slots__ = ("_ended", "_events", "_failure", "_joined", "_joined_data", "_wakeup", "waiting_since")

    def __init__(self) -> None:
        self._events: deque[_EventT] = deque()
        self._joined: DataReceived | None = None
        self._joined_data = bytearray()
        self._ended = False
        self._failure: Callable[[], Exception] | None = None
        self._wakeup = Wakeup()
        self.waiting_since: float = 0.0
        """When the waiting receiver began to wait."""

    @property
    def waiting(self) -> bool:
        """Whether a receiver waits for an event."""
        return self._wakeup.waiting

    def put(self, event: _EventT) -> None:
        """Append an event. Never waits."""
        if isinstance(event, PriorityUpdateReceived):  # only the latest counts
            for earlier in self._events:
                if isinstance(earlier, PriorityUpdateReceived) and earlier.stream_id == event.stream_id:
                    self._events.remove(earlier)
                    break
        joined = self._joined
        if joined is not None:
            if isinstance(event, DataReceived) and event.stream_id == joined.stream_id:
                self._joined_data += event.data
                joined.end_stream = event.end_stream
                return
            self._unjoin()
            self._events.append(event)
        elif len(self._events) >= MAX_EVENTS and isinstance(event, DataReceived):
            # Copied, because whoever put the event may keep it.
            self._joined = DataReceived(event.stream_id, b"", event.end_stream)
            self._joined_data += event.data
        else:
            self._events.append(event)
        if self._wakeup.waiting:
            self._wakeup.wake()

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
        n_octets = len(self._joined_data)
        n_octets += sum(len(event.data) for event in self._events if isinstance(event, DataReceived))
        self._events.clear()
        self._joined = None
        self._joined_data.clear()
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
                self._unjoin()
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

    def _unjoin(self) -> None:
        joined, self._joined = self._joined, None
        if joined is not None:
            joined.data = bytes(self._joined_data)
            self._joined_data.clear()
            self._events.append(joined)  # type: ignore[arg-type]  # a DataReceived came in, so one may come out
