"""What is taken out of a protocol."""

from __future__ import annotations

from typing import Any

from hface_trio.events import DataReceived, Event


def events_of(protocol: Any) -> list[Any]:
    """Take all events."""
    taken = []
    while (event := protocol.next_event()) is not None:
        taken.append(event)
    return taken


def joined(taken: list[Event]) -> list[Event]:
    """Join adjacent data of one stream."""
    result: list[Event] = []
    for event in taken:
        last = result[-1] if result else None
        if isinstance(event, DataReceived) and isinstance(last, DataReceived) and last.stream_id == event.stream_id:
            result[-1] = DataReceived(event.stream_id, last.data + event.data, event.end_stream)
        else:
            result.append(event)
    return result
