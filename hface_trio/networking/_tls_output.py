"""What TLS has to send, and its way into the transport.

What is encrypted waits here in order, and whoever sends next takes it along. Plaintext is encrypted only while no ciphertext
waits, so at most one slice's worth of ciphertext lies here, besides what TLS answers by itself.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Sequence

import trio

from ._interfaces import Buffer, ByteStream
from ._tls_engine import SLICE_OCTETS, TLSEngine, slices
from ._tls_errors import describe_tls_error

__all__ = ["TLSOutput"]

_SEND_OCTETS = 4 * SLICE_OCTETS  # encrypted by one send_nowait, so that it returns in well under a millisecond
_CONTROL_OCTETS = 64 * 1024
# A slice that follows a nearly full one may lie here too, besides the control output.
_MOST_OCTETS = 2 * SLICE_OCTETS + 1024 + _CONTROL_OCTETS
_NOTHING = memoryview(b"")


class TLSOutput:
    """The output of one TLS engine.

    Args:
        engine: encrypts.
        transport: carries the ciphertext.
    """

    __slots__ = ("_engine", "_transport", "_unsent", "_wants_input")

    def __init__(self, engine: TLSEngine, transport: ByteStream) -> None:
        self._engine = engine
        self._transport = transport
        self._unsent = _NOTHING  # ciphertext that was taken out of the engine and not by the transport
        self._wants_input: trio.Event | None = None  # OpenSSL must read before it can write on

    @property
    def unsent_octets(self) -> int:
        """Octets of ciphertext that the transport has not taken, or not sent."""
        return len(self._unsent) + self._engine.output_octets + self._transport.unsent_octets

    @property
    def is_too_much(self) -> bool:
        """Whether more waits than an honest peer makes TLS answer."""
        return len(self._unsent) + self._engine.output_octets > _MOST_OCTETS

    def push(self) -> bool:
        """Hand ciphertext to the transport until it takes no more; say whether all has left."""
        while True:
            if not self._unsent:
                if not self._engine.output_octets:
                    return True
                self._unsent = memoryview(self._engine.take_output())
            sent = self._transport.send_nowait((self._unsent,))
            if sent < len(self._unsent):
                self._unsent = self._unsent[sent:]
                return False
            self._unsent = _NOTHING

    def push_quietly(self) -> None:
        """Push on behalf of somebody who does not send: whoever does will hear of a failure."""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            self.push()

    async def flush(self) -> None:
        """Wait until all ciphertext has left."""
        while not self.push():
            await self._transport.wait_writable()
        if self._transport.unsent_octets:
            await self._transport.flush()

    def encrypt(self, buffers: Sequence[Buffer]) -> int:
        """Encrypt and push from the front of ``buffers``; return the octets taken."""
        if not self.push():
            return 0
        taken = 0
        try:
            for plaintext in slices(buffers):
                self._engine.encrypt(plaintext)
                taken += len(plaintext)
                if self._engine.output_octets >= SLICE_OCTETS and (not self.push() or taken >= _SEND_OCTETS):
                    return taken
        except ssl.SSLWantReadError:
            # A handshake message after the handshake has come in part, and OpenSSL wants its rest first.
            if self._wants_input is None:
                self._wants_input = trio.Event()
        except ssl.SSLError as exc:
            raise trio.BrokenResourceError(describe_tls_error(exc)) from exc
        self.push()
        return taken

    async def wait_writable(self) -> None:
        """Wait until all ciphertext has left and the transport takes more; perhaps for :meth:`input_came`, too."""
        while True:
            await self._transport.wait_writable()
            if self.push():
                break
        if self._wants_input is not None:
            await self._wants_input.wait()

    def input_came(self) -> None:
        """Let who waits try again: the engine has got more of the peer's, or gets nothing any more."""
        if self._wants_input is not None:
            self._wants_input.set()
            self._wants_input = None

    def drop(self) -> None:
        """Forget what waits: the stream is closed."""
        self._unsent = _NOTHING
        self.input_came()
