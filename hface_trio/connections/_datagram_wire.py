"""Between a protocol over QUIC and its datagrams; see :mod:`._wire`.

What is received is fed some datagrams at a time, and all that is to be sent then leaves together: acknowledgements of
many packets in one, answers to many requests in full datagrams.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from ..models import DatagramType
from ..protocols import HTTPOverQUICProtocol
from ._quic_link import QUICLink
from ._wire import Wire

if TYPE_CHECKING:
    from ..networking import ExtraAttributes

__all__ = ["DatagramWire"]

_TURN_DATAGRAMS = 64
_TURN_SECONDS = 0.0005
"""A turn has two bounds, since a datagram of a body takes a tenth of the time of one that is full of requests."""


class DatagramWire(Wire):
    """The datagrams of a connection.

    Args:
        protocol: feeds on what is received.
        link: the network.
        client_side: whether this process is the client.
        linger_seconds: how long a server still answers a peer that has not heard of the end (RFC 9000 §10.2), at most.
    """

    def __init__(
        self, protocol: HTTPOverQUICProtocol, link: QUICLink, *, client_side: bool, linger_seconds: float
    ) -> None:
        self.octets_sent = 0
        self.input_ended = False
        self._protocol = protocol
        self._link = link
        self._client_side = client_side
        self._linger_seconds = linger_seconds
        self._pending: list[DatagramType] = []

    @property
    def extra_attributes(self) -> ExtraAttributes:
        """What is known of the transport now."""
        return self._link.extra_attributes

    @property
    def read_in_part(self) -> bool:
        """Never: a datagram is fed whole, and those that wait meanwhile may have no end."""
        return False

    async def deliver(self, turn: Callable[[], bool]) -> None:
        """Wait for datagrams, unless some wait already."""
        await self._receive()
        turn()

    async def _receive(self) -> None:
        if self._link.waiting:
            await trio.lowlevel.checkpoint()
        else:
            await self._link.receive()

    def feed(self) -> int:
        """Hand some datagrams to the protocol."""
        protocol, link = self._protocol, self._link
        octets = 0
        end = trio.current_time() + _TURN_SECONDS
        for _ in range(min(len(link.waiting), _TURN_DATAGRAMS)):
            datagram = link.take()
            octets += len(datagram[0])
            protocol.datagram_received(datagram)
            if trio.current_time() >= end:
                break
        return octets

    def prepare(self) -> None:
        """Tell the time: packets bear it, and losses and round trips are judged by it."""
        self._protocol.clock(trio.current_time())

    def collect(self) -> bool:
        """Take all datagrams that may leave now."""
        self._pending = self._protocol.datagrams_to_send()
        self._link.update()
        return bool(self._pending)

    async def send(self) -> None:
        """Send what was collected; wait for the socket where it takes no more."""
        pending, self._pending = self._pending, []
        self.octets_sent += sum([len(data) for data, _ in pending])
        if not self._link.send(pending):
            await self._link.wait_room()

    async def run(self) -> None:
        """Do what the link needs."""
        await self._link.run()

    async def close(self, *, aborted: bool) -> None:
        """Close; a server answers for a while whoever still talks."""
        if not (aborted or self._client_side):
            with trio.move_on_after(self._linger_seconds):
                await self._linger()
        await self._link.aclose()
        self._protocol.connection_lost()

    async def _linger(self) -> None:
        protocol = self._protocol
        try:
            while not protocol.is_closed:
                timer = protocol.get_timer()
                with trio.CancelScope(deadline=math.inf if timer is None else timer):
                    await self._receive()
                protocol.clock(trio.current_time())
                self.feed()
                if self.collect():
                    await self.send()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the socket is gone

    async def close_at_once(self, *, aborted: bool) -> None:
        """Send what leaves at once, CONNECTION_CLOSE with it, and close."""
        pending, self._pending = self._pending, []
        if not aborted:
            self._link.close_at_once([*pending, *self._protocol.datagrams_to_send()])
        self._protocol.connection_lost()
        await self._link.aclose()
