"""UDP sockets: from addresses that people write to sockets, for servers and for clients.

A socket neither fragments datagrams nor shares its port: QUIC finds out itself how long a datagram may be (RFC 9000
§14), and another process on the same port would get half of the connections.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys

from ..errors import ConnectError
from ..models import AddressType
from . import _connect
from ._addresses import SocketAddress, format_address, unix_path
from ._bind import bind_each
from ._udp_addresses import from_system, to_system

__all__ = ["bind_udp_client", "bind_udp_server", "resolve_udp"]

# Room for the bursts of many connections; the system caps them (net.core.rmem_max).
_SERVER_BUFFER_OCTETS = 4 * 1024 * 1024
_CLIENT_BUFFER_OCTETS = 1024 * 1024

# Linux, <linux/in.h> and <linux/in6.h>: never fragment, and leave it to us how long a datagram may be.
_IP_MTU_DISCOVER = 10
_IPV6_MTU_DISCOVER = 23
_PMTUDISC_PROBE = 3


async def bind_udp_server(host: str, port: int) -> list[socket.socket]:
    """Bind at all addresses of a host.

    Raises:
        OSError: an address cannot be bound, or the host is unknown; nothing stays bound.
    """
    return await bind_each(host, port, _bind_server)


async def resolve_udp(address: AddressType) -> list[AddressType]:
    """Return the IP addresses of a host to which there is a route, families taking turns.

    Raises:
        ConnectError: there are none.
    """
    where = format_address(address)
    if not address[0] or unix_path(address) is not None:
        raise ConnectError(f"cannot send datagrams to {where or 'an empty host name'}")
    targets = await _connect._resolve(address)
    if not targets:
        raise ConnectError(f"cannot connect to {where}: the host has no address")
    failures: list[OSError] = []
    found: list[AddressType] = []
    for family, target in targets:
        try:
            _find_route(family, target)
        except OSError as exc:
            failures.append(exc)
        else:
            found.append(from_system(target))
    if not found:
        raise ConnectError(f"cannot connect to {where}: {failures[0].strerror or failures[0]}") from failures[0]
    return found


def _find_route(family: socket.AddressFamily, target: SocketAddress) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as probe:  # to connect sends nothing
        probe.connect(target)


def bind_udp_client(remote_address: AddressType) -> socket.socket:
    """Open a socket at a free port, of the family of an IP address.

    Raises:
        ConnectError: there can be no such socket.
    """
    for family in (socket.AF_INET, socket.AF_INET6):
        if to_system(family, remote_address) is not None:
            try:
                return _open(family, _CLIENT_BUFFER_OCTETS, ("::" if family == socket.AF_INET6 else "0.0.0.0", 0))  # noqa: S104
            except OSError as exc:
                why = exc.strerror or os.strerror(exc.errno or 0)
                raise ConnectError(f"cannot connect to {format_address(remote_address)}: {why}") from exc
    raise ConnectError(f"cannot send datagrams to {format_address(remote_address)}: not an IP address and a port")


def _bind_server(family: socket.AddressFamily, address: SocketAddress) -> socket.socket:
    return _open(family, _SERVER_BUFFER_OCTETS, address)


def _open(family: socket.AddressFamily, buffer_octets: int, address: SocketAddress) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _forbid_fragments(sock, family)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            with contextlib.suppress(OSError):  # some systems refuse what they could cap
                sock.setsockopt(socket.SOL_SOCKET, option, buffer_octets)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _forbid_fragments(sock: socket.socket, family: socket.AddressFamily) -> None:
    if sys.platform != "linux":
        return
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
