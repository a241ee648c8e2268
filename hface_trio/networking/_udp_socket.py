"""UDP sockets of the system, unconnected.

What the network says about datagrams sent before (ICMP) is not listened to: anybody can forge it, and QUIC finds out
by itself (RFC 9000 §21.9). Nothing here looks a name up.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from functools import partial

import trio

from ..models import AddressType, DatagramType
from ._addresses import SocketAddress
from ._interfaces import DatagramSocket, DatagramStatistics
from ._udp_addresses import TargetCache, from_system
from ._udp_origins import Origins
from ._udp_segments import REFUSALS, Ancillary, has_segmentation, run_end, segment_size

__all__ = ["UDPSocket"]

_LONGEST = 65_536
_BATCH = 64

# Told of a datagram that was sent before, or of a moment's lack of memory; the socket itself is well.
_PASSING = frozenset(
    getattr(errno, name)
    for name in (
        "ECONNREFUSED",
        "ECONNRESET",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "EMSGSIZE",
        "ENETDOWN",
        "ENETRESET",
        "ENETUNREACH",
        "ENOBUFS",
        "ENOMEM",
        "EPROTO",
        "ETIMEDOUT",
    )
    if hasattr(errno, name)
)


class UDPSocket(DatagramSocket):
    """A bound UDP socket, which it owns from now on.

    Args:
        sock: a bound, unconnected UDP socket over IPv4 or IPv6.
        server_side: answer each peer from the address that it asked, where the socket is bound to several. A client's
            socket leaves it to the routes, which change as the machine moves between networks.
        segmentation: let the kernel cut runs of datagrams apart, where it can.
    """

    __slots__ = (
        "_address",
        "_buffer",
        "_closed",
        "_origins",
        "_receive_errors",
        "_received",
        "_receiving",
        "_segmentation",
        "_sent",
        "_socket",
        "_targets",
        "_too_long",
        "_unsendable",
        "_view",
    )

    def __init__(self, sock: socket.socket, *, server_side: bool = False, segmentation: bool = True) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._address = from_system(sock.getsockname())
        self._segmentation = segmentation and has_segmentation(sock)
        self._origins = Origins.watch(sock) if server_side else None
        self._targets = TargetCache(sock.family)
        self._buffer = bytearray(_LONGEST)
        self._view = memoryview(self._buffer)
        self._closed = False
        self._receiving = False
        self._sent = 0
        self._received = 0
        self._too_long = 0
        self._unsendable = 0
        self._receive_errors = 0

    @property
    def local_address(self) -> AddressType:
        """The bound address."""
        return self._address

    @property
    def segmentation(self) -> bool:
        """Whether the kernel cuts runs of datagrams apart; it may turn out later that it cannot."""
        return self._segmentation

    def statistics(self) -> DatagramStatistics:
        """Return what was moved and what was lost so far."""
        return DatagramStatistics(
            sent=self._sent,
            received=self._received,
            too_long=self._too_long,
            unsendable=self._unsendable,
            receive_errors=self._receive_errors,
        )

    # Sending

    def send_nowait(self, datagrams: Sequence[DatagramType]) -> int:
        """Send as many datagrams as the kernel takes at once; see :meth:`DatagramSocket.send_nowait`."""
        if self._closed:
            raise trio.ClosedResourceError("this socket is closed")
        taken = 0
        count = len(datagrams)
        try:
            while taken < count:
                if self._segmentation and (end := run_end(datagrams, taken)) > taken + 1:
                    self._send_run(datagrams[taken:end])
                    taken = end
                else:
                    self._send_one(datagrams[taken])
                    taken += 1
        except _PartlySentError as exc:
            return taken + exc.datagrams
        except BlockingIOError:
            pass
        return taken

    def _send_run(self, run: Sequence[DatagramType]) -> None:
        target = self._targets.find(run[0][1])
        if target is None:
            self._unsendable += len(run)
            return
        try:
            self._socket.sendmsg(
                [data for data, _ in run], [*self._beside(target), segment_size(len(run[0][0]))], 0, target
            )
        except BlockingIOError:
            raise
        except OSError as exc:
            if exc.errno in REFUSALS:
                self._segmentation = False
            # Whatever is wrong may be wrong with this way of sending, such as a size the route does not carry.
            self._send_singly(run)
        else:
            self._sent += len(run)

    def _send_singly(self, run: Sequence[DatagramType]) -> None:
        for number, datagram in enumerate(run):
            try:
                self._send_one(datagram)
            except BlockingIOError as exc:
                raise _PartlySentError(number) from exc

    def _send_one(self, datagram: DatagramType) -> None:
        data, address = datagram
        target = self._targets.find(address)
        if target is None:
            self._unsendable += 1
            return
        try:
            beside = self._beside(target)
            if beside:
                self._socket.sendmsg([data], beside, 0, target)
            else:
                self._socket.sendto(data, target)
        except BlockingIOError:
            raise
        except OSError as exc:
            if exc.errno == errno.EMSGSIZE:
                self._too_long += 1
            else:
                self._unsendable += 1
        else:
            self._sent += 1

    def _beside(self, target: SocketAddress) -> list[Ancillary]:
        return [] if self._origins is None else self._origins.beside(target)

    async def wait_writable(self) -> None:
        """Wait until the kernel takes datagrams; see :meth:`DatagramSocket.wait_writable`."""
        if self._closed:
            raise trio.ClosedResourceError("this socket is closed")
        await trio.lowlevel.wait_writable(self._socket)

    # Receiving

    async def receive(self) -> list[DatagramType]:
        """Wait for datagrams, and return those that are there; see :meth:`DatagramSocket.receive`."""
        if self._closed:
            raise trio.ClosedResourceError("this socket is closed")
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this socket")
        self._receiving = True
        try:
            while True:
                await trio.lowlevel.wait_readable(self._socket)
                if batch := self._receive_batch():
                    self._received += len(batch)
                    return batch
        finally:
            self._receiving = False

    def _receive_batch(self) -> list[DatagramType]:
        batch: list[DatagramType] = []
        origins = self._origins
        receive = self._receive_one if origins is None else partial(self._receive_one_and_its_origin, origins)
        for _ in range(_BATCH):
            try:
                octets, peer = receive()
            except BlockingIOError:
                break
            except OSError as exc:
                if exc.errno not in _PASSING:
                    raise trio.BrokenResourceError(f"the socket broke: {exc.strerror or exc}") from exc
                self._receive_errors += 1
                continue
            batch.append((bytes(self._view[:octets]), from_system(peer)))
        return batch

    def _receive_one(self) -> tuple[int, SocketAddress]:
        return self._socket.recvfrom_into(self._buffer)

    def _receive_one_and_its_origin(self, origins: Origins) -> tuple[int, SocketAddress]:
        octets, ancillary, _, peer = self._socket.recvmsg_into([self._buffer], origins.ancillary_octets)
        if ancillary:
            origins.heard(peer, ancillary)
        return octets, peer

    async def aclose(self) -> None:
        """Close the socket; whoever waits for it is told."""
        if not self._closed:
            self._closed = True
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
        await trio.lowlevel.checkpoint()


class _PartlySentError(Exception):
    """The kernel took some datagrams of a run, one by one, and then no more."""

    def __init__(self, datagrams: int) -> None:
        super().__init__()
        self.datagrams = datagrams
