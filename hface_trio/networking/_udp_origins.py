"""From which of its addresses a machine answers.

A socket bound to all interfaces would let the routing table choose the source of each datagram, and a peer that asked
another address of the same machine would not know who answers. So the address that a peer's datagrams came to is
remembered, and put on those that go to that peer.
"""

from __future__ import annotations

import socket
import struct
import sys

from ._addresses import SocketAddress
from ._udp_segments import Ancillary

__all__ = ["Origins"]

_IP_PKTINFO = 8  # Linux, <linux/in.h>
_IN_PKTINFO = struct.Struct("=I4s4s")  # interface, local address, destination of the header
_IN6_PKTINFO = struct.Struct("=16sI")  # destination, interface
_MOST_PEERS = 8192
_LINK_LOCAL = b"\xfe\x80"


class Origins:
    """Remembers which local address each peer talks to.

    Args:
        family: of the socket.
    """

    __slots__ = ("_family", "_known")

    def __init__(self, family: socket.AddressFamily) -> None:
        self._family = family
        self._known: dict[SocketAddress, tuple[bytes, Ancillary]] = {}

    @classmethod
    def watch(cls, sock: socket.socket) -> Origins | None:
        """Begin, where a socket is bound to all interfaces and the system can tell the addresses."""
        if sys.platform != "linux" or sock.getsockname()[0] not in {"0.0.0.0", "::"}:  # noqa: S104 - compared
            return None
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        return cls(sock.family)

    @property
    def ancillary_octets(self) -> int:
        """Room that the system needs to tell."""
        return socket.CMSG_SPACE(_IN6_PKTINFO.size)

    def heard(self, peer: SocketAddress, ancillary: list[Ancillary]) -> None:
        """Take what the system told of a datagram of a peer."""
        for level, kind, data in ancillary:
            known = self._known.get(peer)
            if known is not None and known[0] == data:
                return
            answer = self._answer(level, kind, data)
            if answer is not None:
                if known is None and len(self._known) >= _MOST_PEERS:
                    del self._known[next(iter(self._known))]
                self._known[peer] = (data, answer)

    def beside(self, peer: SocketAddress) -> list[Ancillary]:
        """Return what tells the system from where to send to a peer."""
        known = self._known.get(peer)
        return [] if known is None else [known[1]]

    def _answer(self, level: int, kind: int, data: bytes) -> Ancillary | None:
        if self._family == socket.AF_INET6:
            if (level, kind, len(data)) != (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _IN6_PKTINFO.size):
                return None
            address, interface = _IN6_PKTINFO.unpack(data)
            # The interface is chosen by the route, unless the address means nothing without it.
            return level, kind, _IN6_PKTINFO.pack(address, interface if address.startswith(_LINK_LOCAL) else 0)
        if (level, kind, len(data)) != (socket.IPPROTO_IP, _IP_PKTINFO, _IN_PKTINFO.size):
            return None
        _, address, _ = _IN_PKTINFO.unpack(data)
        return level, kind, _IN_PKTINFO.pack(0, address, bytes(4))
