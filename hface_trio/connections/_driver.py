"""What a stream needs of the connection it belongs to.

:class:`~hface_trio.connections.HTTPStream` keeps the rules of a message and its input; everything that differs between a
serial connection (HTTP/1.1) and a multiplexed one stands behind this interface.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import trio

from ..errors import LocalProtocolError
from ..models import AddressType, HeadersType

if TYPE_CHECKING:
    from ..networking import Buffer, ExtraAttributes
    from ._connection import HTTPConnection
    from ._stream import HTTPStream

__all__ = ["StreamDriver"]


class StreamDriver(ABC):
    """The connection, as its streams see it.

    The ``send_…`` methods submit first and wait afterwards: when they raise ``Cancelled`` before ``stream.rules`` says
    otherwise, nothing was taken. The stream has made its checks and its checkpoint before it calls them.
    """

    draining: trio.Event
    http_version: str
    connection: HTTPConnection
    alternative_services: bytes | None = None
    """Value of the ``alt-svc`` field that responses of a server get."""
    tunnel_follows_request: bool = False
    """Whether a tunnel's input begins behind the end of the request (HTTP/1.1), instead of being the request's body."""

    @property
    @abstractmethod
    def extra_attributes(self) -> ExtraAttributes:
        """What is known of the transport."""

    @property
    @abstractmethod
    def local_address(self) -> AddressType | None:
        """Address of this side."""

    @property
    @abstractmethod
    def remote_address(self) -> AddressType | None:
        """Address of the peer."""

    @abstractmethod
    async def wait_sendable(self, stream: HTTPStream) -> None:
        """Wait until what the stream has unsent is at most 64 KiB. A checkpoint. Raises what broke the stream."""

    @abstractmethod
    def submit_headers(self, stream: HTTPStream, headers: HeadersType, end_stream: bool) -> None:
        """Submit a head; it leaves with :meth:`transmit`."""

    @abstractmethod
    def submit_informational(self, stream: HTTPStream, headers: HeadersType) -> None:
        """Submit an interim head; it leaves with :meth:`transmit`."""

    @abstractmethod
    async def before_trailers(self, stream: HTTPStream) -> None:
        """Wait until trailers can be submitted: all data has gone before."""

    @abstractmethod
    def submit_trailers(self, stream: HTTPStream, headers: HeadersType) -> None:
        """Submit trailers; they leave with :meth:`transmit`."""

    @abstractmethod
    async def send_data(self, stream: HTTPStream, data: Buffer, end_stream: bool) -> None:
        """Submit data, all of it, and let it leave. Returns when at most 64 KiB is unsent.

        Cancellation: the sending side of the stream breaks when a part was submitted.
        """

    def submit_response(self, stream: HTTPStream, status: int, headers: HeadersType, body: bytes) -> bool:
        """Submit a whole response and let it leave, where that is less to do than one thing after the other. Never waits.

        Args:
            stream: a server's stream that has sent nothing.
            status: from 200 to 599, of a response that has a body.
            headers: its fields, without ``:status`` and ``content-length``.
            body: its body, of 16 KiB at most.

        Returns:
            Whether this was done; if not, nothing was.
        """
        return False

    @abstractmethod
    def transmit(self, stream: HTTPStream) -> None:
        """Let leave what was submitted. Never waits."""

    @abstractmethod
    async def flush(self, stream: HTTPStream) -> None:
        """Wait until everything of the stream was handed to the kernel."""

    @abstractmethod
    def before_receive(self, stream: HTTPStream) -> None:
        """Take note that the application wants the stream's body: the time to say 100 (RFC 9110 §10.1.1)."""

    @abstractmethod
    def acknowledge(self, stream: HTTPStream, n_octets: int) -> None:
        """Return the credit for data the application took."""

    @abstractmethod
    def reset(self, stream: HTTPStream, error_code: int) -> None:
        """End the stream at once."""

    @abstractmethod
    def cancel(self, stream: HTTPStream) -> None:
        """Cancel the scope of the stream's handler."""

    def max_datagram_octets(self, stream: HTTPStream) -> int:
        """Return how long a datagram may be; negative where there are none."""
        return -1

    def submit_datagram(self, stream: HTTPStream, data: bytes) -> None:
        """Send a datagram; only some versions can.

        Raises:
            LocalProtocolError: this one cannot, or not now.
        """
        raise LocalProtocolError(f"there are no datagrams on HTTP/{self.http_version}", stream_id=stream.stream_id)

    def datagram_taken(self, stream: HTTPStream, n_octets: int) -> None:  # noqa: B027  # only some versions have any
        """Take note that the application took a datagram."""

    def push(self, stream: HTTPStream, headers: HeadersType) -> AbstractAsyncContextManager[HTTPStream]:
        """Promise a response; only some versions can.

        Raises:
            LocalProtocolError: this one cannot, or not now.
        """
        raise LocalProtocolError(f"there is no push on HTTP/{self.http_version}", stream_id=stream.stream_id)
