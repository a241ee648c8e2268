"""The client's end of an HTTP/1.1 connection.

One exchange at a time: a new request can be submitted once the request and the response before it are complete and both
sides keep the connection. Octets that no request asked for end the connection, since nothing tells whose they are.

A reset closes the connection: HTTP/1.1 has no other way to stop a server from sending.

Source: RFC 9112 §6.3 (body length), §8 (incomplete messages), §9 (connection); RFC 9110 §7.8, §9.3.6, §15.2.
"""

from __future__ import annotations

import math

from ...errors import LocalProtocolError
from ...events import DataReceived, HeadersReceived, InformationalReceived, StreamResetReceived, StreamResetSent
from ...limits import Limits, Timeouts
from ...models import HeadersType, HeaderType
from .._interfaces import OutputEnd
from ._body import ChunkedFramer, LengthFramer, UntilCloseFramer
from ._codec import Codec
from ._connection import HTTP1Connection
from ._exchange import (
    RECEIVING_BODY,
    RECEIVING_HEAD,
    RECEIVING_IDLE,
    RECEIVING_OVER,
    RECEIVING_TUNNEL,
    SENDING_BODY,
    SENDING_ENDED,
    Exchange,
)
from ._format import request_head
from ._framing import Framing, message_framing
from ._front import response_scanner, trailer_scanner
from ._h11 import H11ClientCodec
from ._inbound import translate_response
from ._outbound import check_request
from ._refusal import Refusal

__all__ = ["H11ClientProtocol", "HTTP1Client"]

# RFC 9110 §8.6: the methods for which a server may expect content, so that its absence is declared
_CONTENT_METHODS = frozenset({b"POST", b"PUT", b"PATCH"})
_MINOR_VERSION_OFFSET = len("HTTP/1.")
_REMEMBERED_OCTETS = 1024  # of a head, so that a connection that is kept never holds much


class HTTP1Client(HTTP1Connection):
    """The client's end of a connection, on any engine.

    Args:
        codec: the engine.
        limits: bounds on what the server sends.
    """

    _after_message = RECEIVING_IDLE

    def __init__(self, codec: Codec, *, limits: Limits) -> None:
        scanner = response_scanner(limits.header_section_octets, limits.header_fields)
        super().__init__(codec, scanner, limits)
        self._output_lost = False
        self._refused = False  # by the latest final response, 4xx or 5xx
        self._latest_head = b""
        self._latest_fields: list[HeaderType] = []

    def is_available(self) -> bool:
        return self._exchange is None and not self.has_expired()

    def get_available_stream_id(self) -> int:
        if not self.is_available():
            raise LocalProtocolError("no request can be sent on this connection now")
        return self._next_stream_id

    def clock(self, now: float) -> None:
        """Tell the time, which changes nothing here."""

    def get_timer(self) -> float | None:
        return None

    # Input

    def eof_received(self) -> None:
        if self._receiving is RECEIVING_OVER or self._input_ended:
            return
        self._input_ended = self._closing = True
        self._resume()

    def output_lost(self) -> None:
        self._output_lost = True

    def connection_lost(self) -> None:
        exchange = self._exchange
        if exchange is not None and self._receiving is RECEIVING_HEAD and self._buffer:
            self._input_ended = True
            self._cut_short(exchange, self.error_codes.protocol_error, "connection lost inside a response head")
        else:
            super().connection_lost()

    def _input_exhausted(self) -> None:
        receiving, exchange = self._receiving, self._exchange
        if receiving is RECEIVING_IDLE:
            if exchange is None:
                self._terminate(0, None, OutputEnd.CLOSED)
            else:
                self._cut_short(exchange, 0, "server closed the connection before the request was complete")
        elif exchange is None:
            return
        elif receiving is RECEIVING_HEAD:
            began = bool(self._buffer)
            self._cut_short(exchange, 400 if began else 0, "server closed the connection before its response")
        elif receiving is RECEIVING_TUNNEL:
            self._tunnel_ended_by_peer(exchange)
        elif self._framer is not None and not (self._framer.wants_credit and self._buffer):
            # RFC 9112 §8: the end of the connection ends the body, unless there was an error. A server that refuses an upload
            # and closes makes one; what it says of the refusal shall not be lost for that.
            if isinstance(self._framer, UntilCloseFramer) and (self._refused or not self._output_lost):
                self._events.append(DataReceived(exchange.stream_id, b"", end_stream=True))
                self._message_received()
            else:
                self._cut_short(exchange, 400, "server closed the connection inside a response body")

    def _cut_short(self, exchange: Exchange, error_code: int, message: str) -> None:
        self._events.append(StreamResetReceived(exchange.stream_id, error_code))
        self._terminate(error_code, message, OutputEnd.ABORTED)

    def _receive_head(self, source: bytes | bytearray, start: int) -> int:
        if self._receiving is RECEIVING_IDLE:
            raise Refusal(400, "response that no request asked for")
        end = self._scanner.scan(source, start)
        if end < 0:
            return start
        self._head_received(bytes(source[start:end]))
        return end

    def _head_received(self, head: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        status = int(head[_MINOR_VERSION_OFFSET + 2 : _MINOR_VERSION_OFFSET + 5])
        minor_version = head[_MINOR_VERSION_OFFSET] - 0x30
        tunnel = status == 101 or (exchange.method == b"CONNECT" and 200 <= status < 300)
        bodiless = tunnel or status < 200 or status in {204, 304} or exchange.method == b"HEAD"
        framing = message_framing(head, minor_version)  # doubt is refused even where there is no body
        if bodiless:
            framing = 0
        if status == 101 and not (exchange.upgrades and exchange.sending is SENDING_ENDED):
            raise Refusal(400, "101 to a request that did not ask for it")
        response = translate_response(status, minor_version, self._receive_fields(head, framing))
        if status < 200 and not tunnel:
            self._informational_received(exchange, response.headers)
            return
        self._refused = status >= 400
        exchange.http10 = not minor_version
        exchange.keep_alive = exchange.keep_alive and response.keep_alive
        end_stream = bodiless and not tunnel
        if tunnel:
            exchange.tunnel = True
            exchange.sending = SENDING_BODY
            self._receiving = RECEIVING_TUNNEL
        elif framing is Framing.CHUNKED:
            trailers = trailer_scanner(self._limits.header_section_octets, self._limits.header_fields)
            self._framer = ChunkedFramer(trailers, math.inf, self._limits.chunk_overhead_octets)
            self._receiving = RECEIVING_BODY
        elif framing is Framing.UNDECLARED:
            exchange.keep_alive = False
            self._framer = UntilCloseFramer()
            self._receiving = RECEIVING_BODY
        elif framing:
            self._framer = LengthFramer(framing)
            self._receiving = RECEIVING_BODY
        else:
            end_stream = True
        self._events.append(HeadersReceived(exchange.stream_id, response.headers, end_stream))
        if end_stream:
            self._message_received()

    def _receive_fields(self, head: bytes, framing: int | Framing) -> list[HeaderType]:
        """Have the fields decoded, unless the head is the latest once more: which it often is until its date changes."""
        chunked = framing is Framing.CHUNKED
        if head == self._latest_head and not chunked:  # a chunked body is decoded by an engine that has seen its head
            return self._latest_fields
        fields = self._codec.receive_fields(head, chunked=chunked)
        if len(head) <= _REMEMBERED_OCTETS:
            self._latest_head, self._latest_fields = head, fields
        return fields

    def _informational_received(self, exchange: Exchange, headers: HeadersType) -> None:
        exchange.informational_responses += 1
        if exchange.informational_responses > self._limits.informational_responses:
            raise Refusal(400, "too many interim responses")
        self._events.append(InformationalReceived(exchange.stream_id, headers))

    def _refuse(self, refusal: Refusal) -> None:
        error_code = self.error_codes.protocol_error
        exchange = self._exchange
        if exchange is not None:
            self._events.append(StreamResetSent(exchange.stream_id, error_code))
        self._terminate(error_code, refusal.message, OutputEnd.ABORTED)

    def _is_open(self, exchange: Exchange) -> bool:
        return not exchange.received or exchange.sending is not SENDING_ENDED

    # Output

    def submit_informational(self, stream_id: int, headers: HeadersType) -> None:
        raise LocalProtocolError("a client sends no interim responses", stream_id=stream_id)

    def submit_headers(self, stream_id: int, headers: HeadersType, end_stream: bool = False) -> None:
        if self._exchange is not None and self._exchange.stream_id == stream_id:
            raise LocalProtocolError(f"the head of stream {stream_id} was sent", stream_id=stream_id)
        if stream_id != self.get_available_stream_id():
            raise LocalProtocolError(f"stream {stream_id} cannot be opened", stream_id=stream_id)
        method, target, lines, length, upgrades = check_request(headers)
        connect = method == b"CONNECT"
        if end_stream and length:
            raise LocalProtocolError("body shorter than its content-length", stream_id=stream_id)
        if connect:
            length = 0
        elif length is None and end_stream:
            length = 0
            if method in _CONTENT_METHODS:
                lines.append(b"content-length: 0\r\n")
        elif length is None:
            lines.append(b"transfer-encoding: chunked\r\n")
        self._output.write(request_head(method, target, lines))
        exchange = Exchange(stream_id, method)
        exchange.upgrades = upgrades
        exchange.sending = SENDING_BODY
        exchange.unsent = length
        exchange.chunked = length is None
        exchange.bodiless = connect
        self._exchange = exchange
        self._next_stream_id += 2
        self._receiving = RECEIVING_HEAD
        if end_stream or connect:
            self._end_sending(exchange, [])

    def _progress(self) -> None:
        exchange = self._exchange
        if exchange is None or exchange.sending is not SENDING_ENDED:
            return
        if not exchange.received:
            if exchange.tunnel:
                self._output.finish(OutputEnd.HALF_CLOSED)
        elif exchange.tunnel or self._closing or not exchange.keep_alive:
            self._terminate(0, None, OutputEnd.CLOSED)
        else:
            self._exchange = None

    # Ends

    def has_expired(self) -> bool:
        exchange = self._exchange
        return super().has_expired() or (exchange is not None and not exchange.keep_alive)

    def submit_stream_reset(self, stream_id: int, error_code: int = 0) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.stream_id == stream_id:
            self._terminate(error_code, "stream reset", OutputEnd.ABORTED)

    def submit_goaway(self) -> None:
        self._closing = True
        if self._exchange is None and self._receiving is not RECEIVING_OVER:
            self._terminate(0, None, OutputEnd.CLOSED)

    def submit_close(self, error_code: int = 0, message: str | None = None) -> None:
        if self._receiving is not RECEIVING_OVER:
            end = OutputEnd.CLOSED if self._exchange is None else OutputEnd.ABORTED
            self._terminate(error_code, message, end)


class H11ClientProtocol(HTTP1Client):
    """The client's end of an HTTP/1.1 connection, on h11.

    Args:
        secure: whether the transport is TLS; for symmetry with other engines and versions, it changes nothing.
        limits: bounds on what the server sends.
        timeouts: for symmetry as well: a client's deadlines are its callers'.

    Source: RFC 9110, RFC 9112.
    """

    def __init__(
        self,
        *,
        secure: bool,
        limits: Limits = Limits(),  # noqa: B008
        timeouts: Timeouts = Timeouts(),  # noqa: B008
    ) -> None:
        super().__init__(H11ClientCodec(), limits=limits)
