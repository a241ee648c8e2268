"""Who may make a TLS handshake now, when many want to.

A bounded number is under way at once: each holds a place. What keeps that from being a way to keep others out:

- Nobody waits for a place behind the many of one owner of addresses: owners take turns.
- A place is no shelter for a peer that stalls. Once a handshake has waited three seconds for its peer, in all, it may wait on
  only as long as nobody wants its place; whoever has most places loses one first.

No handshake is cut off while the server is at work on it, however long that takes.
"""

from __future__ import annotations

import logging
import math
from collections import Counter, OrderedDict

import trio

from ..limits import address_owner
from ..networking import ByteStream

__all__ = ["Handshakes"]

_logger = logging.getLogger("hface_trio")

_PATIENCE_SECONDS = 3.0
"""Longer than the round trips of a handshake to wherever on earth, and than a client takes that makes thousands at once."""

_LEAST_WAIT_SECONDS = 0.1
"""What a wait counts for at least: peers that send octet by octet keep the server at work, and would seem to be prompt."""


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
        # By owner, the eldest first. Nobody waits while there are any.
        self._stalled: dict[str, dict[_Place, None]] = {}
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
        self._limit = math.inf  # nobody comes any more, and those who stall shall do it at the same time
        while self._queues:
            self._pass_on()
        for places in list(self._stalled.values()):
            for place in list(places):
                self._take_away(place)

    async def _wait_for_peer(self, stream: ByteStream, place: _Place) -> None:
        if place.patience_seconds > 0:
            began_at = trio.current_time()
            with trio.move_on_after(place.patience_seconds) as scope:
                await stream.wait_handshake_peer()
            place.patience_seconds -= max(_LEAST_WAIT_SECONDS, trio.current_time() - began_at)
            if not scope.cancelled_caught:
                return
        if self._draining or any(self._queues.values()):
            self._take_away(place)
        else:
            self._stalled.setdefault(place.owner, {})[place] = None
        try:
            await stream.wait_handshake_peer()
        finally:
            self._unlist(place)

    def _unlist(self, place: _Place) -> None:
        """Take a place out of those that can be taken away, if it is among them."""
        places = self._stalled.get(place.owner)
        if places is not None and place in places:
            del places[place]
            if not places:
                del self._stalled[place.owner]

    # Places

    async def _take_place(self, owner: str) -> _Place:
        if self._under_way >= self._limit and self._stalled:
            loser = max(self._stalled, key=lambda stalled: self._by_owner[stalled])
            self._take_away(next(iter(self._stalled[loser])))
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
        _logger.debug("a handshake of %s stalled, and gave way", place.owner or "a peer")
        self._unlist(place)
        self._give_back(place)
        place.scope.cancel()

    def _give_back(self, place: _Place) -> None:
        if not place.held:
            return
        place.held = False
        self._under_way -= 1
        self._by_owner[place.owner] -= 1
        if not self._by_owner[place.owner]:
            del self._by_owner[place.owner]
        while self._queues and not self._pass_on():
            pass

    def _pass_on(self) -> bool:
        """Give a place to the next owner's first who waits; return whether there was one."""
        owner, queue = self._queues.popitem(last=False)
        unparked = queue.unpark()  # nobody, if who waited has just been cancelled
        if unparked:
            self._count(owner)
        if queue:
            self._queues[owner] = queue
        return bool(unparked)
