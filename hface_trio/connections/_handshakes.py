"""Who may make a TLS handshake now, when many want to.

A bounded number is under way at once: each holds a place. What keeps that from being a way to keep others out:

- Nobody waits for a place behind the many of one owner of addresses: owners take turns.
- A place is no shelter for a peer that stalls. Once a handshake has waited a second for its peer, in all, it goes on only
  as long as nobody wants its place; whoever has most places loses one first.

Handshakes that do not wait for their peers are never cut off, however long the server takes with them.
"""

from __future__ import annotations

from collections import Counter, OrderedDict

import trio

from ..limits import address_owner
from ..networking import ByteStream

__all__ = ["Handshakes"]

_PATIENCE_SECONDS = 1.0
"""Longer than the round trips of a handshake to wherever on earth, shorter than a newcomer gives up."""


class _Place:
    """A place, held by one handshake until it is over or the place is taken away."""

    __slots__ = ("held", "owner", "patience_seconds", "scope")

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.held = True
        self.patience_seconds = _PATIENCE_SECONDS
        self.scope = trio.CancelScope()


class Handshakes:
    """Makes the handshakes of a server's connections.

    Args:
        limit: how many may be under way at once; at least 1.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._under_way = 0
        self._by_owner: Counter[str] = Counter()
        self._queues: OrderedDict[str, trio.lowlevel.ParkingLot] = OrderedDict()  # first is the owner whose turn it is
        self._stalled: dict[_Place, None] = {}  # the eldest first; nobody waits while there are any
        self._draining = False

    async def shake_hands(self, stream: ByteStream, host: str) -> bool:
        """Make a handshake.

        Args:
            stream: to whom the peer has spoken, see :meth:`ByteStream.wait_handshake_peer`.
            host: of the peer.

        Returns:
            Whether it was made. If not, the peer stalled, and others wanted the place.

        Raises: as :meth:`ByteStream.handshake`.

        Cancellation: the place goes to somebody else.
        """
        place = await self._take_place(address_owner(host))
        try:
            with place.scope:
                while not await stream.step_handshake():
                    await self._wait_for_peer(stream, place)
                return True
            return False
        finally:
            self._give_back(place)

    def cut_off_stalled(self) -> None:
        """From now on give up handshakes that have waited for their peers for long, for the server shuts down."""
        self._draining = True
        for place in list(self._stalled):
            self._take_away(place)

    async def _wait_for_peer(self, stream: ByteStream, place: _Place) -> None:
        if place.patience_seconds > 0:
            began_at = trio.current_time()
            with trio.move_on_after(place.patience_seconds):
                await stream.wait_handshake_peer()
                place.patience_seconds -= trio.current_time() - began_at
                return
            place.patience_seconds = 0
            self._stalled[place] = None
            if self._queues or self._draining:
                self._take_away(place)
        await stream.wait_handshake_peer()

    # Places

    async def _take_place(self, owner: str) -> _Place:
        if self._under_way >= self._limit and self._stalled:
            self._take_away(max(self._stalled, key=lambda stalled: self._by_owner[stalled.owner]))
        if self._under_way < self._limit:
            self._count(owner)
        else:
            queue = self._queues.setdefault(owner, trio.lowlevel.ParkingLot())
            try:
                await queue.park()  # once it returns, the place has been counted
            except trio.Cancelled:
                if not queue and self._queues.get(owner) is queue:
                    del self._queues[owner]
                raise
        return _Place(owner)

    def _count(self, owner: str) -> None:
        self._under_way += 1
        self._by_owner[owner] += 1

    def _take_away(self, place: _Place) -> None:
        self._give_back(place)
        place.scope.cancel()

    def _give_back(self, place: _Place) -> None:
        if not place.held:
            return
        place.held = False
        self._stalled.pop(place, None)
        self._under_way -= 1
        self._by_owner[place.owner] -= 1
        if not self._by_owner[place.owner]:
            del self._by_owner[place.owner]
        while self._queues:
            owner, queue = self._queues.popitem(last=False)
            unparked = queue.unpark()  # nobody, if who waited has just been cancelled
            if queue:
                self._queues[owner] = queue
            if unparked:
                self._count(owner)
                return
