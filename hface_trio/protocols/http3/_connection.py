"""What all parts of an HTTP/3 connection share, and how streams and the connection itself begin and end.

The rules that hold here: a stream is in the table from its first octet to its end in both directions and leaves it through
``end_stream`` alone; every end of a stream that the application knows of is told as an event or was asked for by it; nothing
happens after the connection has terminated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ParamSpec

from ...events import ConnectionTerminated, Event, StreamResetReceived, StreamResetSent
from ...limits import Limits
from .._budget import AbuseBudget
from .._faults import ConnectionFault, StreamFault
from ..quic import CloseReason, QUICConnection
from ._codes import MAXIMUM_REQUEST_ID, HTTP3ErrorCode
from ._sections import SectionDecoder, SectionEncoder
from ._settings import HTTP3Settings
from ._streams import DataRun, RequestStream, StreamTable

__all__ = ["Connection"]

Parameters = ParamSpec("Parameters")


class Connection:
    """The shared state of one connection.

    Args:
        client_side: whether this is the client.
        limits: bounds on what the peer may use.
        settings: options of HTTP/3.
    """

    quic: QUICConnection

    def __init__(self, *, client_side: bool, limits: Limits, settings: HTTP3Settings) -> None:
        self.client_side = client_side
        self.limits = limits
        self.settings = settings
        self.now: float = 0.0
        self.hold_streams = False
        self.events: deque[Event] = deque()
        self.streams: StreamTable = StreamTable()
        self.decoder: SectionDecoder = SectionDecoder(limits.header_section_octets, limits.header_fields)
        self.encoder: SectionEncoder = SectionEncoder()
        self.budget: AbuseBudget = AbuseBudget(
            settings.abuse_tokens, settings.abuse_tokens_per_second, HTTP3ErrorCode.EXCESSIVE_LOAD
        )
        self.peer_settings: dict[int, int] | None = None
        self.goaway_received = False
        self.last_accepted_id = MAXIMUM_REQUEST_ID  # requests above it are rejected, once GOAWAY says so
        self.terminated: bool = False
        self.cancelled_code: HTTP3ErrorCode = HTTP3ErrorCode.REQUEST_CANCELLED

    def take_event(self) -> Event | None:
        """Take the next event, if there is one."""
        if not self.events:
            return None
        event = self.events.popleft()
        return event.taken() if type(event) is DataRun else event

    # Streams.

    def begin_stream(self, stream_id: int, *, initiated_here: bool) -> RequestStream:
        """Enter a stream into the table."""
        stream = RequestStream(stream_id, initiated_here=initiated_here)
        stream.began_at = self.now
        self.streams.add(stream)
        self.quic.pings.needed = True
        return stream

    def end_stream(self, stream: RequestStream) -> None:
        """Take a stream out of the table."""
        self.streams.remove(stream)
        if not (self.hold_streams and stream.announced):
            self.quic.release(stream.stream_id)
        if not self.streams.live:
            self.quic.pings.needed = False

    def end_if_complete(self, stream: RequestStream) -> None:
        """Take a stream out of the table if both sides have ended it in order."""
        if stream.sending_ended and stream.receiving_ended:
            self.end_stream(stream)
            self.budget.exchange_completed()

    def reset_stream(self, stream: RequestStream, code: int) -> None:
        """End both sides of a stream, as far as they are open, because the application wants it.

        With NO_ERROR a complete message stays what it is: only what the peer still sends is not wanted.
        """
        if not (stream.sending_ended and code == HTTP3ErrorCode.NO_ERROR):
            self.quic.submit_stream_reset(stream.stream_id, code)
        self.quic.submit_stop_sending(stream.stream_id, code)
        if stream.announced:
            self.events.append(StreamResetSent(stream.stream_id, code))
        self.end_stream(stream)

    def reset_faulty_stream(self, stream: RequestStream, code: int) -> None:
        """Reset a stream because of what the peer did.

        Raises:
            ConnectionFault: the peer did it too often.
        """
        self.reset_stream(stream, code)
        self.budget.spend("a stream error")

    def refuse_stream(self, stream_id: int, code: int) -> None:
        """Refuse a stream of the peer that is not in the table.

        Raises:
            ConnectionFault: the peer made it necessary too often.
        """
        self.quic.submit_stream_reset(stream_id, code)
        self.quic.submit_stop_sending(stream_id, code)
        self.quic.release(stream_id)
        self.budget.spend("a refused stream")

    def stream_lost(self, stream: RequestStream, code: int) -> None:
        """End a stream that the peer abandoned: nobody is left to answer."""
        if stream.announced:
            self.events.append(StreamResetReceived(stream.stream_id, code))
        self.quic.submit_stream_reset(stream.stream_id, HTTP3ErrorCode.REQUEST_CANCELLED)
        self.quic.submit_stop_sending(stream.stream_id, HTTP3ErrorCode.REQUEST_CANCELLED)
        self.end_stream(stream)

    # The connection.

    def guarded(self, act: Callable[Parameters, None], *args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        """Do what may turn out to be a fault of the peer, and answer that."""
        try:
            try:
                act(*args, **kwargs)
            except StreamFault as fault:
                stream = self.streams.live.get(fault.stream_id)
                if stream is not None:
                    self.reset_faulty_stream(stream, fault.code)
        except ConnectionFault as fault:
            self.terminate(fault.code, fault.message)

    def terminate(self, code: int, message: str) -> None:
        """End the connection because of what the peer did, or because everything is done."""
        self.cancelled_code = HTTP3ErrorCode(code) if code in _STREAM_CODES else HTTP3ErrorCode.REQUEST_CANCELLED
        self.quic.submit_close(code, message)

    def close(self, code: int, message: str) -> None:
        """End the connection because the application wants it."""
        if self.terminated:
            return
        for stream in list(self.streams.live.values()):
            self.reset_stream(stream, code or HTTP3ErrorCode.REQUEST_CANCELLED)
        self.quic.submit_close(code or HTTP3ErrorCode.NO_ERROR, message)

    def transport_terminated(self, reason: CloseReason) -> None:
        """Take the end of the QUIC connection, whoever caused it."""
        if self.terminated:
            return
        self.terminated = True
        code = reason.code
        clean = code == HTTP3ErrorCode.NO_ERROR if reason.application else code == 0
        cut_off = bool(self.streams.live)
        stream_code = self.cancelled_code if reason.local or clean or not reason.application else code
        for stream in list(self.streams.live.values()):
            if stream.announced:
                self.events.append(StreamResetReceived(stream.stream_id, stream_code))
            self.end_stream(stream)
        if clean:
            code = HTTP3ErrorCode.REQUEST_CANCELLED if cut_off else 0
        self.events.append(ConnectionTerminated(code, reason.message))


_STREAM_CODES = frozenset(HTTP3ErrorCode) - {HTTP3ErrorCode.NO_ERROR}
