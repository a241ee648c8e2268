"""What arrives on a connection that carries many streams at a time, and where it goes.

The reader (network → protocol → streams) never waits for anything but the network: what a stream cannot take at once waits in
its queue, bounded by its window. All timers of the connection are one lazily moved deadline around the reader. Deadlines of
streams are looked at in sweeps, four in each period: nothing is set up or torn down for a request.

Streams are in one table from their first event until they are closed; :meth:`MultiplexedInput.close_stream` is the only way
out.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING

import trio

from ..errors import (
    ConnectionLostError,
    HfaceError,
    RemoteProtocolError,
    RequestNotProcessedError,
    SendingStoppedError,
    StreamResetError,
)
from ..events import (
    ConnectionTerminated,
    DatagramReceived,
    DataReceived,
    Event,
    PriorityUpdateReceived,
    SendCapacityIncreased,
    StopSendingReceived,
    StreamEvent,
    StreamReset,
    StreamResetReceived,
)
from ..protocols import HTTPProtocol, OutputEnd, StreamCodes
from ._base import ConnectionDriver
from ._context import ConnectionContext
from ._ledger import HeldInput
from ._observer import ConnectionRecord
from ._stream import HTTPStream
from ._wire import Wire
from ._writer import Writer

if TYPE_CHECKING:
    from ..networking import ExtraAttributes

__all__ = ["MultiplexedInput"]

_SWEEPS = 4
_OVERDUE_SECONDS = 1.0


class MultiplexedInput(ConnectionDriver[HTTPProtocol]):
    """The table of streams, and the reader that feeds it.

    Args:
        protocol: the sans-IO part.
        wire: the network, which feeds ``protocol``.
        context: limits and accounts.
        record: for the observer.
    """

    def __init__(
        self, protocol: HTTPProtocol, wire: Wire, context: ConnectionContext, record: ConnectionRecord
    ) -> None:
        super().__init__(protocol, wire.extra_attributes, context, record)
        self.wire: Wire = wire
        self.codes: StreamCodes = protocol.stream_codes
        self._now = 0.0
        self._streams: dict[int, HTTPStream] = {}
        self._lost: list[StreamReset] = []
        self._held = HeldInput(context.ledger, lambda: self.close(self.codes.excessive_load))
        self._read_scope = trio.CancelScope()
        self._sweep_at = math.inf
        timeouts = context.timeouts
        self._sweep_seconds = min(timeouts.body_progress_seconds, timeouts.write_progress_seconds) / _SWEEPS
        self.writer: Writer = Writer(
            protocol,
            wire,
            context.ledger,
            priority_of=self._priority_of,
            pump=self.pump,
            retime=self._retime,
            on_failure=self._output_failed,
        )

    @property
    def extra_attributes(self) -> ExtraAttributes:
        """What is known of the transport."""
        return self.wire.extra_attributes

    @property
    def open_streams(self) -> int:
        """How many streams are in the table."""
        return len(self._streams)

    # The protocol

    def pump(self) -> None:
        """Take all events of the protocol to where they belong; its output is the writer's."""
        protocol = self.protocol
        while (event := protocol.next_event()) is not None:
            self._dispatch(event)
        if protocol.output_end is not OutputEnd.OPEN:
            self._attention.wake()

    def _leave(self) -> None:
        """Let the writer send, which then looks when the protocol's time comes; while it waits for the network, look here."""
        self.writer.wake()
        if self.writer.sending:
            self._retime()

    def _dispatch(self, event: Event) -> None:
        if isinstance(event, SendCapacityIncreased):
            self.writer.capacity_increased(event.stream_id)
        elif isinstance(event, ConnectionTerminated):
            self._terminate(event)
            self._streams_lost()
        elif self.raw is not None:
            if isinstance(event, StreamReset) and (queue := self.writer.get(event.stream_id)) is not None:
                self.writer.close(queue)
            self.raw.put(event)
        elif isinstance(event, StreamReset):
            self._stream_lost(event)
        elif isinstance(event, StopSendingReceived):
            self._sending_stopped(event)
        elif isinstance(event, StreamEvent):
            if isinstance(event, PriorityUpdateReceived):
                self.writer.priority_changed(event.stream_id)
            self._dispatch_stream(event)
        else:
            self._dispatch_connection(event)

    @abstractmethod
    def _dispatch_stream(self, event: StreamEvent) -> None:
        """Hand an event to its stream."""

    def _dispatch_connection(self, event: Event) -> None:
        """Tell subscribers of an event of the connection."""
        for ring in self.subscribers:
            ring.put(event)

    def _feed(self, event: StreamEvent) -> None:
        stream = self._streams.get(event.stream_id)
        if isinstance(event, DataReceived):
            n_octets = len(event.data)
            if stream is None or stream.over:  # nobody will take it: the credit goes back at once
                self.protocol.acknowledge(event.stream_id, n_octets)
                return
            stream.received_at = self._now
            stream.feed(event)
            self.context.ledger.adjust(stream, n_octets)
        elif stream is not None and not stream.over:
            if isinstance(event, DatagramReceived):
                self.context.ledger.adjust(stream, stream.feed_datagram(event))
            else:
                stream.feed(event)

    def _stream_lost(self, event: StreamReset) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        if not isinstance(event, StreamResetReceived) and stream.failed:
            return  # a reset of ours, whose reason is known better where it was made
        code, stream_id = event.error_code, event.stream_id
        cause: HfaceError
        received = isinstance(event, StreamResetReceived)
        if (
            received and code == self.codes.refused and self.record.client_side
        ):  # also when GOAWAY has ended the connection
            cause = RequestNotProcessedError(
                "the peer did not process the request", error_code=code, stream_id=stream_id
            )
        elif self.protocol.output_end is not OutputEnd.OPEN or self.terminated is not None:
            if self.failure is None:  # why the connection has ended is told behind the ends of its streams
                self._lost.append(event)
                return
            cause = self._connection_lost_error(code, stream)
        elif received:
            cause = StreamResetError(f"the peer reset the stream ({code})", error_code=code, stream_id=stream_id)
        else:
            cause = StreamResetError(
                f"the peer broke the protocol on the stream ({code})", error_code=code, stream_id=stream_id
            )
            cause.__cause__ = RemoteProtocolError(cause.message, error_code=code, stream_id=stream_id)
        self._peer_gone(stream, cause)
        self._drop_output(stream)  # afterwards: a handler that waits for room shall find itself cancelled

    def _streams_lost(self) -> None:
        """Tell streams that were lost with the connection."""
        lost, self._lost = self._lost, []
        for event in lost:
            self._stream_lost(event)

    def _connection_lost_error(self, error_code: int, stream: HTTPStream) -> HfaceError:
        message = self.failure.message if self.failure is not None else "the connection ended"
        cause: HfaceError
        if self.record.client_side:
            cause = ConnectionLostError(message, error_code=error_code or None, stream_id=stream.stream_id)
        else:
            cause = StreamResetError(message, error_code=error_code, stream_id=stream.stream_id)
        cause.__cause__ = self.failure
        return cause

    def _peer_gone(self, stream: HTTPStream, cause: HfaceError) -> None:
        """Let the application hear of a peer that abandoned the exchange."""
        stream.fail(cause)

    def _sending_stopped(self, event: StopSendingReceived) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            self._drop_output(stream)
            stream.fail_sending(
                SendingStoppedError(
                    "the peer reads no more of the stream", error_code=event.error_code, stream_id=event.stream_id
                )
            )

    def _output_failed(self, exc: Exception) -> None:
        if not self._sending_failed(exc):
            self.protocol.connection_lost()
            self.pump()
            return
        for stream in self._streams.values():
            stream.fail_sending(SendingStoppedError("the peer takes no more", stream_id=stream.stream_id))

    def _may_grow(self) -> bool:
        return self.context.ledger.may_grow

    def _priority_of(self, stream_id: int) -> tuple[int, bool] | None:
        return self.protocol.explicit_priority(stream_id)

    # The reader

    async def _read(self) -> None:
        while self.terminated is None:
            with trio.CancelScope(deadline=self._next_deadline()) as scope:
                self._read_scope = scope
                await self._read_until_over()
                return
            self._time_passed()

    async def _read_until_over(self) -> None:
        self._now = trio.current_time()
        while self.terminated is None:
            try:
                await self.wire.deliver(self._turn)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                self._input_ended = True
                self._broke("the connection broke", exc)
                self.protocol.connection_lost()
                self.pump()
                return

    def _turn(self) -> bool:
        """Deal with input; return whether there may be more."""
        protocol, wire = self.protocol, self.wire
        now = self._now = trio.current_time()
        protocol.clock(now)
        self._input_ended = wire.input_ended
        self._note_received(wire.feed())
        self.pump()
        self._held.note(protocol.held_octets)
        self._batch_done()
        self._leave()
        return self.terminated is None

    def _batch_done(self) -> None:
        """Start what the events of one read asked for."""

    def _next_deadline(self) -> float:
        busy = self._streams or self.writer.has_queues or self.protocol.sends
        if busy and self._sweep_at == math.inf and self._sweep_seconds != math.inf:
            self._sweep_at = trio.current_time() + self._sweep_seconds
        timer = self.protocol.get_timer()
        if timer is None:
            return self._sweep_at
        if -math.inf < timer <= self._now:
            # The protocol was told: what is due leaves with what the writer sends next, and it is asked again then.
            timer = self._now + _OVERDUE_SECONDS
        return min(timer, self._sweep_at)

    def _retime(self) -> None:
        """Bring the reader's deadline forward, where another task made something due earlier."""
        deadline = self._next_deadline()
        if deadline < self._read_scope.deadline:
            self._read_scope.deadline = deadline

    def _time_passed(self) -> None:
        now = self._now = trio.current_time()
        timer = self.protocol.get_timer()
        if now < self._sweep_at and (timer is None or now < timer):
            return  # what was due has been put off since
        self.protocol.clock(now)
        if now >= self._sweep_at:
            self._sweep_at = math.inf
            self._sweep(now)
        self.pump()
        self._held.note(self.protocol.held_octets)
        self._batch_done()
        self._leave()

    def _sweep(self, now: float) -> None:
        """Reset the streams whose peer lets them wait for too long."""
        long_ago = now - self.context.timeouts.write_progress_seconds
        for stream_id in {*self.writer.stalled(long_ago), *self.protocol.stalled_streams(long_ago)}:
            stream = self._streams.get(stream_id)
            cause = StreamResetError(
                "the peer took nothing in time", error_code=self.codes.cancelled, stream_id=stream_id
            )
            if stream is None:
                self.protocol.submit_stream_reset(stream_id, self.codes.cancelled)
            else:
                self._give_up(stream, cause)
        if self.record.client_side:
            return
        late = now - self.context.timeouts.body_progress_seconds
        for stream in list(self._streams.values()):
            since = stream.waiting_since
            if since is None or stream.input_ended or stream.tunnel:
                continue
            if since <= late and stream.received_at <= late:
                self._give_up(
                    stream,
                    StreamResetError(
                        "the request body made no progress", error_code=self.codes.cancelled, stream_id=stream.stream_id
                    ),
                )

    def _give_up(self, stream: HTTPStream, cause: HfaceError) -> None:
        self._peer_gone(stream, cause)
        self.protocol.submit_stream_reset(stream.stream_id, self.codes.cancelled)
        self._drop_output(stream)  # last: this may finish the stream, and its end is no clean one

    # Streams

    def _add_stream(self, stream: HTTPStream) -> None:
        self._streams[stream.stream_id] = stream
        stream._shed_code = self.codes.excessive_load
        stream.received_at = self._now
        self.open_record(stream)

    def close_stream(self, stream: HTTPStream) -> None:
        """Forget a stream: the one place where that happens."""
        if stream.over:
            return
        stream.over = True
        stream.close_input()
        self._streams.pop(stream.stream_id, None)
        if stream.send_queue is not None:
            self.writer.close(stream.send_queue)
        if n_octets := stream.discard_input():
            self.protocol.acknowledge(stream.stream_id, n_octets)
        self.context.ledger.release(stream)
        self.protocol.stream_released(stream.stream_id)
        self.close_record(stream)

    def _drop_output(self, stream: HTTPStream) -> None:
        """Drop what a stream has unsent: nobody will take it."""
        if stream.send_queue is not None:
            self.writer.close(stream.send_queue)
