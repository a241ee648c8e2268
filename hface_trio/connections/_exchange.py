"""One exchange, as its connection keeps it: what is known of it, what waits to be received, and how it has failed.

Applications see :class:`~hface_trio.connections.HTTPStream`, which adds what they call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from ..errors import HfaceError, SendingStoppedError
from ..events import DatagramReceived, DataReceived, HeadersReceived, StreamEvent, TrailersReceived
from ..models import AddressType, HeadersType
from ._failures import renew
from ._input import EventQueue
from ._rules import SendingRules
from ._stream_parts import StreamStatistics

if TYPE_CHECKING:
    from ..networking import ExtraAttributes
    from ._connection import HTTPConnection
    from ._driver import StreamDriver
    from ._observer import StreamRecord
    from ._send_queue import SendQueue

__all__ = ["Exchange"]


class Exchange:
    """State of one request and its response.

    Args:
        driver: the connection.
        stream_id: of the connection's numbering.
        headers: of the request.
        client_side: whether the request was made here.
        request_ended: the request has no body.
    """

    __slots__ = (
        "_cause",
        "_driver",
        "_input",
        "_sending",
        "_shed_code",
        "authority",
        "body_octets_received",
        "body_octets_sent",
        "client_side",
        "headers",
        "informational",
        "input_ended",
        "ledger_octets",
        "method",
        "over",
        "path",
        "protocol",
        "received_at",
        "record",
        "response_headers",
        "rules",
        "scheme",
        "scope",
        "send_queue",
        "status",
        "stream_id",
        "trailers",
        "tunnel",
        "upgrade",
    )

    def __init__(
        self, driver: StreamDriver, stream_id: int, headers: HeadersType, *, client_side: bool, request_ended: bool
    ) -> None:
        self._driver = driver
        self.stream_id: int = stream_id
        self.headers: HeadersType = headers
        self.client_side: bool = client_side
        self.method: bytes = b""
        self.scheme: bytes = b""
        self.authority: bytes = b""
        self.path: bytes = b""
        self.protocol: bytes | None = None
        self.upgrade: bytes | None = None
        for name, value in headers:
            if name[:1] != b":":
                if name == b"upgrade":
                    self.upgrade = value
            elif name == b":method":
                self.method = value
            elif name == b":scheme":
                self.scheme = value
            elif name == b":authority":
                self.authority = value
            elif name == b":path":
                self.path = value
            elif name == b":protocol":
                self.protocol = value
        if not self.authority:  # gateways may send the field alone (RFC 9113 §8.3.1)
            self.authority = next((value for name, value in headers if name == b"host"), b"")
        self.response_headers: HeadersType | None = None
        self.status: int | None = None
        self.informational: list[HeadersType] = []
        self.trailers: HeadersType | None = None
        self.tunnel: bool = False
        self.rules: SendingRules = SendingRules(head_request=self.method == b"HEAD" and not client_side)
        self.input_ended: bool = request_ended and not client_side
        self.over: bool = False
        self.ledger_octets: int = 0
        self.body_octets_received: int = 0
        self.body_octets_sent: int = 0
        # most requests have no body, and nobody asks
        self._input: EventQueue[StreamEvent] | None = None if self.input_ended else EventQueue()
        self._cause: HfaceError | None = None
        self._sending = False
        self._shed_code = 503
        self.record: StreamRecord | None = None
        self.scope: trio.CancelScope | None = None
        self.send_queue: SendQueue | None = None
        self.received_at: float = 0.0

    def __repr__(self) -> str:
        side = "client" if self.client_side else "server"
        return f"<HTTPStream {self.stream_id} {side} {self.method!r} {self.authority!r} {self.path!r}>"

    # What is known of it

    @property
    def http_version(self) -> str:
        """``"1.1"``, ``"2"`` or ``"3"``."""
        return self._driver.http_version

    @property
    def connection(self) -> HTTPConnection:
        """The connection that carries the stream.

        Raises:
            trio.ClosedResourceError: it is over (server).
        """
        try:
            return self._driver.connection
        except AttributeError:  # see HTTPConnection
            raise trio.ClosedResourceError("the connection is over") from None

    @property
    def draining(self) -> trio.Event:
        """Set when the server shuts down: time to come to an end, or to tell the peer to reconnect."""
        return self._driver.draining

    @property
    def extra_attributes(self) -> ExtraAttributes:
        """What is known of the transport: addresses, TLS version, peer certificate."""
        return self._driver.extra_attributes

    @property
    def local_address(self) -> AddressType | None:
        """Address of this side."""
        return self._driver.local_address

    @property
    def remote_address(self) -> AddressType | None:
        """Address of the peer."""
        return self._driver.remote_address

    @property
    def cause(self) -> HfaceError | None:
        """Why the stream failed, if it did: to be read where a handler catches its cancellation."""
        return self._cause

    @property
    def failed(self) -> bool:
        """Whether the stream failed in both directions."""
        return self._cause is not None and not isinstance(self._cause, SendingStoppedError)

    def statistics(self) -> StreamStatistics:
        """Return the counts of this moment."""
        return StreamStatistics(
            self.body_octets_received,
            self.body_octets_sent,
            self.ledger_octets,
            0 if self._input is None else self._input.datagrams_dropped,
        )

    # For the connection

    def feed(self, event: StreamEvent) -> None:
        """Hand in what the peer sent."""
        if isinstance(event, DataReceived):
            self.body_octets_received += len(event.data)
            if event.data or not event.end_stream:
                self._queue().put(event)
            if event.end_stream:
                self.input_ended = True
                self._queue().end()
            return
        self._queue().put(event)
        if isinstance(event, TrailersReceived) or (isinstance(event, HeadersReceived) and event.end_stream):
            self.input_ended = True
            self._queue().end()

    def feed_datagram(self, event: DatagramReceived) -> int:
        """Hand in a datagram; return how many octets more, or less, wait now."""
        return self._queue().put_datagram(event)

    def fail(self, cause: HfaceError) -> None:
        """End the stream with an error, behind what has arrived. The first cause stays."""
        if not self.failed:
            self._cause = cause
            if self._input is not None:
                self._input.fail(self._make_failure(cause))

    def fail_sending(self, cause: SendingStoppedError) -> None:
        """End the sending side with an error; receiving goes on."""
        if self._cause is None:
            self._cause = cause

    def discard_input(self) -> int:
        """Drop what nobody will receive any more; return the octets, whose credit is the caller's to return."""
        return 0 if self._input is None else self._input.clear()

    def close_input(self) -> None:
        """Let a receiver that comes, or waits, after the end of the exchange know that it is over."""
        if self._input is not None:
            self._input.fail(_over)

    @property
    def buffers_input(self) -> bool:
        """Whether received events may wait to be taken."""
        return self._input is not None

    @property
    def sending(self) -> bool:
        """Whether a task sends now."""
        return self._sending

    @property
    def waiting_since(self) -> float | None:
        """Since when a task waits for the peer, or ``None``."""
        queue = self._input
        return queue.waiting_since if queue is not None and queue.waiting else None

    def raise_if_unsendable(self) -> None:
        """Raise what keeps this stream from sending, if anything does."""
        cause = self._cause
        if cause is not None and self.failed:
            raise renew(cause)
        if self.rules.broken:
            raise trio.BrokenResourceError("an earlier send on this stream was cut off")
        if cause is not None:
            raise renew(cause)
        if self.over:
            raise trio.ClosedResourceError("the stream is over")

    def _queue(self) -> EventQueue[StreamEvent]:
        queue = self._input
        if queue is None:
            queue = self._input = EventQueue()
            queue.end()
        return queue

    def _make_failure(self, cause: HfaceError) -> Callable[[], Exception]:
        return lambda: renew(cause)


def _over() -> Exception:
    return trio.ClosedResourceError("the stream is over")
