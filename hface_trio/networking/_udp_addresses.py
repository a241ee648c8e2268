"""Addresses of datagrams: IP addresses only, back and forth between ours and the system's, without any name lookup.

An IPv6 address that means something on one link only carries the number of that link, as in ``fe80::1%2``.
"""

from __future__ import annotations

import socket

from ..models import AddressType
from ._addresses import SocketAddress

__all__ = ["TargetCache", "from_system", "to_system"]

_MOST_CACHED = 4096


def from_system(address: SocketAddress) -> AddressType:
    """Turn what the system says of a datagram's origin into an address."""
    host: str = address[0]
    if len(address) == 4 and address[3] and "%" not in host:
        host = f"{host}%{address[3]}"
    return host, address[1]


def to_system(family: socket.AddressFamily, address: AddressType) -> SocketAddress | None:
    """Return what the system takes for an IP address and a port; ``None`` where it is none of that family."""
    host, port = address
    if not 0 < port <= 0xFFFF:
        return None
    host, _, zone = host.partition("%")
    try:
        socket.inet_pton(family, host)
        scope = _scope_id(zone) if zone else 0
    except (OSError, ValueError):  # ValueError: a host with a NUL
        return None
    if family == socket.AF_INET6:
        return host, port, 0, scope
    return None if zone else (host, port)


def _scope_id(zone: str) -> int:
    return int(zone) if zone.isdecimal() and len(zone) < 10 else socket.if_nametoindex(zone)


class TargetCache:
    """Remembers what the system takes for the addresses that are in use.

    Args:
        family: of the socket.
    """

    __slots__ = ("_family", "_targets")

    def __init__(self, family: socket.AddressFamily) -> None:
        self._family = family
        self._targets: dict[AddressType, SocketAddress | None] = {}

    def find(self, address: AddressType) -> SocketAddress | None:
        """Return what the system takes for an address; ``None`` for none."""
        try:
            return self._targets[address]
        except KeyError:
            if len(self._targets) >= _MOST_CACHED:
                self._targets.clear()
            target = self._targets[address] = to_system(self._family, address)
            return target
