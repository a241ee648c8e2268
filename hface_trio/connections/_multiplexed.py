"""A connection that carries many streams at a time: HTTP/2 and HTTP/3.

::

    connection task
    ├─ streams              one task each, see the server's side; a client's streams run in their callers' tasks
    └─ input and output
       ├─ reader            network → protocol → streams
       └─ writer            protocol → network, fair between streams

The reader never waits for anything but the network: what a stream cannot take at once waits in its queue, bounded by its
window. All timers of the connection are one lazily moved deadline around the reader. Deadlines of streams are looked at in
sweeps, four in each period: nothing is set up or torn down for a request.

Streams are in one table from their first event until they are closed; :meth:`MultiplexedDriver.close_stream` is the only way
out.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from ..errors import (
    ConnectionLostError,
    HfaceError,
    LocalProtocolError,
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
from ..models import HeadersType
from ..protocols import HTTPOverQUICProtocol, HTTPProtocol, OutputEnd, StreamCodes
from ._base import ConnectionDriver
from ._context import ConnectionContext
from ._ledger import HeldInput
from ._observer import ConnectionRecord
from ._output import SEND_BUFFER_OCTETS
from ._stream import HTTPStream
from ._wire import Wire
from ._writer import CLOGGED_OCTETS, SendQueue, Writer

if TYPE_CHECKING:
    from ..networking import Buffer, ExtraAttributes

__all__ = ["MultiplexedDriver"]

_SWEEPS = 4
_STALE_SECONDS = 0.1
_OVERDUE_SECONDS = 1.0


class MultiplexedDriver(ConnectionDriver[HTTPProtocol]):
    """What the server's and the client's side of a multiplexed connection share.

    Args:
        protocol: the sans-IO part.
        wire: the network, which feeds ``protocol``.
        context: limits and accounts.
        record: for the observer.
    """

    _nursery: trio.Nursery

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

    # The connection's own life

    async def run(self, started: Callable[[], None]) -> None:
        """Run the connection until it is over; call ``started`` when it runs. Raises nothing but cancellation."""
        self.protocol.clock(trio.current_time())
        self.protocol.may_grow = self._may_grow
        try:
            async with trio.open_nursery() as streams:
                self._nursery = streams
                async with trio.open_nursery() as input_and_output:
                    input_and_output.start_soon(self._read)
                    input_and_output.start_soon(self.writer.run)
                    input_and_output.start_soon(self.wire.run)
                    started()
                    await self._wait_over()
                    if not self._is_aborted():
                        await self.writer.wait_flushed()
                    input_and_output.cancel_scope.cancel()
                self._end()
                await self.wire.close(aborted=self._is_aborted())
                self._closed = True
        finally:
            with trio.move_on_after(self.context.timeouts.flush_seconds, shield=True):  # a deadline, so bounded
                await self._close_at_once()
            self._end()

    def statistics(self) -> tuple[int, int, int]:
        """Return octets received, sent and buffered."""
        buffered = sum(stream.ledger_octets for stream in self._streams.values())
        buffered += self.writer.queued_octets + self._held.ledger_octets
        return self.octets_received, self.wire.octets_sent, buffered

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

    def submitted(self) -> None:
        """Let leave what was submitted to the protocol."""
        self.pump()
        self._leave()

    def _leave(self) -> None:
        """Let the writer send, which then looks when the protocol's time comes; while it waits for the network, look here."""
        self.writer.wake()
        if self.writer.sending:
            self._retime()

    def acknowledged(self) -> None:
        """Let credit leave."""
        self.writer.wake()

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
        protocol, wire = self.protocol, self.wire
        self._now = trio.current_time()
        while self.terminated is None:
            try:
                await wire.receive()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                self._input_ended = True
                self._broke("the connection broke", exc)
                protocol.connection_lost()
                self.pump()
                return
            now = self._now = trio.current_time()
            protocol.clock(now)
            self._input_ended = wire.input_ended
            self._note_received(wire.feed())
            self.pump()
            self._held.note(protocol.held_octets)
            self._batch_done()
            self._leave()

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

    # The end

    def _is_aborted(self) -> bool:
        return self.writer.failed or self.protocol.output_end is OutputEnd.ABORTED

    async def _close_at_once(self) -> None:
        """Close a connection that was cancelled: GOAWAY, what is on its way, and no more."""
        if self._closed:
            return
        self._closed = True
        self.protocol.submit_close()
        while self.protocol.next_event() is not None:
            pass  # nothing of the application runs any more
        await self.wire.close_at_once(aborted=self._is_aborted())

    def _end(self) -> None:
        self.writer.close_all()
        self._held.note(0)
        self._note_end(self.wire.octets_sent)
        self._streams_lost()
        for stream in list(self._streams.values()):
            self._peer_gone(stream, self._connection_lost_error(0, stream))

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

    def _queue_of(self, stream: HTTPStream) -> SendQueue:
        queue = stream.send_queue
        if queue is None:
            queue = stream.send_queue = self.writer.open(stream.stream_id, stream.shed)
        return queue

    def _drop_output(self, stream: HTTPStream) -> None:
        """Drop what a stream has unsent: nobody will take it."""
        if stream.send_queue is not None:
            self.writer.close(stream.send_queue)

    # What streams ask for

    async def wait_sendable(self, stream: HTTPStream) -> None:
        """Wait until what the stream has unsent is at most 64 KiB."""
        await trio.lowlevel.checkpoint()
        if stream.send_queue is not None:
            await self.writer.wait_room(stream.send_queue)
        if self.writer.is_clogged(CLOGGED_OCTETS):  # no window holds back heads
            await self.writer.wait_unclogged()
        if self.protocol.unsent_octets(stream.stream_id) > SEND_BUFFER_OCTETS:  # but the peer may, on some versions
            await self._wait_unsent(stream.stream_id, SEND_BUFFER_OCTETS)
            stream.raise_if_unsendable()

    async def _wait_unsent(self, stream_id: int, n_octets: int) -> None:
        """Wait until the protocol keeps at most so many octets of a stream."""
        while self.protocol.unsent_octets(stream_id) > n_octets and await self.writer.wait_round():
            pass

    def submit_headers(self, stream: HTTPStream, headers: HeadersType, end_stream: bool) -> None:
        """Submit a head."""
        self.protocol.submit_headers(stream.stream_id, headers, end_stream)

    def submit_informational(self, stream: HTTPStream, headers: HeadersType) -> None:
        """Submit an interim head."""
        self.protocol.submit_informational(stream.stream_id, headers)

    async def before_trailers(self, stream: HTTPStream) -> None:
        """Wait until all data has gone before."""
        if stream.send_queue is not None:
            await self.writer.wait_empty(stream.send_queue)

    def submit_trailers(self, stream: HTTPStream, headers: HeadersType) -> None:
        """Submit trailers."""
        self.protocol.submit_trailers(stream.stream_id, headers)

    async def send_data(self, stream: HTTPStream, data: Buffer, end_stream: bool) -> None:
        """Queue data; wait until at most 64 KiB of the stream is unsent."""
        if isinstance(data, memoryview):
            data = data.cast("B")
        if stream.send_queue is None and self.writer.submit_at_once(stream.stream_id, data, end_stream):
            return
        queue = self._queue_of(stream)
        self.writer.put(queue, data, end_stream)
        if queue.octets <= 64 * 1024:
            return
        try:
            await self.writer.wait_room(queue)
        except trio.Cancelled:
            if not end_stream:
                stream.rules.broken = True
            elif queue.octets:
                stream.rules.broken = True
                stream.rules.ended = False
            raise
        stream.raise_if_unsendable()

    def transmit(self, stream: HTTPStream) -> None:
        """Let leave what was submitted."""
        self.writer.wake()

    async def flush(self, stream: HTTPStream) -> None:
        """Wait until the kernel has everything."""
        if stream.send_queue is not None:
            await self.writer.wait_empty(stream.send_queue)
        await self.writer.wait_flushed()
        await self._wait_unsent(stream.stream_id, 0)
        stream.raise_if_unsendable()

    def before_receive(self, stream: HTTPStream) -> None:
        """Nothing to say: a window tells the peer to send."""

    def acknowledge(self, stream: HTTPStream, n_octets: int) -> None:
        """Return credit; it leaves when there is enough of it."""
        if stream.over:
            return
        self.context.ledger.adjust(stream, -n_octets)
        if (now := trio.current_time()) - self._now > _STALE_SECONDS:  # windows grow by how fast credit returns
            self._now = now
            self.protocol.clock(now)
        self.protocol.acknowledge(stream.stream_id, n_octets)
        self.writer.wake()

    def max_datagram_octets(self, stream: HTTPStream) -> int:
        """Return how long a datagram may be; negative where there are none."""
        protocol = self.protocol
        return protocol.max_datagram_octets(stream.stream_id) if isinstance(protocol, HTTPOverQUICProtocol) else -1

    def submit_datagram(self, stream: HTTPStream, data: bytes) -> None:
        """Send a datagram."""
        protocol = self.protocol
        if not isinstance(protocol, HTTPOverQUICProtocol):
            super().submit_datagram(stream, data)
            return
        stream.raise_if_unsendable()
        protocol.submit_datagram(stream.stream_id, data)
        self.submitted()

    def datagram_taken(self, stream: HTTPStream, n_octets: int) -> None:
        """Take a datagram out of the ledger."""
        if not stream.over:
            self.context.ledger.adjust(stream, -n_octets)

    def reset(self, stream: HTTPStream, error_code: int) -> None:
        """End a stream."""
        self.protocol.submit_stream_reset(stream.stream_id, error_code)
        self._drop_output(stream)
        self.submitted()

    # Raw

    async def raw_wait_sendable(self, stream_id: int) -> None:
        """Wait until what the stream has unsent is at most 64 KiB."""
        await trio.lowlevel.checkpoint()
        if (queue := self.writer.get(stream_id)) is not None:
            await self.writer.wait_room(queue)
        await self._wait_unsent(stream_id, SEND_BUFFER_OCTETS)

    async def raw_send_data(self, stream_id: int, data: Buffer, end_stream: bool) -> None:
        """Queue data; wait until at most 64 KiB of the stream is unsent."""
        if not self.protocol.can_send(stream_id):
            raise LocalProtocolError(f"stream {stream_id} takes no data now", stream_id=stream_id)
        queue = self.writer.open(stream_id, lambda: self.protocol.submit_stream_reset(stream_id, self.codes.cancelled))
        if end_stream:
            queue.on_empty = lambda: self.writer.close(queue)
        self.writer.put(queue, memoryview(data).cast("B"), end_stream)
        if end_stream and queue.empty:
            self.writer.close(queue)
        await self.writer.wait_room(queue)

    async def raw_before_trailers(self, stream_id: int) -> None:
        """Wait until all data has gone before."""
        if (queue := self.writer.get(stream_id)) is not None:
            await self.writer.wait_empty(queue)
            self.writer.close(queue)
