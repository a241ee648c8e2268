"""The network of this machine, behind the networking interfaces."""

from __future__ import annotations

import socket
import ssl
from collections import OrderedDict
from collections.abc import Sequence

import trio

from ..errors import ConfigurationError
from ..models import AddressType, ClientTLSConfig, ServerTLSConfig
from ._addresses import check_port, unix_path
from ._bind import BACKLOG, bind_tcp, bind_unix
from ._connect import connect_socket
from ._connect_tls import connect_tls
from ._interfaces import ByteStreamListener, ClientNetworking, ServerNetworking
from ._listeners import SocketListener, TLSListener
from ._socket import SocketByteStream
from ._tls import TLSByteStream
from ._tls_context import client_tls_context, server_tls_context
from ._udp_bind import bind_udp_client, bind_udp_server, resolve_udp
from ._udp_socket import UDPSocket

__all__ = ["SystemNetworking"]

_MOST_CONTEXTS = 16


class SystemNetworking(ServerNetworking, ClientNetworking):
    """TCP, TLS, UDP and unix sockets of the operating system.

    TLS contexts of clients are kept, because to load a trust store takes milliseconds: what changes in the files of a
    ``ClientTLSConfig`` later is seen by another ``SystemNetworking``.
    """

    def __init__(self) -> None:
        self._client_contexts: OrderedDict[tuple[ClientTLSConfig, tuple[str, ...]], ssl.SSLContext] = OrderedDict()

    async def listen_tcp(self, address: AddressType) -> Sequence[SocketListener]:
        """Bind and listen; see :meth:`TCPServerNetworking.listen_tcp`.

        The file of a unix socket whose owner is dead is replaced; the file is removed when the listener is closed.
        """
        path = unix_path(address)
        if path is not None:
            await trio.lowlevel.checkpoint()
            sock, unix_file = bind_unix(path)
            return [SocketListener(sock, unix_file=unix_file)]
        check_port(address)
        return [SocketListener(sock) for sock in await bind_tcp(*address)]

    async def listen_tcp_tls(
        self, address: AddressType, *, tls_config: ServerTLSConfig, alpn_protocols: Sequence[str]
    ) -> Sequence[ByteStreamListener]:
        """Bind and listen with TLS; see :meth:`TCPServerNetworking.listen_tcp_tls`."""
        context = server_tls_context(tls_config, alpn_protocols)
        return [TLSListener(listener, context) for listener in await self.listen_tcp(address)]

    def listen_sockets(
        self,
        sockets: Sequence[socket.socket],
        *,
        tls_config: ServerTLSConfig | None = None,
        alpn_protocols: Sequence[str] = (),
    ) -> Sequence[ByteStreamListener]:
        """Take over sockets that were bound elsewhere, such as by a service manager.

        Args:
            sockets: bound stream sockets; those that do not listen yet are made to. Unix sockets keep their files.
            tls_config: TLS to put on them; ``None`` for none.
            alpn_protocols: ALPN names, most preferred first.

        Raises:
            OSError: a socket cannot listen.
            ConfigurationError: one is not a stream socket, or the TLS configuration cannot be used.
        """
        context = None if tls_config is None else server_tls_context(tls_config, alpn_protocols)
        for sock in sockets:
            if sock.type != socket.SOCK_STREAM:
                raise ConfigurationError(f"inherited socket {sock.fileno()} is not a stream socket")
            if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                sock.listen(BACKLOG)
        listeners = [SocketListener(sock) for sock in sockets]
        return listeners if context is None else [TLSListener(listener, context) for listener in listeners]

    async def connect_tcp(self, address: AddressType) -> SocketByteStream:
        """Connect; see :meth:`TCPClientNetworking.connect_tcp`."""
        if unix_path(address) is None:
            check_port(address)
        return SocketByteStream(await connect_socket(address))

    async def connect_tcp_tls(
        self,
        address: AddressType,
        *,
        tls_config: ClientTLSConfig,
        alpn_protocols: Sequence[str],
        server_name: str | None = None,
    ) -> TLSByteStream:
        """Connect, and make the TLS handshake; see :meth:`TCPClientNetworking.connect_tcp_tls`."""
        context = self._client_context(tls_config, alpn_protocols)
        return await connect_tls(self, address, context, server_name)

    async def listen_udp(self, address: AddressType) -> Sequence[UDPSocket]:
        """Bind; see :meth:`UDPServerNetworking.listen_udp`."""
        check_port(address)
        return [UDPSocket(sock, server_side=True) for sock in await bind_udp_server(*address)]

    async def resolve_udp(self, address: AddressType) -> Sequence[AddressType]:
        """Find the IP addresses of a host; see :meth:`UDPClientNetworking.resolve_udp`."""
        check_port(address)
        return await resolve_udp(address)

    async def bind_udp(self, remote_address: AddressType) -> UDPSocket:
        """Open a socket at a free port; see :meth:`UDPClientNetworking.bind_udp`."""
        check_port(remote_address)
        await trio.lowlevel.checkpoint()
        return UDPSocket(bind_udp_client(remote_address))

    def _client_context(self, config: ClientTLSConfig, alpn_protocols: Sequence[str]) -> ssl.SSLContext:
        key = (config, tuple(alpn_protocols))
        context = self._client_contexts.get(key)
        if context is None:
            context = self._client_contexts[key] = client_tls_context(config, alpn_protocols)
            if len(self._client_contexts) > _MOST_CONTEXTS:
                self._client_contexts.popitem(last=False)
        else:
            self._client_contexts.move_to_end(key)
        return context
