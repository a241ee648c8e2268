"""Any trio stream as a byte stream.

What a plain stream cannot do bounds what the adapter can:

- It cannot send without waiting. So ``send_nowait`` keeps up to ``_PENDING_OCTETS`` here, and ``wait_writable``,
  ``flush`` and the other sending calls send them.
- It does not tell what a cancelled send has sent. So a send that is cancelled while the stream works ends this side's
  output: later sends raise ``BrokenResourceError``. Receiving goes on.
- It may have no end of output. Then ``send_eof`` sends what waits, and ends nothing that the peer could see.
- It does not tell of a departure behind unread data. ``watch_departure`` never calls.
- It may have no way to close without waiting. Then ``abort`` makes every call fail at once, and ``aclose``, which is
  due after it as ever, closes the stream without ceremony.
- ``aclose`` sends what waits, so the peer can hold it up.
"""

from __future__ import annotations

import contextlib
import inspect
import socket
import struct
from collections.abc import Callable, Generator, Sequence
from typing import cast

import trio

from ._interfaces import Buffer, ByteStream, ExtraAttributes

__all__ = ["StreamAdapter"]

_PENDING_OCTETS = 64 * 1024


class StreamAdapter(ByteStream):
    """A byte stream on any ``trio.abc.Stream``, which it owns from now on.

    Args:
        stream: a stream of octets, such as ``trio.SocketStream`` or ``trio.StapledStream``.
        extra_attributes: what is known of it.
    """

    __slots__ = (
        "_aborted",
        "_attributes",
        "_broken",
        "_closed",
        "_eof_sent",
        "_pending",
        "_scopes",
        "_sending",
        "_stream",
        "_working",
    )

    def __init__(self, stream: trio.abc.Stream, *, extra_attributes: ExtraAttributes | None = None) -> None:
        self._stream = stream
        self._attributes = extra_attributes or ExtraAttributes()
        self._pending = bytearray()
        self._sending = False  # send_all or send_eof is under way
        self._working = False  # the stream is at work on sending
        self._eof_sent = False
        self._broken = False
        self._closed = False
        self._aborted = False
        self._scopes: set[trio.CancelScope] = set()  # of the calls that wait for the stream

    @property
    def extra_attributes(self) -> ExtraAttributes:
        """What was given."""
        return self._attributes

    @property
    def unsent_octets(self) -> int:
        """Octets that ``send_nowait`` took and the stream has not."""
        return len(self._pending)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive from the stream; see its own documentation for what a cancelled call leaves."""
        self._check_open()
        data: bytes | bytearray = b""
        with self._abortable():
            data = await self._stream.receive_some(max_bytes)
        return bytes(data)

    def send_nowait(self, buffers: Sequence[Buffer]) -> int:
        """Take what there is room for; it leaves with the next call that sends and waits."""
        self._check_sending()
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        taken = 0
        for buffer in buffers:
            room = _PENDING_OCTETS - len(self._pending)
            if room <= 0:
                break
            self._pending += buffer[:room]
            taken += min(room, len(buffer))
        return taken

    async def wait_writable(self) -> None:
        """Send what waits, or wait until the stream takes octets."""
        self._check_sending()
        self._check_idle()
        if self._pending:
            await self._send(b"")
            return
        with self._at_work():
            await self._stream.wait_send_all_might_not_block()

    async def wait_send_all_might_not_block(self) -> None:
        """Send what waits, or wait until the stream takes octets."""
        await self.wait_writable()

    async def flush(self) -> None:
        """Send what waits."""
        self._check_sending()
        if not self._pending:
            await trio.lowlevel.checkpoint()
        while self._pending:
            self._check_idle()
            await self._send(b"")

    async def send_all(self, data: Buffer) -> None:
        """Send what waits, and ``data``.

        Cancellation: ends this side's output once the stream was at work.
        """
        self._check_sending()
        self._check_idle()
        self._sending = True
        try:
            await self._send(data)
        finally:
            self._sending = False

    async def send_eof(self) -> None:
        """Send what waits, and end the output if the stream can. Harmless when repeated."""
        if self._eof_sent and not self._closed:
            await trio.lowlevel.checkpoint()
            return
        self._check_sending()
        self._check_idle()
        self._sending = True
        try:
            await self._send(b"")
            self._eof_sent = True
            if isinstance(self._stream, trio.abc.HalfCloseableStream):
                with self._at_work():
                    await self._stream.send_eof()
        finally:
            self._sending = False

    async def aclose(self) -> None:
        """Send what waits, and close the stream. The peer can hold this up: put it under a deadline."""
        try:
            if self._pending and not (self._working or self._broken):
                with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    await self._send(b"")
        finally:
            forcefully = self._aborted or self._broken or self._working
            self._close()
            if forcefully:
                await trio.aclose_forcefully(self._stream)
            else:
                await self._stream.aclose()

    def abort(self) -> None:
        """Close at once; the peer sees a reset where the stream is a TCP socket of trio's.

        Where the stream cannot close without waiting, that takes place in ``aclose``.
        """
        self._aborted = True
        self._close()
        _close_now(self._stream)

    def watch_departure(self, callback: Callable[[], None]) -> None:
        """Nothing: a plain stream cannot tell."""

    def unwatch_departure(self) -> None:
        """Nothing."""

    async def _send(self, data: Buffer) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        waiting = bytes(self._pending)
        self._pending.clear()
        try:
            with self._at_work():
                if waiting:
                    await self._stream.send_all(waiting)
                if data:
                    await self._stream.send_all(data)
                if not waiting and not data:
                    await trio.lowlevel.checkpoint()
        except BaseException:
            self._broken = True
            raise

    @contextlib.contextmanager
    def _at_work(self) -> Generator[None]:
        self._working = True
        try:
            with self._abortable():
                yield
        finally:
            self._working = False

    @contextlib.contextmanager
    def _abortable(self) -> Generator[None]:
        scope = trio.CancelScope()
        self._scopes.add(scope)
        try:
            with scope:
                yield
        finally:
            self._scopes.discard(scope)
        self._check_open()

    def _close(self) -> None:
        self._closed = True
        self._pending.clear()
        for scope in self._scopes:
            scope.cancel()

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this stream is closed")

    def _check_idle(self) -> None:
        if self._sending or self._working:
            raise trio.BusyResourceError("another task is sending on this stream")

    def _check_sending(self) -> None:
        self._check_open()
        if self._eof_sent:
            raise trio.ClosedResourceError("send_eof was called on this stream")
        if self._broken:
            raise trio.BrokenResourceError("an earlier send failed or was cancelled")


def _close_now(stream: trio.abc.AsyncResource) -> None:
    if isinstance(stream, trio.SocketStream):
        with contextlib.suppress(OSError):  # closed, or reset by the peer: then there is nothing to reset
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.socket.close()
    elif isinstance(stream, trio.StapledStream):
        halves = cast("trio.StapledStream[trio.abc.SendStream, trio.abc.ReceiveStream]", stream)
        _close_now(halves.send_stream)
        _close_now(halves.receive_stream)
    else:
        close = getattr(stream, "close", None)  # as the halves of trio.testing's memory streams have
        if callable(close) and not inspect.iscoroutinefunction(close):
            close()
