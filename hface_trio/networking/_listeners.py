"""Listeners: sockets that accept byte streams, and TLS on top of any listener."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import ssl
from typing import TypeAlias

import trio

from ..models import AddressType
from ._addresses import address_from_system, format_address
from ._interfaces import ByteStream, ByteStreamListener
from ._socket import SocketByteStream
from ._tls import TLSByteStream

__all__ = ["FileIdentity", "SocketListener", "TLSListener"]

FileIdentity: TypeAlias = tuple[int, int]
"""Device and inode of a file."""

_logger = logging.getLogger("hface_trio.networking")

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_EXHAUSTED_PAUSE_SECONDS = 0.1

_HANDSHAKE_STEPS = 8
"""In one scheduler pass: some milliseconds' worth, so that connections that are served go on however many clients come at
once, and so many that these get through where passes are long for other reasons."""

# What befell the one connection that would have been accepted; accept(2) says to go on with the next.
_LOST = frozenset(
    getattr(errno, name)
    for name in (
        "ECONNABORTED",
        "ECONNRESET",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "ENETDOWN",
        "ENETUNREACH",
        "ENONET",
        "ENOPROTOOPT",
        "EOPNOTSUPP",
        "EPERM",
        "EPROTO",
        "ETIMEDOUT",
    )
    if hasattr(errno, name)
)


class SocketListener(ByteStreamListener):
    """Accepts connections on a listening socket, which it owns from now on.

    Args:
        sock: a listening TCP or unix socket.
        unix_file: which file a unix socket has made; it is removed at the end, if it is still the same.
    """

    __slots__ = ("_address", "_closed", "_exhausted", "_socket", "_unix_file")

    def __init__(self, sock: socket.socket, *, unix_file: FileIdentity | None = None) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._address = address_from_system(sock.getsockname())
        self._unix_file = unix_file
        self._closed = False
        self._exhausted = False

    @property
    def address(self) -> AddressType:
        """The bound address."""
        return self._address

    async def accept(self) -> ByteStream:
        """Wait for a connection.

        Raises:
            trio.ClosedResourceError: the listener was closed.
            trio.BusyResourceError: another task accepts.
            OSError: the system cannot accept on this socket any more.
        """
        while True:
            if self._closed:
                raise trio.ClosedResourceError("this listener is closed")
            await trio.lowlevel.wait_readable(self._socket)
            try:
                sock, remote_address = self._socket.accept()
            except BlockingIOError:
                continue
            except OSError as exc:
                if exc.errno in _EXHAUSTED:
                    await self._wait_for_resources(exc)
                elif exc.errno not in _LOST and not self._closed:
                    raise
                continue
            self._exhausted = False
            return SocketByteStream(sock, remote_address=remote_address)

    def accept_nowait(self) -> ByteStream | None:
        """Return a connection that is there already, or ``None``."""
        if self._closed:
            return None
        try:
            sock, remote_address = self._socket.accept()
        except OSError:
            return None
        return SocketByteStream(sock, remote_address=remote_address)

    async def _wait_for_resources(self, exc: OSError) -> None:
        if not self._exhausted:
            self._exhausted = True
            _logger.error("Cannot accept on %s for now: %s", format_address(self._address), exc.strerror)
        await trio.sleep(_EXHAUSTED_PAUSE_SECONDS)

    async def aclose(self) -> None:
        """Stop listening. Connections that nobody has accepted are reset by the system."""
        self._close()
        await trio.lowlevel.checkpoint()

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        trio.lowlevel.notify_closing(self._socket)
        if self._unix_file is not None:
            path = self._socket.getsockname()
            with contextlib.suppress(OSError):  # it has been removed already, or may not be removed by us any more
                status = os.stat(path)
                if (status.st_dev, status.st_ino) == self._unix_file:
                    os.unlink(path)
        self._socket.close()


class TLSListener(ByteStreamListener):
    """Puts TLS on what another listener accepts.

    Args:
        listener: accepts the transports; it is closed with this one.
        context: a server's TLS context.
    """

    __slots__ = ("_context", "_handshake_turns", "_listener")

    def __init__(self, listener: ByteStreamListener, context: ssl.SSLContext) -> None:
        self._listener = listener
        self._context = context
        self._handshake_turns = trio.Semaphore(_HANDSHAKE_STEPS)

    @property
    def address(self) -> AddressType:
        """The bound address."""
        return self._listener.address

    async def accept(self) -> ByteStream:
        """Wait for a connection; its handshake has not been made."""
        return self._wrap(await self._listener.accept())

    def accept_nowait(self) -> ByteStream | None:
        """Return a connection that is there already, or ``None``."""
        transport = self._listener.accept_nowait()
        return None if transport is None else self._wrap(transport)

    def _wrap(self, transport: ByteStream) -> TLSByteStream:
        return TLSByteStream(transport, self._context, server_side=True, handshake_turns=self._handshake_turns)

    async def aclose(self) -> None:
        """Stop listening."""
        await self._listener.aclose()
