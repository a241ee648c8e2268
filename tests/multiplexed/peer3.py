"""The face over the raw peer of HTTP/3."""

from __future__ import annotations

from collections.abc import Iterable

from ..http3 import raw
from .peer import ALL, Codes, Fields, Peer

__all__ = ["CODES", "Peer3"]

CODES = Codes(
    raw.Code.NO_ERROR,
    raw.Code.INTERNAL_ERROR,
    raw.Code.REQUEST_CANCELLED,
    raw.Code.REQUEST_REJECTED,
    raw.Code.EXCESSIVE_LOAD,
    raw.Code.MESSAGE_ERROR,
)


class Peer3(Peer[raw.RawPeer]):
    """RESET_STREAM ends what this side sends, STOP_SENDING what the other does."""

    codes = CODES
    halves = True
    GET = raw.GET
    POST = raw.POST

    def __init__(self, peer: raw.RawPeer) -> None:
        super().__init__(peer)
        self._ended: set[int] = set()  # by this side

    # Sending

    async def request(
        self, fields: Iterable[tuple[bytes, bytes]] | None = None, body: bytes = b"", *, end: bool = True
    ) -> int:
        stream_id = self.raw.next_id()
        if end:
            self._ended.add(stream_id)
        parts = [raw.headers(self.GET if fields is None else fields), *([raw.data(body)] if body else [])]
        await self.raw.send(stream_id, *parts, end=end)
        return stream_id

    async def headers(self, stream_id: int, fields: Iterable[tuple[bytes, bytes]], *, end: bool = False) -> None:
        if end:
            self._ended.add(stream_id)
        await self.raw.send(stream_id, raw.headers(fields), end=end)

    async def data(self, stream_id: int, data: bytes = b"", *, end: bool = False) -> None:
        if end:
            self._ended.add(stream_id)
        await self.raw.send(stream_id, *([raw.data(data)] if data else []), end=end)

    async def offer(self, stream_id: int, octets: int, *, frame_octets: int = 16_000, end: bool = True) -> None:
        if end:
            self._ended.add(stream_id)
        starts = range(0, octets, frame_octets)
        parts = b"".join(raw.data(bytes(min(frame_octets, octets - start))) for start in starts)
        await self.raw.send(stream_id, parts, end=end)

    async def answer_early(self, stream_id: int, body: bytes = b"hello") -> None:
        await self.raw.stop(stream_id, raw.Code.NO_ERROR)
        await self.answer(stream_id, body)

    async def reset(self, stream_id: int, code: int | None = None) -> None:
        act = self.raw.stop if stream_id in self._ended else self.raw.reset
        self._ended.add(stream_id)
        await act(stream_id, raw.Code.REQUEST_CANCELLED if code is None else code)

    async def refuse(self, stream_id: int) -> None:
        await self.raw.stop(stream_id, raw.Code.REQUEST_REJECTED)
        await self.reset(stream_id, raw.Code.REQUEST_REJECTED)

    async def goaway(self, requests: int, code: int | None = None) -> None:
        assert code is None
        await self.raw.goaway(raw.LAST if requests == ALL else 4 * requests)

    async def breach(self) -> None:
        await self.raw.send(self.raw.control, raw.pack_frame(4, b""))  # SETTINGS once more

    async def credit(self, stream_id: int, octets: int) -> None:
        await self.raw.credit(stream_id, octets)

    async def credit_connection(self, octets: int) -> None:
        await self.raw.credit_connection(octets)

    async def allow_streams(self, count: int) -> None:
        await self.raw.allow_streams(count)

    async def update_priority(self, stream_id: int, value: bytes) -> None:
        await self.raw.send(self.raw.control, raw.pack_frame(0xF0700, raw.pack_varint(stream_id) + value))

    # What came

    def sections(self, stream_id: int) -> list[Fields]:
        return self.raw.sections(stream_id)

    def requests(self) -> list[int]:
        return self.raw.requests()

    def resets(self) -> list[tuple[int, int]]:
        return self.raw.resets()

    def stops(self) -> list[tuple[int, int]]:
        return self.raw.stops()

    def goaways(self) -> list[int]:
        return [ALL if stream_id == raw.LAST else stream_id // 4 for stream_id in self.raw.goaways()]

    @property
    def closed_with(self) -> int:
        return self.raw.closed_with

    def allowed(self, stream_id: int | None = None) -> int:
        quic = self.raw.quic
        return quic._remote_max_data if stream_id is None else quic._streams[stream_id].max_stream_data_remote

    @property
    def local_address(self) -> object:
        return self.raw.socket.local_address

    # The end

    async def close(self, code: int | None = None) -> None:
        await self.raw.close(raw.Code.NO_ERROR if code is None else code)

    async def vanish(self) -> None:
        await self.raw.vanish()
