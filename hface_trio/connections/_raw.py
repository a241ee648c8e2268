"""The raw use of a connection: events, and ``send_…`` by stream id."""

from __future__ import annotations

from typing import Any, TypeAlias

import trio

from ..errors import LocalProtocolError
from ..events import DataReceived, Event, HeadersReceived
from ..models import HeadersType
from ..networking import Buffer
from ..protocols import HTTPOverQUICProtocol, HTTPOverTCPProtocol
from ._base import ConnectionDriver
from ._failures import renew
from ._input import EventQueue
from ._latch import Latch
from ._observer import ConnectionRecord

__all__ = ["RawConnection"]

_Driver: TypeAlias = ConnectionDriver[Any]


class RawConnection:
    """A connection as its protocol shows it, for tools and proxies.

    Args:
        protocol: the sans-IO part.
        client_side: whether this process is the client.
        record: for the observer.
    """

    def __init__(
        self, protocol: HTTPOverTCPProtocol | HTTPOverQUICProtocol, record: ConnectionRecord, *, client_side: bool
    ) -> None:
        self._protocol = protocol
        self._record = record
        self._client_side = client_side
        self._driver: _Driver | None = None
        self._raw: EventQueue[Event] | None = None
        self._body_wanted: int | None = None
        self._over = Latch()

    def get_available_stream_id(self) -> int:
        """Return the id of the next stream to open (client).

        Raises:
            LocalProtocolError: no stream can be opened now.
        """
        return self._protocol.get_available_stream_id()

    async def send_headers(self, stream_id: int, headers: HeadersType, end_stream: bool = False) -> None:
        """Send a request head, or the head of a response: an interim one when its status is 1xx, a final one otherwise.

        Raises:
            LocalProtocolError: HTTP does not allow it; nothing was sent.
            ConnectionLostError: the connection is over.

        Cancellation: nothing was sent.
        """
        driver = await self._begin_raw_send(stream_id)
        status = next((value for name, value in headers if name == b":status"), b"")
        if status.startswith(b"1") and status != b"101":
            self._protocol.submit_informational(stream_id, headers)
        else:
            self._protocol.submit_headers(stream_id, headers, end_stream)
        driver.submitted()

    async def send_data(self, stream_id: int, data: Buffer, end_stream: bool = False) -> None:
        """Send octets of a body or a tunnel.

        Raises:
            LocalProtocolError: HTTP does not allow it; nothing was sent.
            ConnectionLostError: the connection is over.

        Backpressure: waits while more than 64 KiB is unsent.
        Cancellation: a part may have been sent.
        """
        driver = await self._begin_raw_send(stream_id)
        await driver.raw_send_data(stream_id, data, end_stream)

    async def send_trailers(self, stream_id: int, headers: HeadersType) -> None:
        """Send trailers and end the message.

        Raises, Cancellation: as for :meth:`send_headers`.
        """
        driver = await self._begin_raw_send(stream_id)
        await driver.raw_before_trailers(stream_id)
        self._protocol.submit_trailers(stream_id, headers)
        driver.submitted()

    async def send_stream_reset(self, stream_id: int, error_code: int = 0) -> None:
        """End a stream at once. On HTTP/1.1 a status from 400 to 599 is answered if no response has begun.

        Raises:
            ConnectionLostError: the connection is over.

        Cancellation: nothing was sent.
        """
        driver = await self._begin_raw_send(stream_id)
        self._protocol.submit_stream_reset(stream_id, error_code)
        driver.submitted()

    async def receive_event(self, *, auto_acknowledge: bool = True) -> Event:
        """Receive the next event.

        Args:
            auto_acknowledge: return the credit of data to the peer; otherwise :meth:`acknowledge` is the caller's to call.

        Raises:
            trio.EndOfChannel: the connection is over, and its ``ConnectionTerminated`` was received.
            trio.BusyResourceError: another task receives.

        Cancellation: nothing is taken.
        """
        driver = self._use_raw()
        queue = self._raw
        if queue is None:
            raise LocalProtocolError("the connection is used by streams")
        if self._body_wanted is not None:
            self._protocol.submit_continue(self._body_wanted)
            self._body_wanted = None
            driver.submitted()
        event = await queue.get()
        if isinstance(event, DataReceived):
            if auto_acknowledge:
                self.acknowledge(event.stream_id, len(event.data))
        elif isinstance(event, HeadersReceived) and not event.end_stream and not self._client_side:
            self._body_wanted = event.stream_id
        return event

    def acknowledge(self, stream_id: int, n_octets: int) -> None:
        """Return the credit for data octets that were received with ``auto_acknowledge=False``."""
        self._protocol.acknowledge(stream_id, n_octets)
        self._running().acknowledged()

    async def _begin_raw_send(self, stream_id: int) -> _Driver:
        driver = self._use_raw()
        await driver.raw_wait_sendable(stream_id)
        if driver.failure is not None or self._over.is_set():
            if driver.failure is not None:
                raise renew(driver.failure)
            raise trio.ClosedResourceError("the connection is closed")
        return driver

    def _use_raw(self) -> _Driver:
        driver = self._running()
        if self._raw is None:
            if self._record.streams:
                raise LocalProtocolError("the connection is used by streams")
            self._raw = driver.raw = EventQueue()
            if driver.terminated is not None:
                self._raw.put(driver.terminated)
                self._raw.end()
        return driver

    def _running(self) -> _Driver:
        if self._driver is None:
            raise LocalProtocolError(
                "the connection does not run: use 'async with connection:' or start connection.run"
            )
        return self._driver
