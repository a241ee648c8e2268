"""The streams of a connection: one table, one way in, one way out.

A stream that is over leaves nothing but an entry among a bounded number of the latest such, which tells what late
frames on it mean: after a reset by this side they were on their way and are dropped; after an end or a reset by the
peer they are its mistake.
"""

from __future__ import annotations

import enum
from collections import OrderedDict

from .._fields import SectionFacts
from .._priority import Priority, StreamDependency
from ._compat_h2 import H2Stream, received_all
from ._credit import StreamCredit

__all__ = ["ClosedStream", "Ending", "Stream", "StreamTable", "origin_of"]


class Stream:
    """What is known of one stream beside its state in ``h2``."""

    __slots__ = (
        "announced",
        "awaits_continue",
        "blocked",
        "credit",
        "dependency",
        "expected_octets",
        "head_received",
        "head_sent",
        "informational_count",
        "initiated_here",
        "method",
        "origin",
        "priority",
        "received_octets",
        "state",
        "stream_id",
        "tunnel",
    )

    def __init__(self, stream_id: int, state: H2Stream, credit: StreamCredit, *, initiated_here: bool) -> None:
        self.stream_id: int = stream_id
        self.state: H2Stream = state
        self.credit: StreamCredit = credit
        self.initiated_here: bool = initiated_here
        self.announced: bool = initiated_here  # whether the application knows of it
        self.method: bytes | None = None
        self.origin: bytes = b""
        self.head_sent: bool = False
        self.head_received: bool = False
        self.informational_count: int = 0
        self.expected_octets: int | None = None
        self.received_octets: int = 0
        self.tunnel: bool = False
        self.awaits_continue: bool = False  # the client holds its body back for a 100
        self.priority: Priority | None = None
        self.dependency: StreamDependency | None = None
        self.blocked: bool = False  # the application waits for send capacity


class Ending(enum.Enum):
    """How a stream ended."""

    COMPLETE = enum.auto()
    RESET_HERE = enum.auto()
    RESET_BY_PEER = enum.auto()


class ClosedStream:
    """What is remembered of a stream that is over.

    Args:
        ending: how it ended.
        late_octets: what the peer may have sent before it heard of a reset.
        late_sections: how many sections it may have sent so.
    """

    __slots__ = ("ending", "late_octets", "late_resets", "late_sections")

    def __init__(self, ending: Ending, late_octets: int = 0, late_sections: int = 1) -> None:
        self.ending: Ending = ending
        self.late_octets: int = late_octets
        self.late_sections: int = late_sections
        self.late_resets: int = 1


class StreamTable:
    """All streams of a connection.

    Args:
        remembered: streams that are remembered after their end.
    """

    __slots__ = ("_closed", "_remembered", "forgotten_resets", "live", "own_count", "peer_count")

    def __init__(self, remembered: int) -> None:
        self.live: dict[int, Stream] = {}
        self._closed: OrderedDict[int, ClosedStream] = OrderedDict()
        self._remembered = remembered
        self.own_count: int = 0
        self.peer_count: int = 0
        self.forgotten_resets: int = 0
        """Streams that were reset here, of which a section may still come, and which are not remembered."""

    def add(self, stream: Stream) -> None:
        """Enter a stream."""
        self.live[stream.stream_id] = stream
        if stream.initiated_here:
            self.own_count += 1
        else:
            self.peer_count += 1

    def remove(self, stream: Stream, ending: Ending) -> None:
        """Remove a stream; the only way out of the table."""
        del self.live[stream.stream_id]
        if stream.initiated_here:
            self.own_count -= 1
        else:
            self.peer_count -= 1
        late = max(0, stream.credit.available) if ending is Ending.RESET_HERE and not received_all(stream.state) else 0
        self.remember(stream.stream_id, ClosedStream(ending, late))

    def remember(self, stream_id: int, closed: ClosedStream) -> None:
        """Remember a stream that is over, or was refused."""
        self._closed[stream_id] = closed
        if len(self._closed) > self._remembered:
            _, forgotten = self._closed.popitem(last=False)
            if forgotten.ending is Ending.RESET_HERE and forgotten.late_sections > 0:
                self.forgotten_resets += 1

    def closed(self, stream_id: int) -> ClosedStream | None:
        """Return what is remembered of a stream that is over."""
        return self._closed.get(stream_id)


def origin_of(facts: SectionFacts) -> bytes:
    """Return the origin that a request is for, as the request writes it."""
    authority = facts.authority if facts.authority is not None else facts.host
    return (facts.scheme or b"") + b"://" + (authority or b"")
