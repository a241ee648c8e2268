"""A network in memory, behind the networking interfaces."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

import trio

from ..errors import ConnectError
from ..models import AddressType, ClientTLSConfig, ServerTLSConfig
from ..networking import ByteStream, ByteStreamListener, ClientNetworking, ServerNetworking, TLSByteStream, TLSListener
from ..networking._addresses import check_port, format_address, unix_path
from ..networking._connect_tls import connect_tls
from ..networking._tls_context import client_tls_context, server_tls_context
from ._memory_streams import MemoryByteStream, memory_stream_pair
from ._memory_udp import DatagramConditions, DatagramLinks, MemoryDatagramSocket

__all__ = ["MemoryListener", "MemoryNetworking"]

_FIRST_FREE_PORT = 49152
_WILDCARDS = ("", "*")


class MemoryListener(ByteStreamListener):
    """Accepts what is connected to one address of a :class:`MemoryNetworking`, which makes it."""

    __slots__ = ("_address", "_incoming", "_network", "_outgoing")

    def __init__(self, network: MemoryNetworking, address: AddressType, backlog: int) -> None:
        self._network = network
        self._address = address
        self._outgoing, self._incoming = trio.open_memory_channel[MemoryByteStream](backlog)

    @property
    def address(self) -> AddressType:
        """The bound address."""
        return self._address

    async def accept(self) -> ByteStream:
        """Wait for a connection.

        Raises:
            trio.ClosedResourceError: the listener was closed.
        """
        return await self._incoming.receive()

    def accept_nowait(self) -> ByteStream | None:
        """Return a connection that waits to be accepted, or ``None``."""
        try:
            return self._incoming.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel, trio.ClosedResourceError):
            return None

    async def aclose(self) -> None:
        """Stop listening; connections that nobody has accepted are reset, and the address is free again."""
        self._network._release(self)
        while True:
            try:
                stream = self._incoming.receive_nowait()
            except (trio.WouldBlock, trio.ClosedResourceError):
                break
            stream.abort()
        self._incoming.close()
        await trio.lowlevel.checkpoint()

    async def _connect(self, stream: MemoryByteStream) -> None:
        await self._outgoing.send(stream)


class MemoryNetworking(ServerNetworking, ClientNetworking):
    """A network that exists in this object alone: for tests in virtual time, without ports and without the system.

    Names need no resolving: a connection reaches who listens at exactly the same host and port, or at the same port of
    ``""`` or ``"*"``. Nothing takes time, except where datagrams are given conditions under which they travel.

    Args:
        client_host: the host that connections come from.
        buffer_octets: what each direction of a connection holds before it holds up the sender.
        receive_limit_octets: at most so many octets are returned by one ``receive_some``; with TLS that is ciphertext.
        backlog: connections that may wait to be accepted; further ones wait within ``connect_tcp``.
        to_servers: what befalls datagrams on their way to sockets of ``listen_udp``.
        to_clients: what befalls datagrams on their way to sockets of ``bind_udp``.
        datagram_buffer_octets: what may be under way to one socket or wait there; what goes beyond is dropped.
        seed: of the chances; the same seed and the same datagrams give the same course of events.
    """

    def __init__(
        self,
        *,
        client_host: str = "127.0.0.1",
        buffer_octets: int = 64 * 1024,
        receive_limit_octets: int | None = None,
        backlog: int = 128,
        to_servers: DatagramConditions | None = None,
        to_clients: DatagramConditions | None = None,
        datagram_buffer_octets: int = 1024 * 1024,
        seed: int = 0,
    ) -> None:
        self._client_host = client_host
        self._buffer_octets = buffer_octets
        self._receive_limit_octets = receive_limit_octets
        self._backlog = backlog
        self._listeners: dict[AddressType, MemoryListener] = {}
        self._free_port = _FIRST_FREE_PORT
        self._links = DatagramLinks(
            to_servers or DatagramConditions(), to_clients or DatagramConditions(), datagram_buffer_octets, seed
        )

    async def listen_tcp(self, address: AddressType) -> Sequence[ByteStreamListener]:
        """Listen at a name; see :meth:`TCPServerNetworking.listen_tcp`.

        Raises:
            OSError: somebody listens there already (``EADDRINUSE``).
        """
        await trio.lowlevel.checkpoint()
        host, port = address
        if unix_path(address) is None:
            check_port(address)
            port = port or self._take_port()
        else:
            port = 0
        if (host, port) in self._listeners:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        listener = self._listeners[host, port] = MemoryListener(self, (host, port), self._backlog)
        return [listener]

    async def listen_tcp_tls(
        self, address: AddressType, *, tls_config: ServerTLSConfig, alpn_protocols: Sequence[str]
    ) -> Sequence[ByteStreamListener]:
        """Listen at a name, with real TLS; see :meth:`TCPServerNetworking.listen_tcp_tls`."""
        context = server_tls_context(tls_config, alpn_protocols)
        return [TLSListener(listener, context) for listener in await self.listen_tcp(address)]

    async def connect_tcp(self, address: AddressType) -> MemoryByteStream:
        """Connect to who listens at a name.

        Raises:
            ConnectError: nobody does.

        Cancellation: nothing was connected.
        """
        listener = self._find(address)
        ours, theirs = memory_stream_pair(
            buffer_octets=self._buffer_octets,
            receive_limit_octets=self._receive_limit_octets,
            addresses=((self._client_host, self._take_port()), address),
        )
        try:
            await listener._connect(theirs)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            raise ConnectError(
                f"cannot connect to {format_address(address)}: {os.strerror(errno.ECONNREFUSED)}"
            ) from exc
        return ours

    async def connect_tcp_tls(
        self,
        address: AddressType,
        *,
        tls_config: ClientTLSConfig,
        alpn_protocols: Sequence[str],
        server_name: str | None = None,
    ) -> TLSByteStream:
        """Connect, and make a real TLS handshake; see :meth:`TCPClientNetworking.connect_tcp_tls`."""
        return await connect_tls(self, address, client_tls_context(tls_config, alpn_protocols), server_name)

    async def listen_udp(self, address: AddressType) -> Sequence[MemoryDatagramSocket]:
        """Bind at a name; see :meth:`UDPServerNetworking.listen_udp`.

        Raises:
            OSError: somebody is bound there already (``EADDRINUSE``).
        """
        await trio.lowlevel.checkpoint()
        check_port(address)
        host, port = address
        return [MemoryDatagramSocket(self._links, (host, port or self._take_port()), server_side=True)]

    async def resolve_udp(self, address: AddressType) -> Sequence[AddressType]:
        """Return the name itself."""
        await trio.lowlevel.checkpoint()
        check_port(address)
        return [address]

    async def bind_udp(self, remote_address: AddressType) -> MemoryDatagramSocket:
        """Open a socket at a free port; see :meth:`UDPClientNetworking.bind_udp`."""
        await trio.lowlevel.checkpoint()
        check_port(remote_address)
        return MemoryDatagramSocket(self._links, (self._client_host, self._take_port()), server_side=False)

    def datagrams_lost(self) -> int:
        """Return how many datagrams were lost so far: dropped, sent to nobody, or beyond what a buffer holds."""
        return self._links.lost

    def _find(self, address: AddressType) -> MemoryListener:
        host, port = address
        for candidate in (host, *_WILDCARDS):
            listener = self._listeners.get((candidate, port))
            if listener is not None:
                return listener
        raise ConnectError(f"cannot connect to {format_address(address)}: {os.strerror(errno.ECONNREFUSED)}")

    def _take_port(self) -> int:
        # In the range that systems use for this, over and over; a test does not get round once.
        port = self._free_port
        self._free_port = port + 1 if port < 0xFFFF else _FIRST_FREE_PORT
        return port

    def _release(self, listener: MemoryListener) -> None:
        if self._listeners.get(listener.address) is listener:
            del self._listeners[listener.address]
