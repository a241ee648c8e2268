"""The face over the raw peer of HTTP/2."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from hyperframe.frame import Frame, RstStreamFrame

from ..http2 import raw
from .peer import ALL, Codes, Fields, Peer

__all__ = ["CODES", "Peer2"]

CODES = Codes(
    raw.NO_ERROR, raw.INTERNAL_ERROR, raw.CANCEL, raw.REFUSED_STREAM, raw.ENHANCE_YOUR_CALM, raw.PROTOCOL_ERROR
)
FRAME_OCTETS = 16_384
ALL_ID = 2**31 - 1


class Peer2(Peer[raw.RawPeer]):
    """One RST_STREAM says what the directions that are open end with."""

    codes = CODES
    halves = False
    GET = raw.GET
    POST = raw.POST

    def __init__(self, peer: raw.RawPeer) -> None:
        super().__init__(peer)
        self._ended_at: dict[int, int] = {}  # how many frames had come when this side ended a stream

    # Sending

    def _ends(self, stream_id: int) -> None:
        self._ended_at.setdefault(stream_id, len(self.raw.log))

    def _data(self, stream_id: int, data: bytes, *, end: bool) -> list[Frame]:
        parts = [data[start : start + FRAME_OCTETS] for start in range(0, len(data), FRAME_OCTETS)] or [b""]
        last = len(parts) - 1
        return [self.raw.data(stream_id, part, end=end and i == last) for i, part in enumerate(parts)]

    async def request(
        self, fields: Iterable[tuple[bytes, bytes]] | None = None, body: bytes = b"", *, end: bool = True
    ) -> int:
        stream_id = self.raw.next_id()
        frames = [self.raw.headers(stream_id, self.GET if fields is None else fields, end=end and not body)]
        if body:
            frames += self._data(stream_id, body, end=end)
        if end:
            self._ends(stream_id)
        await self.raw.send(*frames)
        return stream_id

    async def headers(self, stream_id: int, fields: Iterable[tuple[bytes, bytes]], *, end: bool = False) -> None:
        if end:
            self._ends(stream_id)
        await self.raw.send(self.raw.headers(stream_id, fields, end=end))

    async def data(self, stream_id: int, data: bytes = b"", *, end: bool = False) -> None:
        if end:
            self._ends(stream_id)
        await self.raw.send(*self._data(stream_id, data, end=end))

    async def offer(self, stream_id: int, octets: int, *, frame_octets: int = 16_000, end: bool = True) -> None:
        if end:
            self._ends(stream_id)
        await self.raw.offer(stream_id, octets, frame_octets=frame_octets, end=end)

    async def answer_early(self, stream_id: int, body: bytes = b"hello") -> None:
        await self.answer(stream_id, body)
        await self.reset(stream_id, raw.NO_ERROR)

    async def reset(self, stream_id: int, code: int | None = None) -> None:
        self._ends(stream_id)
        await self.raw.send(self.raw.reset(stream_id, raw.CANCEL if code is None else code))

    async def refuse(self, stream_id: int) -> None:
        await self.reset(stream_id, raw.REFUSED_STREAM)

    async def goaway(self, requests: int, code: int | None = None) -> None:
        last_id = ALL_ID if requests == ALL else max(2 * requests - 1, 0)
        await self.raw.send(self.raw.goaway(last_id, code or raw.NO_ERROR))

    async def breach(self) -> None:
        await self.raw.send(bytes(9))  # DATA on stream 0

    async def credit(self, stream_id: int, octets: int) -> None:
        await self.raw.send(self.raw.window(stream_id, octets))

    async def credit_connection(self, octets: int) -> None:
        await self.raw.send(self.raw.window(0, octets))

    async def allow_streams(self, count: int) -> None:
        await self.raw.send(self.raw.settings({raw.MAX_CONCURRENT_STREAMS: count}))

    async def update_priority(self, stream_id: int, value: bytes) -> None:
        await self.raw.send(struct.pack(">HBBBLL", 0, 4 + len(value), 0x10, 0, 0, stream_id) + value)

    # What came

    def sections(self, stream_id: int) -> list[Fields]:
        return self.raw.sections.get(stream_id, [])

    def requests(self) -> list[int]:
        return list(self.raw.sections)

    def _rst_streams(self) -> Iterable[tuple[int, int, bool, bool]]:
        """Each RST_STREAM: stream, code, whether the other side was sending then, whether this side was."""
        ended: set[int] = set()
        for position, frame in enumerate(self.raw.log):
            if "END_STREAM" in frame.flags:
                ended.add(frame.stream_id)
            elif isinstance(frame, RstStreamFrame):
                here = position < self._ended_at.get(frame.stream_id, len(self.raw.log))
                yield frame.stream_id, frame.error_code, frame.stream_id not in ended, here

    def resets(self) -> list[tuple[int, int]]:
        # and what ends no direction at all, so that it is not overlooked
        return [(stream_id, code) for stream_id, code, there, here in self._rst_streams() if there or not here]

    def stops(self) -> list[tuple[int, int]]:
        return [(stream_id, code) for stream_id, code, _, here in self._rst_streams() if here]

    def goaways(self) -> list[int]:
        return [ALL if last_id == ALL_ID else (last_id + 1) // 2 for last_id, _ in self.raw.goaways()]

    @property
    def closed_with(self) -> int:
        codes = [code for _, code in self.raw.goaways()]
        assert set(codes[:-1]) <= {raw.NO_ERROR}
        return codes[-1]

    def allowed(self, stream_id: int | None = None) -> int:
        return self.raw.allowed(stream_id or 0)

    @property
    def local_address(self) -> object:
        return self.raw.stream.extra_attributes.local_address

    # The end

    async def close(self, code: int | None = None) -> None:
        if code:
            await self.raw.send(self.raw.goaway(ALL_ID, code))
        await self.raw.close()
        self.raw.at_end = True

    async def vanish(self) -> None:
        self.raw.stream.abort()
        self.raw.at_end = True
