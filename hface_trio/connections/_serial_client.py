"""The client's side of a serial connection: requests take turns, each in the task of its caller."""

from __future__ import annotations

import trio

from ..errors import ConnectionLostError, HfaceError
from ..events import StreamEvent
from ..models import HeadersType
from ..networking import ByteStream
from ..protocols import HTTPOverTCPProtocol
from ._context import ConnectionContext
from ._observer import ConnectionRecord
from ._serial import SerialDriver
from ._stream import HTTPStream

__all__ = ["SerialClientDriver"]

_READER_PASSES = 3
"""Scheduler passes after which what has come was read: input is noticed, received, and perhaps handed on by another task."""


class SerialClientDriver(SerialDriver):
    """Opens streams, one at a time."""

    __slots__ = ("_turn",)
    _eof_passes = 0

    def __init__(
        self, protocol: HTTPOverTCPProtocol, transport: ByteStream, context: ConnectionContext, record: ConnectionRecord
    ) -> None:
        super().__init__(protocol, transport, context, record)
        self._turn = trio.Semaphore(1)

    async def _main(self) -> None:
        await self._wait_over()

    async def open_stream(self, headers: HeadersType, end_stream: bool) -> HTTPStream:
        """Wait for the turn, then take a stream id and submit the head with no yield between.

        Raises:
            ConnectionLostError: the connection is over; nothing was sent.
            LocalProtocolError: the head is not one of a request; nothing was sent.
        """
        await self._turn.acquire()
        try:
            if self.octets_received:
                await self._hear_what_came()
            if self.failure is not None or not self.protocol.is_available():
                lost = ConnectionLostError("the connection takes no more requests", retryable=True)
                lost.__cause__ = self.failure
                raise lost
            stream = HTTPStream(
                self, self.protocol.get_available_stream_id(), headers, client_side=True, request_ended=end_stream
            )
            stream.rules.request_head(headers, end_stream)
            self.protocol.submit_headers(stream.stream_id, headers, end_stream)
        except BaseException:
            self._turn.release()
            raise
        self._receiving = stream
        self.open_record(stream)
        self.pump()
        self.resume_reading()
        return stream

    async def _hear_what_came(self) -> None:
        """Let the reader have what lies there, before a connection is used again.

        A server that ends a kept connection may have said so, or even have answered a request that it has not seen (RFC 9112
        §9.3.1).
        """
        for _ in range(_READER_PASSES):
            if self.failure is not None or not self.protocol.is_available() or not self.transport.may_have_input:
                return
            await trio.lowlevel.checkpoint()

    def release_stream(self, stream: HTTPStream) -> None:
        """End a stream: keep the connection if both messages are complete, close it otherwise."""
        if not (stream.rules.ended and stream.input_ended) or stream.rules.broken:
            stream.fail(ConnectionLostError("the stream was given up", stream_id=stream.stream_id))
            self.protocol.submit_stream_reset(stream.stream_id)
        self.close_stream(stream)
        self._turn.release()
        self.pump()
        self.resume_reading()
        if self.is_over():
            self._attention.wake()

    def _dispatch_stream(self, event: StreamEvent) -> None:
        self._feed(event)

    def _lost_error(self, message: str, error_code: int, stream: HTTPStream) -> HfaceError:
        return ConnectionLostError(message, error_code=error_code or None, stream_id=stream.stream_id)

    def cancel(self, stream: HTTPStream) -> None:
        """Do nothing: on a client the caller has the scope."""

    def before_receive(self, stream: HTTPStream) -> None:
        """Do nothing: clients are not asked to continue."""
