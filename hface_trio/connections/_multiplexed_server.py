"""The server's side of a multiplexed connection: one task for each stream, with a cancel scope around its handler.

As many handlers run as the limit allows; a stream holds its slot until its handler has returned *and* its send queue is
empty or dropped, so resetting a stream frees no slot. As many streams again wait unstarted: a peer whose reset crossed our
answer is within the limit as it sees it. What comes beyond is refused, and can be sent again.
"""

from __future__ import annotations

import contextvars
import math
from contextlib import AbstractAsyncContextManager
from types import TracebackType

import trio

from ..errors import HfaceError, LocalProtocolError, StreamResetError
from ..events import HeadersReceived, StreamEvent
from ..models import HeadersType
from ..protocols import HTTPProtocol
from ..protocols.http2 import H2ServerProtocol
from ._context import ConnectionContext, logger
from ._date import http_date
from ._handler_failures import log_handler_failure, status_for
from ._multiplexed import MultiplexedDriver
from ._observer import ConnectionRecord
from ._rules import has_field
from ._serial_server import StreamHandler
from ._stream import HTTPStream
from ._wire import Wire
from ._writer import CLOGGED_OCTETS

__all__ = ["MultiplexedServerDriver"]


_PASSES_TO_ANSWER = 2
"""The scheduler passes that a handler takes which answers at once: its start, and the checkpoint of its ``send_…``."""


class MultiplexedServerDriver(MultiplexedDriver):
    """Serves streams with a handler."""

    def __init__(
        self,
        protocol: HTTPProtocol,
        wire: Wire,
        context: ConnectionContext,
        record: ConnectionRecord,
        handler: StreamHandler | None,
    ) -> None:
        super().__init__(protocol, wire, context, record)
        self._handler = handler
        self._slots_used = 0
        self._starting: list[HTTPStream] = []
        self._waiting: dict[int, HTTPStream] = {}
        self._base = contextvars.copy_context()
        self._ending = False

    # Streams begin

    def _dispatch_stream(self, event: StreamEvent) -> None:
        if isinstance(event, HeadersReceived) and event.stream_id not in self._streams:
            self._stream_begins(event)
        else:
            self._feed(event)

    def _stream_begins(self, event: HeadersReceived) -> None:
        context, limit = self.context, self.context.limits.concurrent_streams
        waits = self._slots_used >= limit
        if (
            self._handler is None
            or (waits and len(self._waiting) >= limit)
            or context.handlers >= context.limits.handlers
            or not context.ledger.accepts_streams
        ):
            self.protocol.submit_stream_reset(event.stream_id, self.codes.refused)
            self.protocol.stream_released(event.stream_id)
            return
        stream = HTTPStream(self, event.stream_id, event.headers, client_side=False, request_ended=event.end_stream)
        self._add_stream(stream)
        if waits:
            self._waiting[stream.stream_id] = stream
        else:
            self._slots_used += 1
            self._starting.append(stream)
            context.handlers += 1  # from now on: other connections' streams count too, before this one starts

    def _batch_done(self) -> None:
        # Handlers start after the whole read was parsed, in however many turns: what was opened and reset in one go is
        # never started.
        if not self._starting or self.wire.read_in_part:
            return
        starting, self._starting = self._starting, []
        self.writer.patience = _PASSES_TO_ANSWER
        for stream in starting:
            if stream.cause is None:
                self._start(stream)
            else:
                self.context.handlers -= 1
                self._finish(stream)

    def _start(self, stream: HTTPStream) -> None:
        """Start the handler of a stream, which was counted before: others may start before it runs."""
        # Whoever ends may be another stream's task: its context variables are its own. The new task gets a copy.
        self._base.run(self._nursery.start_soon, self._serve, stream)

    def _start_waiting(self) -> None:
        if not self._waiting:
            return
        # Cancelled from outside: nothing starts any more, however long a handler takes to end.
        self._ending = self._ending or trio.current_effective_deadline() == -math.inf
        while self._waiting and not self._ending and self._slots_used < self.context.limits.concurrent_streams:
            stream = self._waiting.pop(next(iter(self._waiting)))
            self._slots_used += 1
            self.context.handlers += 1
            self._start(stream)

    # Streams run

    async def _serve(self, stream: HTTPStream) -> None:
        context, handler = self.context, self._handler
        if stream.cause is not None or handler is None:
            context.handlers -= 1
            self._finish(stream)
            return
        failure: BaseException | None = None
        scope = stream.scope = trio.CancelScope()
        if context.timeouts.handler_seconds != math.inf:
            scope.deadline = trio.current_time() + context.timeouts.handler_seconds
        ended = False
        try:
            with scope:
                failure = await self._call(handler, stream)
            ended = True
        finally:
            context.handlers -= 1
            self._handler_ended(stream, failure, cancelled=scope.cancelled_caught or not ended)

    async def _call(self, handler: StreamHandler, stream: HTTPStream) -> BaseException | None:
        try:
            await handler(stream)
        except Exception as exc:  # noqa: BLE001  # the barrier: no handler may end its server
            return exc
        except BaseExceptionGroup as group:
            failures, rest = group.split(Exception)
            if rest is not None:
                if failures is not None:
                    log_handler_failure(stream, failures)
                raise rest from None
            return failures
        return None

    def _handler_ended(self, stream: HTTPStream, failure: BaseException | None, *, cancelled: bool) -> None:
        """Settle what a handler left behind."""
        rules, cause = stream.rules, stream.cause
        finished = rules.ended and not rules.broken
        status = 500
        if failure is not None:
            status = status_for(failure)
            log_handler_failure(stream, failure)
        elif not finished and cause is None and not cancelled:
            logger.error("handler of %r returned without finishing its response", stream)
        queue = stream.send_queue
        if not finished and cause is None:
            stream.fail(StreamResetError("the handler ended without finishing", stream_id=stream.stream_id))
            if cancelled:
                self.protocol.submit_stream_reset(stream.stream_id, self.codes.cancelled)
            elif rules.head_sent or not self._answer(stream, status):
                self.protocol.submit_stream_reset(stream.stream_id, self.codes.internal_error)
        elif finished and queue is not None and not queue.empty and not queue.closed:
            queue.on_empty = lambda: self._finish(stream)
            return
        self._finish(stream)

    def _answer(self, stream: HTTPStream, status: int) -> bool:
        head: HeadersType = [(b":status", b"%d" % status), (b"content-length", b"0"), (b"date", http_date())]
        try:
            self.protocol.submit_headers(stream.stream_id, head, end_stream=True)
        except LocalProtocolError:  # the stream takes no head any more
            return False
        stream.status = status
        return True

    def _finish(self, stream: HTTPStream) -> None:
        """Give back a stream's slot; tell a peer that still sends that nobody reads."""
        if stream.over:
            return
        if stream.send_queue is not None:
            stream.send_queue.on_empty = None
        if not stream.input_ended:
            self.protocol.submit_stream_reset(stream.stream_id, self.codes.no_error)
        self.close_stream(stream)
        self._slots_used -= 1
        if self.writer.is_clogged(2 * CLOGGED_OCTETS):
            self.close(self.codes.excessive_load)  # sends requests and takes no answers, be they resets
        self._start_waiting()
        self.submitted()

    def before_receive(self, stream: HTTPStream) -> None:
        """Say 100 if the client waits for it."""
        if not stream.body_octets_received and has_field(stream.headers, b"expect"):
            self.protocol.submit_continue(stream.stream_id)
            self.writer.wake()

    # Streams are lost

    def _end(self) -> None:
        super()._end()
        starting, self._starting = self._starting, []
        for stream in starting:  # the connection has ended in the midst of the read that brought them
            self.context.handlers -= 1
            self._slots_used -= 1
            self.close_stream(stream)

    def _peer_gone(self, stream: HTTPStream, cause: HfaceError) -> None:
        scope = stream.scope
        if scope is not None and (not stream.rules.ended or stream.sending) and self.context.on_peer_gone == "cancel":
            # Before the stream fails: a handler that waits for it shall find itself cancelled, as everywhere else.
            scope.cancel(reason=str(cause))
        stream.fail(cause)
        if self._waiting.pop(stream.stream_id, None) is not None:
            self.close_stream(stream)

    def cancel(self, stream: HTTPStream) -> None:
        """Cancel the handler that serves ``stream``."""
        if stream.scope is not None:
            stream.scope.cancel(reason="HTTPStream.cancel was called")

    # Push

    def push(self, stream: HTTPStream, headers: HeadersType) -> AbstractAsyncContextManager[HTTPStream]:
        """Promise a response on a stream of its own."""
        if not isinstance(self.protocol, H2ServerProtocol):
            return super().push(stream, headers)
        stream.raise_if_unsendable()
        promised_id = self.protocol.submit_push_promise(stream.stream_id, headers)
        promised = HTTPStream(self, promised_id, headers, client_side=False, request_ended=True)
        self._add_stream(promised)
        self.submitted()
        return _Promised(self, promised)

    def end_promised(self, stream: HTTPStream) -> None:
        """Settle a promised stream: reset it unless its response is complete, and close it once that has left."""
        queue = stream.send_queue
        if not stream.rules.ended or stream.rules.broken:
            self.protocol.submit_stream_reset(stream.stream_id, self.codes.cancelled)
        elif queue is not None and not queue.empty and not queue.closed:
            queue.on_empty = lambda: self._close_promised(stream)
            return
        self._close_promised(stream)

    def _close_promised(self, stream: HTTPStream) -> None:
        if stream.send_queue is not None:
            stream.send_queue.on_empty = None
        self.close_stream(stream)
        self.submitted()


class _Promised:
    """Context manager around a promised response."""

    def __init__(self, driver: MultiplexedServerDriver, stream: HTTPStream) -> None:
        self._driver = driver
        self._stream = stream

    async def __aenter__(self) -> HTTPStream:
        await trio.lowlevel.checkpoint()
        return self._stream

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._driver.end_promised(self._stream)
        if exc_type is None:
            await trio.lowlevel.cancel_shielded_checkpoint()  # already settled: only let others run
