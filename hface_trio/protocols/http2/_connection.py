"""What all parts of an HTTP/2 connection share, and how streams and the connection itself begin and end.

The rules that hold here: a stream is in the table from its first to its last frame and leaves it through ``end_stream``
alone; every end of a stream that the application knows of is told as an event or was asked for by it; nothing happens
after ``terminate``.
"""

from __future__ import annotations

import functools
from collections import deque

from ...events import ConnectionTerminated, Event, StreamResetReceived, StreamResetSent
from ...limits import Limits
from .._interfaces import OutputEnd
from ._budget import FrameBudget
from ._codes import MAXIMUM_STREAM_ID, HTTP2ErrorCode
from ._compat_h2 import H2Core, H2Stream, is_closed
from ._credit import ReceiveLedger
from ._frames import pack_goaway, pack_reset, pack_window_update
from ._output import Output
from ._sections import SectionDecoder
from ._sender import DataSender
from ._settings import HTTP2Settings, connection_window
from ._streams import ClosedStream, Ending, Stream, StreamTable

__all__ = ["Connection"]

_GOAWAY_MESSAGE_OCTETS = 1024


class Connection:
    """The shared state of one connection.

    Args:
        client_side: whether this is the client.
        limits: bounds on what the peer may use.
        settings: options of HTTP/2.
    """

    def __init__(self, *, client_side: bool, limits: Limits, settings: HTTP2Settings) -> None:
        self.client_side = client_side
        self.limits = limits
        self.settings = settings
        self.now: float = 0.0
        self.events: deque[Event] = deque()
        self.output: Output = Output(limits.control_output_octets)
        self.output_end: OutputEnd = OutputEnd.OPEN
        self.core: H2Core = H2Core(client_side=client_side, write=self.output.write)
        self.streams: StreamTable = StreamTable(settings.remembered_streams)
        self.decoder: SectionDecoder = SectionDecoder(limits.header_section_octets, limits.header_fields)
        self.budget: FrameBudget = FrameBudget(settings.abuse_tokens, settings.abuse_tokens_per_second)
        self.ledger: ReceiveLedger = ReceiveLedger(
            connection_window=connection_window(limits, settings),
            maximum_window=settings.maximum_window_octets,
            growth_octets=settings.window_growth_octets,
            growth_seconds=settings.window_growth_seconds,
            write_update=functools.partial(_write_window_update, self.output),
        )
        self.sender: DataSender = DataSender(
            core=self.core, output=self.output, settings=settings, budget=self.budget, events=self.events
        )
        self.terminated: bool = False
        self.goaway_received = False
        self.final_goaway_sent = False
        self.concurrent_streams: float = limits.concurrent_streams  # that the peer may open
        self.last_accepted_id = MAXIMUM_STREAM_ID  # streams of the peer above it are ignored, once GOAWAY says so

    # Streams.

    def begin_stream(self, stream_id: int, state: H2Stream, *, initiated_here: bool) -> Stream:
        """Enter a stream into the table."""
        stream = Stream(stream_id, state, self.ledger.open(stream_id), initiated_here=initiated_here)
        self.streams.add(stream)
        self.budget.stream_opened()
        return stream

    def end_stream(self, stream: Stream, ending: Ending) -> None:
        """Take a stream out of the table."""
        self.streams.remove(stream, ending)
        self.ledger.close(stream.credit)
        self.sender.forget(stream)
        self.core.drop(stream.stream_id)

    def end_if_complete(self, stream: Stream) -> None:
        """Take a stream out of the table if both sides have ended it in order."""
        if is_closed(stream.state):
            self.end_stream(stream, Ending.COMPLETE)
            self.budget.exchange_completed()

    def reset_stream(self, stream: Stream, code: int) -> None:
        """Reset a stream because the application wants it."""
        self.output.write(pack_reset(stream.stream_id, code))
        self._end_reset(stream, code)

    def reset_faulty_stream(self, stream: Stream, code: int) -> None:
        """Reset a stream because of what the peer did.

        Raises:
            ConnectionFault: the peer did it too often.
        """
        self._end_reset(stream, code)
        self.refuse_frame(stream.stream_id, code)

    def refuse_stream(self, stream_id: int, code: int) -> None:
        """Refuse a new stream of the peer unseen.

        Raises:
            ConnectionFault: the peer made it necessary too often.
        """
        self.ignore_stream(stream_id)
        self.refuse_frame(stream_id, code)

    def refuse_closed_stream(self, stream_id: int, code: int) -> None:
        """Answer a frame on a stream that is over, once.

        Raises:
            ConnectionFault: the peer made it necessary too often.
        """
        self.streams.remember(stream_id, ClosedStream(Ending.RESET_HERE))
        self.refuse_frame(stream_id, code)

    def ignore_stream(self, stream_id: int) -> None:
        """Ignore a new stream of the peer, and all its frames."""
        self.core.highest_inbound_stream_id = stream_id
        self.streams.remember(stream_id, ClosedStream(Ending.RESET_HERE, self.ledger.initial_window))

    def refuse_frame(self, stream_id: int, code: int) -> None:
        """Answer a frame with a reset.

        Raises:
            ConnectionFault: the peer made it necessary too often.
        """
        self.output.write_control(pack_reset(stream_id, code))
        self.budget.spend("RST_STREAM made necessary")

    def is_own(self, stream_id: int) -> bool:
        """Whether a stream is one of those that this side opens."""
        return stream_id % 2 == self.client_side

    def is_idle(self, stream_id: int) -> bool:
        """Whether a stream was never used."""
        if self.is_own(stream_id):
            return stream_id > self.core.highest_outbound_stream_id
        return stream_id > self.core.highest_inbound_stream_id

    # The connection.

    def terminate(self, code: int, message: str) -> None:
        """End the connection because of what the peer did, or because everything is done."""
        if not self.terminated:
            self._end_all(code)
            self._finish(code, message)

    def close(self, code: int, message: str) -> None:
        """End the connection because the application wants it."""
        if self.terminated:
            return
        for stream in list(self.streams.live.values()):
            self.reset_stream(stream, code or HTTP2ErrorCode.CANCEL)
        self._finish(code, message)

    def abandon(self, message: str, *, code: int, end: OutputEnd) -> None:
        """End the connection because the transport did."""
        if self.terminated:
            return
        self._end_all(HTTP2ErrorCode.CANCEL)
        self.terminated = True
        self.output_end = end
        if end is OutputEnd.ABORTED:
            self.output.discard()
        self.events.append(ConnectionTerminated(code, message))

    def goaway_id(self) -> int:
        """Return the last stream of the peer that was or will be processed."""
        return min(self.last_accepted_id, self.core.highest_inbound_stream_id)

    def _end_reset(self, stream: Stream, code: int) -> None:
        if stream.announced:
            self.events.append(StreamResetSent(stream.stream_id, code))
        self.end_stream(stream, Ending.RESET_HERE)

    def _end_all(self, code: int) -> None:
        for stream in list(self.streams.live.values()):
            if stream.announced:
                self.events.append(StreamResetReceived(stream.stream_id, code))
            self.end_stream(stream, Ending.RESET_BY_PEER)

    def _finish(self, code: int, message: str) -> None:
        self.terminated = True
        if code or not self.final_goaway_sent:
            additional_data = message.encode("utf-8", "replace")[:_GOAWAY_MESSAGE_OCTETS] if code else b""
            self.output.write(pack_goaway(self.goaway_id(), code, additional_data))
        self.output_end = OutputEnd.CLOSED
        self.events.append(ConnectionTerminated(code, message))


def _write_window_update(output: Output, stream_id: int, increment: int) -> None:
    output.write(pack_window_update(stream_id, increment))
