"""What serial and multiplexed connections have in common: state, records, and how they are asked to end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

import trio

from ..errors import ConnectionLostError, HfaceError, RemoteProtocolError
from ..events import ConnectionTerminated, Event
from ..models import AddressType
from ..protocols import HTTPProtocol, OutputEnd
from ._context import ConnectionContext
from ._driver import StreamDriver
from ._input import EventQueue
from ._observer import ConnectionRecord, StreamRecord
from ._ring import ConnectionEvents
from ._stream import HTTPStream
from ._wakeup import Wakeup

if TYPE_CHECKING:
    from ..networking import Buffer, ExtraAttributes

__all__ = ["ConnectionDriver"]

_P = TypeVar("_P", bound=HTTPProtocol)


class ConnectionDriver(StreamDriver, Generic[_P]):
    """Runs one connection: base of all drivers.

    Args:
        protocol: the sans-IO part.
        attributes: what is known of the transport.
        context: limits and accounts.
        record: for the observer.
    """

    def __init__(
        self, protocol: _P, attributes: ExtraAttributes, context: ConnectionContext, record: ConnectionRecord
    ) -> None:
        self.protocol: _P = protocol
        self.context: ConnectionContext = context
        self.record: ConnectionRecord = record
        self.http_version: str = protocol.http_version
        self.draining: trio.Event = trio.Event()
        self.raw: EventQueue[Event] | None = None
        self.terminated: ConnectionTerminated | None = None
        self.failure: HfaceError | None = None
        self.octets_received: int = 0
        self.task: trio.lowlevel.Task | None = None
        """The task that runs the connection."""
        self.subscribers: set[ConnectionEvents] = set()
        self._attributes = attributes
        self._attention = Wakeup()
        self._input_ended = False
        self._closed = False
        self._reads_on = False

    # For HTTPConnection

    @abstractmethod
    async def run(self, started: Callable[[], None]) -> None:
        """Run the connection until it is over; call ``started`` when it runs. Raises nothing but cancellation."""

    @abstractmethod
    def pump(self) -> None:
        """Take everything the protocol has: events to where they belong, output on its way."""

    def drain(self) -> None:
        """Finish what is under way and take nothing more."""
        if not self.draining.is_set():
            self.draining.set()
            self.protocol.submit_goaway()
            self.submitted()

    def close(self, error_code: int = 0) -> None:
        """End the connection and what is under way on it."""
        self.protocol.submit_close(error_code)
        self.submitted()
        self._attention.wake()

    @abstractmethod
    def statistics(self) -> tuple[int, int, int]:
        """Return octets received, sent and buffered."""

    @abstractmethod
    async def raw_wait_sendable(self, stream_id: int) -> None:
        """Wait until what a stream has unsent is at most 64 KiB. A checkpoint."""

    @abstractmethod
    async def raw_send_data(self, stream_id: int, data: Buffer, end_stream: bool) -> None:
        """Submit data, all of it, and let it leave."""

    @abstractmethod
    async def raw_before_trailers(self, stream_id: int) -> None:
        """Wait until all data of a stream has gone before."""

    @abstractmethod
    def submitted(self) -> None:
        """Let leave what was submitted to the protocol. Never waits."""

    @abstractmethod
    def acknowledged(self) -> None:
        """Act on credit that was returned to the protocol."""

    def _note_received(self, n_octets: int) -> None:
        self.octets_received += n_octets

    # The end

    def is_over(self) -> bool:
        """Return whether nothing more can happen on this connection."""
        return self.terminated is not None or self.protocol.output_end not in _GOES_ON

    async def _wait_over(self) -> None:
        while not self.is_over():
            await self._attention.wait()

    def _terminate(self, event: ConnectionTerminated) -> None:
        if self.terminated is None:
            self.terminated = event
            self.record.error_code = event.error_code
            self.record.message = event.message
            if self.failure is None:
                self.failure = ConnectionLostError(
                    event.message or "the connection was closed", error_code=event.error_code or None
                )
                if event.error_code:
                    self.failure.__cause__ = RemoteProtocolError(event.message or "", error_code=event.error_code)
        if self.raw is not None:
            self.raw.put(event)
            self.raw.end()
        self._attention.wake()

    def _broke(self, what: str, exc: Exception) -> None:
        """Note why the transport broke; the first reason stays."""
        if self.failure is None:
            self.failure = ConnectionLostError(f"{what}: {exc}")
            self.failure.__cause__ = exc

    def _sending_failed(self, exc: Exception) -> bool:
        """Note that sending failed; return whether the connection is to be read on nevertheless.

        A server that answers early and closes resets a client in the middle of its upload. The answer lies in front of the
        reset then: the reader comes upon both, soon.
        """
        self._broke("the connection broke while sending", exc)
        self._reads_on = self.record.client_side and isinstance(exc, trio.BrokenResourceError) and not self._input_ended
        self._attention.wake()
        return self._reads_on

    def _note_end(self, octets_sent: int) -> None:
        self.record.octets_received = self.octets_received
        self.record.octets_sent = octets_sent
        if self.failure is None:
            self.failure = ConnectionLostError("the connection was closed here")
        for ring in list(self.subscribers):
            ring.end()
        if self.raw is not None:
            if self.terminated is None:
                self.raw.put(ConnectionTerminated(0, self.failure.message))
            self.raw.end()

    def _let_go(self) -> None:
        """Cut what refers back to the connection: one that is over is gone at once then, and no garbage to be collected."""
        if not self.record.client_side:
            self.task = None
        cause: BaseException | None = self.failure
        while cause is not None:
            cause.__traceback__ = None  # its frames have the connection, and would tell nothing but where it was read
            cause = cause.__cause__

    # Records of streams

    def open_record(self, stream: HTTPStream) -> None:
        """Tell the observer of a stream."""
        self.record.streams += 1
        observer = self.context.observer
        if observer is not None:
            stream.record = StreamRecord(
                self.record,
                stream.stream_id,
                stream.method,
                stream.scheme,
                stream.authority,
                stream.path,
                trio.current_time(),
            )
            self.context.observe(observer.stream_opened, stream.record)

    def close_record(self, stream: HTTPStream) -> None:
        """Tell the observer that a stream is over."""
        record, observer = stream.record, self.context.observer
        if record is not None and observer is not None:
            record.closed_at = trio.current_time()
            record.status = stream.status
            record.body_octets_received = stream.body_octets_received
            record.body_octets_sent = stream.body_octets_sent
            answered_early = stream.cause is None and not self.record.client_side  # as a server may (RFC 9113 §8.1)
            if not (stream.rules.ended and (stream.input_ended or answered_early)) or stream.rules.broken:
                record.error_code = stream.cause.error_code or 0 if stream.cause is not None else 0
            self.context.observe(observer.stream_closed, record)

    # What streams ask for

    @property
    def extra_attributes(self) -> ExtraAttributes:
        """What is known of the transport."""
        return self._attributes

    @property
    def local_address(self) -> AddressType | None:
        """Address of this side."""
        return self.extra_attributes.local_address

    @property
    def remote_address(self) -> AddressType | None:
        """Address of the peer."""
        return self.extra_attributes.remote_address


_GOES_ON = frozenset({OutputEnd.OPEN, OutputEnd.HALF_CLOSED})
"""While the output is only half-closed, a tunnel may still receive."""
