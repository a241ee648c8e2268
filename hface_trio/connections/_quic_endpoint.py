"""The server's end of QUIC: from the datagrams of some sockets to connections.

::

    listener's task
    ├─ one datagram task and one sender per socket
    └─ one task that watches over handshakes

What a datagram is for is decided by a sans-IO router; here datagrams are moved. A connection gets a task of its own when its
handshake is complete, and not before: until then its client may be anybody, at any address, and all there is of it is a
protocol, driven by the datagram task under the handshake's deadline. Datagrams of connections that have a task wait for it in
a bounded queue each.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence

import trio

from ..models import AddressType, DatagramType
from ..networking import DatagramSender, DatagramSocket
from ..protocols import HTTPOverQUICProtocol, OutputEnd
from ..protocols.quic import Accept, Deliver, QUICRouter, Reply
from ._context import ConnectionContext, logger
from ._quic_link import QUICLink
from ._wakeup import Wakeup

__all__ = ["EndpointLink", "QUICEndpoint"]

_OTHER_WAYS = 8
_RECOVERY_SECONDS = 0.1


class EndpointLink(QUICLink):
    """The datagrams of one connection of an endpoint.

    Args:
        endpoint: who moves them.
        protocol: whose they are.
        host: of the peer, as it is counted.
        sender: of the socket that brought the first one.
        deadline: when the handshake has to be complete.
    """

    def __init__(
        self, endpoint: QUICEndpoint, protocol: HTTPOverQUICProtocol, host: str, sender: DatagramSender, deadline: float
    ) -> None:
        super().__init__(protocol, endpoint.alpn_protocol)
        self.protocol: HTTPOverQUICProtocol = protocol
        self.host: str = host
        self.deadline: float = deadline
        self.timer: float = deadline
        """When a connection in its handshake has to be looked at."""
        self.runs: bool = False
        """Whether the connection has a task."""
        self._endpoint = endpoint
        self._sender = sender
        self._other_ways: dict[AddressType, DatagramSender] = {}
        self._arrived = Wakeup()
        self._closed = False

    @property
    def local_address(self) -> AddressType:
        """The address of the socket that brings most of them."""
        return self._sender.socket.local_address

    def deliver(self, datagram: DatagramType, sender: DatagramSender) -> None:
        """Keep a datagram for the connection's task, and wake it."""
        if sender is not self._sender:
            self.came_by(datagram[1], sender)
        if self.keep(datagram) and self._arrived.waiting:
            self._arrived.wake()

    def came_by(self, address: AddressType, sender: DatagramSender) -> None:
        """Take note that a peer's datagram came through another socket than the usual: answers go the same way."""
        self._other_ways[address] = sender
        if len(self._other_ways) > _OTHER_WAYS:
            del self._other_ways[next(iter(self._other_ways))]

    async def receive(self) -> None:
        """Wait until the datagram task has brought something."""
        await self._arrived.wait()
        if self._closed:
            raise trio.ClosedResourceError("the socket is gone")

    def send(self, datagrams: Sequence[DatagramType]) -> bool:
        """Send datagrams through the socket that hears from where they go."""
        if not self._other_ways:
            return self._sender.submit(self, datagrams)
        if (sender := self._other_ways.pop(self.protocol.remote_address or ("", 0), None)) is not None:
            self._sender = sender  # the peer has moved there
        for datagram in datagrams:
            self._other_ways.get(datagram[1], self._sender).submit(self, [datagram])
        return self._sender.has_room(self)

    async def wait_room(self) -> None:
        """Wait until the socket has taken enough."""
        await self._sender.wait_room(self)

    def update(self) -> None:
        """Let the router know of ids that have come and gone."""
        self._endpoint.router.update(self.protocol)

    async def run(self) -> None:
        """Nothing to do: the endpoint runs for all its connections."""

    async def aclose(self) -> None:
        """Route nothing to the connection any more."""
        await trio.lowlevel.checkpoint()
        self._endpoint.forget(self)

    def close_at_once(self, datagrams: Sequence[DatagramType]) -> None:
        """Send what leaves without waiting, past a sender that may be gone already."""
        if datagrams:
            with contextlib.suppress(trio.ClosedResourceError):  # gone before its last word
                self._sender.socket.send_nowait(datagrams)
        self._endpoint.forget(self)

    def sends_through(self, sender: DatagramSender) -> bool:
        """Whether datagrams go out through a sender at present."""
        return sender is self._sender

    def say_goodbye(self) -> None:
        """End the connection while there still is a socket to say so: its handlers take too long to end."""
        self.protocol.submit_close()
        with contextlib.suppress(trio.ClosedResourceError):
            self._sender.socket.send_nowait(self.protocol.datagrams_to_send())

    def lose(self) -> None:
        """Let the connection's task find that its socket is gone."""
        self._closed = True
        self._arrived.wake()


class QUICEndpoint:
    """Some sockets and the connections that come by them.

    Args:
        sockets: bound sockets; they are closed by ``aclose``.
        router: routes all their datagrams.
        alpn_protocol: what ALPN negotiates.
        context: limits and accounts.
    """

    def __init__(
        self, sockets: Sequence[DatagramSocket], router: QUICRouter, alpn_protocol: str, context: ConnectionContext
    ) -> None:
        self.router: QUICRouter = router
        self.alpn_protocol: str = alpn_protocol
        self._sockets = tuple(sockets)
        self._context = context
        self._links: dict[HTTPOverQUICProtocol, EndpointLink] = {}
        self._in_handshake: dict[HTTPOverQUICProtocol, EndpointLink] = {}
        self._watch = Wakeup()
        self._watched_until = math.inf
        self._empty = trio.Event()
        self._draining = trio.Event()
        self._begin: Callable[[EndpointLink], None] | None = None

    @property
    def addresses(self) -> Sequence[AddressType]:
        """The bound addresses."""
        return tuple(socket.local_address for socket in self._sockets)

    @property
    def in_handshake(self) -> int:
        """How many connections have not completed their handshakes."""
        return len(self._in_handshake)

    async def run(self, begin: Callable[[EndpointLink], None], started: Callable[[], None]) -> None:
        """Move datagrams until the endpoint has drained.

        Args:
            begin: gives a task to a connection whose handshake is complete.
            started: called when all runs.

        Cancellation: connections that are being cancelled too have a moment for their last words.
        """
        self._begin = begin
        try:
            async with trio.open_nursery() as nursery:
                for socket in self._sockets:
                    sender = DatagramSender(socket)
                    nursery.start_soon(sender.run)
                    nursery.start_soon(self._receive, socket, sender)
                nursery.start_soon(self._watch_handshakes)
                started()
                await self._draining.wait()
                await self._wait_empty()
                nursery.cancel_scope.cancel()
        finally:
            self._draining.set()
            for link in list(self._in_handshake.values()):
                self._give_up(link)
            with trio.move_on_after(self._context.timeouts.flush_seconds, shield=True):  # a deadline, so bounded
                await self._wait_empty()
            for link in list(self._links.values()):
                link.say_goodbye()
                link.lose()
            with trio.move_on_after(1, shield=True):  # a deadline, though closing does not wait
                await self.close_sockets()

    async def _wait_empty(self) -> None:
        while self._links:
            self._empty = trio.Event()
            await self._empty.wait()

    def drain(self) -> None:
        """Accept no new connections; end when those that there are have ended."""
        self.router.drain()
        self._draining.set()

    async def close_sockets(self) -> None:
        """Close all sockets."""
        for socket in self._sockets:
            await socket.aclose()

    def forget(self, link: EndpointLink) -> None:
        """Route nothing to a connection any more. Harmless for one that is forgotten."""
        if self._links.pop(link.protocol, None) is None:
            return
        self._in_handshake.pop(link.protocol, None)
        self.router.forget(link.protocol)
        self._context.admission.release(link.host)
        if not self._links:
            self._empty.set()

    # Datagrams

    async def _receive(self, socket: DatagramSocket, sender: DatagramSender) -> None:
        # Nothing of a batch is kept in a variable while the next is waited for, which may be long.
        while True:
            try:
                await self._take(await socket.receive(), sender)
            except trio.ClosedResourceError:
                self._socket_gone(sender)
                return
            except trio.BrokenResourceError as exc:
                logger.error("UDP socket %r: %s", socket.local_address, exc)
                await trio.sleep(_RECOVERY_SECONDS)

    async def _take(self, batch: Sequence[DatagramType], sender: DatagramSender) -> None:
        now = trio.current_time()
        for datagram in batch:
            action = self.router.datagram_received(datagram[0], datagram[1], now)
            if isinstance(action, Deliver):
                link = self._links.get(action.connection)
                if link is None:
                    continue
                if link.runs:
                    link.deliver(datagram, sender)
                    continue
                if not link.sends_through(sender):
                    link.came_by(datagram[1], sender)
            elif isinstance(action, Accept):
                accepted = self._accept(action.connection, datagram, sender, now)
                if accepted is None:
                    continue
                link = accepted
            else:
                if isinstance(action, Reply):
                    sender.submit(self, [action.datagram])
                continue
            # A step of a handshake takes milliseconds of cryptography: others have their turn in between.
            self._advance(link, datagram)
            await trio.lowlevel.checkpoint()
            now = trio.current_time()

    def _socket_gone(self, sender: DatagramSender) -> None:
        """Let the connections that came by a socket know that it is no more."""
        for link in list(self._links.values()):
            if link.sends_through(sender):
                if link.runs:
                    link.lose()
                else:
                    self.forget(link)

    def _accept(
        self, protocol: HTTPOverQUICProtocol, datagram: DatagramType, sender: DatagramSender, now: float
    ) -> EndpointLink | None:
        host = datagram[1][0]
        if not self._context.admission.admit(host):
            self.router.forget(protocol)
            return None
        protocol.hold_streams = True
        deadline = now + self._context.timeouts.handshake_seconds
        link = EndpointLink(self, protocol, host, sender, deadline)
        self._links[protocol] = self._in_handshake[protocol] = link
        return link

    # Handshakes

    def _advance(self, link: EndpointLink, datagram: DatagramType | None) -> None:
        """Go on with a handshake: a datagram came, or its time has."""
        try:
            self._step(link, datagram)
        except Exception:  # noqa: BLE001  # the barrier: no connection may end its server
            logger.exception("the handshake of a connection from %s failed", link.host)
            self.forget(link)

    def _step(self, link: EndpointLink, datagram: DatagramType | None) -> None:
        protocol = link.protocol
        protocol.clock(trio.current_time())
        if datagram is not None:
            protocol.datagram_received(datagram)
        self._send(link)
        if protocol.output_end is not OutputEnd.OPEN:
            self.forget(link)  # it failed, and was told so
        elif protocol.handshake_complete:
            self._complete(link)
        else:
            timer = protocol.get_timer()
            link.timer = link.deadline if timer is None else min(timer, link.deadline)
            if link.timer < self._watched_until:
                self._watch.wake()

    def _send(self, link: EndpointLink) -> None:
        link.send(link.protocol.datagrams_to_send())
        self.router.update(link.protocol)

    def _complete(self, link: EndpointLink) -> None:
        del self._in_handshake[link.protocol]
        link.runs = True
        if self._begin is not None:
            self._begin(link)

    def _give_up(self, link: EndpointLink) -> None:
        protocol = link.protocol
        protocol.clock(trio.current_time())
        protocol.submit_close(message="the handshake was not completed")
        link.close_at_once(protocol.datagrams_to_send())

    async def _watch_handshakes(self) -> None:
        while True:
            await self._look_after_handshakes()
            self._watched_until = min((link.timer for link in self._in_handshake.values()), default=math.inf)
            with trio.CancelScope(deadline=self._watched_until):
                await self._watch.wait()

    async def _look_after_handshakes(self) -> None:
        now = trio.current_time()
        for link in [link for link in self._in_handshake.values() if link.timer <= now]:
            if link.protocol not in self._in_handshake:
                continue
            if link.deadline <= now:
                self._give_up(link)
            else:
                self._advance(link, None)
            await trio.lowlevel.checkpoint()
