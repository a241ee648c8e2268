"""Where the datagrams of one QUIC connection come from and go to.

A link is to a connection over QUIC what a byte stream is to one over TCP. It holds a bounded number of datagrams that were
not fed yet; what comes beyond is dropped and counted, as a network would.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence

import trio

from ..models import AddressType, DatagramType
from ..networking import DatagramSender, DatagramSocket, ExtraAttributes
from ..protocols import HTTPOverQUICProtocol

__all__ = ["QUICLink", "SocketLink"]

_WAITING_DATAGRAMS = 256
_WAITING_OCTETS = 512 * 1024
_FLUSH_SECONDS = 1.0


class QUICLink(ABC):
    """The network of one QUIC connection.

    Args:
        protocol: whose datagrams they are.
        alpn_protocol: what ALPN negotiates.
    """

    def __init__(self, protocol: HTTPOverQUICProtocol, alpn_protocol: str) -> None:
        self.waiting: deque[DatagramType] = deque()
        """Datagrams that were not fed."""
        self.dropped: int = 0
        """Datagrams that came while too many waited."""
        self._protocol = protocol
        self._alpn_protocol = alpn_protocol
        self._waiting_octets = 0

    @property
    @abstractmethod
    def local_address(self) -> AddressType:
        """The address that datagrams come to."""

    @property
    def extra_attributes(self) -> ExtraAttributes:
        """What is known of the transport now: a peer may move."""
        protocol = self._protocol
        return ExtraAttributes(
            local_address=self.local_address,
            remote_address=protocol.remote_address,
            tls_version="TLSv1.3" if protocol.handshake_complete else None,
            alpn_protocol=self._alpn_protocol if protocol.handshake_complete else None,
            peer_certificate=protocol.peer_certificate,
        )

    def keep(self, datagram: DatagramType) -> bool:
        """Keep a datagram until it is fed, or drop it; return whether it was kept."""
        octets = len(datagram[0])
        if len(self.waiting) >= _WAITING_DATAGRAMS or self._waiting_octets + octets > _WAITING_OCTETS:
            self.dropped += 1
            return False
        self.waiting.append(datagram)
        self._waiting_octets += octets
        return True

    def take(self) -> DatagramType:
        """Take the datagram that has waited longest."""
        datagram = self.waiting.popleft()
        self._waiting_octets -= len(datagram[0])
        return datagram

    @abstractmethod
    async def receive(self) -> None:
        """Wait until a datagram waits. One task.

        Raises:
            trio.ClosedResourceError: the link was closed, or the socket is gone.
            trio.BrokenResourceError: the system cannot receive on the socket any more.
        """

    @abstractmethod
    def send(self, datagrams: Sequence[DatagramType]) -> bool:
        """Send datagrams, now or in their turn. Never waits; return whether there is room for more."""

    @abstractmethod
    async def wait_room(self) -> None:
        """Wait until there is room for more.

        Raises:
            trio.ClosedResourceError: the socket is gone.
        """

    @abstractmethod
    def update(self) -> None:
        """Look at what has become of the protocol: its ids, its address. To be called when it was fed or has sent."""

    @abstractmethod
    async def run(self) -> None:
        """Do what the link needs beside receiving and sending."""

    @abstractmethod
    async def aclose(self) -> None:
        """Let go of the network, once what was sent has left."""

    @abstractmethod
    def close_at_once(self, datagrams: Sequence[DatagramType]) -> None:
        """Send what leaves without waiting, and let go of the network."""


class SocketLink(QUICLink):
    """A socket that belongs to one connection: a client's.

    Args:
        protocol: whose datagrams they are.
        socket: the socket; the link owns it.
        alpn_protocol: what ALPN negotiates.
    """

    def __init__(self, protocol: HTTPOverQUICProtocol, socket: DatagramSocket, alpn_protocol: str) -> None:
        super().__init__(protocol, alpn_protocol)
        self._socket = socket
        self._sender = DatagramSender(socket)

    @property
    def local_address(self) -> AddressType:
        """The address of the socket."""
        return self._socket.local_address

    async def receive(self) -> None:
        """Receive a batch."""
        for datagram in await self._socket.receive():
            self.keep(datagram)

    def send(self, datagrams: Sequence[DatagramType]) -> bool:
        """Send datagrams, now or when the socket takes them."""
        return self._sender.submit(self, datagrams)

    async def wait_room(self) -> None:
        """Wait until the socket has taken enough."""
        await self._sender.wait_room(self)

    def update(self) -> None:
        """Nothing to do: all that comes to the socket is the connection's."""

    async def run(self) -> None:
        """Send what does not leave at once."""
        await self._sender.run()

    async def aclose(self) -> None:
        """Close the socket."""
        waiting = self._sender.statistics().queued_datagrams
        if waiting:  # nobody runs the sender any more
            with trio.move_on_after(_FLUSH_SECONDS):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._sender.run)
                    await self._sender.flush()
                    nursery.cancel_scope.cancel()
        await self._socket.aclose()

    def close_at_once(self, datagrams: Sequence[DatagramType]) -> None:
        """Send what leaves without waiting; the socket is closed by ``aclose``."""
        with contextlib.suppress(trio.ClosedResourceError):  # gone before its last word
            self._socket.send_nowait(datagrams)
