"""Byte streams in memory, which behave as TCP does as far as a program can tell.

A pair has a bounded buffer each way, so that a peer who does not read holds up who sends. The end of one direction is
received behind its data. A reset discards what has not been received, in both directions. To close a stream while data
lie unread in it is a reset, as with TCP: a program that drops its peer's data will see its own answer lost here, too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import trio

from ..models import AddressType
from ..networking import Buffer, ByteStream, ExtraAttributes
from ..networking._interfaces import check_receive_size

__all__ = ["MemoryByteStream", "memory_stream_pair"]

_logger = logging.getLogger("hface_trio.testing")

_BUFFER_OCTETS = 64 * 1024
_RECEIVE_OCTETS = 64 * 1024


class _Waiter:
    """One task that waits for a change."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: trio.Event | None = None

    async def wait(self, what: str) -> None:
        if self._event is not None:
            raise trio.BusyResourceError(f"another task is {what} on this stream")
        self._event = trio.Event()
        try:
            await self._event.wait()
        finally:
            self._event = None

    def wake(self) -> None:
        if self._event is not None:
            self._event.set()


class _Pipe:
    """One direction: what was sent and not received yet."""

    __slots__ = ("capacity", "data", "ended", "readable", "reset", "writable")

    def __init__(self, capacity: int) -> None:
        self.capacity: int = capacity
        self.data: bytearray = bytearray()
        self.ended: bool = False
        self.reset: bool = False
        self.readable: _Waiter = _Waiter()
        self.writable: _Waiter = _Waiter()

    def wake(self) -> None:
        self.readable.wake()
        self.writable.wake()


class MemoryByteStream(ByteStream):
    """One end of a pair; made by :func:`memory_stream_pair`.

    Attributes:
        receive_limit_octets: at most so many octets are returned by one ``receive_some``, to try a protocol with any
            chunking; ``None`` for what there is. May be changed at any time.
    """

    __slots__ = (
        "_attributes",
        "_closed",
        "_departure",
        "_input",
        "_output",
        "_peer",
        "_receiving",
        "_sending",
        "receive_limit_octets",
    )

    _peer: MemoryByteStream

    def __init__(self, incoming: _Pipe, outgoing: _Pipe, attributes: ExtraAttributes, limit: int | None) -> None:
        self._input = incoming
        self._output = outgoing
        self._attributes = attributes
        self._closed = False
        self._receiving = False
        self._sending = False
        self._departure: Callable[[], None] | None = None
        self.receive_limit_octets: int | None = limit

    @property
    def extra_attributes(self) -> ExtraAttributes:
        """The addresses that the pair was made with."""
        return self._attributes

    @property
    def unread_octets(self) -> int:
        """Octets that the peer sent and nobody has received here."""
        return len(self._input.data)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive what has come, waiting for the first octet.

        Args:
            max_bytes: at most so many octets; 64 KiB unless given.

        Returns:
            At least one octet; ``b""`` when the peer has ended its side.

        Raises:
            trio.BrokenResourceError: the peer reset the stream.
            trio.ClosedResourceError: it was closed here.
            trio.BusyResourceError: another task receives.

        Cancellation: nothing was taken.
        """
        if max_bytes is None:
            max_bytes = _RECEIVE_OCTETS
        else:
            check_receive_size(max_bytes)
        self._check_open()
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this stream")
        self._receiving = True
        try:
            await trio.lowlevel.checkpoint()
            while not (self._input.data or self._input.ended or self._input.reset or self._closed):
                await self._input.readable.wait("receiving")
        finally:
            self._receiving = False
        self._check_reset(self._input)
        if self.receive_limit_octets is not None:
            max_bytes = min(max_bytes, self.receive_limit_octets)
        data = bytes(self._input.data[:max_bytes])
        del self._input.data[:max_bytes]
        self._input.writable.wake()
        return data

    def send_nowait(self, buffers: Sequence[Buffer]) -> int:
        """Put into the buffer what there is room for; see :meth:`ByteStream.send_nowait`."""
        self._check_sending()
        taken = 0
        for buffer in buffers:
            room = self._output.capacity - len(self._output.data)
            if room <= 0:
                break
            self._output.data += buffer[:room]
            taken += min(room, len(buffer))
        if taken:
            self._output.readable.wake()
        return taken

    async def wait_writable(self) -> None:
        """Wait until there is room in the buffer; see :meth:`ByteStream.wait_writable`."""
        self._check_reset(self._output)
        await trio.lowlevel.checkpoint()
        await self._wait_for_room()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there is room in the buffer."""
        self._check_sending()
        self._sending = True
        try:
            await self.wait_writable()
        finally:
            self._sending = False

    async def flush(self) -> None:
        """Nothing waits here; a checkpoint."""
        self._check_open()
        await trio.lowlevel.checkpoint()

    async def send_all(self, data: Buffer) -> None:
        """Send all of ``data``.

        Raises:
            trio.BrokenResourceError: the peer reset the stream, or closed it.
            trio.ClosedResourceError: it was closed here, or ``send_eof`` was called.
            trio.BusyResourceError: another task sends.

        Cancellation: before the first octet nothing was sent; later an unknown part was, and the stream is as usable
            as before.
        """
        self._check_sending()
        self._sending = True
        try:
            await trio.lowlevel.checkpoint()
            self._check_reset(self._output)
            view = memoryview(data)
            while view:
                await self._wait_for_room()
                room = self._output.capacity - len(self._output.data)
                self._output.data += view[:room]
                self._output.readable.wake()
                view = view[room:]
        finally:
            self._sending = False

    async def send_eof(self) -> None:
        """End this side's output; the peer receives ``b""``. Receiving goes on. Harmless when repeated."""
        self._check_reset(self._output)
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        await trio.lowlevel.checkpoint()
        self._check_reset(self._output)
        self._end()

    async def aclose(self) -> None:
        """Close both directions; what was sent is still delivered, unless unread data make this a reset."""
        if not self._closed:
            if self._input.data:
                self._reset()
            else:
                self._end()
                self._input.reset = True  # nobody takes what the peer sends from now on
            self._close()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """Close at once; the peer sees a reset and loses what it has not received."""
        if not self._closed:
            self._reset()
            self._close()

    def watch_departure(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once when the peer has gone; see :meth:`ByteStream.watch_departure`."""
        self._check_open()
        self._departure = callback
        if self._input.ended or self._input.reset:
            self._tell_departure()

    def unwatch_departure(self) -> None:
        """Undo ``watch_departure``; harmless when nothing is watched."""
        self._departure = None

    def _end(self) -> None:
        self._output.ended = True
        self._output.wake()
        self._peer._tell_departure()

    def _reset(self) -> None:
        for pipe in (self._input, self._output):
            pipe.reset = True
            pipe.data.clear()
            pipe.wake()
        self._peer._tell_departure()

    def _close(self) -> None:
        self._closed = True
        self._departure = None
        self._input.wake()
        self._output.wake()

    def _tell_departure(self) -> None:
        callback = self._departure
        if callback is None:
            return

        def call() -> None:
            # Until now the callback may have been replaced or taken back.
            if self._departure is not callback:
                return
            self._departure = None
            try:
                callback()
            except Exception:
                _logger.exception("A departure callback failed")

        trio.lowlevel.current_trio_token().run_sync_soon(call)

    async def _wait_for_room(self) -> None:
        while len(self._output.data) >= self._output.capacity and not (self._output.reset or self._closed):
            await self._output.writable.wait("waiting for room")
        self._check_reset(self._output)

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this stream is closed")

    def _check_reset(self, pipe: _Pipe) -> None:
        self._check_open()
        if pipe.reset:
            raise trio.BrokenResourceError("the connection broke: reset or closed by the peer")

    def _check_sending(self) -> None:
        self._check_reset(self._output)
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        if self._output.ended:
            raise trio.ClosedResourceError("send_eof was called on this stream")


def memory_stream_pair(
    *,
    buffer_octets: int = _BUFFER_OCTETS,
    receive_limit_octets: int | None = None,
    addresses: tuple[AddressType, AddressType] = (("memory", 1), ("memory", 2)),
) -> tuple[MemoryByteStream, MemoryByteStream]:
    """Make two byte streams; what is sent on one is received from the other.

    Args:
        buffer_octets: what each direction holds before it holds up the sender, at least 1.
        receive_limit_octets: at most so many octets are returned by one ``receive_some``; ``None`` for what there is.
        addresses: local address of the first and of the second stream.
    """
    if buffer_octets < 1:
        raise ValueError("buffer_octets must be at least 1")
    forth, back = _Pipe(buffer_octets), _Pipe(buffer_octets)
    near, far = addresses
    first = MemoryByteStream(back, forth, ExtraAttributes(near, far), receive_limit_octets)
    second = MemoryByteStream(forth, back, ExtraAttributes(far, near), receive_limit_octets)
    first._peer = second
    second._peer = first
    return first, second
