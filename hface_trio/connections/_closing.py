"""How byte streams end: in order where that is possible, and under a deadline of the caller's always."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from ..networking import Buffer, ByteStream

__all__ = ["READ_OCTETS", "linger", "send_last"]

READ_OCTETS = 64 * 1024


async def linger(transport: ByteStream, *, eof_sent: bool, input_ended: bool, seconds: float) -> None:
    """Half-close and read on for a while, so that the peer can read the last answer; then close.

    Args:
        transport: to be closed.
        eof_sent: whether it is half-closed already.
        input_ended: whether the peer has ended its side.
        seconds: how long to read on at most.
    """
    with trio.move_on_after(seconds):
        try:
            if not eof_sent:
                await transport.send_eof()
            while not input_ended:
                input_ended = not await transport.receive_some(READ_OCTETS)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # nobody is left to read the answer
    await transport.aclose()


async def send_last(transport: ByteStream, buffers: Sequence[Buffer]) -> None:
    """Send what is left of a connection that was cancelled, and close it; under a deadline of the caller's."""
    try:
        for buffer in buffers:
            await transport.send_all(buffer)
        await transport.aclose()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        transport.abort()
    except trio.Cancelled:
        transport.abort()
        raise
