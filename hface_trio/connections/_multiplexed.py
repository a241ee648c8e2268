"""A connection that carries many streams at a time: HTTP/2 and HTTP/3.

::

    connection task
    ├─ streams              one task each, see the server's side; a client's streams run in their callers' tasks
    └─ input and output
       ├─ reader            network → protocol → streams
       └─ writer            protocol → network, fair between streams

What arrives is the subject of :mod:`~hface_trio.connections._multiplexed_input`; here are the life of the connection, and what
its streams and its users ask for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from ..errors import LocalProtocolError
from ..models import HeadersType
from ..protocols import HTTPOverQUICProtocol, OutputEnd
from ._multiplexed_input import MultiplexedInput
from ._output import SEND_BUFFER_OCTETS
from ._send_queue import SendQueue
from ._stream import HTTPStream
from ._writer import CLOGGED_OCTETS

if TYPE_CHECKING:
    from ..networking import Buffer

__all__ = ["MultiplexedDriver"]

_STALE_SECONDS = 0.1


class MultiplexedDriver(MultiplexedInput):
    """What the server's and the client's side of a multiplexed connection share.

    Args:
        protocol: the sans-IO part.
        wire: the network, which feeds ``protocol``.
        context: limits and accounts.
        record: for the observer.
    """

    _nursery: trio.Nursery

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
            self._let_go()

    def statistics(self) -> tuple[int, int, int]:
        """Return octets received, sent and buffered."""
        buffered = sum(stream.ledger_octets for stream in self._streams.values())
        buffered += self.writer.queued_octets + self._held.ledger_octets
        return self.octets_received, self.wire.octets_sent, buffered

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

    def _let_go(self) -> None:
        self.protocol.may_grow = None
        self.writer.let_go()
        self._held.let_go()
        super()._let_go()

    # What streams ask for

    def _queue_of(self, stream: HTTPStream) -> SendQueue:
        queue = stream.send_queue
        if queue is None:
            queue = stream.send_queue = self.writer.open(stream.stream_id, stream.shed)
        return queue

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
        completed = (
            stream.over and stream.rules.ended and stream.cause is None
        )  # though its handler has returned before
        if not completed:
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

    # For HTTPConnection

    def submitted(self) -> None:
        """Let leave what was submitted to the protocol."""
        self.pump()
        self._leave()

    def acknowledged(self) -> None:
        """Let credit leave."""
        self.writer.wake()

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
