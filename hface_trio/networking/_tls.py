"""TLS over any byte stream, on ``ssl.SSLObject`` with memory BIOs.

``trio.SSLStream`` has no half-close, one cancelled send breaks it for good, and its receive may wait for its sends. The
rules here:

- Nothing between two awaits leaves the TLS state half-way, so a call can be cancelled anywhere: what is encrypted waits
  here in order, and the next call that sends takes it along.
- Receiving never waits for sending. What reading makes TLS emit (answers to key updates, alerts) is tried once without
  waiting, and otherwise leaves with the next send. A peer that makes more than
  ``_CONTROL_OCTETS`` of it wait is cut off.
- Plaintext is encrypted only while no ciphertext waits, so at most one slice's worth of ciphertext lies here.
- An end of the transport without close_notify is an error, for it may be an attacker's (RFC 8446 §6.1).
- close_notify ends one direction only (RFC 8446 §6.1): after ``send_eof`` receiving goes on, whatever the TLS version.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

import trio

from ..errors import TLSHandshakeError
from ._client_hello import read_server_name_untrusted
from ._interfaces import Buffer, ByteStream, ExtraAttributes, check_receive_size
from ._tls_errors import describe_tls_error

__all__ = ["TLSByteStream"]

_RECORD_OCTETS = 16 * 1024
_RECEIVE_OCTETS = 64 * 1024
# A little more than what four full records take on the wire, so that they come with one receive.
_CIPHERTEXT_OCTETS = _RECEIVE_OCTETS + 1024
_SLICE_OCTETS = 64 * 1024  # encrypted and sent in one go
_SEND_OCTETS = 4 * _SLICE_OCTETS  # encrypted by one send_nowait, so that it returns in well under a millisecond
_CONTROL_OCTETS = 64 * 1024
# A slice that follows a nearly full one may lie here too, besides the control output.
_MOST_UNSENT_OCTETS = 2 * _SLICE_OCTETS + 1024 + _CONTROL_OCTETS
_NOTHING = memoryview(b"")


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
    """

    __slots__ = (
        "_attributes",
        "_hello",
        "_incoming",
        "_notified",
        "_object",
        "_outgoing",
        "_plaintext",
        "_receive_end",
        "_receiving",
        "_sending",
        "_server_name",
        "_state",
        "_transport",
        "_unsent",
        "_wants_input",
    )

    def __init__(
        self, transport: ByteStream, context: ssl.SSLContext, *, server_side: bool, server_name: str | None = None
    ) -> None:
        self._transport = transport
        self._server_name = server_name
        # What the client sent before it got an answer. OpenSSL bounds it, as it refuses a longer ClientHello.
        self._hello = bytearray() if server_side else None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_name
        )
        self._state = _State.NEW
        self._attributes: ExtraAttributes | None = None
        self._unsent = _NOTHING  # ciphertext that was taken out of the BIO and not by the transport
        self._plaintext = b""  # decrypted ahead, by send_eof
        self._receive_end: ssl.SSLError | bool = False  # True: close_notify came; an error: TLS failed
        self._wants_input: trio.Event | None = None  # OpenSSL must read before it can write on
        self._notified = False  # our close_notify lies in the BIO or has left
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
        cipher = self._object.cipher()
        self._attributes = dataclasses.replace(
            attributes,
            tls_version=self._object.version(),
            cipher=None if cipher is None else cipher[0],
            alpn_protocol=self._object.selected_alpn_protocol(),
            server_name=self._server_name,
            peer_certificate=self._object.getpeercert(binary_form=True),
        )
        return self._attributes

    @property
    def unsent_octets(self) -> int:
        """Octets of ciphertext that the transport has not taken."""
        return len(self._unsent) + self._outgoing.pending + self._transport.unsent_octets

    # Handshake

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
        if self._state is _State.OPEN:
            await trio.lowlevel.checkpoint()
            return
        if self._state is not _State.NEW:
            self._refuse()
        if self._sending or self._receiving:
            raise trio.BusyResourceError("another task is making the handshake")
        self._sending = self._receiving = True
        try:
            while not self._step_handshake():
                await self._send_pending()
                await self._receive_flight()
            await self._send_pending()
        finally:
            self._sending = self._receiving = False
        self._state = _State.OPEN

    async def _receive_flight(self) -> None:
        ciphertext = await self._transport.receive_some(_CIPHERTEXT_OCTETS)
        if not ciphertext:
            self._incoming.write_eof()
            return
        self._incoming.write(ciphertext)
        if self._hello is not None:
            self._hello += ciphertext

    def _step_handshake(self) -> bool:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            if self._hello is not None and self._outgoing.pending:  # OpenSSL has accepted it, and answers
                self._server_name = read_server_name_untrusted(bytes(self._hello))
                self._hello = None
            return False
        except (ssl.SSLError, ssl.CertificateError) as exc:
            self._state = _State.FAILED
            self._push_quietly()
            raise TLSHandshakeError(f"TLS handshake failed: {describe_tls_error(exc)}") from exc
        return True

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
            if self._plaintext or self._receive_end or self._incoming.pending or self._object.pending():
                await trio.lowlevel.checkpoint()
            else:
                await self._receive_ciphertext()
            while True:
                if self._state is not _State.OPEN:
                    self._refuse()
                data = self._decrypt(max_bytes)
                if data or self._receive_end is True:
                    return data
                await self._receive_ciphertext()
        finally:
            self._receiving = False

    async def _receive_ciphertext(self) -> None:
        ciphertext = await self._transport.receive_some(_CIPHERTEXT_OCTETS)
        if ciphertext:
            self._incoming.write(ciphertext)
        else:
            self._incoming.write_eof()

    def _decrypt(self, max_bytes: int) -> bytes:
        """Return what can be decrypted now; nothing when it takes more ciphertext, or at the end."""
        if self._plaintext:
            data = self._plaintext[:max_bytes]
            self._plaintext = self._plaintext[max_bytes:]
            return data
        data = self._read_record(max_bytes)
        if data and len(data) < max_bytes and (self._incoming.pending or self._object.pending()):
            data = b"".join([data, *self._read_records(max_bytes - len(data))])
        if self._outgoing.pending:
            self._push_quietly()
            if len(self._unsent) + self._outgoing.pending > _MOST_UNSENT_OCTETS:
                raise trio.BrokenResourceError("the peer makes TLS answer and does not take the answers")
        if self._wants_input is not None:
            self._wants_input.set()
            self._wants_input = None
        if not data and isinstance(self._receive_end, ssl.SSLError):
            raise trio.BrokenResourceError(describe_tls_error(self._receive_end)) from self._receive_end
        return data

    def _read_records(self, max_bytes: int) -> list[bytes]:
        records: list[bytes] = []
        while max_bytes and (self._incoming.pending or self._object.pending()):
            data = self._read_record(max_bytes)
            if not data:
                break
            records.append(data)
            max_bytes -= len(data)
        return records

    def _read_record(self, max_bytes: int) -> bytes:
        # One call returns one record at most, so asking for more would only allocate more.
        if self._receive_end:
            return b""
        try:
            data = self._object.read(min(max_bytes, _RECORD_OCTETS))
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLZeroReturnError:  # close_notify, after ours
            data = b""
        except ssl.SSLError as exc:
            self._receive_end = exc
            return b""
        if not data:
            self._receive_end = True
        return data

    # Sending

    def send_nowait(self, buffers: Sequence[Buffer]) -> int:
        """Encrypt and send what leaves without waiting; see :meth:`ByteStream.send_nowait`."""
        if self._state is not _State.OPEN or self._notified or self._sending:
            self._refuse_to_send()
        return self._encrypt(buffers)

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
        await self._send_pending()

    async def send_all(self, data: Buffer) -> None:
        """Encrypt and send all of ``data``; returns when the kernel has all of it.

        Raises:
            trio.BrokenResourceError: the connection broke.
            trio.ClosedResourceError: it was closed here, or ``send_eof`` was called.
            trio.BusyResourceError: another task sends.

        Cancellation: before the first octet nothing was sent; later an unknown part was, and the stream is as usable
            as before.
        """
        if self._state is not _State.OPEN or self._notified or self._sending:
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
                        octets = self._encrypt((rest,))
                    taken += octets
                    if not octets:
                        await self._wait_writable()
            await self._send_pending()
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
            if not self._queue_close_notify():
                raise trio.BrokenResourceError("TLS cannot end its output")
            await self._send_pending()
            await self._transport.send_eof()
        finally:
            self._sending = False

    async def _wait_writable(self) -> None:
        while True:
            await self._transport.wait_writable()
            if self._push():
                break
        if self._wants_input is not None:
            await self._wants_input.wait()
            if self._state is not _State.OPEN:
                self._refuse()

    async def _send_pending(self) -> None:
        while not self._push():
            await self._transport.wait_writable()
        if self._transport.unsent_octets:
            await self._transport.flush()

    def _push(self) -> bool:
        """Hand ciphertext to the transport until it takes no more; say whether all has left."""
        while True:
            if not self._unsent:
                if not self._outgoing.pending:
                    return True
                self._unsent = memoryview(self._outgoing.read())
            sent = self._transport.send_nowait((self._unsent,))
            if sent < len(self._unsent):
                self._unsent = self._unsent[sent:]
                return False
            self._unsent = _NOTHING

    def _push_quietly(self) -> None:
        # For those who do not send: whoever does will hear of the failure.
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            self._push()

    def _encrypt(self, buffers: Sequence[Buffer]) -> int:
        """Encrypt and push from the front of ``buffers``; return the octets taken."""
        if not self._push():
            return 0
        taken = 0
        try:
            for plaintext in _slices(buffers):
                self._object.write(plaintext)
                taken += len(plaintext)
                if self._outgoing.pending >= _SLICE_OCTETS and (not self._push() or taken >= _SEND_OCTETS):
                    return taken
        except ssl.SSLWantReadError:
            # A handshake message after the handshake has come in part, and OpenSSL wants its rest first.
            if self._wants_input is None:
                self._wants_input = trio.Event()
        except ssl.SSLError as exc:
            raise trio.BrokenResourceError(describe_tls_error(exc)) from exc
        self._push()
        return taken

    # Ending

    def _queue_close_notify(self) -> bool:
        """Put close_notify behind what waits; say whether it has its place there."""
        if self._notified:
            return True
        # unwrap() also looks for the peer's close_notify, and breaks the connection if it finds data instead. So what
        # has come is decrypted first.
        self._plaintext += b"".join(self._read_records(_CIPHERTEXT_OCTETS * 2))
        pending = self._outgoing.pending
        with contextlib.suppress(ssl.SSLError):  # mostly SSLWantReadError: the peer's close_notify is not here
            self._object.unwrap()
        self._notified = self._outgoing.pending > pending
        return self._notified

    async def aclose(self) -> None:
        """Close both directions; waits for nothing.

        close_notify is sent if all before it has left, or leaves without waiting, so that a peer never takes an
        output that was cut for a whole one. See :meth:`SocketByteStream.aclose` for data that nobody received.
        """
        if self._state is _State.OPEN and not self._sending:
            self._queue_close_notify()
        if self._state is not _State.CLOSED:
            self._push_quietly()
            self._close()
        await self._transport.aclose()

    def abort(self) -> None:
        """Close at once; the peer sees a reset."""
        self._close()
        self._transport.abort()

    def _close(self) -> None:
        self._state = _State.CLOSED
        self._unsent = _NOTHING
        self._plaintext = b""
        if self._wants_input is not None:
            self._wants_input.set()
            self._wants_input = None

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


def _slices(buffers: Sequence[Buffer]) -> Iterator[Buffer]:
    """Cut ``buffers`` into what one call encrypts: small ones joined into one record, large ones cut into slices."""
    small: list[Buffer] = []
    octets = 0
    for buffer in buffers:
        if small and octets + len(buffer) > _RECORD_OCTETS:
            yield b"".join(small)
            small.clear()
            octets = 0
        if len(buffer) > _RECORD_OCTETS:
            with memoryview(buffer) as view:
                for start in range(0, len(view), _SLICE_OCTETS):
                    yield view[start : start + _SLICE_OCTETS]
        elif len(buffer):
            small.append(buffer)
            octets += len(buffer)
    if small:
        yield small[0] if len(small) == 1 else b"".join(small)
