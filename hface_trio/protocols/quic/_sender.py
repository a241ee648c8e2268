"""Sending on streams: how much may be submitted, and the news that it may be more.

``aioquic`` takes whatever it is given. So a stream may submit what the peer's limits leave, for it and for the
connection, while little is unsent (what congestion holds back: one write's worth, so that the order of what is sent is
decided outside, and late) and not too much unacknowledged.
"""

from __future__ import annotations

from collections.abc import Callable

from ...errors import LocalProtocolError, SendCapacityError
from .._interfaces import Buffer
from ._compat_aioquic import QuicMachine
from ._settings import QUICSettings
from ._stream import QUICStream

__all__ = ["StreamSender"]

_PROGRESS_OCTETS = 1024


class StreamSender:
    """Sends the data of all streams.

    Args:
        machine: takes the data.
        settings: bounds.
        announce: told that a blocked stream has capacity.
    """

    __slots__ = (
        "_active",
        "_announce",
        "_blocked",
        "_machine",
        "_queued_octets",
        "_unacknowledged_octets",
        "now",
        "overhead_octets",
        "unacknowledged",
        "unsent",
    )

    def __init__(self, machine: QuicMachine, settings: QUICSettings, announce: Callable[[QUICStream], None]) -> None:
        self._machine = machine
        self._queued_octets = settings.queued_octets
        self._unacknowledged_octets = settings.unacknowledged_octets
        self._announce = announce
        self._active: dict[int, QUICStream] = {}
        self._blocked: dict[int, QUICStream] = {}
        self.overhead_octets: int = 0
        """What is written in front of the octets of each submission."""
        self.unsent: int = 0
        self.unacknowledged: int = 0
        self.now: float = 0.0

    def capacity(self, stream: QUICStream) -> int:
        """Return how many octets may be submitted now; if none, news of more will come."""
        octets = self._capacity(stream)
        if octets == 0 and not stream.sending_ended:
            self._block(stream)
        return octets

    def capacity_of_new(self, stream_id: int) -> int:
        """Return how many octets may be submitted on a stream that would be opened by it."""
        room = self._shared_capacity()
        if room > self.overhead_octets:
            room = min(room, self._machine.stream_room(stream_id))
        room -= self.overhead_octets
        return max(0, room)

    def submit(self, stream: QUICStream, data: Buffer, *, end_stream: bool) -> None:
        """Send data within the capacity.

        Raises:
            SendCapacityError: there is too much of it.
            LocalProtocolError: the sending side has ended.
        """
        self.check(stream, len(data))
        self.write(stream, data, end_stream=end_stream)

    def check(self, stream: QUICStream, octets: int) -> None:
        """Check that so many octets may be submitted.

        Raises:
            SendCapacityError: they are too many.
            LocalProtocolError: the sending side has ended.
        """
        if octets > self._capacity(stream):
            if stream.sending_ended:
                raise LocalProtocolError(f"stream {stream.stream_id} takes no data", stream_id=stream.stream_id)
            self._block(stream)
            raise SendCapacityError(f"stream {stream.stream_id} cannot take {octets} octets now")

    def write(self, stream: QUICStream, data: Buffer, *, end_stream: bool) -> None:
        """Send data whatever the capacity: it is little, and must not wait.

        Raises:
            LocalProtocolError: the sending side has ended.
        """
        if stream.sending_ended:
            raise LocalProtocolError(f"stream {stream.stream_id} takes no data", stream_id=stream.stream_id)
        self._machine.send_stream_data(stream.stream_id, data, end_stream)  # type: ignore[arg-type]  # any buffer will do
        octets = len(data)
        if not stream.unacknowledged:
            stream.progress_at = self.now
            stream.progress_left = min(2 * octets, _PROGRESS_OCTETS)
        stream.unsent += octets
        stream.unacknowledged += octets
        self.unsent += octets
        self.unacknowledged += octets
        self._active[stream.stream_id] = stream
        if end_stream:
            stream.sending_ended = True
            self._unblock(stream)
        elif octets and self._capacity(stream) == 0:
            self._block(stream)

    def forget(self, stream: QUICStream) -> None:
        """Forget what a stream had to send: it was reset."""
        stream.sending_ended = True
        self._unblock(stream)
        self.unsent -= stream.unsent
        self.unacknowledged -= stream.unacknowledged
        stream.unsent = stream.unacknowledged = 0
        self._active.pop(stream.stream_id, None)

    def settle(self) -> None:
        """See what was sent and acknowledged, and announce what capacity that makes."""
        done: list[int] = []
        for stream_id, stream in self._active.items():
            unsent, unacknowledged = self._machine.unsent_and_unacknowledged(stream_id)
            stream.progress_left -= stream.unsent - unsent + stream.unacknowledged - unacknowledged
            if stream.progress_left <= 0:
                stream.progress_left = min(unsent + unacknowledged, _PROGRESS_OCTETS)
                stream.progress_at = self.now
            self.unsent += unsent - stream.unsent
            self.unacknowledged += unacknowledged - stream.unacknowledged
            stream.unsent, stream.unacknowledged = unsent, unacknowledged
            if not unacknowledged:
                done.append(stream_id)
        for stream_id in done:
            del self._active[stream_id]
        if self._blocked and self._shared_capacity() > 0:
            for stream in list(self._blocked.values()):
                if self._capacity(stream) > 0:
                    self._unblock(stream)
                    self._announce(stream)

    def end(self) -> None:
        """Forget everything: the connection is over."""
        self._active.clear()
        self._blocked.clear()
        self.unsent = self.unacknowledged = 0
        self._announce = _tell_nobody

    @property
    def busy(self) -> bool:
        """Whether anything was submitted that the peer has not acknowledged."""
        return bool(self._active)

    def stalled(self, since: float) -> list[int]:
        """Return the streams that wait for the peer, and of which it has taken next to nothing since a time."""
        return [stream_id for stream_id, stream in self._active.items() if stream.progress_at <= since]

    def _capacity(self, stream: QUICStream) -> int:
        return 0 if stream.sending_ended else self.capacity_of_new(stream.stream_id)

    def _shared_capacity(self) -> int:
        unsent = self.unsent
        room = min(self._machine.connection_room(), self._queued_octets) - unsent
        left = self._unacknowledged_octets - self.unacknowledged
        return min(left, room)

    def _block(self, stream: QUICStream) -> None:
        if not stream.blocked:
            stream.blocked = True
            self._blocked[stream.stream_id] = stream

    def _unblock(self, stream: QUICStream) -> None:
        if stream.blocked:
            stream.blocked = False
            del self._blocked[stream.stream_id]


def _tell_nobody(_stream: QUICStream) -> None:
    """Do nothing: the connection is over."""
