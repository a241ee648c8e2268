"""The output queue: its order, its bound, and its ends."""

from __future__ import annotations

import pytest

from hface_trio.protocols import OutputEnd
from hface_trio.protocols.http1._output import OutputQueue

ENDS = [OutputEnd.OPEN, OutputEnd.HALF_CLOSED, OutputEnd.CLOSED, OutputEnd.ABORTED]


def test_buffers_are_taken_in_order_as_they_were_queued() -> None:
    queue = OutputQueue()
    buffers = [b"a", bytearray(b"b"), memoryview(b"c")]
    for buffer in buffers:
        queue.write(buffer)
    assert queue.octets == 3
    assert [id(taken) for taken in queue.take()] == [id(buffer) for buffer in buffers]
    assert queue.take() == []
    assert queue.octets == 0


def test_capacity_shrinks_to_nothing_and_not_below() -> None:
    queue = OutputQueue()
    before = queue.capacity
    queue.write(b"abc")
    assert queue.capacity == before - 3
    queue.write(bytes(before))
    assert queue.capacity == 0


@pytest.mark.parametrize("first", ENDS)
@pytest.mark.parametrize("then", ENDS)
def test_ends_only_get_more_final(first: OutputEnd, then: OutputEnd) -> None:
    queue = OutputQueue()
    queue.finish(first)
    queue.finish(then)
    assert queue.end is max(first, then, key=ENDS.index)


def test_aborting_drops_what_is_queued_and_closing_does_not() -> None:
    queue = OutputQueue()
    queue.write(b"abc")
    queue.finish(OutputEnd.CLOSED)
    assert queue.octets == 3
    queue.finish(OutputEnd.ABORTED)
    assert queue.take() == []
