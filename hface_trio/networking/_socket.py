"""A byte stream on a socket, with nothing between it and the kernel.

``trio.SocketStream`` and ``trio.socket`` do for each call what is needed once per connection. This stream waits with
``trio.lowlevel`` and calls the socket itself: one system call to receive, one to send.

Receiving waits for readability first, because a server's next input is rarely there yet, so trying first would mostly
be a wasted call. Only after a receive that filled its whole buffer the next one is tried at once.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Sequence
from typing import NoReturn

import trio

from . import _socket_watch
from ._addresses import SocketAddress, address_from_system
from ._delivery import SocketDelivery, is_readable
from ._interfaces import Buffer, ByteStream, ExtraAttributes, check_receive_size

__all__ = ["SocketByteStream"]

_RECEIVE_OCTETS = 64 * 1024
_MOST_BUFFERS = 64  # of one send; the system takes 1024, but building long vectors buys nothing
_LINGER_NOT = struct.pack("ii", 1, 0)


class SocketByteStream(ByteStream):
    """A byte stream on a connected stream socket, which it owns from now on.

    Args:
        sock: a connected TCP or unix socket of the standard library. It is made non-blocking, and Nagle's algorithm
            is turned off.
        remote_address: the peer's address as the system gave it, where it is known already.
    """

    __slots__ = (
        "_attributes",
        "_closed",
        "_delivery",
        "_eof_sent",
        "_fd",
        "_likely_more",
        "_receiving",
        "_sending",
        "_socket",
    )

    def __init__(self, sock: socket.socket, *, remote_address: SocketAddress = None) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._fd = sock.fileno()
        self._closed = False
        self._eof_sent = False
        self._receiving = False
        self._delivery: SocketDelivery | None = None
        self._sending = False
        self._likely_more = False
        # Where a call fails, the peer has reset the connection already; the first receive or send will say so.
        with contextlib.suppress(OSError):
            if remote_address is None:
                remote_address = sock.getpeername()
        with contextlib.suppress(OSError):
            if sock.family != getattr(socket, "AF_UNIX", None):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._attributes = ExtraAttributes(
            local_address=address_from_system(sock.getsockname()),
            remote_address=None if remote_address is None else address_from_system(remote_address),
        )

    @property
    def extra_attributes(self) -> ExtraAttributes:
        """The addresses of both sides."""
        return self._attributes

    @property
    def may_have_input(self) -> bool:
        """Whether there is something to receive: octets, their end, or the end of the connection."""
        return self._closed or is_readable(self._fd)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive what has come, waiting for the first octet.

        Args:
            max_bytes: at most so many octets; 64 KiB unless given.

        Returns:
            At least one octet; ``b""`` when the peer has ended its side.

        Raises:
            trio.BrokenResourceError: the peer reset the connection, or it broke.
            trio.ClosedResourceError: it was closed here.
            trio.BusyResourceError: another task receives.
        """
        if max_bytes is None:
            max_bytes = _RECEIVE_OCTETS
        elif type(max_bytes) is not int or max_bytes < 1:  # first, because a call costs more
            check_receive_size(max_bytes)
        if self._closed:
            raise trio.ClosedResourceError("this stream is closed")
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this stream")
        self._receiving = True
        try:
            if self._likely_more:
                await trio.lowlevel.checkpoint()
            else:
                await trio.lowlevel.wait_readable(self._fd)
            while True:
                try:
                    data = self._socket.recv(max_bytes)
                    break
                except BlockingIOError:
                    await trio.lowlevel.wait_readable(self._fd)
        except OSError as exc:
            raise self._translate(exc) from exc
        finally:
            self._receiving = False
        self._likely_more = len(data) == max_bytes
        return data

    async def deliver(self, take: Callable[[bytes], int], max_bytes: int) -> None:
        """Hand on what arrives where it is noticed, if a :class:`SocketWatch` runs; see :meth:`ByteStream.deliver`."""
        if self._closed:
            raise trio.ClosedResourceError("this stream is closed")
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this stream")
        if max_bytes <= 0:
            await trio.lowlevel.checkpoint()
            return
        self._receiving = True
        delivery = self._delivery = SocketDelivery(self._socket, take, max_bytes)
        try:
            max_bytes = await delivery.run()
        finally:
            self._receiving = False
            self._delivery = None
        if delivery.broken is not None:
            try:
                raise self._translate(delivery.broken) from delivery.broken
            finally:
                delivery.broken = None  # whose traceback has the delivery
        await super().deliver(take, max_bytes)

    def send_nowait(self, buffers: Sequence[Buffer]) -> int:
        """Send as much as the kernel takes at once; see :meth:`ByteStream.send_nowait`."""
        if self._closed or self._eof_sent or self._sending:
            self._refuse_to_send()
        try:
            if len(buffers) == 1:
                return self._socket.send(buffers[0])
            return self._socket.sendmsg(buffers if len(buffers) <= _MOST_BUFFERS else buffers[:_MOST_BUFFERS])
        except BlockingIOError:
            return 0
        except OSError as exc:
            raise self._translate(exc) from exc

    async def wait_writable(self) -> None:
        """Wait until the kernel takes octets; see :meth:`ByteStream.wait_writable`."""
        if self._closed:
            raise trio.ClosedResourceError("this stream is closed")
        try:
            await trio.lowlevel.wait_writable(self._fd)
        except OSError as exc:
            raise self._translate(exc) from exc

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the kernel takes octets."""
        if self._closed or self._sending:
            self._refuse_to_send()
        self._sending = True
        try:
            await self.wait_writable()
        finally:
            self._sending = False

    async def flush(self) -> None:
        """Nothing waits here; a checkpoint."""
        if self._closed:
            raise trio.ClosedResourceError("this stream is closed")
        await trio.lowlevel.checkpoint()

    async def send_all(self, data: Buffer) -> None:
        """Send all of ``data``.

        Raises:
            trio.BrokenResourceError: the peer reset the connection, or it broke.
            trio.ClosedResourceError: it was closed here, or ``send_eof`` was called.
            trio.BusyResourceError: another task sends.

        Cancellation: before the first octet nothing was sent; later an unknown part was, and the stream is as usable
            as before.
        """
        if self._closed or self._eof_sent or self._sending:
            self._refuse_to_send()
        self._sending = True
        try:
            await trio.lowlevel.checkpoint()
            with memoryview(data) as view:
                sent = 0
                while sent < len(view):
                    with view[sent:] as rest:
                        try:
                            sent += self._socket.send(rest)
                            continue
                        except BlockingIOError:
                            pass
                    await trio.lowlevel.wait_writable(self._fd)
        except OSError as exc:
            raise self._translate(exc) from exc
        finally:
            self._sending = False

    async def send_eof(self) -> None:
        """End this side's output; the peer receives ``b""``. Receiving goes on. Harmless when repeated."""
        if self._closed or self._sending:
            self._refuse_to_send()
        await trio.lowlevel.checkpoint()
        if self._closed or self._sending:
            self._refuse_to_send()
        if self._eof_sent:
            return
        self._eof_sent = True
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as exc:
            raise self._translate(exc) from exc

    async def aclose(self) -> None:
        """Close both directions; what was sent is still delivered.

        Data that the peer sent and nobody received make the system reset the connection, and the peer may then lose
        what was sent to it: end the output and read on for a while first. Never raises ``OSError``.
        """
        self._close()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """Close at once; a TCP peer sees a reset.

        Unix sockets have no reset: their peer sees one only where it sent data that nobody received.
        """
        if self._closed:
            return
        with contextlib.suppress(OSError):  # has been reset, so nobody is left who could take this for a clean end
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self._close()

    def watch_departure(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once when the peer has gone; see :meth:`ByteStream.watch_departure`.

        It takes a running :class:`SocketWatch`; without one nothing is called.
        """
        if self._closed:
            raise trio.ClosedResourceError("this stream is closed")
        _socket_watch.watch_departure(self._fd, callback)

    def unwatch_departure(self) -> None:
        """Undo ``watch_departure``; harmless when nothing is watched."""
        if not self._closed:
            _socket_watch.unwatch_departure(self._fd)

    def _close(self) -> None:
        if self._closed:
            return
        _socket_watch.unwatch_departure(self._fd)
        self._closed = True
        if self._delivery is not None:
            self._delivery.fail(trio.ClosedResourceError("this stream was closed by another task"))
        trio.lowlevel.notify_closing(self._fd)
        with contextlib.suppress(OSError):  # may tell of a reset, on which nobody can act; the descriptor is gone
            self._socket.close()

    def _refuse_to_send(self) -> NoReturn:
        if self._closed:
            raise trio.ClosedResourceError("this stream is closed")
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        raise trio.ClosedResourceError("send_eof was called on this stream")

    def _translate(self, exc: OSError) -> Exception:
        if self._closed:
            return trio.ClosedResourceError("this stream was closed by another task")
        return trio.BrokenResourceError(f"the connection broke: {exc.strerror or exc}")
