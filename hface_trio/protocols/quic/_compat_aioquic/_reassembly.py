"""What arrived of streams and waits for octets in front of it: how much that is, and for how long it waits.

Both are kept as frames arrive, so that nobody has to walk the streams for it. A bidirectional stream that was opened by a frame
without octets waits too: for its first.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from aioquic.quic.stream import QuicStreamReceiver

from .._codes import is_unidirectional

__all__ = ["Reassembly"]


class _Waiting:
    """One stream."""

    __slots__ = ("octets", "receiver", "since", "start")

    def __init__(self, receiver: QuicStreamReceiver, octets: int, since: float) -> None:
        self.receiver = receiver
        self.octets = octets
        self.start: int = receiver._buffer_start
        self.since = since


class Reassembly:
    """All streams of a connection that have something waiting."""

    __slots__ = ("_begun", "_unbegun", "octets")

    def __init__(self) -> None:
        # In the order of their times: a stream goes to the end when something of it was delivered.
        self._begun: dict[int, _Waiting] = {}
        self._unbegun: dict[int, _Waiting] = {}
        self.octets: int = 0
        """What the buffers take, holes with them."""

    def __bool__(self) -> bool:
        return bool(self._begun or self._unbegun)

    def note(self, stream_id: int, receiver: QuicStreamReceiver, now: float) -> None:
        """See what has become of a stream by a frame."""
        octets = len(receiver._buffer)
        waits = octets or not (receiver._buffer_start or receiver.is_finished or is_unidirectional(stream_id))
        waiting = self._begun.get(stream_id) or self._unbegun.get(stream_id)
        if waiting is not None:
            if waits and receiver._buffer_start == waiting.start:
                self.octets += octets - waiting.octets
                waiting.octets = octets
                return
            self.forget(stream_id)
        if waits:
            table = self._begun if receiver._buffer_start else self._unbegun
            table[stream_id] = _Waiting(receiver, octets, now)
            self.octets += octets

    def forget(self, stream_id: int) -> None:
        """Forget a stream: what waited was dropped, or waits no more."""
        waiting = self._begun.pop(stream_id, None) or self._unbegun.pop(stream_id, None)
        if waiting is not None:
            self.octets -= waiting.octets

    def longest(self, *, begun: bool) -> tuple[int, float] | None:
        """Return the stream that has waited for longest, and since when.

        Args:
            begun: of those of which something was delivered; otherwise of the others.
        """
        for stream_id, waiting in (self._begun if begun else self._unbegun).items():
            return stream_id, waiting.since
        return None

    def receivers(self) -> Iterator[QuicStreamReceiver]:
        """Return the receiving sides of all of them."""
        return (waiting.receiver for waiting in chain(self._begun.values(), self._unbegun.values()))
