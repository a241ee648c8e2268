"""A peer that sends what frames it is told to, right or wrong, and takes apart what comes back."""

from __future__ import annotations

import struct
from typing import Any

from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from hface_trio.events import ConnectionTerminated, DataReceived, Event
from hface_trio.limits import Limits, Timeouts
from hface_trio.protocols._interfaces import OutputEnd
from hface_trio.protocols.http2 import PREFACE, H2ClientProtocol, H2ServerProtocol, HTTP2Settings

from ..taken import events_of
from .wire import END_HEADERS, PUSH_PROMISE

REQUEST = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"example.test"), (b":path", b"/")]
POST = [(b":method", b"POST"), *REQUEST[1:]]
RESPONSE = [(b":status", b"200")]


def raw_frame(frame_type: int, flags: int, stream_id: int, payload: bytes = b"", *, length: int | None = None) -> bytes:
    """A frame that no library would build."""
    size = len(payload) if length is None else length
    return struct.pack(">HBBBL", size >> 8, size & 0xFF, frame_type, flags, stream_id) + payload


class RawPeer:
    def __init__(self, protocol: H2ServerProtocol | H2ClientProtocol, preface: bytes) -> None:
        self.protocol = protocol
        self.encoder = Encoder()
        self.decoder = Decoder(max_header_list_size=2**24)
        self._preface = preface
        self._rest = b""
        self._next_id = -1
        self.sent_headers: dict[int, list[tuple[bytes, bytes]]] = {}

    # Sending.

    def start(self, settings: dict[int, int] | None = None, *, acknowledge: bool = True) -> list[Frame]:
        self.protocol.clock(0.0)
        data = self._preface + SettingsFrame(0, settings or {}).serialize()
        if acknowledge:
            data += SettingsFrame(0, flags=["ACK"]).serialize()
        self.protocol.bytes_received(data)
        frames = self.frames()
        self.events()
        return frames

    def send(self, *frames: Frame | bytes) -> None:
        """All of them in one read."""
        self.protocol.bytes_received(b"".join(f if isinstance(f, bytes) else f.serialize() for f in frames))

    def headers(self, stream_id: int, fields=REQUEST, *flags: str, **arguments) -> HeadersFrame:
        block = self.encoder.encode(fields)
        return HeadersFrame(stream_id, block, flags=["END_HEADERS", *flags], **arguments)

    def next_id(self) -> int:
        self._next_id += 2
        return self._next_id

    def request(self, stream_id: int, fields=REQUEST, *, end_stream: bool = True) -> HeadersFrame:
        return self.headers(stream_id, fields, *(["END_STREAM"] if end_stream else []))

    def continued(self, stream_id: int, fields, size: int, *flags: str) -> list[Frame]:
        """A section in fragments of a size."""
        block = self.encoder.encode(fields)
        parts = [block[i : i + size] for i in range(0, len(block), size)]
        frames: list[Frame] = [HeadersFrame(stream_id, parts[0], flags=list(flags))]
        frames += [ContinuationFrame(stream_id, part) for part in parts[1:]]
        frames[-1].flags.add("END_HEADERS")
        return frames

    # Receiving.

    def frames(self) -> list[Frame]:
        data = self._rest + self.protocol.bytes_to_send()
        data = data.removeprefix(PREFACE)
        frames = []
        while len(data) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(data[:9]))
            frame.parse_body(memoryview(data[9 : 9 + length]))
            data = data[9 + length :]
            if isinstance(frame, HeadersFrame):
                self.sent_headers[frame.stream_id] = list(self.decoder.decode(frame.data, raw=True))
            frames.append(frame)
        self._rest = data
        return frames

    def events(self) -> list[Event]:
        return events_of(self.protocol)


def server(settings: HTTP2Settings | None = None, **arguments: Any) -> RawPeer:
    """A server, with a raw client."""
    return _peer(H2ServerProtocol, PREFACE, settings, **arguments)


def client(settings: HTTP2Settings | None = None, **arguments: Any) -> RawPeer:
    """A client, with a raw server."""
    return _peer(H2ClientProtocol, b"", settings, **arguments)


def _peer(
    protocol: type[H2ServerProtocol | H2ClientProtocol],
    preface: bytes,
    settings: HTTP2Settings | None,
    *,
    limits: Limits | None = None,
    timeouts: Timeouts | None = None,
    peer_settings: dict[int, int] | None = None,
    start: bool = True,
) -> RawPeer:
    peer = RawPeer(protocol(secure=True, limits=limits, timeouts=timeouts, settings=settings), preface)
    if start:
        peer.start(peer_settings)
    return peer


def open_request(peer: RawPeer, fields=REQUEST, *, end_stream: bool = True) -> int:
    """Open a stream of the client under test."""
    stream_id = peer.protocol.get_available_stream_id()
    peer.protocol.submit_headers(stream_id, fields, end_stream)
    return stream_id


def requested(fields=REQUEST, *, end_stream: bool = True, **arguments: Any) -> RawPeer:
    """A server that has a request."""
    peer = server(**arguments)
    peer.send(peer.request(1, fields, end_stream=end_stream))
    peer.events()
    return peer


def settled(peer: RawPeer) -> RawPeer:
    """The same, with nothing left to take from it."""
    peer.frames()
    peer.events()
    return peer


def promise(peer: RawPeer, promised: int, fields=REQUEST, *, on: int = 1) -> bytes:
    """A PUSH_PROMISE."""
    return raw_frame(PUSH_PROMISE, END_HEADERS, on, promised.to_bytes(4, "big") + peer.encoder.encode(fields))


def acknowledge_ping(peer: RawPeer) -> list[Frame]:
    """Acknowledge the one PING among what comes; return all of that."""
    frames = peer.frames()
    (ping,) = [f for f in frames if isinstance(f, PingFrame)]
    peer.send(PingFrame(0, ping.opaque_data, flags=["ACK"]))
    return frames


def resets(frames: list[Frame]) -> list[tuple[int, int]]:
    return [(f.stream_id, f.error_code) for f in frames if isinstance(f, RstStreamFrame)]


def goaways(frames: list[Frame]) -> list[tuple[int, int]]:
    return [(f.last_stream_id, f.error_code) for f in frames if isinstance(f, GoAwayFrame)]


def updates(frames: list[Frame], stream_id: int) -> int:
    return sum(f.window_increment for f in frames if isinstance(f, WindowUpdateFrame) and f.stream_id == stream_id)


def body(events: list[Event], stream_id: int) -> bytes:
    return b"".join(e.data for e in events if isinstance(e, DataReceived) and e.stream_id == stream_id)


def assert_connection_error(peer: RawPeer, code: int) -> None:
    frames = peer.frames()
    assert [c for _, c in goaways(frames)] == [code], frames
    terminated = [e for e in peer.events() if isinstance(e, ConnectionTerminated)]
    assert [e.error_code for e in terminated] == [code]
    assert peer.protocol.output_end is OutputEnd.CLOSED
    assert peer.protocol.open_streams == 0
    assert peer.protocol.get_timer() is None
    assert peer.protocol.has_expired()


def assert_stream_error(peer: RawPeer, stream_id: int, code: int) -> None:
    """The stream was reset with the code, and the connection still serves."""
    frames = peer.frames()
    assert resets(frames) == [(stream_id, code)], frames
    assert not goaways(frames), frames
    assert_alive(peer)


def assert_alive(peer: RawPeer) -> None:
    peer.send(PingFrame(0, b"are you?"))
    answers = [f for f in peer.frames() if isinstance(f, PingFrame)]
    assert [(f.opaque_data, "ACK" in f.flags) for f in answers] == [(b"are you?", True)]


def data_frame(stream_id: int, data: bytes = b"", *flags: str, pad: int | None = None) -> DataFrame:
    if pad is None:
        return DataFrame(stream_id, data, flags=list(flags))
    return DataFrame(stream_id, data, pad_length=pad, flags=["PADDED", *flags])
