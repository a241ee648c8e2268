"""Subscriptions to what happens on a connection beside its streams: settings, pings, GOAWAY, promises.

A ring holds the latest 64 events; who reads too slowly loses the oldest, and is told how many. So no subscriber ever holds up a
connection, or makes it grow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import trio

from ..errors import ConnectionLostError
from ..events import Event, PingAcknowledged
from ._wakeup import Wakeup

__all__ = ["ConnectionEvents", "ping"]

_RING_EVENTS = 64


class ConnectionEvents(trio.abc.ReceiveChannel[Event]):
    """Events of a connection, as they come; made by ``HTTPConnection.subscribe``."""

    def __init__(self, subscribers: set[ConnectionEvents]) -> None:
        self._subscribers = subscribers
        self._events: deque[Event] = deque(maxlen=_RING_EVENTS)
        self._wakeup = Wakeup()
        self._ended = False
        self.dropped: int = 0
        """How many events were lost."""
        subscribers.add(self)

    def put(self, event: Event) -> None:
        """Append an event, dropping the oldest when the ring is full."""
        if len(self._events) == _RING_EVENTS:
            self.dropped += 1
        self._events.append(event)
        if self._wakeup.waiting:
            self._wakeup.wake()

    def end(self) -> None:
        """Tell that nothing comes any more."""
        self._ended = True
        if self._wakeup.waiting:
            self._wakeup.wake()

    async def receive(self) -> Event:
        """Receive the next event.

        Raises:
            trio.EndOfChannel: the connection is over, or the subscription was closed.
            trio.BusyResourceError: another task receives.

        Cancellation: nothing is taken.
        """
        if self._wakeup.waiting:
            raise trio.BusyResourceError("another task receives these events")
        if self._events or self._ended:
            await trio.lowlevel.checkpoint()
        while not self._events:
            if self._ended:
                raise trio.EndOfChannel
            await self._wakeup.wait()
        return self._events.popleft()

    def close(self) -> None:
        """Unsubscribe."""
        self._subscribers.discard(self)
        self.end()

    async def aclose(self) -> None:
        """Unsubscribe."""
        self.close()
        await trio.lowlevel.checkpoint()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


async def ping(subscribers: set[ConnectionEvents], submit: Callable[[], bytes]) -> float:
    """Submit a ping and wait for its acknowledgement.

    Args:
        subscribers: of the connection.
        submit: sends the ping and returns by what its acknowledgement is known.

    Returns:
        The round trip in seconds.

    Raises:
        ConnectionLostError: the connection ended before.
    """
    await trio.lowlevel.checkpoint()
    with ConnectionEvents(subscribers) as events:
        data = submit()
        async for event in events:
            if isinstance(event, PingAcknowledged) and event.data == data:
                return event.round_trip_seconds
    raise ConnectionLostError("the connection ended before a ping was acknowledged")
