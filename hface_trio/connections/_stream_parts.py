"""What a stream hands out: its counts, and an iterator over its body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import trio

from ..events import DataReceived

if TYPE_CHECKING:
    from ._stream import HTTPStream

__all__ = ["DataIterator", "StreamStatistics"]


class StreamStatistics:
    """Counts of one stream at one moment.

    Args:
        body_octets_received: body octets that arrived.
        body_octets_sent: body octets submitted.
        buffered_octets: received octets that wait for the application.
        datagrams_dropped: datagrams that the application did not take in time.
    """

    __slots__ = ("body_octets_received", "body_octets_sent", "buffered_octets", "datagrams_dropped")

    def __init__(
        self, body_octets_received: int, body_octets_sent: int, buffered_octets: int, datagrams_dropped: int = 0
    ) -> None:
        self.body_octets_received: int = body_octets_received
        self.body_octets_sent: int = body_octets_sent
        self.buffered_octets: int = buffered_octets
        self.datagrams_dropped: int = datagrams_dropped

    def __repr__(self) -> str:
        return (
            f"StreamStatistics(body_octets_received={self.body_octets_received}, "
            f"body_octets_sent={self.body_octets_sent}, buffered_octets={self.buffered_octets}, "
            f"datagrams_dropped={self.datagrams_dropped})"
        )


class DataIterator:
    """Iterates over the body of a stream; made by :meth:`HTTPStream.iter_data`.

    A class and no generator: leaving the loop frees it at once, whatever the event loop is doing.
    """

    __slots__ = ("_stream",)

    def __init__(self, stream: HTTPStream) -> None:
        self._stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while True:
            try:
                event = await self._stream.receive()
            except trio.EndOfChannel:
                raise StopAsyncIteration from None
            if isinstance(event, DataReceived) and event.data:
                return event.data
