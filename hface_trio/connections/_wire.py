"""Between a multiplexed protocol and its network: octets over a byte stream here, datagrams in :mod:`._datagram_wire`.

The reader and the writer of a connection know the network by :class:`Wire` alone. The reader waits in ``deliver``, which
calls it back when there is input, and hands that to the protocol by ``feed``, a turn's worth at a time; the writer takes what
the protocol has with ``collect`` and waits in ``send``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from ..protocols import HTTPOverTCPProtocol
from ._closing import READ_OCTETS, linger, send_last
from ._output import behind

if TYPE_CHECKING:
    from ..networking import Buffer, ByteStream, ExtraAttributes

__all__ = ["StreamWire", "Wire"]


class Wire(ABC):
    """The network of one connection, as its reader and its writer see it."""

    octets_sent: int
    """Octets that the network took."""
    input_ended: bool
    """Whether nothing more will come."""

    @property
    @abstractmethod
    def extra_attributes(self) -> ExtraAttributes:
        """What is known of the transport now."""

    @property
    @abstractmethod
    def read_in_part(self) -> bool:
        """Whether only a part of what was read at once has been fed."""

    @abstractmethod
    async def deliver(self, turn: Callable[[], bool]) -> None:
        """Wait until there is input, or its end, and call ``turn`` for it, at least once. A checkpoint.

        Args:
            turn: plain code that calls :meth:`feed`; called in this task's context and perhaps from another task. Returns
                whether there may be another turn. If there is, and when, is for this method to say: by returning, too.

        Raises:
            trio.BrokenResourceError: the network broke.
            trio.ClosedResourceError: it was closed here.

        Cancellation: nothing is lost.
        """

    @abstractmethod
    def feed(self) -> int:
        """Hand a turn's worth of input to the protocol, which was told the time; return how many octets it took."""

    @abstractmethod
    def prepare(self) -> None:
        """Let the protocol know that its output will be collected. Its events have to be taken in between."""

    @abstractmethod
    def collect(self) -> bool:
        """Take what the protocol has to send; return whether that is anything."""

    @abstractmethod
    async def send(self) -> None:
        """Send what was collected.

        Raises:
            trio.BrokenResourceError: the network broke.
            trio.ClosedResourceError: it was closed here.
            trio.TooSlowError: the peer took nothing in time.

        Cancellation: what is left is sent by ``close_at_once``.
        """

    @abstractmethod
    async def run(self) -> None:
        """Do what the network needs beside receiving and sending, for as long as the connection goes on."""

    @abstractmethod
    async def close(self, *, aborted: bool) -> None:
        """Close, in order unless ``aborted``; the protocol's last output was sent."""

    @abstractmethod
    async def close_at_once(self, *, aborted: bool) -> None:
        """Send what is left and close, under a deadline of the caller's."""


class StreamWire(Wire):
    """A byte stream.

    Args:
        protocol: feeds on what is received.
        transport: the stream, its handshake made.
        initial: octets that were received already.
        client_side: whether this process is the client.
        progress_seconds: how long the peer may take nothing of what is sent.
        linger_seconds: how long a server reads on after its last answer.
    """

    def __init__(
        self,
        protocol: HTTPOverTCPProtocol,
        transport: ByteStream,
        *,
        initial: bytes,
        client_side: bool,
        progress_seconds: float,
        linger_seconds: float,
    ) -> None:
        protocol.in_turns = True
        self.octets_sent = 0
        self.input_ended = False
        self._protocol = protocol
        self._transport = transport
        self._client_side = client_side
        self._progress_seconds = progress_seconds
        self._linger_seconds = linger_seconds
        self._received = initial
        self._pending: list[Buffer] = []

    @property
    def extra_attributes(self) -> ExtraAttributes:
        """What is known of the transport now."""
        return self._transport.extra_attributes

    @property
    def read_in_part(self) -> bool:
        """Whether octets of the last read wait for their turn."""
        return bool(self._received) or self._protocol.input_waits

    async def deliver(self, turn: Callable[[], bool]) -> None:
        """Read, unless octets of the last read still wait; those have their turn in another scheduler pass."""
        if self.read_in_part:
            await trio.lowlevel.checkpoint()
            turn()
            return

        def take(received: bytes) -> int:
            self._received = received
            self.input_ended = not received
            return READ_OCTETS if turn() and received and not self.read_in_part else 0

        try:
            await self._transport.deliver(take, READ_OCTETS)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.input_ended = True
            raise

    def feed(self) -> int:
        """Hand octets, or their end, to the protocol."""
        protocol, received = self._protocol, self._received
        if received:
            self._received = b""
            protocol.bytes_received(received)
        elif protocol.input_waits:
            protocol.bytes_received(b"")
        elif self.input_ended:
            protocol.eof_received()
        return len(received)

    def prepare(self) -> None:
        """Nothing to do: octets leave at no particular time."""

    def collect(self) -> bool:
        """Take the protocol's output."""
        self._pending = self._protocol.buffers_to_send()
        return bool(self._pending)

    async def send(self) -> None:
        """Send what was collected; the peer has to take something of it now and then."""
        transport = self._transport
        self._pending = behind(self._pending, self._sent(transport.send_nowait(self._pending)))
        while self._pending or transport.unsent_octets:
            before = (self.octets_sent, transport.unsent_octets)
            with trio.move_on_after(self._progress_seconds) as scope:
                await self._send_pending(scope)
            if scope.cancelled_caught and before == (self.octets_sent, transport.unsent_octets):
                raise trio.TooSlowError("the peer took nothing in time")

    async def _send_pending(self, scope: trio.CancelScope) -> None:
        transport = self._transport
        while self._pending:
            await transport.wait_writable()
            if sent := self._sent(transport.send_nowait(self._pending)):
                self._pending = behind(self._pending, sent)
                scope.deadline = trio.current_time() + self._progress_seconds
        await transport.flush()

    def _sent(self, n_octets: int) -> int:
        self.octets_sent += n_octets
        return n_octets

    async def run(self) -> None:
        """Nothing more is needed."""

    async def close(self, *, aborted: bool) -> None:
        """Close; a server half-closes first and reads on for a while."""
        if aborted:
            self._transport.abort()
        elif self._client_side:
            await self._transport.aclose()
        else:
            await linger(self._transport, eof_sent=False, input_ended=self.input_ended, seconds=self._linger_seconds)

    async def close_at_once(self, *, aborted: bool) -> None:
        """Send what is left and close."""
        buffers = [*self._pending, *self._protocol.buffers_to_send()]
        self._pending = []
        if aborted:
            self._transport.abort()
        else:
            await send_last(self._transport, buffers)
