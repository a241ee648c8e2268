"""What arrives on a connection whose streams run one after the other, and where it goes.

- The protocol is fed and asked synchronously (:meth:`SerialInput.pump`), by whichever task has something for it.
- The reader never waits for application code. It stops reading while the protocol wants no octets, and then learns of the
  peer's departure from the transport.
- One lazily moved deadline around the reader stands for all timers of the connection: moving it later costs nothing, since
  an early wake-up only looks again.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Final

import trio

from ..errors import HfaceError, RemoteProtocolError, SendingStoppedError, StreamResetError
from ..events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    HeadersReceived,
    SendCapacityIncreased,
    StreamEvent,
    StreamReset,
    StreamResetReceived,
)
from ..protocols import HTTPOverTCPProtocol, OutputEnd
from ._base import ConnectionDriver
from ._closing import READ_OCTETS
from ._context import ConnectionContext
from ._observer import ConnectionRecord
from ._output import SerialOutput
from ._stream import HTTPStream
from ._wakeup import Wakeup

if TYPE_CHECKING:
    from ..networking import ByteStream

__all__ = ["SerialInput"]

_OPEN: Final = OutputEnd.OPEN  # an attribute of an enum class costs as much as a call
_FREQUENT = (HeadersReceived, DataReceived)


class SerialInput(ConnectionDriver[HTTPOverTCPProtocol]):
    """The stream whose turn it is, and the reader that feeds it."""

    # An idle connection shall cost little: attributes beyond the thirtieth would double the size of its dictionary.
    __slots__ = (
        "_departure_deadline",
        "_eof_sent",
        "_half_closing",
        "_initial",
        "_last_octet_at",
        "_nursery",
        "_owes_end",
        "_paused",
        "_read_deadline",
        "_read_scope",
        "_receiving",
        "_resume",
        "_tasks_ended",
        "output",
        "successor",
        "trailing_data",
        "transport",
    )
    tunnel_follows_request: bool = True
    _eof_passes: int = 4
    """Scheduler passes between seeing the peer's FIN and telling so: a handler that answers without waiting has answered
    then. The FIN of ``printf … | nc -N`` comes with the request."""
    output: SerialOutput
    _nursery: trio.Nursery

    def __init__(
        self,
        protocol: HTTPOverTCPProtocol,
        transport: ByteStream,
        context: ConnectionContext,
        record: ConnectionRecord,
        initial: bytes = b"",
    ) -> None:
        super().__init__(protocol, transport.extra_attributes, context, record)
        self.transport: ByteStream = transport
        self._eof_sent = False
        self._initial = initial
        self.successor: HTTPOverTCPProtocol | None = None
        """The protocol that takes the connection over, once this driver has ended."""
        self.trailing_data = bytearray()
        """Octets for the successor that were read already."""
        self._receiving: HTTPStream | None = None
        self._read_scope = trio.CancelScope()
        self._read_deadline = math.inf
        """Of ``_read_scope``."""
        self._resume = Wakeup()
        self._paused = False
        self._owes_end = False
        """The peer has ended its side, and the protocol was not told yet."""
        self._half_closing = False
        self._tasks_ended = False
        self._last_octet_at = 0.0
        self._departure_deadline = math.inf

    def is_over(self) -> bool:
        """Return whether nothing more can happen on this connection."""
        if self.terminated is not None or self.successor is not None:
            return True
        end = self.protocol.output_end
        if end is not _OPEN and end is not OutputEnd.HALF_CLOSED:  # a tunnel may still receive then
            return True
        return self.output.failed and not self._reads_on

    # The protocol

    def pump(self) -> None:
        """Take everything the protocol has: events to where they belong, output to the transport."""
        protocol = self.protocol
        while (event := protocol.next_event()) is not None:
            self._dispatch(event)
        if buffers := protocol.buffers_to_send():
            self.output.push(buffers)
        if (end := protocol.output_end) is not _OPEN:
            self._end_output(end)
        # Whatever was done may have made something due earlier than the reader knows.
        deadline = self._next_deadline()
        if deadline < self._read_deadline:
            self._read_deadline = self._read_scope.deadline = deadline

    def _dispatch(self, event: Event) -> None:
        if self.raw is None and isinstance(event, _FREQUENT):
            self._dispatch_stream(event)
        elif isinstance(event, ConnectionTerminated):
            self._terminate(event)
        elif isinstance(event, SendCapacityIncreased):
            return  # whoever sends waits for the output itself
        elif self.raw is not None:
            self.raw.put(event)
        elif isinstance(event, StreamReset):
            # Mostly the connection goes down with its stream, and that event knows better why.
            following = self.protocol.next_event()
            if isinstance(following, ConnectionTerminated):
                self._terminate(following)
                following = None
            self._stream_lost(event)
            if following is not None:
                self._dispatch(following)
        elif isinstance(event, StreamEvent):
            self._dispatch_stream(event)

    @abstractmethod
    def _dispatch_stream(self, event: StreamEvent) -> None:
        """Hand an event to its stream."""

    def _feed(self, event: StreamEvent) -> None:
        stream = self._receiving
        if self.successor is not None and isinstance(event, DataReceived):
            self.trailing_data += event.data
        if stream is None or stream.stream_id != event.stream_id or stream.over:
            if isinstance(event, DataReceived):  # nobody will take it: the credit goes back at once
                self.protocol.acknowledge(event.stream_id, len(event.data))
            return
        stream.feed(event)
        if isinstance(event, DataReceived):
            self.context.ledger.adjust(stream, len(event.data))

    def _stream_lost(self, event: StreamReset) -> None:
        stream = self._receiving
        if stream is None or stream.stream_id != event.stream_id or stream.over:
            return
        known = self.terminated.message if self.terminated is not None else None
        if isinstance(event, StreamResetReceived):
            cause = self._lost_error(known or "the peer closed the connection", event.error_code, stream)
            cause.__cause__ = self.failure
        else:
            cause = self._lost_error(known or "the peer broke the protocol", event.error_code, stream)
            cause.__cause__ = RemoteProtocolError(cause.message, error_code=event.error_code)
        self._peer_gone(stream, cause)

    def _lost_error(self, message: str, error_code: int, stream: HTTPStream) -> HfaceError:
        return StreamResetError(message, error_code=error_code, stream_id=stream.stream_id)

    def _peer_gone(self, stream: HTTPStream, cause: HfaceError) -> None:
        """Let the application hear of a peer that abandoned the exchange."""
        stream.fail(cause)

    def _output_failed(self, exc: Exception) -> None:
        if not self._sending_failed(exc):
            self.protocol.connection_lost()
            self.pump()
            return
        self.protocol.output_lost()
        if (stream := self._receiving) is not None:
            stream.fail_sending(SendingStoppedError("the peer takes no more", stream_id=stream.stream_id))

    def _end_output(self, end: OutputEnd) -> None:
        if end is OutputEnd.ABORTED:
            self.output.close()
            self.transport.abort()
        elif not (self._half_closing or self._tasks_ended):
            self._half_closing = True
            self._nursery.start_soon(self._half_close)
        if end is not OutputEnd.HALF_CLOSED:
            self._attention.wake()

    async def _half_close(self) -> None:
        await self.output.wait_flushed()
        if not self.output.failed:
            try:
                await self.transport.send_eof()
                self._eof_sent = True
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                self._output_failed(exc)

    # The reader

    async def _read(self) -> None:
        self._last_octet_at = trio.current_time()
        if self._initial:
            self._note_received(len(self._initial))
            self.protocol.bytes_received(self._initial)
            self._initial = b""
            self.pump()
        while True:
            self._read_deadline = self._next_deadline()
            with trio.CancelScope(deadline=self._read_deadline) as scope:
                self._read_scope = scope
                await self._read_until_over()
                return
            self._time_passed()

    async def _read_until_over(self) -> None:
        protocol, transport = self.protocol, self.transport
        while self.terminated is None and self.successor is None:
            if self._owes_end:
                for _ in range(self._eof_passes):
                    await trio.lowlevel.checkpoint()
                self._owes_end = False
                protocol.eof_received()
                self.pump()
                continue
            n_octets = 0 if self._input_ended else min(READ_OCTETS, protocol.receive_capacity())
            if n_octets <= 0:
                await self._pause()
                continue
            self._departure_deadline = math.inf  # whatever ended is behind what can be read now
            try:
                if self._body_arrives():  # mostly a read's worth at a time, with a pause behind it
                    self._take(await transport.receive_some(n_octets))
                else:
                    await transport.deliver(self._take, n_octets)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                self._input_ended = True
                self._broke("the connection broke", exc)
                protocol.connection_lost()
                self.pump()

    def _body_arrives(self) -> bool:
        stream = self._receiving
        return stream is not None and not stream.input_ended

    def _take(self, data: bytes) -> int:
        """Take octets, or their end; return how many may be delivered next."""
        protocol = self.protocol
        now = self._last_octet_at = trio.current_time()
        protocol.clock(now)
        if not data:
            self._input_ended = self._owes_end = True
            return 0
        self.octets_received += len(data)
        protocol.bytes_received(data)
        self.pump()
        if self.terminated is not None or self.successor is not None or self._body_arrives():
            return 0
        return min(READ_OCTETS, protocol.receive_capacity())

    async def _pause(self) -> None:
        self._paused = True
        if not self._input_ended:
            self.transport.watch_departure(self._departed)
        try:
            await self._resume.wait()
        finally:
            self._paused = False
            self.transport.unwatch_departure()

    def _departed(self) -> None:
        """Take note that the peer is gone behind octets that nobody reads."""
        stream = self._receiving
        if not self._paused or stream is None or stream.tunnel:
            return
        grace = self.context.timeouts.half_close_grace_seconds if self.protocol.final_request else 0
        self._departure_deadline = trio.current_time() + grace
        self.pump()

    def _next_deadline(self) -> float:
        timer = self.protocol.get_timer()
        deadline = self._departure_deadline
        if timer is not None and timer < deadline:
            deadline = timer
        stream = self._receiving
        if stream is not None and not stream.input_ended and (body := self._body_deadline()) < deadline:
            return body
        return deadline

    def _body_deadline(self) -> float:
        return math.inf

    def _body_late(self) -> None:
        """Act on a body that made no progress."""

    def _time_passed(self) -> None:
        now = trio.current_time()
        self.protocol.clock(now)
        if now >= self._departure_deadline:
            self._departure_deadline = math.inf
            self._input_ended = True
            self.protocol.connection_lost()
        elif now >= self._body_deadline():
            self._body_late()
        self.pump()

    # Streams

    def close_stream(self, stream: HTTPStream) -> None:
        """Forget a stream: the one place where that happens."""
        if stream.over:
            return
        stream.over = True
        if stream.buffers_input:
            stream.close_input()
            if n_octets := stream.discard_input():
                self.protocol.acknowledge(stream.stream_id, n_octets)
        if stream.ledger_octets:
            self.context.ledger.release(stream)
        if self._receiving is stream:
            self._receiving = None
        if stream.record is not None:
            self.close_record(stream)

    def resume_reading(self) -> None:
        """Let the reader look again whether there is something to read."""
        if self._paused:
            self.pump()
            self._resume.wake()
