"""The interfaces between HTTP and the network.

``connections`` knows byte streams, listeners and networking by these names only, so an in-memory network
(:mod:`hface_trio.testing`), a socket and a stream of your own serve it alike.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeAlias

import trio

from ..models import AddressType, ClientTLSConfig, DatagramType, ServerTLSConfig

__all__ = [
    "Buffer",
    "ByteStream",
    "ByteStreamListener",
    "ClientNetworking",
    "DatagramSocket",
    "DatagramStatistics",
    "ExtraAttributes",
    "ServerNetworking",
    "TCPClientNetworking",
    "TCPServerNetworking",
    "UDPClientNetworking",
    "UDPServerNetworking",
    "check_receive_size",
]

Buffer: TypeAlias = bytes | bytearray | memoryview


@dataclasses.dataclass(frozen=True, slots=True)
class ExtraAttributes:
    """What is known of a transport, typed.

    Args:
        local_address: address of this side; that of a unix socket is ``unix:`` and its path, with port 0.
        remote_address: address of the peer; the same.
        tls_version: such as ``"TLSv1.3"``; ``None`` without TLS, and before the handshake.
        cipher: name of the cipher suite; ``None`` as above.
        alpn_protocol: what ALPN negotiated, if anything.
        alpn_offered: whether the client offered anything (server).
        server_name: the name the client asked for by SNI, if any.
        peer_certificate: the peer's certificate in DER, if it sent one.
    """

    local_address: AddressType | None = None
    remote_address: AddressType | None = None
    tls_version: str | None = None
    cipher: str | None = None
    alpn_protocol: str | None = None
    alpn_offered: bool = False
    server_name: str | None = None
    peer_certificate: bytes | None = None


class ByteStream(trio.abc.HalfCloseableStream):
    """A two-way stream of octets; a trio stream with what HTTP needs besides.

    One task may receive while another sends. A cancelled ``receive_some`` has taken nothing; after a cancelled
    ``send_all`` or ``wait_writable`` the stream is as usable as before, with an unknown part of the data sent.
    Receiving never waits for sending.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def extra_attributes(self) -> ExtraAttributes:
        """What is known of the transport now."""

    @property
    def unsent_octets(self) -> int:
        """Octets that ``send_nowait`` took and the kernel has not: ciphertext that waits. 0 on plain streams."""
        return 0

    @property
    def may_have_input(self) -> bool:
        """Whether something may have come that nobody received: false only where it is certain that nothing has."""
        return True

    @property
    def has_handshake(self) -> bool:
        """Whether ``handshake`` has anything to do."""
        return False

    async def handshake(self) -> None:
        """Do what has to be done before data flows. The TLS handshake; nothing on plain streams.

        The caller puts it under a deadline. To call it again does nothing.

        Raises:
            TLSHandshakeError: the handshake failed; the stream is of no more use.
            trio.BrokenResourceError: the transport broke.

        Cancellation: it can be called again, and goes on.
        """
        await trio.lowlevel.checkpoint()

    async def step_handshake(self) -> bool:
        """Go on with the handshake as far as it goes without the peer; :meth:`handshake` is made of such steps.

        Returns:
            Whether the handshake has been made. If not, :meth:`wait_handshake_peer` comes before the next step.

        Raises, Cancellation: as for :meth:`handshake`.
        """
        await self.handshake()
        return True

    async def wait_handshake_peer(self) -> None:
        """Wait until the peer has taken or sent octets of the handshake; nothing when it has been made.

        A server may begin with it, to hear whether the client has anything to say.

        Raises, Cancellation: as for :meth:`handshake`.
        """
        await trio.lowlevel.checkpoint()

    @abstractmethod
    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive at least one octet, or ``b""`` when the peer ended its side in order.

        Args:
            max_bytes: at most so many octets; 64 KiB unless given.

        Raises:
            trio.BrokenResourceError: the peer reset the stream, it broke, or TLS was cut off.
            trio.ClosedResourceError: it was closed here.
            trio.BusyResourceError: another task receives.

        Cancellation: nothing was taken.
        """

    async def deliver(self, take: Callable[[bytes], int], max_bytes: int) -> None:
        """Receive again and again, and hand to ``take`` what comes, until it wants no more.

        The same as a loop around :meth:`receive_some`, but for that a stream may spare the calling task its awakenings:
        ``take`` is plain code, called in this task's context and perhaps from another task.

        Args:
            take: gets at least one octet, or ``b""`` when the peer ended its side in order. Returns how many octets it takes
                next, at most; 0 ends the delivery, and is due after ``b""``.
            max_bytes: how many octets it takes first, at most.

        Raises: as :meth:`receive_some`, and what ``take`` raises.

        Cancellation: what was received has been taken.
        """
        while max_bytes > 0:
            max_bytes = take(await self.receive_some(max_bytes))

    @abstractmethod
    def send_nowait(self, buffers: Sequence[Buffer]) -> int:
        """Send as much as leaves without waiting, all buffers in one call to the system where possible.

        Returns:
            How many octets of ``buffers`` were taken, from the front. With TLS an octet is taken when it is encrypted
            *and* at most one write's worth of ciphertext waits.

        Raises:
            trio.BrokenResourceError: the peer reset the stream, or it broke.
            trio.ClosedResourceError: it was closed here.
        """

    @abstractmethod
    async def wait_writable(self) -> None:
        """Wait until ``send_nowait`` may take octets again, having sent what it took (TLS) as far as needed.

        One task at a time.

        Raises:
            trio.BrokenResourceError: the peer reset the stream, or it broke.
            trio.ClosedResourceError: it was closed here.
            trio.BusyResourceError: another task waits.
        """

    @abstractmethod
    async def flush(self) -> None:
        """Wait until everything that ``send_nowait`` took has been handed to the kernel."""

    @abstractmethod
    def abort(self) -> None:
        """Close at once so that the peer sees a reset, never a clean end. Synchronous; harmless when closed."""

    @abstractmethod
    def watch_departure(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once, when the peer has ended or reset its side, even behind unread data.

        To be used while reading is paused. The callback is plain code, called from another task. Where the system
        cannot tell (no ``EPOLLRDHUP``) it is never called. To watch again replaces the callback. After the call, or
        where the peer has gone already, ``callback`` comes soon, not inside this method.
        """

    @abstractmethod
    def unwatch_departure(self) -> None:
        """Undo ``watch_departure``; harmless when nothing is watched."""


def check_receive_size(max_bytes: int) -> None:
    """Refuse what ``receive_some`` cannot take.

    Raises:
        TypeError: it is not an integer.
        ValueError: it is less than 1.
    """
    if not isinstance(max_bytes, int):
        raise TypeError("max_bytes must be an integer")
    if max_bytes < 1:
        raise ValueError("max_bytes must be at least 1")


class ByteStreamListener(trio.abc.Listener[ByteStream]):
    """Accepts byte streams at one address."""

    __slots__ = ()

    @property
    @abstractmethod
    def address(self) -> AddressType:
        """The bound address, with the real port."""

    @abstractmethod
    async def accept(self) -> ByteStream:
        """Wait for a connection. Its ``handshake`` has not been made: that is for the connection's own task.

        Running out of file descriptors (EMFILE and the like) is waited out here, not raised.

        Raises:
            trio.ClosedResourceError: the listener was closed.
        """

    def accept_nowait(self) -> ByteStream | None:
        """Return a connection that is there already, or ``None``; whatever is wrong is for ``accept`` to tell."""
        return None


@dataclasses.dataclass(frozen=True, slots=True)
class DatagramStatistics:
    """What a datagram socket has moved, and what it has lost. The rest was lost by the network, and nobody knows.

    Args:
        sent: datagrams handed to the network.
        received: datagrams that came.
        too_long: datagrams not sent, because the network on the way out carries none so long.
        unsendable: datagrams not sent for another reason: no route, an address of another family, a filter.
        receive_errors: what the network told of datagrams sent before (ICMP), and was not listened to.
    """

    sent: int = 0
    received: int = 0
    too_long: int = 0
    unsendable: int = 0
    receive_errors: int = 0


class DatagramSocket(trio.abc.AsyncResource):
    """Sends and receives datagrams, to and from any address.

    It is not connected to one peer, because peers migrate and have other addresses than the first. A datagram that
    cannot be sent is dropped and counted, as if the network had lost it. One task may receive while another sends.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def local_address(self) -> AddressType:
        """The bound address, with the real port."""

    @abstractmethod
    def send_nowait(self, datagrams: Sequence[DatagramType]) -> int:
        """Send as many datagrams as leave without waiting, in their order.

        Runs of datagrams of one size to one address, the last of which may be shorter, cost least.

        Args:
            datagrams: payloads and where they go, as IP addresses.

        Returns:
            How many were taken, from the front; those dropped among them.

        Raises:
            trio.ClosedResourceError: the socket was closed.
        """

    @abstractmethod
    async def wait_writable(self) -> None:
        """Wait until ``send_nowait`` may take datagrams again. One task at a time.

        Raises:
            trio.ClosedResourceError: the socket was closed.
            trio.BusyResourceError: another task waits.
        """

    @abstractmethod
    async def receive(self) -> list[DatagramType]:
        """Wait for datagrams, and return those that are there, at most a batch of 64.

        Returns:
            At least one payload, and where it came from.

        Raises:
            trio.ClosedResourceError: the socket was closed.
            trio.BusyResourceError: another task receives.
            trio.BrokenResourceError: the system cannot receive on this socket any more.

        Cancellation: nothing was taken.
        """

    @abstractmethod
    def statistics(self) -> DatagramStatistics:
        """Return what was moved and what was lost so far."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the socket; whoever waits for it is told. What was sent still leaves."""


class TCPServerNetworking(ABC):
    """Listens for byte streams."""

    @abstractmethod
    async def listen_tcp(self, address: AddressType) -> Sequence[ByteStreamListener]:
        """Bind and listen.

        Args:
            address: host and port. An empty host or ``"*"`` means all interfaces of both families; a host name with
                several addresses binds them all. Port 0 takes a free port, the same for all of them. A host that
                begins with ``unix:`` is the path of a unix socket; the port is then not looked at.

        Raises:
            OSError: the address cannot be bound; its ``strerror`` and the address make one line for a person.
        """

    @abstractmethod
    async def listen_tcp_tls(
        self, address: AddressType, *, tls_config: ServerTLSConfig, alpn_protocols: Sequence[str]
    ) -> Sequence[ByteStreamListener]:
        """Bind and listen with TLS.

        Raises:
            OSError: as for ``listen_tcp``.
            ConfigurationError: certificate or key cannot be used.
        """


class TCPClientNetworking(ABC):
    """Connects byte streams."""

    @abstractmethod
    async def connect_tcp(self, address: AddressType) -> ByteStream:
        """Connect to a host name or address, racing its addresses (RFC 8305), or to ``unix:PATH``.

        Raises:
            ConnectError: no address could be reached; the message says what was tried and why it failed.
        """

    @abstractmethod
    async def connect_tcp_tls(
        self,
        address: AddressType,
        *,
        tls_config: ClientTLSConfig,
        alpn_protocols: Sequence[str],
        server_name: str | None = None,
    ) -> ByteStream:
        """Connect, and make the TLS handshake.

        Args:
            address: as for ``connect_tcp``.
            tls_config: whom to trust.
            alpn_protocols: ALPN names to offer, most preferred first.
            server_name: name for SNI and verification, when it is not the host of ``address``.

        Raises:
            ConnectError: as for ``connect_tcp``.
            TLSHandshakeError: the handshake failed.
            ConfigurationError: the TLS configuration cannot be used.
        """


class UDPServerNetworking(ABC):
    """Binds datagram sockets of servers."""

    @abstractmethod
    async def listen_udp(self, address: AddressType) -> Sequence[DatagramSocket]:
        """Bind at all addresses of a host.

        Args:
            address: host and port, as for :meth:`TCPServerNetworking.listen_tcp`; there are no unix sockets here.

        Raises:
            OSError: the address cannot be bound; its ``strerror`` and the address make one line for a person.
        """


class UDPClientNetworking(ABC):
    """Finds peers for datagrams, and opens sockets to talk to them."""

    @abstractmethod
    async def resolve_udp(self, address: AddressType) -> Sequence[AddressType]:
        """Return the IP addresses of a host that datagrams can be sent to, in the order in which to try them.

        Families take turns (RFC 8305 §4). Addresses to which this machine has no route are left out.

        Raises:
            ConnectError: there are none; the message says why.
        """

    @abstractmethod
    async def bind_udp(self, remote_address: AddressType) -> DatagramSocket:
        """Open a socket at a free port, of the family of the address that it will send to.

        Args:
            remote_address: an IP address such as ``resolve_udp`` returns. The socket is not connected to it.

        Raises:
            ConnectError: there can be no such socket.
        """


class ServerNetworking(TCPServerNetworking, UDPServerNetworking):
    """All that a server needs of a network."""


class ClientNetworking(TCPClientNetworking, UDPClientNetworking):
    """All that a client needs of a network."""
