"""The server's side of a serial connection: one long-lived task serves the streams in turn.

One cancel scope stands around all handler calls of a connection. That is exact, because on HTTP/1.1 a cancelled handler is
the end of its connection: there is no other handler that the scope could hit.

Each handler call starts from a copy of the context that the connection started with. The copy is made before the task
parks: a task's new context counts from its next step.
"""

from __future__ import annotations

import contextvars
import math
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import trio

from ..errors import HfaceError, RemoteProtocolError, StreamResetError
from ..events import HeadersReceived, StreamEvent
from ..models import HeadersType
from ..networking import ByteStream
from ..protocols import HTTPOverTCPProtocol, HTTPOverTCPUpgrade
from ..protocols.http1 import HTTP1Server
from ._context import ConnectionContext, logger
from ._handler_failures import log_handler_failure, status_for
from ._observer import ConnectionRecord
from ._serial import SerialDriver
from ._stream import HTTPStream

__all__ = ["SerialServerDriver", "StreamHandler"]

StreamHandler: TypeAlias = Callable[[HTTPStream], Awaitable[object]]
"""What serves a stream: an asynchronous function of one argument."""

_ONE_MORE_SECONDS = 1.0
"""How long a connection that drains waits for the request that its client may be sending."""


class SerialServerDriver(SerialDriver):
    """Serves streams with a handler."""

    __slots__ = (
        "_http1",
        "_owes_close",
        "_ready",
        "_ready_at",
        "_says_close",
        "_scope",
        "_serving",
        "_upgrade",
        "handler",
    )

    def __init__(
        self,
        protocol: HTTPOverTCPProtocol,
        transport: ByteStream,
        context: ConnectionContext,
        record: ConnectionRecord,
        handler: StreamHandler | None,
        initial: bytes = b"",
        upgrade: HTTPOverTCPUpgrade | None = None,
    ) -> None:
        super().__init__(protocol, transport, context, record, initial)
        self.handler = handler
        self._http1 = protocol if isinstance(protocol, HTTP1Server) else None
        self._upgrade = upgrade
        self._ready: HTTPStream | None = None
        self._serving: HTTPStream | None = None
        self._scope = trio.CancelScope()
        self._ready_at = record.opened_at
        """When the client could last have begun to send a request."""
        self._says_close = False
        self._owes_close = False

    async def _main(self) -> None:
        handler = self.handler
        if handler is None:
            await self._wait_over()
            return
        base = contextvars.copy_context()
        task = trio.lowlevel.current_task()
        try:
            with self._scope:
                while True:
                    task.context = base.copy()
                    if (stream := await self._next_stream()) is None:
                        break
                    await self._serve(stream, handler)
                    stream = None  # an idle connection holds nothing of what it served last
        finally:
            for stream in (self._serving, self._ready):
                if stream is not None:
                    self._finish(stream, 0)

    async def _next_stream(self) -> HTTPStream | None:
        if self._ready is not None:
            await trio.lowlevel.checkpoint()
        while self._ready is None:
            if self.is_over():
                return None
            if self._owes_close and not self._says_close:
                with trio.move_on_after(_ONE_MORE_SECONDS):
                    await self._attention.wait()
                    continue
                self._say_close()
            else:
                await self._attention.wait()
        stream, self._ready = self._ready, None
        return stream

    def drain(self) -> None:
        """Take one more request at most, and say with its answer that there will be no other.

        Where the latest head has left without saying so, or the connection is new, the client may be sending a request: it
        has a moment for that.
        """
        self.draining.set()
        serving = self._serving
        said_nothing = self.handler is not None and (
            serving.rules.head_sent if serving is not None else self._ready_at > trio.current_time() - _ONE_MORE_SECONDS
        )
        if said_nothing:
            self._owes_close = True
            self._attention.wake()
        else:
            self._say_close()

    def _say_close(self) -> None:
        if not self._says_close:
            self._says_close = True
            self.protocol.submit_goaway()
            self.submitted()

    async def _serve(self, stream: HTTPStream, handler: StreamHandler) -> None:
        self._serving = stream
        context = self.context
        if stream.cause is not None:  # the peer left before its turn came
            self._finish(stream, 0)
            return
        timeout = context.timeouts.handler_seconds
        if timeout != math.inf:
            self._scope.deadline = trio.current_time() + timeout
        failure: BaseException | None = None
        try:
            await handler(stream)
        except Exception as exc:  # noqa: BLE001  # the barrier: no handler may end its server
            failure = exc
        except BaseExceptionGroup as group:
            failures, rest = group.split(Exception)
            if rest is not None:
                if failures is not None:
                    log_handler_failure(stream, failures)
                raise rest from None
            failure = failures
        finally:
            if timeout != math.inf:
                self._scope.deadline = math.inf
        code = 500
        if failure is not None:
            code = status_for(failure)
            log_handler_failure(stream, failure)
        elif not stream.rules.ended or stream.sending:
            if self._scope.cancel_called:
                code = 0
            elif stream.cause is None:
                logger.error("handler of %r returned without finishing its response", stream)
        self._finish(stream, code)

    def _finish(self, stream: HTTPStream, code: int) -> None:
        """Settle what a handler left behind; ``code`` is the status that an unanswered request gets, if any."""
        self._serving = None
        self._ready_at = trio.current_time()
        rules = stream.rules
        if (not rules.ended or rules.broken or stream.sending) and stream.cause is None:
            if code and not rules.head_sent:
                stream.status = code  # the protocol answers
            stream.fail(StreamResetError("the handler ended without finishing", error_code=code))
            self.protocol.submit_stream_reset(stream.stream_id, code)
        elif stream.input_ended and not stream.buffers_input:  # the usual case: nothing is left to settle
            self.close_stream(stream)
            return
        elif not stream.input_ended:
            self.protocol.discard_input(stream.stream_id)
        self.close_stream(stream)
        self.pump()
        self.resume_reading()

    def close_stream(self, stream: HTTPStream) -> None:
        """Forget a stream, and free its place among the server's handlers."""
        if not stream.over:
            self.context.handlers -= 1
            super().close_stream(stream)

    def _dispatch_stream(self, event: StreamEvent) -> None:
        if not isinstance(event, HeadersReceived):
            self._feed(event)
            return
        ended = event.end_stream
        stream = HTTPStream(self, event.stream_id, event.headers, client_side=False, request_ended=ended)
        if (
            stream.upgrade is not None
            and self._upgrade is not None
            and ended
            and self._take_upgrade(self._upgrade, event)
        ):
            return
        context = self.context
        if self.handler is None or context.handlers >= context.limits.handlers or not context.ledger.accepts_streams:
            self.protocol.submit_stream_reset(event.stream_id, 503)
            return
        context.handlers += 1
        self._receiving = self._ready = stream
        self.open_record(stream)
        if (context.draining or self._owes_close) and not self._says_close:
            self._says_close = True
            self.draining.set()
            self.protocol.submit_goaway()
        self._attention.wake()

    def _take_upgrade(self, upgrade: HTTPOverTCPUpgrade, event: HeadersReceived) -> bool:
        """Give the connection to HTTP/2 if the request asks for it (RFC 7540 §3.2); say whether it does."""
        tokens = [value for name, value in event.headers if name == b"upgrade"]
        settings = [value for name, value in event.headers if name == b"http2-settings"]
        if len(settings) != 1 or b"h2c" not in [token.strip() for value in tokens for token in value.split(b",")]:
            return False
        headers = [field for field in event.headers if field[0] not in {b"upgrade", b"http2-settings"}]
        try:
            self.successor = upgrade.upgraded_from(headers, settings[0])
        except RemoteProtocolError:  # served as it came
            return False
        self.protocol.submit_headers(event.stream_id, [(b":status", b"101"), (b"upgrade", b"h2c")])
        self._attention.wake()
        return True

    def submit_response(self, stream: HTTPStream, status: int, headers: HeadersType, body: bytes) -> bool:
        """Submit a whole response and let it leave."""
        if self._http1 is None or self.output.unsent_octets:
            return False
        self._http1.submit_response(stream.stream_id, status, headers, body)
        self.pump()
        if self._paused:
            self.resume_reading()
        return True

    def _peer_gone(self, stream: HTTPStream, cause: HfaceError) -> None:
        if (
            stream is self._serving
            and (not stream.rules.ended or stream.sending)
            and self.context.on_peer_gone == "cancel"
        ):
            # Before the stream fails: a handler that waits for it shall find itself cancelled, as everywhere else.
            self._scope.cancel(reason=str(cause))
        stream.fail(cause)

    def cancel(self, stream: HTTPStream) -> None:
        """Cancel the handler that serves ``stream`` now."""
        if stream is self._serving:
            self._scope.cancel(reason="HTTPStream.cancel was called")

    def before_receive(self, stream: HTTPStream) -> None:
        """Say 100 if the client waits for it."""
        if not stream.body_octets_received:
            self.protocol.submit_continue(stream.stream_id)
            self.pump()

    def _body_deadline(self) -> float:
        stream = self._receiving
        if stream is None or stream.input_ended or stream.tunnel or self._input_ended:
            return math.inf
        timeout = self.context.timeouts.body_progress_seconds
        if (since := stream.waiting_since) is None:
            # Nobody waits: whoever begins to wait later is late no sooner than this.
            return trio.current_time() + timeout
        return max(since, self._last_octet_at) + timeout

    def _body_late(self) -> None:
        stream = self._receiving
        if stream is not None:
            cause = StreamResetError("the request body made no progress", error_code=408, stream_id=stream.stream_id)
            self._peer_gone(stream, cause)
            self.protocol.submit_stream_reset(stream.stream_id, 408)
