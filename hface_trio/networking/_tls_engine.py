"""One TLS connection without its I/O: an ``ssl.SSLObject`` between two memory BIOs.

Nothing here waits, and nothing is left half-way: ciphertext goes in by ``feed``, what is encrypted waits in order until
``take_output``. What OpenSSL finds wrong with the peer is kept in ``end``, behind the data that came before it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ssl
from collections.abc import Iterator, Sequence

from ._client_hello import offers_protocols_untrusted, read_server_name_untrusted
from ._interfaces import Buffer, ExtraAttributes

__all__ = ["SLICE_OCTETS", "TLSEngine", "slices"]

RECORD_OCTETS = 16 * 1024
SLICE_OCTETS = 64 * 1024  # encrypted in one go


class TLSEngine:
    """TLS between plaintext and ciphertext.

    Args:
        context: how to speak TLS.
        server_side: whether this is the server.
        server_name: what the server's certificate must show; for clients.

    Attributes:
        end: how the input has ended: ``False`` while it has not, ``True`` by the peer's close_notify, or by an error.
        notified: this side's close_notify waits or has been taken; nothing can be encrypted behind it.
    """

    __slots__ = (
        "_ahead",
        "_hello",
        "_incoming",
        "_object",
        "_offers_protocols",
        "_outgoing",
        "_server_name",
        "end",
        "notified",
    )

    def __init__(self, context: ssl.SSLContext, *, server_side: bool, server_name: str | None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_name
        )
        self._server_name = server_name
        self._offers_protocols = False
        # What the client sent before it got an answer. OpenSSL bounds it, as it refuses a longer ClientHello.
        self._hello = bytearray() if server_side else None
        self._ahead = b""  # decrypted before it was asked for
        self.end: ssl.SSLError | bool = False
        self.notified = False

    def describe(self, attributes: ExtraAttributes) -> ExtraAttributes:
        """Add what TLS tells after the handshake to what is known of the transport."""
        cipher = self._object.cipher()
        return dataclasses.replace(
            attributes,
            tls_version=self._object.version(),
            cipher=None if cipher is None else cipher[0],
            alpn_protocol=self._object.selected_alpn_protocol(),
            alpn_offered=self._offers_protocols,
            server_name=self._server_name,
            peer_certificate=self._object.getpeercert(binary_form=True),
        )

    def feed(self, ciphertext: bytes) -> None:
        """Take what the transport brought; nothing is its end."""
        if not ciphertext:
            self._incoming.write_eof()
            return
        self._incoming.write(ciphertext)
        if self._hello is not None:
            self._hello += ciphertext

    def step_handshake(self) -> bool:
        """Go on with the handshake as far as the input goes; say whether it is complete.

        Raises:
            ssl.SSLError: it failed.
        """
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            if self._hello is not None and self._outgoing.pending:  # OpenSSL has accepted it, and answers
                hello, self._hello = bytes(self._hello), None
                self._server_name = read_server_name_untrusted(hello)
                self._offers_protocols = offers_protocols_untrusted(hello)
            return False
        return True

    # Input

    @property
    def has_input(self) -> bool:
        """Whether ``decrypt`` has something to work on."""
        return bool(self._ahead or self.end or self._incoming.pending or self._object.pending())

    def decrypt(self, max_octets: int) -> bytes:
        """Return what can be decrypted now, of several records at once; nothing when it takes more, or at the end."""
        if self._ahead:
            data = self._ahead[:max_octets]
            self._ahead = self._ahead[max_octets:]
            return data
        data = self._read_record(max_octets)
        if data and len(data) < max_octets and (self._incoming.pending or self._object.pending()):
            return b"".join([data, *self._read_records(max_octets - len(data))])
        return data

    def _read_records(self, max_octets: int) -> list[bytes]:
        records: list[bytes] = []
        while max_octets and (self._incoming.pending or self._object.pending()):
            data = self._read_record(max_octets)
            if not data:
                break
            records.append(data)
            max_octets -= len(data)
        return records

    def _read_record(self, max_octets: int) -> bytes:
        if self.end:
            return b""
        try:
            # One call returns one record at most, so asking for more would only allocate more.
            data = self._object.read(min(max_octets, RECORD_OCTETS))
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLZeroReturnError:  # close_notify, after ours
            data = b""
        except ssl.SSLError as exc:
            self.end = exc
            return b""
        if not data:
            self.end = True
        return data

    # Output

    @property
    def output_octets(self) -> int:
        """Octets of ciphertext that wait to be taken."""
        return self._outgoing.pending

    def take_output(self) -> bytes:
        """Return the ciphertext that waits."""
        return self._outgoing.read()

    def encrypt(self, plaintext: Buffer) -> None:
        """Encrypt all of a slice.

        Raises:
            ssl.SSLWantReadError: OpenSSL wants the rest of a message of TLS first; nothing was encrypted.
            ssl.SSLError: TLS has failed.
        """
        self._object.write(plaintext)

    def queue_close_notify(self) -> bool:
        """Put close_notify behind what waits; say whether it has its place there."""
        if self.notified:
            return True
        # unwrap() also looks for the peer's close_notify, and breaks the connection if it finds data instead. So what
        # has been fed is decrypted first.
        self._ahead += b"".join(self._read_records(self._incoming.pending + RECORD_OCTETS))
        before = self._outgoing.pending
        with contextlib.suppress(ssl.SSLError):  # mostly SSLWantReadError: the peer's close_notify is not here
            self._object.unwrap()
        self.notified = self._outgoing.pending > before
        return self.notified


def slices(buffers: Sequence[Buffer]) -> Iterator[Buffer]:
    """Cut ``buffers`` into what one call encrypts: small ones joined into one record, large ones cut into slices."""
    small: list[Buffer] = []
    octets = 0
    for buffer in buffers:
        if small and octets + len(buffer) > RECORD_OCTETS:
            yield b"".join(small)
            small.clear()
            octets = 0
        if len(buffer) > RECORD_OCTETS:
            with memoryview(buffer) as view:
                for start in range(0, len(view), SLICE_OCTETS):
                    yield view[start : start + SLICE_OCTETS]
        elif len(buffer):
            small.append(buffer)
            octets += len(buffer)
    if small:
        yield small[0] if len(small) == 1 else b"".join(small)
