"""The server's end of an HTTP/1.1 connection: its responses, one after the other, and the connection's end.

How requests come is the subject of ``_server_input``. Source: RFC 9112 §9.3 (persistence), §9.6 (tear-down), RFC 9110 §7.8
(upgrade), §10.1.1 (expect).
"""

from __future__ import annotations

from ...errors import LocalProtocolError, SendCapacityError
from ...limits import Limits, Timeouts
from ...models import HeadersType
from .._interfaces import OutputEnd
from ._answers import error_answer
from ._exchange import (
    RECEIVING_IDLE,
    RECEIVING_OVER,
    RECEIVING_TUNNEL,
    SENDING_BODY,
    SENDING_ENDED,
    SENDING_HEAD,
    Exchange,
)
from ._format import response_head, whole_response
from ._h11 import H11ServerCodec
from ._outbound import OutboundResponse, check_response, plain_lines
from ._response import frame_response
from ._server_input import HTTP1ServerInput

__all__ = ["H11ServerProtocol", "HTTP1Server"]

_BODILESS_METHODS = frozenset({b"HEAD", b"CONNECT"})  # whose responses have none, or not always
_BODILESS_STATUSES = frozenset({204, 304})
_JOINED_OCTETS = 4 * 1024  # copying so little costs less than another buffer
_NO_REQUEST = (b"", b"\r")  # what may wait in front of a request that has not begun


class HTTP1Server(HTTP1ServerInput):
    """The server's end of a connection, on any engine.

    Args:
        codec: the engine.
        secure: whether the transport is TLS, which makes the scheme of requests.
        limits: bounds on what the client sends.
        timeouts: bounds on how long it takes.
    """

    def is_available(self) -> bool:
        return False

    def get_available_stream_id(self) -> int:
        raise LocalProtocolError("an HTTP/1.1 server opens no streams")

    @property
    def awaits_continue(self) -> bool:
        """Whether the client holds its body back until ``submit_continue``, or a final response, tells it more."""
        return self._exchange is not None and self._exchange.awaits_continue

    @property
    def final_request(self) -> bool:
        return self._exchange is not None and self._exchange.final

    def request_version(self, stream_id: int) -> str:
        """Return ``"1.0"`` when the request of the stream that is under way came so, else ``"1.1"``."""
        exchange = self._exchange
        return "1.0" if exchange is not None and exchange.stream_id == stream_id and exchange.http10 else "1.1"

    # Output

    def submit_continue(self, stream_id: int) -> None:
        """Tell the client to send the body that it holds back. Does nothing when it holds none back."""
        exchange = self._exchange
        if exchange is not None and exchange.stream_id == stream_id and exchange.awaits_continue:
            exchange.awaits_continue = False
            self._output.write(response_head(100, ()))

    def submit_informational(self, stream_id: int, headers: HeadersType) -> None:
        exchange = self._sending_exchange(stream_id, SENDING_HEAD)
        response = check_response(headers)
        status = response.status
        if status >= 200 or status == 101:
            raise LocalProtocolError(f"{status} is not an interim response", stream_id=stream_id)
        if exchange.http10:
            return  # RFC 9110 §15.2: a client of HTTP/1.0 cannot be sent any
        if status == 100:
            exchange.awaits_continue = False
        self._output.write(response_head(status, response.lines))

    def submit_headers(self, stream_id: int, headers: HeadersType, end_stream: bool = False) -> None:
        exchange = self._sending_exchange(stream_id, SENDING_HEAD)
        response = check_response(headers)
        status = response.status
        if status == 101:
            self._switch_protocols(exchange, response)
        elif status < 200:
            raise LocalProtocolError(f"{status} is not a final response", stream_id=stream_id)
        elif exchange.method == b"CONNECT" and status < 300:
            if response.content_length is not None:
                raise LocalProtocolError("content-length in a 2xx response to CONNECT", stream_id=stream_id)
            self._output.write(response_head(status, response.lines))
            self._open_tunnel(exchange)
        else:
            lines = frame_response(exchange, response, end_stream=end_stream, closing=self._closing)
            self._output.write(response_head(status, lines))
        if end_stream:
            self._end_sending(exchange, [])
        elif exchange.tunnel:
            self._resume()

    def submit_response(self, stream_id: int, status: int, headers: HeadersType, body: bytes) -> None:
        """Send a whole response: ``submit_headers`` and ``submit_data`` in one, with less to do for the usual short one.

        Args:
            stream_id: its stream.
            status: from 200 to 599.
            headers: its fields, without ``:status`` and ``content-length``.
            body: its body; empty where the response has none.

        Raises:
            SendCapacityError: the body is longer than ``send_capacity``; nothing was taken.
            LocalProtocolError: it cannot be sent; nothing was taken.
        """
        exchange = self._exchange
        lines: list[bytes] | None = None
        if (
            exchange is not None
            and exchange.stream_id == stream_id
            and exchange.sending is SENDING_HEAD
            and not (exchange.http10 or exchange.awaits_continue or exchange.method in _BODILESS_METHODS)
            and len(body) <= _JOINED_OCTETS
            and 200 <= status <= 599
            and status not in _BODILESS_STATUSES
        ):
            lines = plain_lines(headers)
        if exchange is None or lines is None:
            self._submit_long_response(stream_id, status, headers, body)
            return
        if self._closing:
            exchange.keep_alive = False
        self._output.write(whole_response(status, lines, body, close=not exchange.keep_alive))
        exchange.sending = SENDING_ENDED
        self._progress()
        self._resume()

    def _submit_long_response(self, stream_id: int, status: int, headers: HeadersType, body: bytes) -> None:
        exchange = self._sending_exchange(stream_id, SENDING_HEAD)
        if body and (exchange.method == b"HEAD" or status in _BODILESS_STATUSES):
            raise LocalProtocolError("this message has no body", stream_id=stream_id)
        if len(body) > self._output.capacity:
            self._capacity_used_up = True
            raise SendCapacityError(f"{len(body)} octets exceed the send capacity", stream_id=stream_id)
        section = [(b":status", b"%d" % status), *headers, (b"content-length", b"%d" % len(body))]
        self.submit_headers(stream_id, section)
        if body:
            self._output.write(body)
            exchange.unsent = 0
        self._end_sending(exchange, [])

    def _switch_protocols(self, exchange: Exchange, response: OutboundResponse) -> None:
        if not exchange.upgrades:
            raise LocalProtocolError("101 without a request to upgrade", stream_id=exchange.stream_id)
        if not exchange.received:
            raise LocalProtocolError("101 before the request is complete", stream_id=exchange.stream_id)
        self._output.write(response_head(101, (*response.lines, b"connection: upgrade\r\n")))
        self._open_tunnel(exchange)

    def _open_tunnel(self, exchange: Exchange) -> None:
        exchange.sending = SENDING_BODY
        exchange.tunnel = True
        exchange.received = False
        self._deadlines.tunnel_opened()
        self._receiving = RECEIVING_TUNNEL

    # Ends

    def discard_input(self, stream_id: int) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.stream_id == stream_id and not exchange.discarded:
            exchange.discarded = True
            self._progress()
            self._resume()

    def submit_stream_reset(self, stream_id: int, error_code: int = 0) -> None:
        exchange = self._exchange
        if exchange is None or exchange.stream_id != stream_id:
            return
        if self._has_responded(exchange):
            self.discard_input(stream_id)
        else:
            self._cut_off(exchange, error_code, "stream reset")

    def submit_goaway(self) -> None:
        self._closing = True
        if self._receiving is RECEIVING_IDLE and bytes(self._buffer[:2]) in _NO_REQUEST:
            self._terminate(0, None, OutputEnd.CLOSED)

    def submit_close(self, error_code: int = 0, message: str | None = None) -> None:
        if self._receiving is RECEIVING_OVER:
            return
        exchange = self._exchange
        if exchange is None or self._has_responded(exchange):
            self._terminate(error_code, message, OutputEnd.CLOSED)
        else:
            self._cut_off(exchange, error_code, message)

    @staticmethod
    def _has_responded(exchange: Exchange) -> bool:
        return exchange.sending is SENDING_ENDED and not exchange.tunnel

    def _cut_off(self, exchange: Exchange, error_code: int, message: str | None) -> None:
        """End an exchange before its response is complete."""
        end = OutputEnd.ABORTED
        if exchange.sending is SENDING_HEAD:
            end = OutputEnd.CLOSED
            if 400 <= error_code <= 599:
                head_request = exchange.method == b"HEAD"
                self._output.write(error_answer(error_code, head_request=head_request, close=True))
        self._terminate(error_code, message, end)


class H11ServerProtocol(HTTP1Server):
    """The server's end of an HTTP/1.1 connection, on h11.

    Args:
        secure: whether the transport is TLS, which makes the scheme of requests.
        limits: bounds on what the client sends.
        timeouts: bounds on how long it takes.

    Source: RFC 9110, RFC 9112.
    """

    def __init__(self, *, secure: bool, limits: Limits = Limits(), timeouts: Timeouts = Timeouts()) -> None:  # noqa: B008
        super().__init__(H11ServerCodec(), secure=secure, limits=limits, timeouts=timeouts)
