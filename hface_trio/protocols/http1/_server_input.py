"""What a server receives on an HTTP/1.1 connection.

The next request is not parsed before the response to the current one is submitted and its body received or dropped. What goes
wrong with a request is answered when no response to it has begun; when one has, it is cut off so that it cannot be taken for a
whole one.

The end of the input while a request is under way means that the client is gone, unless the client said that this request
is its last, or speaks HTTP/1.0: then the request may go on for a grace period.

Source: RFC 9112 §9.3 (persistence), §9.6 (tear-down), RFC 9110 §10.1.1 (expect).
"""

from __future__ import annotations

from ...events import HeadersReceived, StreamResetReceived, StreamResetSent
from ...limits import Limits, Timeouts
from .._interfaces import OutputEnd
from ._answers import error_answer
from ._codec import Codec
from ._connection import HTTP1Connection
from ._deadlines import Deadlines
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
)
from ._front import request_scanner
from ._inbound import request_section
from ._recent import RecentFields
from ._refusal import Refusal
from ._request import ends_with_its_head, open_exchange

__all__ = ["HTTP1ServerInput"]

_LEADING_EMPTY_LINES = 2  # RFC 9112 §2.2 asks for at least one; old clients sent one behind a POST body


class HTTP1ServerInput(HTTP1Connection):
    """Requests as they come, on any engine.

    Args:
        codec: the engine.
        secure: whether the transport is TLS, which makes the scheme of requests.
        limits: bounds on what the client sends.
        timeouts: bounds on how long it takes.
    """

    _after_message = RECEIVING_BLOCKED

    def __init__(self, codec: Codec, *, secure: bool, limits: Limits, timeouts: Timeouts) -> None:
        # up to twice the limit a head is read on, so that its answer is clear and the connection may live
        scanner = request_scanner(2 * limits.header_section_octets, 2 * limits.header_fields)
        super().__init__(codec, scanner, limits)
        self._secure = secure
        self._deadlines = Deadlines(timeouts)
        self._empty_lines_left = _LEADING_EMPTY_LINES
        self._recent = RecentFields()
        self._drain_left = 0.0

    # Time

    def clock(self, now: float) -> None:
        if self._deadlines.clock(now) and self._receiving is not RECEIVING_OVER:
            self._deadline_passed()

    def get_timer(self) -> float | None:
        return None if self._receiving is RECEIVING_OVER else self._deadlines.next

    def _deadline_passed(self) -> None:
        if self._deadlines.grace_is_over:
            self._client_gone(0, "client ended its side")
        elif self._receiving is RECEIVING_HEAD:
            self._output.write(error_answer(408, head_request=False, close=True))
            self._terminate(408, "request head not complete in time", OutputEnd.CLOSED)
        elif self._receiving is RECEIVING_IDLE:
            self._terminate(0, "idle", OutputEnd.CLOSED)
        else:
            self._terminate(0, "unread request body not complete in time", OutputEnd.CLOSED)

    # Input

    def eof_received(self) -> None:
        if self._receiving is RECEIVING_OVER or self._input_ended:
            return
        self._input_ended = True
        exchange = self._exchange
        if exchange is not None and exchange.sending is not SENDING_ENDED and not exchange.tunnel:
            if not exchange.final:
                if exchange.received:
                    self._client_gone(0, "client ended its side")
                else:
                    self._client_gone(400, "connection ended inside a request body")
                return
            self._deadlines.input_ended()
        self._resume()

    def _client_gone(self, error_code: int, message: str) -> None:
        exchange = self._exchange
        end = OutputEnd.CLOSED
        if exchange is not None and self._is_open(exchange):
            self._events.append(StreamResetReceived(exchange.stream_id, error_code))
            end = OutputEnd.ABORTED if exchange.sending is SENDING_BODY else OutputEnd.CLOSED
        self._terminate(error_code, message, end)

    def _input_exhausted(self) -> None:
        receiving, exchange = self._receiving, self._exchange
        if receiving is RECEIVING_IDLE:
            self._terminate(0, None, OutputEnd.CLOSED)
        elif receiving is RECEIVING_HEAD:
            self._terminate(400, "connection ended inside a request head", OutputEnd.CLOSED)
        elif receiving is RECEIVING_BODY and self._framer is not None:
            if not (self._framer.wants_credit and self._buffer):
                self._client_gone(400, "connection ended inside a request body")
        elif receiving is RECEIVING_TUNNEL and exchange is not None:
            self._tunnel_ended_by_peer(exchange)

    def bytes_received(self, data: bytes) -> None:
        # one read is mostly one request
        if self._receiving is not RECEIVING_IDLE or self._buffer or self._input_ended or not data:
            super().bytes_received(data)
            return
        try:
            end = self._receive_recent(data, 0) or self._receive_unknown(data, 0)
        except Refusal as refusal:
            self._refuse(refusal)
            return
        if end != len(data):
            self._advance(data, end)

    def _receive_head(self, source: bytes | bytearray, start: int) -> int:
        if (
            isinstance(source, bytes)
            and self._receiving is RECEIVING_IDLE
            and (end := self._receive_recent(source, start))
        ):
            return end
        return self._receive_unknown(source, start)

    def _receive_unknown(self, source: bytes | bytearray, start: int) -> int:
        if self._receiving is RECEIVING_IDLE and source[start] == 0x0D and self._empty_lines_left:
            return self._skip_empty_line(source, start)
        end = self._scanner.scan(source, start)
        if end < 0:
            if self._receiving is RECEIVING_IDLE:
                self._receiving = RECEIVING_HEAD
                self._deadlines.head_began()
            return start
        head = bytes(source[start:end])
        limits = self._limits
        if self._scanner.octets > limits.header_section_octets or self._scanner.fields > limits.header_fields:
            self._answer_large_head(head)
        else:
            self._request_received(head)
        return end

    def _receive_recent(self, source: bytes, start: int) -> int:
        """Take a request whose fields were met before; return where its head ends, or 0 when it needs a closer look."""
        recent, limits = self._recent.find(source, start), self._limits
        if recent is None:
            return 0
        end, method, target, fields = recent
        if end - start > limits.header_section_octets or fields.number > limits.header_fields or method == b"CONNECT":
            return 0
        headers = request_section(method, target, fields, secure=self._secure)
        exchange = self._exchange = Exchange(self._next_stream_id, method, fields.keep_alive)
        exchange.final = not fields.keep_alive
        exchange.upgrades = fields.upgrades
        exchange.received = True
        self._next_stream_id += 2
        self._deadlines.request_received()
        self._receiving = RECEIVING_BLOCKED
        self._events.append(HeadersReceived(exchange.stream_id, headers, True))
        return end

    def _skip_empty_line(self, source: bytes | bytearray, start: int) -> int:
        found = source[start : start + 2]
        if len(found) < 2:
            return start
        if found != b"\r\n":
            raise Refusal(400, "not a start line of HTTP/1.1")
        self._empty_lines_left -= 1
        return start + 2

    def _request_received(self, head: bytes) -> None:
        exchange, self._framer, event = open_exchange(
            head, self._next_stream_id, self._codec, self._limits, self._recent, secure=self._secure
        )
        self._exchange = exchange
        self._next_stream_id += 2
        self._deadlines.request_received()
        self._receiving = RECEIVING_BLOCKED if exchange.received else RECEIVING_BODY
        self._events.append(event)

    def _answer_large_head(self, head: bytes) -> None:
        """Answer a head over the limit that is still readable; go on when the request was nothing but this head."""
        if not ends_with_its_head(head):
            raise Refusal(431, "request head over its limit")
        answer = error_answer(431, head_request=head.startswith(b"HEAD "), close=self._closing)
        self._output.write(answer)
        if self._closing:
            self._terminate(0, None, OutputEnd.CLOSED)
        elif self._output.octets > self._limits.control_output_octets:
            self._terminate(431, "answers to large request heads are not read", OutputEnd.ABORTED)
        else:
            self._await_request()

    def _refuse(self, refusal: Refusal) -> None:
        exchange = self._exchange
        end = OutputEnd.CLOSED
        if exchange is None or exchange.sending is SENDING_HEAD:
            head_request = exchange is not None and exchange.method == b"HEAD"
            self._output.write(error_answer(refusal.status, head_request=head_request, close=True))
        elif exchange.sending is SENDING_BODY:
            end = OutputEnd.ABORTED
        if exchange is not None and self._is_open(exchange):
            self._events.append(StreamResetSent(exchange.stream_id, refusal.status))
        self._terminate(refusal.status, refusal.message, end)

    def _is_open(self, exchange: Exchange) -> bool:
        return exchange.sending is not SENDING_ENDED or not (exchange.received or exchange.discarded)

    def _progress(self) -> None:
        exchange = self._exchange
        if exchange is None or exchange.sending is not SENDING_ENDED:
            return
        closing = exchange.tunnel or self._closing or not exchange.keep_alive
        if exchange.received or exchange.discarded:
            if closing:
                self._terminate(0, None, OutputEnd.CLOSED)
            elif exchange.received:
                self._exchange = None
                self._await_request()
            elif not exchange.draining:
                self._drain(exchange)
        elif closing:
            # The application may read on; the client shall find the end of the response meanwhile.
            self._output.finish(OutputEnd.HALF_CLOSED)

    def _await_request(self) -> None:
        self._receiving = RECEIVING_IDLE
        self._empty_lines_left = _LEADING_EMPTY_LINES
        self._deadlines.await_request()

    def _drain(self, exchange: Exchange) -> None:
        """Drop the rest of a body that nobody reads any more, if that is cheaper than a new connection."""
        left = None if self._framer is None else self._framer.octets_left
        self._drain_left = self._limits.drain_octets
        if left is not None and left > self._drain_left:
            self._terminate(0, "request body not read", OutputEnd.CLOSED)
        else:
            exchange.draining = True
            self._deadlines.drain()

    def _dropped(self, octets: int) -> None:
        self._drain_left -= octets
        if self._drain_left < 0:
            self._terminate(0, "request body not read", OutputEnd.CLOSED)
