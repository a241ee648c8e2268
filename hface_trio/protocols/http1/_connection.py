"""What both ends of an HTTP/1.1 connection share.

Input runs through one loop, ``_advance``, which parses as far as the state and the credit of the application allow; what
cannot be parsed yet stays in one buffer, and that is the only place where received octets wait. Every call that changes
what allows it (octets, credit, the end of an exchange, the end of the input) runs the loop again.

Output goes into one queue. A connection ends in one way, through ``_terminate``: it tells
:class:`~hface_trio.events.ConnectionTerminated`, ends the output and drops the rest of the input.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

from ...errors import LocalProtocolError, SendCapacityError
from ...events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    SendCapacityIncreased,
    StreamResetReceived,
    TrailersReceived,
)
from ...limits import Limits
from ...models import HeadersType, HTTPErrorCodes
from .._interfaces import Buffer, HTTPOverTCPProtocol, OutputEnd
from ._body import BodyFramer
from ._codec import Body, Codec
from ._exchange import (
    RECEIVING_BLOCKED,
    RECEIVING_BODY,
    RECEIVING_HEAD,
    RECEIVING_IDLE,
    RECEIVING_OVER,
    RECEIVING_TUNNEL,
    SENDING_BODY,
    SENDING_ENDED,
    SENDING_HEAD,
    Exchange,
    Receiving,
    Sending,
)
from ._format import chunk, last_chunk
from ._front import HeadScanner
from ._inbound import translate_trailers
from ._outbound import check_trailers
from ._output import OutputQueue
from ._refusal import Refusal

__all__ = ["HTTP1Connection", "bounded"]

_ERROR_CODES = HTTPErrorCodes(protocol_error=400, internal_error=500, connect_error=502)
_UNBOUNDED = 1 << 40
# What is read at least when framing alone fills the window, and at once when everything is dropped.
_FRAMING_READ_OCTETS = 1024
_DROPPED_READ_OCTETS = 64 * 1024


def bounded(limit: float) -> int:
    """Return a limit as an integer, rounded up; what is unlimited becomes very large."""
    return _UNBOUNDED if limit >= _UNBOUNDED else math.ceil(limit)


class HTTP1Connection(HTTPOverTCPProtocol):
    """One end of an HTTP/1.1 connection; abstract."""

    _after_message: ClassVar[Receiving]
    """What the octets behind the peer's message are, until the exchange is over."""

    def __init__(self, codec: Codec, scanner: HeadScanner, limits: Limits) -> None:
        self._codec = codec
        self._scanner = scanner
        self._limits = limits
        self._window = bounded(limits.stream_window_octets)
        self._pipelined = bounded(limits.pipelined_octets)
        self._buffer = bytearray()
        self._events: list[Event] = []
        self._events_taken = 0
        self._output = OutputQueue()
        self._exchange: Exchange | None = None
        self._framer: BodyFramer | None = None
        self._receiving = RECEIVING_IDLE
        self._next_stream_id: int = 1
        self._input_ended = False
        self._closing = False
        self._capacity_used_up = False

    @property
    def http_version(self) -> str:
        return "1.1"

    @property
    def multiplexed(self) -> bool:
        return False

    @property
    def error_codes(self) -> HTTPErrorCodes:
        return _ERROR_CODES

    @property
    def idle(self) -> bool:
        """Whether no stream is under way."""
        return self._exchange is None

    @property
    def input_ended(self) -> bool:
        """Whether the peer's side has ended, so that there is nothing more to read."""
        return self._input_ended

    @property
    def buffered_octets(self) -> int:
        """How many octets lie here: received and not yet told as events, or queued for sending."""
        return len(self._buffer) + self._output.octets

    @property
    def output_end(self) -> OutputEnd:
        return self._output.end

    def has_expired(self) -> bool:
        return self._closing or self._receiving is RECEIVING_OVER

    def next_event(self) -> Event | None:
        events, taken = self._events, self._events_taken
        if taken < len(events):
            self._events_taken = taken + 1
            return events[taken]
        if taken:  # a list and a count are smaller than a queue while there is nothing, as is mostly the case
            events.clear()
            self._events_taken = 0
        return None

    def buffers_to_send(self) -> list[Buffer]:
        taken = self._output.take()
        if self._capacity_used_up:
            self._capacity_used_up = False
            exchange = self._exchange
            if exchange is not None and exchange.sending is SENDING_BODY:
                self._events.append(SendCapacityIncreased(exchange.stream_id))
        return taken

    # Input

    def bytes_received(self, data: bytes) -> None:
        if self._receiving is RECEIVING_OVER or self._input_ended or not data:
            return
        if self._buffer:
            self._buffer += data
            self._advance(self._buffer)
        else:
            self._advance(data)

    def receive_capacity(self) -> int:
        if self._input_ended:
            return 0
        receiving, exchange = self._receiving, self._exchange
        if receiving is RECEIVING_BODY or receiving is RECEIVING_TUNNEL:
            unacknowledged = 0 if exchange is None or exchange.draining else exchange.unacknowledged
            free = self._window - unacknowledged - len(self._buffer)
            # Little room is not worth a read: credit spent at once on as small a read keeps all reads small from then on
            # (the silly window syndrome).
            if free >= max(1, self._window // 4) or (free > 0 and not unacknowledged):
                return free
            # with nothing left to acknowledge it is framing that fills the window, and only more of it helps
            return 0 if unacknowledged else _FRAMING_READ_OCTETS
        if receiving is RECEIVING_OVER:
            return _DROPPED_READ_OCTETS
        if receiving is RECEIVING_BLOCKED:
            return max(0, self._pipelined - len(self._buffer))
        # the scanner ends a head that gets too long, so there is always room for it
        return self._pipelined

    def acknowledge(self, stream_id: int, n_octets: int) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.stream_id == stream_id:
            exchange.unacknowledged = max(0, exchange.unacknowledged - n_octets)
            if self._buffer:
                self._advance(self._buffer)

    def connection_lost(self) -> None:
        self._input_ended = True
        exchange = self._exchange
        if self._receiving is RECEIVING_OVER:
            self._output.finish(OutputEnd.ABORTED)
            return
        if exchange is not None and self._is_open(exchange):
            self._events.append(StreamResetReceived(exchange.stream_id, _ERROR_CODES.connect_error))
        self._terminate(_ERROR_CODES.connect_error, "connection lost", OutputEnd.ABORTED)

    def _resume(self) -> None:
        """Go on parsing what had to wait."""
        if self._buffer or self._input_ended:
            self._advance(self._buffer)

    def _advance(self, source: bytes | bytearray, position: int = 0) -> None:
        """Parse ``source``, which is the buffer, or comes with an empty one, from ``position`` on as far as possible."""
        size = len(source)
        try:
            while position < size:
                receiving = self._receiving
                if receiving is RECEIVING_BODY:
                    end = self._receive_body(source, position)
                elif receiving is RECEIVING_IDLE or receiving is RECEIVING_HEAD:
                    end = self._receive_head(source, position)
                elif receiving is RECEIVING_TUNNEL:
                    end = self._receive_tunnel(source, position)
                else:
                    break
                if end == position:
                    break
                position = end
        except Refusal as refusal:
            self._refuse(refusal)
        if self._receiving is RECEIVING_OVER:
            return
        if source is self._buffer:
            if position:
                del self._buffer[:position]
        elif position < size:
            self._buffer += memoryview(source)[position:]
        if self._input_ended:
            self._input_exhausted()

    def _receive_body(self, source: bytes | bytearray, start: int) -> int:
        exchange, framer = self._exchange, self._framer
        if exchange is None or framer is None:
            return start
        window = _UNBOUNDED if exchange.draining else max(0, self._window - exchange.unacknowledged)
        end = framer.advance(source, start, window)
        complete = framer.complete
        if end > start:
            exchange.awaits_continue = False
            data, trailers = self._decode(framer, source, start, end)
            if exchange.draining:
                self._dropped(end - start)
                if self._receiving is RECEIVING_OVER:
                    return end
            elif data or (complete and not trailers):
                exchange.unacknowledged += len(data)
                self._events.append(DataReceived(exchange.stream_id, data, complete and not trailers))
            if trailers:
                section = translate_trailers(trailers)
                if not exchange.draining:
                    self._events.append(TrailersReceived(exchange.stream_id, section))
        if framer.refusal is not None:
            raise framer.refusal
        if complete:
            self._message_received()
        return end

    def _decode(self, framer: BodyFramer, source: bytes | bytearray, start: int, end: int) -> Body:
        if not framer.encoded:
            if isinstance(
                source, bytes
            ):  # a read that holds nothing else, the usual case of a long body, is not copied
                return Body(source[start:end], ())
            with memoryview(source) as whole, whole[start:end] as run:
                return Body(bytes(run), ())
        codec = self._codec
        if framer.substitute is not None:
            body = Body(b"", ())
            if framer.substitute_at > start:
                with memoryview(source) as whole, whole[start : framer.substitute_at] as run:
                    body = codec.receive_chunked(run)
            codec.receive_chunked(framer.substitute)
            return body
        if start == 0 and end == len(source) and source is not self._buffer:
            return codec.receive_chunked(source)
        with memoryview(source) as whole, whole[start:end] as run:
            return codec.receive_chunked(run)

    def _receive_tunnel(self, source: bytes | bytearray, start: int) -> int:
        exchange = self._exchange
        if exchange is None:
            return start
        end = min(len(source), start + max(0, self._window - exchange.unacknowledged))
        if end > start:
            exchange.unacknowledged += end - start
            self._events.append(DataReceived(exchange.stream_id, bytes(source[start:end])))
        return end

    def _message_received(self) -> None:
        """Note that the peer's message is complete."""
        exchange = self._exchange
        if exchange is not None:
            exchange.received = True
            self._framer = None
            self._receiving = self._after_message
            self._progress()

    def _tunnel_ended_by_peer(self, exchange: Exchange) -> None:
        """Note that no octet of the tunnel follows, unless some wait for credit."""
        if not self._buffer and not exchange.received:
            exchange.received = True
            self._events.append(DataReceived(exchange.stream_id, b"", end_stream=True))
            self._progress()

    # Output

    def send_capacity(self, stream_id: int) -> int:
        exchange = self._exchange
        if exchange is None or exchange.stream_id != stream_id or exchange.sending is SENDING_ENDED:
            return 0
        return self._output.capacity

    def can_send(self, stream_id: int) -> bool:
        exchange = self._exchange
        return exchange is not None and exchange.stream_id == stream_id and exchange.sending is SENDING_BODY

    def submit_data(self, stream_id: int, data: Buffer, end_stream: bool = False) -> None:
        exchange, output = self._sending_exchange(stream_id, SENDING_BODY), self._output
        if isinstance(data, memoryview) and data.nbytes != len(data):
            data = data.cast("B")
        octets = len(data)
        if octets > output.capacity:
            self._capacity_used_up = True
            raise SendCapacityError(f"{octets} octets exceed the send capacity", stream_id=stream_id)
        if not exchange.tunnel:
            self._check_body(exchange, octets, end_stream)
        if octets:
            if exchange.unsent is not None:
                exchange.unsent -= octets
            if exchange.chunked and not exchange.tunnel:
                output.write_all(chunk(data))
            else:
                output.write(data)
            if not output.capacity:
                self._capacity_used_up = True
        if end_stream:
            self._end_sending(exchange, [])

    def submit_trailers(self, stream_id: int, headers: HeadersType) -> None:
        exchange = self._sending_exchange(stream_id, SENDING_BODY)
        trailers = check_trailers(headers)
        if exchange.tunnel or (exchange.bodiless and exchange.method != b"HEAD"):
            raise LocalProtocolError("this message has no trailers", stream_id=stream_id)
        self._check_body(exchange, 0, end_stream=True)
        # Only a chunked body can carry them, and none that goes to a peer of HTTP/1.0: elsewhere they are dropped.
        self._end_sending(exchange, trailers if exchange.chunked else [])

    def _sending_exchange(self, stream_id: int, due: Sending) -> Exchange:
        exchange = self._exchange
        if exchange is None or exchange.stream_id != stream_id:
            raise LocalProtocolError(f"stream {stream_id} is over, or was never open", stream_id=stream_id)
        if exchange.sending is not due:
            problem = {
                SENDING_HEAD: "its head comes first",
                SENDING_BODY: "its head was sent",
                SENDING_ENDED: "sending on it has ended",
            }[exchange.sending]
            raise LocalProtocolError(f"cannot send this on stream {stream_id}: {problem}", stream_id=stream_id)
        return exchange

    @staticmethod
    def _check_body(exchange: Exchange, octets: int, end_stream: bool) -> None:
        if exchange.bodiless:
            if octets:
                raise LocalProtocolError("this message has no body", stream_id=exchange.stream_id)
        elif exchange.unsent is not None:
            if octets > exchange.unsent:
                raise LocalProtocolError("body longer than its content-length", stream_id=exchange.stream_id)
            if end_stream and octets < exchange.unsent:
                raise LocalProtocolError("body shorter than its content-length", stream_id=exchange.stream_id)

    def _end_sending(self, exchange: Exchange, trailers: HeadersType) -> None:
        exchange.sending = SENDING_ENDED
        if exchange.chunked and not exchange.tunnel:
            self._output.write(last_chunk(trailers))
        self._progress()
        self._resume()

    def _terminate(self, error_code: int, message: str | None, end: OutputEnd) -> None:
        """End the connection."""
        self._receiving = RECEIVING_OVER
        self._exchange = None
        self._framer = None
        self._buffer.clear()
        self._events.append(ConnectionTerminated(error_code, message))
        self._output.finish(end)

    # What differs between the roles

    @abstractmethod
    def _receive_head(self, source: bytes | bytearray, start: int) -> int:
        """Take a head from ``source[start]``; return where it ends, or ``start`` when it is not complete."""

    @abstractmethod
    def _refuse(self, refusal: Refusal) -> None:
        """End the connection because the peer broke the protocol."""

    @abstractmethod
    def _input_exhausted(self) -> None:
        """Note that everything before the end of the input was parsed that can be."""

    @abstractmethod
    def _progress(self) -> None:
        """Do what follows when one side of the exchange is complete."""

    @abstractmethod
    def _is_open(self, exchange: Exchange) -> bool:
        """Return whether a loss of the connection cuts the exchange short."""

    def _dropped(self, octets: int) -> None:
        """Note that so many octets of an unread body were dropped."""
