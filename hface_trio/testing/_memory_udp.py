"""Datagrams in memory, and what befalls them on their way.

No task moves them: each socket keeps what is under way to it, with the time at which it arrives, and whoever receives
waits for the earliest. In virtual time (``trio.testing.MockClock``) a bad network takes no longer than a good one.
"""

from __future__ import annotations

import dataclasses
import errno
import heapq
import math
import os
import random
from collections.abc import Sequence

import trio

from ..errors import ConfigurationError
from ..models import AddressType, DatagramType
from ..networking import DatagramSocket, DatagramStatistics

__all__ = ["DatagramConditions", "DatagramLinks", "MemoryDatagramSocket"]

_BATCH = 64
_LONGEST = 65_507
_MOST_NAMES = 4096
_WILDCARDS = ("", "*")


@dataclasses.dataclass(frozen=True)
class DatagramConditions:
    """What befalls datagrams that travel in one direction.

    Args:
        drop: chance that a datagram is lost, from 0 to 1, as all chances here.
        duplicate: chance that it arrives twice.
        reorder: chance that it is held up by ``reorder_seconds``, so that later ones overtake it.
        corrupt: chance that one octet of it is changed.
        delay_seconds: how long every datagram takes.
        jitter_seconds: at most how much longer, evenly spread.
        reorder_seconds: how long a datagram is held up that others shall overtake.
        longest_octets: longer datagrams are lost.

    Raises:
        ConfigurationError: a chance or a time is out of its range.
    """

    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    delay_seconds: float = 0.0
    jitter_seconds: float = 0.0
    reorder_seconds: float = 0.01
    longest_octets: int = _LONGEST

    def __post_init__(self) -> None:
        for name in ("drop", "duplicate", "reorder", "corrupt"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(f"DatagramConditions.{name} is a chance from 0 to 1")
        for name in ("delay_seconds", "jitter_seconds", "reorder_seconds"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigurationError(f"DatagramConditions.{name} must be finite and not negative")


class DatagramLinks:
    """Everything that sockets of one network share.

    Args:
        to_servers: conditions on the way to servers.
        to_clients: conditions on the way to clients.
        buffer_octets: what may be under way to one socket, or wait there.
        seed: of the chances.
    """

    def __init__(
        self, to_servers: DatagramConditions, to_clients: DatagramConditions, buffer_octets: int, seed: int
    ) -> None:
        self.sockets: dict[AddressType, MemoryDatagramSocket] = {}
        self.lost: int = 0
        self._to_servers = to_servers
        self._to_clients = to_clients
        self._buffer_octets = buffer_octets
        self._random = random.Random(seed)  # noqa: S311 - to be repeated

    def bind(self, socket: MemoryDatagramSocket, address: AddressType) -> None:
        """Give a socket an address.

        Raises:
            OSError: another one has it.
        """
        if address in self.sockets:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        self.sockets[address] = socket

    def carry(self, data: bytes, source: AddressType, target: AddressType) -> None:
        """Send a datagram on its way."""
        socket = self._find(target)
        conditions = self._to_servers if socket is None or socket.server_side else self._to_clients
        if socket is None or len(data) > conditions.longest_octets or self._happens(conditions.drop):
            self.lost += 1
            return
        socket.asked_as(source, target)
        for _ in range(2 if self._happens(conditions.duplicate) else 1):
            if socket.pending_octets + len(data) > self._buffer_octets:
                self.lost += 1
                continue
            payload = self._corrupt(data) if self._happens(conditions.corrupt) else data
            socket.deliver(trio.current_time() + self._travel_seconds(conditions), (payload, source))

    def _find(self, target: AddressType) -> MemoryDatagramSocket | None:
        host, port = target
        for candidate in (host, *_WILDCARDS):
            socket = self.sockets.get((candidate, port))
            if socket is not None:
                return socket
        return None

    def _happens(self, chance: float) -> bool:
        return chance > 0 and self._random.random() < chance

    def _travel_seconds(self, conditions: DatagramConditions) -> float:
        seconds = conditions.delay_seconds
        if conditions.jitter_seconds:
            seconds += self._random.uniform(0, conditions.jitter_seconds)
        if self._happens(conditions.reorder):
            seconds += conditions.reorder_seconds
        return seconds

    def _corrupt(self, data: bytes) -> bytes:
        if not data:
            return data
        changed = bytearray(data)
        changed[self._random.randrange(len(changed))] ^= self._random.randrange(1, 256)
        return bytes(changed)


class MemoryDatagramSocket(DatagramSocket):
    """A datagram socket of a :class:`MemoryNetworking`, which makes it."""

    __slots__ = (
        "_address",
        "_arrived",
        "_closed",
        "_count",
        "_links",
        "_names",
        "_received",
        "_receiving",
        "_sent",
        "_under_way",
        "pending_octets",
        "server_side",
    )

    def __init__(self, links: DatagramLinks, address: AddressType, *, server_side: bool) -> None:
        links.bind(self, address)
        self.server_side: bool = server_side
        self.pending_octets: int = 0
        self._links = links
        self._address = address
        self._under_way: list[tuple[float, int, DatagramType]] = []
        self._names: dict[AddressType, AddressType] = {}
        self._count = 0
        self._arrived = trio.Event()
        self._receiving = False
        self._closed = False
        self._sent = 0
        self._received = 0

    @property
    def local_address(self) -> AddressType:
        """The bound address."""
        return self._address

    def statistics(self) -> DatagramStatistics:
        """Return what was moved so far."""
        return DatagramStatistics(sent=self._sent, received=self._received)

    def send_nowait(self, datagrams: Sequence[DatagramType]) -> int:
        """Send all datagrams; what the network does with them is another matter."""
        if self._closed:
            raise trio.ClosedResourceError("this socket is closed")
        for data, target in datagrams:
            self._links.carry(bytes(data), self._names.get(target, self._address), target)
        self._sent += len(datagrams)
        return len(datagrams)

    async def wait_writable(self) -> None:
        """Return at once: the network takes everything."""
        if self._closed:
            raise trio.ClosedResourceError("this socket is closed")
        await trio.lowlevel.checkpoint()

    async def receive(self) -> list[DatagramType]:
        """Wait for datagrams, and return those that have arrived; see :meth:`DatagramSocket.receive`."""
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this socket")
        self._receiving = True
        try:
            await trio.lowlevel.checkpoint()
            while True:
                if self._closed:
                    raise trio.ClosedResourceError("this socket is closed")
                if batch := self._take_arrived():
                    return batch
                self._arrived = trio.Event()
                with trio.CancelScope(deadline=self._under_way[0][0] if self._under_way else math.inf):
                    await self._arrived.wait()
        finally:
            self._receiving = False

    async def aclose(self) -> None:
        """Close the socket; what was under way to it is lost."""
        if not self._closed:
            self._closed = True
            self._release()
            self._under_way.clear()
            self.pending_octets = 0
            self._arrived.set()
        await trio.lowlevel.checkpoint()

    def rebind(self) -> AddressType:
        """Move to another port, as a NAT does that forgot the old one; return the new address.

        What is sent to the old address from now on is lost.
        """
        if self._closed:
            raise trio.ClosedResourceError("this socket is closed")
        host, port = self._address
        new = port
        while (host, new) in self._links.sockets:
            new = new + 1 if new < 0xFFFF else 1024
        self._release()
        self._address = (host, new)
        self._links.bind(self, self._address)
        return self._address

    # What the network calls.

    def deliver(self, arrival: float, datagram: DatagramType) -> None:
        """Let a datagram arrive at a time."""
        self._count += 1
        heapq.heappush(self._under_way, (arrival, self._count, datagram))
        self.pending_octets += len(datagram[0])
        if self._under_way[0][1] == self._count:  # earlier than what is waited for
            self._arrived.set()

    def asked_as(self, peer: AddressType, name: AddressType) -> None:
        """Remember by which name a peer knows this socket, for the answers."""
        if name == self._address:
            self._names.pop(peer, None)
        elif peer in self._names or len(self._names) < _MOST_NAMES:
            self._names[peer] = name

    def _take_arrived(self) -> list[DatagramType]:
        now = trio.current_time()
        batch: list[DatagramType] = []
        while self._under_way and self._under_way[0][0] <= now and len(batch) < _BATCH:
            datagram = heapq.heappop(self._under_way)[2]
            self.pending_octets -= len(datagram[0])
            batch.append(datagram)
        self._received += len(batch)
        return batch

    def _release(self) -> None:
        if self._links.sockets.get(self._address) is self:
            del self._links.sockets[self._address]
