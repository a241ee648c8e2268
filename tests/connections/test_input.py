from __future__ import annotations

import contextlib

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from hface_trio.connections._input import MAX_EVENTS, EventQueue
from hface_trio.errors import StreamResetError
from hface_trio.events import DataReceived, StreamEvent, TrailersReceived


def drain(queue: EventQueue[StreamEvent]) -> list[StreamEvent]:
    events = []
    while True:
        try:
            events.append(queue.get_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            return events


def test_events_come_in_order() -> None:
    queue: EventQueue[StreamEvent] = EventQueue()
    queue.put(DataReceived(1, b"a"))
    queue.put(TrailersReceived(1, []))
    assert drain(queue) == [DataReceived(1, b"a"), TrailersReceived(1, [])]


@given(st.lists(st.binary(min_size=1, max_size=5), max_size=300), st.booleans(), st.data())
def test_any_number_of_data_events_takes_at_most_64_slots_and_loses_nothing(
    chunks: list[bytes], trailers: bool, data: st.DataObject
) -> None:
    queue: EventQueue[StreamEvent] = EventQueue()
    taken: list[StreamEvent] = []
    for chunk in chunks:
        queue.put(DataReceived(1, chunk))
        assert len(queue._events) <= MAX_EVENTS + 1
        if data.draw(st.integers(0, 9)) == 0:
            with contextlib.suppress(trio.WouldBlock):
                taken.append(queue.get_nowait())
    if trailers:
        queue.put(TrailersReceived(1, []))
    taken += drain(queue)
    if trailers:
        assert taken.pop() == TrailersReceived(1, [])
    assert b"".join(event.data for event in taken if isinstance(event, DataReceived)) == b"".join(chunks)


def test_the_end_lies_behind_what_was_put() -> None:
    queue: EventQueue[StreamEvent] = EventQueue()
    queue.put(DataReceived(1, b"a"))
    queue.end()
    assert queue.get_nowait() == DataReceived(1, b"a")
    for _ in range(2):
        with pytest.raises(trio.EndOfChannel):
            queue.get_nowait()


def test_a_failure_lies_behind_what_was_put_and_is_new_each_time() -> None:
    queue: EventQueue[StreamEvent] = EventQueue()
    queue.put(DataReceived(1, b"a"))
    queue.fail(lambda: StreamResetError("gone"))
    assert queue.get_nowait() == DataReceived(1, b"a")
    with pytest.raises(StreamResetError) as first:
        queue.get_nowait()
    with pytest.raises(StreamResetError) as second:
        queue.get_nowait()
    assert first.value is not second.value


def test_a_failure_behind_the_end_changes_nothing() -> None:
    queue: EventQueue[StreamEvent] = EventQueue()
    queue.end()
    queue.fail(lambda: StreamResetError("gone"))
    with pytest.raises(trio.EndOfChannel):
        queue.get_nowait()


async def test_a_waiting_receiver_gets_what_is_put() -> None:
    queue: EventQueue[StreamEvent] = EventQueue()
    got: list[StreamEvent] = []

    async def receive() -> None:
        got.append(await queue.get())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        assert queue.waiting
        queue.put(DataReceived(1, b"a"))
    assert got == [DataReceived(1, b"a")]


async def test_a_second_receiver_is_told_that_it_is_busy() -> None:
    queue: EventQueue[StreamEvent] = EventQueue()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.get)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await queue.get()
        queue.put(DataReceived(1, b"a"))


async def test_a_cancelled_receive_takes_nothing() -> None:
    queue: EventQueue[StreamEvent] = EventQueue()
    queue.put(DataReceived(1, b"a"))
    with trio.CancelScope() as scope:
        scope.cancel()
        await queue.get()
    assert scope.cancelled_caught
    assert await queue.get() == DataReceived(1, b"a")


async def test_receiving_is_a_checkpoint_even_when_an_event_lies_ready() -> None:
    queue: EventQueue[StreamEvent] = EventQueue()
    queue.put(DataReceived(1, b"a"))
    with trio.testing.assert_checkpoints():
        await queue.get()


def test_clear_tells_how_many_octets_were_dropped() -> None:
    queue: EventQueue[StreamEvent] = EventQueue()
    for _ in range(MAX_EVENTS + 10):
        queue.put(DataReceived(1, b"abc"))
    assert queue.clear() == 3 * (MAX_EVENTS + 10)
    with pytest.raises(trio.WouldBlock):
        queue.get_nowait()


@given(st.lists(st.tuples(st.sampled_from([1, 3, 5]), st.binary(min_size=1, max_size=3)), max_size=400), st.data())
def test_streams_that_alternate_are_joined_each_for_itself(
    pieces: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    queue: EventQueue[StreamEvent] = EventQueue()
    taken: list[StreamEvent] = []
    for stream_id, octets in pieces:
        queue.put(DataReceived(stream_id, octets))
        assert len(queue._events) <= MAX_EVENTS + 3
        if data.draw(st.integers(0, 9)) == 0:
            taken.append(queue.get_nowait())
    queue.put(TrailersReceived(3, []))
    taken += drain(queue)
    for stream_id in (1, 3, 5):
        events = [event for event in taken if event.stream_id == stream_id]
        if stream_id == 3:
            assert events.pop() == TrailersReceived(3, [])
        got = b"".join(event.data for event in events if isinstance(event, DataReceived))
        assert got == b"".join(octets for of, octets in pieces if of == stream_id)
