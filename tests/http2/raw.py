"""A peer that speaks HTTP/2 frame by frame over a byte stream, as a client or as a server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

import trio
from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

__all__ = ["GET", "POST", "PREFACE", "RESPONSE", "RawPeer", "closed_by_peer"]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GET = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"localhost"), (b":path", b"/")]
POST = [(b":method", b"POST"), *GET[1:]]
RESPONSE = [(b":status", b"200")]

MAX_CONCURRENT_STREAMS = SettingsFrame.MAX_CONCURRENT_STREAMS
INITIAL_WINDOW_SIZE = SettingsFrame.INITIAL_WINDOW_SIZE

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = 5, 7, 8, 9
ENHANCE_YOUR_CALM = 11

_F = TypeVar("_F", bound=Frame)
_Headers = list[tuple[bytes, bytes]]


class _Offer(NamedTuple):
    """A body that waits for windows."""

    octets: int
    frame_octets: int
    pad: int | None
    end: bool


class RawPeer:
    """Sends what frames it is told to, keeps all that come.

    It acknowledges settings and pings, and returns credit for DATA, unless told otherwise. There is no task behind it: frames
    are taken while a test waits for some.
    """

    def __init__(self, stream, *, client: bool = True) -> None:
        self.stream = stream
        self.client = client
        self.encoder = Encoder()
        self.decoder = Decoder(max_header_list_size=2**24)
        self.log: list[Frame] = []
        self.sections: dict[int, list[_Headers]] = {}
        self.acknowledges_pings = True
        self.credits_connection = True
        self.credits_streams = True
        self.at_end = False
        self._rest = b""
        self._next_id = 1
        self._checked = 0
        self._ended: set[int] = set()
        self._sent: dict[int, int] = {}  # octets that windows count; on stream 0, of all streams
        self._offered: dict[int, _Offer] = {}

    # Sending

    async def start(self, settings: dict[int, int] | None = None) -> None:
        """Send the preface and settings, and take the peer's."""
        preface = PREFACE if self.client else b""
        await self.stream.send_all(preface + SettingsFrame(0, settings or {}).serialize())
        await self.until(lambda: any(isinstance(f, SettingsFrame) and "ACK" in f.flags for f in self.log))

    async def send(self, *frames: Frame | bytes) -> None:
        """Send frames, all in one go."""
        await self.stream.send_all(b"".join(f if isinstance(f, bytes) else f.serialize() for f in frames))

    def next_id(self) -> int:
        stream_id, self._next_id = self._next_id, self._next_id + 2
        return stream_id

    def headers(self, stream_id: int, fields: Iterable[tuple[bytes, bytes]] = GET, *, end: bool = True) -> Frame:
        flags = ["END_HEADERS", "END_STREAM"] if end else ["END_HEADERS"]
        return HeadersFrame(stream_id, self.encoder.encode(list(fields)), flags=flags)

    def data(self, stream_id: int, data: bytes = b"", *, end: bool = False, pad: int | None = None) -> Frame:
        flags = ["END_STREAM"] if end else []
        frame = DataFrame(stream_id, data, flags=flags)
        if pad is not None:
            frame = DataFrame(stream_id, data, flags=[*flags, "PADDED"], pad_length=pad)
        for counted in (0, stream_id):
            self._sent[counted] = self._sent.get(counted, 0) + frame.flow_controlled_length
        return frame

    def reset(self, stream_id: int, code: int = CANCEL) -> Frame:
        return RstStreamFrame(stream_id, error_code=code)

    def window(self, stream_id: int, octets: int) -> Frame:
        return WindowUpdateFrame(stream_id, window_increment=octets)

    def settings(self, settings: dict[int, int]) -> Frame:
        return SettingsFrame(0, settings)

    def ping(self, data: bytes = b"a ping!!") -> Frame:
        return PingFrame(0, data)

    def goaway(self, last_stream_id: int, code: int = NO_ERROR) -> Frame:
        return GoAwayFrame(0, last_stream_id=last_stream_id, error_code=code)

    async def offer(
        self, stream_id: int, octets: int, *, frame_octets: int = 16_000, pad: int | None = None, end: bool = True
    ) -> None:
        """Send a body as the windows let it through: what fits now, and the rest while frames are taken."""
        self._offered[stream_id] = _Offer(octets, frame_octets, pad, end)
        await self._send_offered()

    async def _send_offered(self) -> None:
        for stream_id, offer in list(self._offered.items()):
            frames: list[Frame] = []
            left = offer.octets
            while left:
                part = min(left, offer.frame_octets)
                needed = part + (0 if offer.pad is None else offer.pad + 1)
                if needed > min(
                    self.allowed(stream_id) - self._sent.get(stream_id, 0), self.allowed(0) - self._sent.get(0, 0)
                ):
                    break
                frames.append(self.data(stream_id, bytes(part), pad=offer.pad))
                left -= part
            if left:
                self._offered[stream_id] = offer._replace(octets=left)
            else:
                del self._offered[stream_id]
                if offer.end:
                    frames.append(self.data(stream_id, end=True))
            if frames:
                await self.send(*frames)

    async def request(self, fields: Iterable[tuple[bytes, bytes]] = GET, *, end: bool = True) -> int:
        """Open a stream; return its id."""
        stream_id = self.next_id()
        await self.send(self.headers(stream_id, fields, end=end))
        return stream_id

    # Receiving

    async def _take_some(self) -> None:
        try:
            data = await self.stream.receive_some()
        except trio.BrokenResourceError:
            data = b""
        if not data:
            self.at_end = True
            return
        self._rest += data
        answers = b""
        position = 0
        view = memoryview(self._rest)
        while len(view) - position >= 9:
            frame, length = Frame.parse_frame_header(view[position : position + 9])
            if len(view) - position < 9 + length:
                break
            frame.parse_body(view[position + 9 : position + 9 + length])
            position += 9 + length
            answers += self._taken(frame)
        self._rest = self._rest[position:]
        if answers and not self.at_end:
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self.stream.send_all(answers)  # should it fail: what came is still looked at
        if self._offered:
            await self._send_offered()

    def _taken(self, frame: Frame) -> bytes:
        self.log.append(frame)
        answer = b""
        if "END_STREAM" in frame.flags:
            self._ended.add(frame.stream_id)
        if isinstance(frame, HeadersFrame):
            section = [(bytes(n), bytes(v)) for n, v in self.decoder.decode(frame.data, raw=True)]
            self.sections.setdefault(frame.stream_id, []).append(section)
        elif isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
            answer = SettingsFrame(0, flags=["ACK"]).serialize()
        elif isinstance(frame, PingFrame) and "ACK" not in frame.flags and self.acknowledges_pings:
            answer = PingFrame(0, frame.opaque_data, flags=["ACK"]).serialize()
        elif isinstance(frame, DataFrame) and frame.flow_controlled_length:
            if self.credits_connection:
                answer += WindowUpdateFrame(0, window_increment=frame.flow_controlled_length).serialize()
            if self.credits_streams and "END_STREAM" not in frame.flags:
                answer += WindowUpdateFrame(frame.stream_id, window_increment=frame.flow_controlled_length).serialize()
        return answer

    async def until(self, condition: Callable[[], object]) -> None:
        """Take frames until a condition holds; the end of the connection before it is a failure."""
        while not condition():
            assert not self.at_end, f"the connection ended; the last frames: {self.log[-8:]}"
            await self._take_some()

    async def read_for(self, seconds: float) -> None:
        """Take what comes within a time."""
        with trio.move_on_after(seconds):
            while not self.at_end:
                await self._take_some()
            await trio.sleep_forever()

    async def read_to_end(self) -> None:
        """Take everything until the peer closes."""
        while not self.at_end:
            await self._take_some()

    async def response(self, stream_id: int) -> tuple[int, bytes]:
        """Wait for a whole response; return its status and body."""
        await self.until(lambda: stream_id in self._ended or stream_id in dict(self.resets()))
        assert stream_id in self._ended, f"stream {stream_id} was reset: {self.resets()}"
        return self.status(stream_id), self.body(stream_id)

    async def alive(self) -> None:
        """Find the connection alive: a ping comes back."""
        self._checked += 1
        mark = b"alive%03d" % self._checked
        await self.send(PingFrame(0, mark))
        await self.until(
            lambda: any(f.opaque_data == mark and "ACK" in f.flags for f in self.log if isinstance(f, PingFrame))
        )

    # What came

    def all(self, kind: type[_F], stream_id: int | None = None) -> list[_F]:
        return [f for f in self.log if isinstance(f, kind) and stream_id in (None, f.stream_id)]

    def resets(self) -> list[tuple[int, int]]:
        return [(f.stream_id, f.error_code) for f in self.all(RstStreamFrame)]

    def goaways(self) -> list[tuple[int, int]]:
        return [(f.last_stream_id, f.error_code) for f in self.all(GoAwayFrame)]

    def body(self, stream_id: int) -> bytes:
        return b"".join(f.data for f in self.all(DataFrame, stream_id))

    def body_octets(self, stream_id: int) -> int:
        return len(self.body(stream_id))

    def ended(self, stream_id: int) -> bool:
        return stream_id in self._ended

    def status(self, stream_id: int) -> int:
        """The final status."""
        for section in self.sections.get(stream_id, []):
            if (status := int(dict(section)[b":status"])) >= 200:
                return status
        raise AssertionError(f"no response on stream {stream_id}")

    def credit(self, stream_id: int) -> int:
        return sum(f.window_increment for f in self.all(WindowUpdateFrame, stream_id))

    def allowed(self, stream_id: int) -> int:
        """What a window of the other side has let through in all, and would let through."""
        return (65_536 if stream_id else 65_535) + self.credit(stream_id)

    # The end

    async def close(self) -> None:
        await self.stream.aclose()


async def closed_by_peer(peer: RawPeer) -> list[tuple[int, int]]:
    """Read to the end; return the GOAWAYs."""
    await peer.read_to_end()
    await peer.close()
    return peer.goaways()
