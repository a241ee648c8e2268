"""A connection whose streams run one after the other: HTTP/1.1.

Two tasks: a reader (network → protocol → streams), and the task the connection runs in, which serves the streams in turn on
a server and only waits for the end otherwise. There is no writer: what is submitted leaves at once, see
:mod:`~hface_trio.connections._output`.

What arrives is the subject of :mod:`~hface_trio.connections._serial_input`; here are the life of the connection, and what its
streams and its users ask for.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from types import CoroutineType
from typing import TYPE_CHECKING, Any

import trio

from ..models import HeadersType
from ..protocols import OutputEnd
from ._closing import linger, send_last
from ._output import SEND_BUFFER_OCTETS, SerialOutput
from ._serial_input import SerialInput
from ._stream import HTTPStream

if TYPE_CHECKING:
    from ..networking import Buffer

__all__ = ["SerialDriver"]

_SLICE_OCTETS = 128 * 1024


class SerialDriver(SerialInput):
    """What the server's and the client's side of a serial connection share."""

    # The connection's own life

    async def run(self, started: Callable[[], None]) -> None:
        """Run the connection until it is over; call ``started`` when it runs. Raises nothing but cancellation."""
        self.protocol.clock(trio.current_time())
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self.output = SerialOutput(
                    self.transport,
                    nursery,
                    self.context.ledger,
                    self.context.timeouts.write_progress_seconds,
                    self._output_failed,
                )
                nursery.start_soon(self._read)
                started()
                try:
                    await self._main()
                    if not self._is_aborted():
                        await self.output.wait_flushed()
                finally:
                    # From here on the nursery takes no task, though its own still run.
                    self._tasks_ended = self.output.passive = True
                nursery.cancel_scope.cancel()
            if self.successor is not None and not self._is_aborted() and not self._input_ended:
                self._closed = True  # for this driver
            else:
                self.successor = None
                await self._close_in_order()
        finally:
            with trio.move_on_after(self.context.timeouts.flush_seconds, shield=True):  # a deadline, so bounded
                await self._close_at_once()
            self._end()
            self._let_go()

    async def _close_in_order(self) -> None:
        if self._is_aborted():
            self.transport.abort()
        elif self.record.client_side:
            await self.transport.aclose()
        else:
            seconds = self.context.timeouts.linger_seconds
            await linger(self.transport, eof_sent=self._eof_sent, input_ended=self._input_ended, seconds=seconds)
        self._closed = True

    @abstractmethod
    async def _main(self) -> None:
        """Serve, or wait, until the connection is to be closed."""

    def statistics(self) -> tuple[int, int, int]:
        """Return octets received, sent and buffered."""
        buffered = self.output.ledger_octets + (self._receiving.ledger_octets if self._receiving else 0)
        return self.octets_received, self.output.octets_sent, buffered

    # The end

    def _is_aborted(self) -> bool:
        return self.output.failed or self.protocol.output_end is OutputEnd.ABORTED

    async def _close_at_once(self) -> None:
        """Close a connection that was cancelled: what is complete may still leave, what is not ends in a reset."""
        if self._closed:
            return
        self._closed = True
        self.protocol.submit_close()
        while self.protocol.next_event() is not None:
            pass  # the streams are told below: nothing of the application runs any more
        buffers = self.protocol.buffers_to_send()
        if self._is_aborted():
            self.transport.abort()
            return
        await send_last(self.transport, [*self.output.take_pending(), *buffers])

    def _end(self) -> None:
        self.output.close()
        self._note_end(self.output.octets_sent)
        stream = self._receiving
        if stream is not None and not stream.over and self.failure is not None:
            stream.fail(self._lost_error(self.failure.message, 0, stream))
        if stream is not None and not stream.over and not self.record.client_side:
            self.close_stream(stream)

    def _let_go(self) -> None:
        self.output.let_go()
        super()._let_go()

    # What streams ask for

    def wait_sendable(self, stream: HTTPStream) -> CoroutineType[Any, Any, None]:
        """Wait until at most 64 KiB is unsent."""
        return self.output.wait_room()  # type: ignore[return-value]  # type checkers disagree about what a coroutine is

    def submit_headers(self, stream: HTTPStream, headers: HeadersType, end_stream: bool) -> None:
        """Submit a head."""
        self.protocol.submit_headers(stream.stream_id, headers, end_stream)

    def submit_informational(self, stream: HTTPStream, headers: HeadersType) -> None:
        """Submit an interim head."""
        self.protocol.submit_informational(stream.stream_id, headers)

    async def before_trailers(self, stream: HTTPStream) -> None:
        """Nothing to wait for: output leaves in the order of its submission."""

    def submit_trailers(self, stream: HTTPStream, headers: HeadersType) -> None:
        """Submit trailers."""
        self.protocol.submit_trailers(stream.stream_id, headers)

    def transmit(self, stream: HTTPStream) -> None:
        """Let leave what was submitted."""
        self.pump()
        self.resume_reading()

    async def send_data(self, stream: HTTPStream, data: Buffer, end_stream: bool) -> None:
        """Submit data in slices, each when little is unsent."""
        protocol, output = self.protocol, self.output
        if isinstance(data, bytes) and len(data) <= _SLICE_OCTETS:
            protocol.submit_data(stream.stream_id, data, end_stream)
            self.pump()
            if output.unsent_octets > SEND_BUFFER_OCTETS:
                await self._wait_room_behind(stream, end_stream)
            if self._paused:
                self.resume_reading()
            return
        view: Buffer = data
        n_octets = len(data)
        if isinstance(data, memoryview):
            view = data.cast("B") if data.format != "B" or data.ndim != 1 else data
            n_octets = len(view)
        if n_octets > _SLICE_OCTETS:
            view = memoryview(view)
        start = 0
        try:
            while True:
                end = min(start + _SLICE_OCTETS, n_octets)
                last = end == n_octets
                protocol.submit_data(
                    stream.stream_id, view if last and not start else view[start:end], end_stream and last
                )
                self.pump()
                start = end
                if output.unsent_octets > SEND_BUFFER_OCTETS:
                    await output.wait_room()
                elif not last:
                    await trio.lowlevel.checkpoint()
                if last:
                    break
                stream.raise_if_unsendable()
        except BaseException:  # cancelled, or the peer is gone
            stream.rules.broken = start < n_octets or not end_stream
            raise
        self.resume_reading()

    async def _wait_room_behind(self, stream: HTTPStream, end_stream: bool) -> None:
        try:
            await self.output.wait_room()
        except trio.Cancelled:
            stream.rules.broken = not end_stream
            raise

    async def flush(self, stream: HTTPStream) -> None:
        """Wait until the kernel has everything."""
        await self.output.wait_flushed()
        if self.output.failed:
            stream.raise_if_unsendable()

    def acknowledge(self, stream: HTTPStream, n_octets: int) -> None:
        """Return credit, and read on if reading was paused."""
        self.context.ledger.adjust(stream, -n_octets)
        self.protocol.acknowledge(stream.stream_id, n_octets)
        self.resume_reading()

    def reset(self, stream: HTTPStream, error_code: int) -> None:
        """End the stream, and with it the connection."""
        self.protocol.submit_stream_reset(stream.stream_id, error_code)
        self.pump()
        self._attention.wake()

    # For HTTPConnection

    def submitted(self) -> None:
        """Let leave what was submitted."""
        self.pump()
        self.resume_reading()

    def acknowledged(self) -> None:
        """Read on if reading was paused."""
        self.resume_reading()

    async def raw_wait_sendable(self, stream_id: int) -> None:
        """Wait until at most 64 KiB is unsent."""
        await self.output.wait_room()

    async def raw_send_data(self, stream_id: int, data: Buffer, end_stream: bool) -> None:
        """Submit data in pieces, each when little is unsent."""
        view = memoryview(data).cast("B")
        while True:
            part = view[: self.protocol.send_capacity(stream_id)]
            view = view[len(part) :]
            self.protocol.submit_data(stream_id, part, end_stream and not view)
            self.pump()
            if not view:
                break
            await self.output.wait_room()
        self.resume_reading()

    async def raw_before_trailers(self, stream_id: int) -> None:
        """Nothing to wait for: output leaves in the order of its submission."""
