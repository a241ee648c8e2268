"""Sending data: how much a stream may submit, its way into frames, and the news that it may submit more.

A stream may submit what its window, the connection's window and the queue leave: the queue holds at most one write's
worth for all streams together, so that the order of what is sent is decided outside, and late. Windows can be negative
(RFC 9113 §6.9.2): then nothing may be sent until they are positive again.
"""

from __future__ import annotations

from collections import deque

from ...errors import LocalProtocolError, SendCapacityError
from ...events import Event, SendCapacityIncreased
from .._interfaces import Buffer
from ._budget import FrameBudget
from ._codes import DATA, FLAG_END_STREAM, FLAG_PADDED
from ._compat_h2 import H2Core
from ._frames import pack_header
from ._output import Output
from ._settings import HTTP2Settings
from ._streams import Stream

__all__ = ["DataSender"]


class DataSender:
    """Sends the data of all streams.

    Args:
        core: keeps the send windows.
        output: takes frames.
        settings: sizes of frames and of the queue.
        budget: expects updates for what was sent.
        events: takes news of capacity.
    """

    __slots__ = ("_blocked", "_budget", "_core", "_events", "_output", "_settings")

    def __init__(
        self, *, core: H2Core, output: Output, settings: HTTP2Settings, budget: FrameBudget, events: deque[Event]
    ) -> None:
        self._core = core
        self._output = output
        self._settings = settings
        self._budget = budget
        self._events = events
        self._blocked: dict[int, Stream] = {}

    def capacity(self, stream: Stream) -> int:
        """Return how many octets may be submitted now; if none, news of more will come."""
        octets = self._capacity(stream)
        if octets == 0:
            self._block(stream)
        return octets

    def submit(self, stream: Stream, data: Buffer, *, end_stream: bool, pad_length: int | None) -> None:
        """Send data in frames.

        Raises:
            SendCapacityError: there is too much of it, padding included.
            LocalProtocolError: the padding is too long.
        """
        if pad_length is not None and not 0 <= pad_length <= 255:
            raise LocalProtocolError("padding is of 0 to 255 octets")
        overhead = 0 if pad_length is None else pad_length + 1
        octets = len(data)
        room = min(self._core.max_outbound_frame_size, self._settings.send_frame_octets) - overhead
        frames = max(1, -(-octets // room))
        if octets and octets + frames * overhead > self._capacity(stream):
            self._block(stream)
            raise SendCapacityError(f"stream {stream.stream_id} cannot take {octets} octets now")
        if not octets:
            if not end_stream:
                return
            # An empty frame needs no window, and its padding may not have one.
            overhead, pad_length = 0, None
        view = data if frames == 1 else memoryview(data)
        for start in range(0, max(octets, 1), room):
            payload = view if frames == 1 else view[start : start + room]
            last = end_stream and start + room >= octets
            self._send_frame(stream, payload, end_stream=last, pad_length=pad_length, overhead=overhead)
        if not end_stream and self._capacity(stream) == 0:
            self._block(stream)

    def window_grew(self, stream: Stream) -> None:
        """Note that a stream's window grew."""
        if stream.blocked:
            self._announce(stream)

    def capacity_grew(self) -> None:
        """Note that there is more room for all streams: in the connection's window, or in the queue."""
        if self._blocked and self._output.data_octets < self._settings.queued_data_octets:
            for stream in list(self._blocked.values()):
                self._announce(stream)

    def forget(self, stream: Stream) -> None:
        """Forget a stream that sends no more."""
        if stream.blocked:
            stream.blocked = False
            del self._blocked[stream.stream_id]

    def _capacity(self, stream: Stream) -> int:
        return max(
            0,
            min(
                stream.state.outbound_flow_control_window,
                self._core.outbound_flow_control_window,
                self._settings.queued_data_octets - self._output.data_octets,
            ),
        )

    def _block(self, stream: Stream) -> None:
        if not stream.blocked:
            stream.blocked = True
            self._blocked[stream.stream_id] = stream

    def _announce(self, stream: Stream) -> None:
        if self._capacity(stream) > 0:
            self.forget(stream)
            self._events.append(SendCapacityIncreased(stream.stream_id))

    def _send_frame(
        self, stream: Stream, payload: Buffer, *, end_stream: bool, pad_length: int | None, overhead: int
    ) -> None:
        flags = FLAG_END_STREAM if end_stream else 0
        padding = b""
        flow_octets = len(payload) + overhead
        if pad_length is not None:
            flags |= FLAG_PADDED
            padding = bytes(pad_length)
        header = pack_header(flow_octets, DATA, flags, stream.stream_id)
        if pad_length is not None:
            header += bytes([pad_length])
        self._core.enter_data(stream.state, flow_octets, end_stream=end_stream)
        self._output.write_data(header, payload, padding)
        self._budget.data_sent()
