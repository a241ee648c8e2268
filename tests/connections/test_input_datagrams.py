"""Datagrams among the events of a stream: bounded, the oldest lost first."""

from __future__ import annotations

import trio
import trio.testing

from hface_trio.connections._input import MAX_EVENTS, EventQueue
from hface_trio.events import DatagramReceived, DataReceived, StreamEvent


async def test_of_too_many_datagrams_the_oldest_are_lost_and_counted() -> None:
    queue: EventQueue[StreamEvent] = EventQueue()
    held = sum(queue.put_datagram(DatagramReceived(0, b"%03d" % number)) for number in range(MAX_EVENTS + 10))
    assert held == 3 * MAX_EVENTS
    assert queue.datagrams_dropped == 10
    taken = [queue.get_nowait() for _ in range(MAX_EVENTS)]
    assert [event.data for event in taken] == [b"%03d" % number for number in range(10, MAX_EVENTS + 10)]


async def test_data_is_never_lost_to_datagrams() -> None:
    queue: EventQueue[StreamEvent] = EventQueue()
    for _ in range(MAX_EVENTS):
        queue.put(DataReceived(0, b"x", False))
    assert queue.put_datagram(DatagramReceived(0, b"lost")) == 0
    assert queue.datagrams_dropped == 1
    assert all(isinstance(queue.get_nowait(), DataReceived) for _ in range(MAX_EVENTS))


async def test_a_datagram_wakes_the_receiver(autojump_clock: trio.testing.MockClock) -> None:
    queue: EventQueue[StreamEvent] = EventQueue()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _later() -> None:
            await trio.sleep(1)
            queue.put_datagram(DatagramReceived(0, b"here"))

        assert await queue.get() == DatagramReceived(0, b"here")
    assert trio.current_time() == 1
