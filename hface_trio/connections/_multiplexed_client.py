"""The client's side of a multiplexed connection: streams live in the tasks of their callers."""

from __future__ import annotations

import trio

from ..errors import ConnectionLostError, HfaceError
from ..events import Event, GoawayReceived, PushPromiseReceived, SettingsReceived, StreamEvent
from ..models import HeadersType
from ..protocols import HTTPProtocol
from ._context import ConnectionContext
from ._multiplexed import MultiplexedDriver
from ._observer import ConnectionRecord
from ._stream import HTTPStream
from ._wire import Wire

__all__ = ["MultiplexedClientDriver"]


class MultiplexedClientDriver(MultiplexedDriver):
    """Opens streams, as many at a time as the server allows."""

    def __init__(
        self,
        protocol: HTTPProtocol,
        wire: Wire,
        context: ConnectionContext,
        record: ConnectionRecord,
    ) -> None:
        super().__init__(protocol, wire, context, record)
        self._slots = trio.lowlevel.ParkingLot()
        self.pushed: dict[int, HTTPStream] = {}

    async def open_stream(self, headers: HeadersType, end_stream: bool) -> HTTPStream:
        """Wait for a slot, then take a stream id and submit the head with no yield between.

        Raises:
            ConnectionLostError: the connection is over, or ends; nothing was sent.
            LocalProtocolError: the head is not one of a request; nothing was sent.
        """
        await trio.lowlevel.checkpoint()
        while not (self.failure is None and self.protocol.is_available()):
            if self.failure is not None or self.protocol.has_expired():
                lost = ConnectionLostError("the connection takes no more requests", retryable=True)
                lost.__cause__ = self.failure
                raise lost
            await self._slots.park()
        stream = HTTPStream(
            self, self.protocol.get_available_stream_id(), headers, client_side=True, request_ended=end_stream
        )
        stream.rules.request_head(headers, end_stream)
        self.protocol.submit_headers(stream.stream_id, headers, end_stream)
        self._add_stream(stream)
        self.submitted()
        return stream

    def release_stream(self, stream: HTTPStream) -> None:
        """End a stream: cancel what is not complete of it. The connection goes on."""
        queue = stream.send_queue
        unsent = queue is not None and not queue.empty
        if not (stream.rules.ended and stream.input_ended) or stream.rules.broken or unsent:
            stream.fail(ConnectionLostError("the stream was given up", stream_id=stream.stream_id))
            self.protocol.submit_stream_reset(stream.stream_id, self.codes.cancelled)
        self.close_stream(stream)
        self.submitted()
        self._slots.unpark_all()

    def drain(self) -> None:
        """Finish what is under way and open nothing more."""
        super().drain()
        self._slots.unpark_all()

    def take_pushed(self, stream_id: int) -> HTTPStream | None:
        """Return the stream of a promise, once."""
        return self.pushed.pop(stream_id, None)

    def _dispatch_stream(self, event: StreamEvent) -> None:
        if isinstance(event, PushPromiseReceived):
            if len(self.pushed) >= self.context.limits.concurrent_streams:  # nobody takes them
                self.protocol.submit_stream_reset(event.promised_stream_id, self.codes.cancelled)
                return
            stream = HTTPStream(self, event.promised_stream_id, event.headers, client_side=True, request_ended=True)
            stream.rules.request_head([], end_stream=True)
            self._add_stream(stream)
            self.pushed[stream.stream_id] = stream
            self._dispatch_connection(event)
            return
        self._feed(event)
        if event.stream_id not in self._streams:
            self._slots.unpark_all()

    def _dispatch_connection(self, event: Event) -> None:
        super()._dispatch_connection(event)
        if isinstance(event, SettingsReceived | GoawayReceived):
            self._slots.unpark_all()

    def _batch_done(self) -> None:
        if self._slots and self.protocol.is_available():
            self._slots.unpark_all()

    def _end(self) -> None:
        super()._end()
        self._slots.unpark_all()

    def _peer_gone(self, stream: HTTPStream, cause: HfaceError) -> None:
        super()._peer_gone(stream, cause)
        if self.pushed.pop(stream.stream_id, None) is not None:
            self.close_stream(stream)

    def cancel(self, stream: HTTPStream) -> None:
        """Do nothing: on a client the caller has the scope."""
