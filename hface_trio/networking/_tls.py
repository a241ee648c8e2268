"""TLS over any byte stream.

``trio.SSLStream`` has no half-close, one cancelled send breaks it for good, and its receive may wait for its sends. The
rules here:

- Nothing between two awaits leaves the TLS state half-way, so a call can be cancelled anywhere: what is encrypted waits
  in order (:mod:`._tls_output`), and the next call that sends takes it along.
- Receiving never waits for sending. What reading makes TLS emit (answers to key updates, alerts) is tried once without
  waiting, and otherwise leaves with the next send. A peer that makes more than
  64 KiB of it wait is cut off.
- An end of the transport without close_notify is an error, for it may be an attacker's (RFC 8446 §6.1).
- close_notify ends one direction only (RFC 8446 §6.1): after ``send_eof`` receiving goes on, whatever the TLS version.
"""

from __future__ import annotations

import contextlib
import enum
import ssl
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NoReturn

import trio

from ..errors import TLSHandshakeError
from ._interfaces import Buffer, ByteStream, ExtraAttributes, check_receive_size
from ._tls_engine import TLSEngine
from ._tls_errors import describe_tls_error
from ._tls_output import TLSOutput

__all__ = ["TLSByteStream"]

_RECEIVE_OCTETS = 64 * 1024
# A little more than what four full records take on the wire, so that they come with one receive.
_CIPHERTEXT_OCTETS = _RECEIVE_OCTETS + 1024
_HANDSHAKE_OCTETS = 4096  # more than a hello has; what comes then may have to wait long for its turn
_AT_ANY_TIME: contextlib.nullcontext[None] = contextlib.nullcontext()


class _State(enum.Enum):
    NEW = "the TLS handshake has not been made"
    OPEN = "open"
    FAILED = "the TLS handshake failed"
    CLOSED = "this stream is closed"


class TLSByteStream(ByteStream):
    """TLS on a byte stream, which it owns from now on. ``handshake`` comes before everything else.

    Args:
        transport: what carries the ciphertext.
        context: how to speak TLS; shared between connections.
        server_side: whether this is the server of the connection.
        server_name: name that the server's certificate must show, also sent as SNI; an IP address is verified and not
            sent. For clients.
        handshake_turns: shared by streams of which only so many shall make a step of their handshakes in a scheduler pass.
    """

    __slots__ = (
        "_attributes",
        "_engine",
        "_fed",
        "_handshake_turns",
        "_output",
        "_receiving",
        "_sending",
        "_state",
        "_transport",
    )

    def __init__(
        self,
        transport: ByteStream,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        server_name: str | None = None,
        handshake_turns: trio.Semaphore | None = None,
    ) -> None:
        self._transport = transport
        self._handshake_turns: AbstractAsyncContextManager[None] = handshake_turns or _AT_ANY_TIME
        self._fed = False  # the peer's octets are in the engine, and no step was made with them
        self._engine = TLSEngine(context, server_side=server_side, server_name=server_name)
        self._state = _State.NEW
        self._attributes: ExtraAttributes | None = None
        self._output = TLSOutput(self._engine, transport)
        self._receiving = False
        self._sending = False

    # What is known

    @property
    def extra_attributes(self) -> ExtraAttributes:
        """The transport's, and from the handshake on what TLS tells."""
        if self._attributes is not None:
            return self._attributes
        attributes = self._transport.extra_attributes
        if self._state is not _State.OPEN:
            return attributes
        self._attributes = self._engine.describe(attributes)
        return self._attributes

    @property
    def unsent_octets(self) -> int:
        """Octets of ciphertext that the transport has not taken."""
        return self._output.unsent_octets

    @property
    def may_have_input(self) -> bool:
        """Whether there is something to receive, or ciphertext that may say something."""
        return self._state is not _State.OPEN or self._engine.has_input or self._transport.may_have_input

    # Handshake

    @property
    def has_handshake(self) -> bool:
        """Whether the TLS handshake has not been made."""
        return self._state is not _State.OPEN

    async def handshake(self) -> None:
        """Make the TLS handshake; nothing when it has been made.

        The caller puts it under a deadline. After a failure the alert for the peer has been sent, if that was
        possible without waiting.

        Raises:
            TLSHandshakeError: TLS failed, or the peer ended the connection; the message says why, in one line.
            trio.BrokenResourceError: the transport broke.
            trio.BusyResourceError: another task makes it.

        Cancellation: it can be called again, and goes on.
        """
        while not await self.step_handshake():
            await self.wait_handshake_peer()

    async def step_handshake(self) -> bool:
        """Go on with the handshake as far as the peer's octets lead; see :meth:`ByteStream.step_handshake`."""
        if self._state is _State.OPEN:
            await trio.lowlevel.checkpoint()
            return True
        self._begin_handshaking()
        try:
            # Without octets of the peer there is little to do, and no turn is needed for it.
            async with self._handshake_turns if self._fed else _AT_ANY_TIME:
                if self._state is not _State.NEW:
                    self._refuse()
                done = self._step_handshake()
            await trio.lowlevel.checkpoint()
            if self._state is not _State.NEW:
                self._refuse()
            if not self._output.push() or self._transport.unsent_octets or not done:
                return False
        finally:
            self._sending = self._receiving = False
        self._state = _State.OPEN
        return True

    async def wait_handshake_peer(self) -> None:
        """Wait until the peer has taken or sent octets of the handshake; see :meth:`ByteStream.wait_handshake_peer`."""
        if self._state is _State.OPEN:
            await trio.lowlevel.checkpoint()
            return
        self._begin_handshaking()
        try:
            if not self._output.push() or self._transport.unsent_octets:
                await self._output.flush()
            else:
                self._engine.feed(await self._transport.receive_some(_HANDSHAKE_OCTETS))
                self._fed = True
        finally:
            self._sending = self._receiving = False

    def _begin_handshaking(self) -> None:
        if self._state is not _State.NEW:
            self._refuse()
        if self._sending or self._receiving:
            raise trio.BusyResourceError("another task is making the handshake")
        self._sending = self._receiving = True

    def _step_handshake(self) -> bool:
        self._fed = False
        try:
            return self._engine.step_handshake()
        except ssl.SSLError as exc:
            self._state = _State.FAILED
            self._output.push_quietly()
            raise TLSHandshakeError(f"TLS handshake failed: {describe_tls_error(exc)}") from exc

    # Receiving

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive what has come, several records at a time, waiting for the first octet.

        Args:
            max_bytes: at most so many octets; 64 KiB unless given.

        Returns:
            At least one octet; ``b""`` when the peer has ended its side with close_notify.

        Raises:
            trio.BrokenResourceError: the connection broke or was cut off, or the peer broke TLS.
            trio.ClosedResourceError: it was closed here.
            trio.BusyResourceError: another task receives.
        """
        if max_bytes is None:
            max_bytes = _RECEIVE_OCTETS
        else:
            check_receive_size(max_bytes)
        if self._state is not _State.OPEN:
            self._refuse()
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this stream")
        self._receiving = True
        try:
            engine = self._engine
            if engine.has_input:
                await trio.lowlevel.checkpoint()
            else:
                engine.feed(await self._transport.receive_some(_CIPHERTEXT_OCTETS))
            while True:
                if self._state is not _State.OPEN:
                    self._refuse()
                data = self._decrypt(max_bytes)
                if data or engine.end is True:
                    return data
                engine.feed(await self._transport.receive_some(_CIPHERTEXT_OCTETS))
        finally:
            self._receiving = False

    async def deliver(self, take: Callable[[bytes], int], max_bytes: int) -> None:
        """Hand on what arrives where the transport notices it; see :meth:`ByteStream.deliver`."""
        if self._state is not _State.OPEN:
            self._refuse()
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this stream")
        engine = self._engine

        def hand_on() -> int:
            nonlocal max_bytes
            while max_bytes > 0:
                if self._state is not _State.OPEN:
                    self._refuse()
                data = self._decrypt(max_bytes)
                if not data and engine.end is not True:
                    return _CIPHERTEXT_OCTETS
                max_bytes = take(data)
            return 0

        def feed(ciphertext: bytes) -> int:
            engine.feed(ciphertext)
            return hand_on()

        self._receiving = True
        try:
            if engine.has_input:
                await trio.lowlevel.checkpoint()
                if not hand_on():
                    return
            await self._transport.deliver(feed, _CIPHERTEXT_OCTETS)
        finally:
            self._receiving = False

    def _decrypt(self, max_bytes: int) -> bytes:
        engine = self._engine
        data = engine.decrypt(max_bytes)
        if engine.output_octets:
            self._output.push_quietly()
            if self._output.is_too_much:
                raise trio.BrokenResourceError("the peer makes TLS answer and does not take the answers")
        self._output.input_came()
        if not data and isinstance(engine.end, ssl.SSLError):
            raise trio.BrokenResourceError(describe_tls_error(engine.end)) from engine.end
        return data

    # Sending

    def send_nowait(self, buffers: Sequence[Buffer]) -> int:
        """Encrypt and send what leaves without waiting; see :meth:`ByteStream.send_nowait`."""
        if self._state is not _State.OPEN or self._engine.notified or self._sending:
            self._refuse_to_send()
        return self._output.encrypt(buffers)

    async def wait_writable(self) -> None:
        """Wait until all ciphertext has left and the transport takes more; see :meth:`ByteStream.wait_writable`."""
        if self._state is not _State.OPEN:
            self._refuse()
        await self._wait_writable()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until all ciphertext has left and the transport takes more."""
        if self._state is not _State.OPEN or self._sending:
            self._refuse_to_send()
        self._sending = True
        try:
            await self.wait_writable()
        finally:
            self._sending = False

    async def flush(self) -> None:
        """Wait until all ciphertext has been handed to the kernel."""
        if self._state is not _State.OPEN:
            self._refuse()
        await trio.lowlevel.checkpoint()
        await self._output.flush()

    async def send_all(self, data: Buffer) -> None:
        """Encrypt and send all of ``data``; returns when the kernel has all of it.

        Raises:
            trio.BrokenResourceError: the connection broke.
            trio.ClosedResourceError: it was closed here, or ``send_eof`` was called.
            trio.BusyResourceError: another task sends.

        Cancellation: before the first octet nothing was sent; later an unknown part was, and the stream is as usable
            as before.
        """
        if self._state is not _State.OPEN or self._engine.notified or self._sending:
            self._refuse_to_send()
        self._sending = True
        try:
            await trio.lowlevel.checkpoint()
            with memoryview(data) as view:
                taken = 0
                while taken < len(view):
                    if self._state is not _State.OPEN:
                        self._refuse()
                    with view[taken:] as rest:
                        octets = self._output.encrypt((rest,))
                    taken += octets
                    if not octets:
                        await self._wait_writable()
            await self._output.flush()
        finally:
            self._sending = False

    async def send_eof(self) -> None:
        """End this side's output with close_notify, and then the transport's. Receiving goes on.

        The transport's end is not needed by TLS, but by peers that wait for it, such as those of a lingering close.

        Raises:
            trio.BrokenResourceError: the connection broke.
            trio.ClosedResourceError: it was closed here.
            trio.BusyResourceError: another task sends.

        Cancellation: to be called again; until then nothing else can be sent.
        """
        if self._state is not _State.OPEN or self._sending:
            self._refuse_to_send()
        self._sending = True
        try:
            await trio.lowlevel.checkpoint()
            if self._state is not _State.OPEN:
                self._refuse()
            if not self._engine.queue_close_notify():
                raise trio.BrokenResourceError("TLS cannot end its output")
            await self._output.flush()
            await self._transport.send_eof()
        finally:
            self._sending = False

    async def _wait_writable(self) -> None:
        await self._output.wait_writable()
        if self._state is not _State.OPEN:
            self._refuse()

    # Ending

    async def aclose(self) -> None:
        """Close both directions; waits for nothing.

        close_notify is sent if all before it has left, or leaves without waiting, so that a peer never takes an
        output that was cut for a whole one. See :meth:`SocketByteStream.aclose` for data that nobody received.
        """
        if self._state is _State.OPEN and not self._sending:
            self._engine.queue_close_notify()
        if self._state is not _State.CLOSED:
            self._output.push_quietly()
            self._close()
        await self._transport.aclose()

    def abort(self) -> None:
        """Close at once; the peer sees a reset."""
        self._close()
        self._transport.abort()

    def _close(self) -> None:
        self._state = _State.CLOSED
        self._output.drop()

    def watch_departure(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once when the peer has ended or reset the transport."""
        self._transport.watch_departure(callback)

    def unwatch_departure(self) -> None:
        """Undo ``watch_departure``; harmless when nothing is watched."""
        self._transport.unwatch_departure()

    def _refuse(self) -> NoReturn:
        if self._state is _State.CLOSED:
            raise trio.ClosedResourceError(self._state.value)
        if self._state is _State.FAILED:
            raise trio.BrokenResourceError(self._state.value)
        raise RuntimeError(self._state.value)

    def _refuse_to_send(self) -> NoReturn:
        if self._state is not _State.OPEN:
            self._refuse()
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        raise trio.ClosedResourceError("send_eof was called on this stream")
