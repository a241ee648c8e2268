"""A client of HTTP/3: qh3's QUIC, which is leaner than any server measured here, and frames of its own."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterable

import pylsqpack
from _client import Client, Exchange, Outcome
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.connection import QuicConnection, QuicConnectionError
from qh3.quic.events import (
    ConnectionTerminated,
    HandshakeCompleted,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)

__all__ = ["HTTP3Client", "pack_frame", "pack_varint"]

_DATA, _HEADERS, _SETTINGS, _GOAWAY = 0, 1, 4, 7
_CONTROL_STREAM = 0
_REQUEST_REJECTED, _REQUEST_CANCELLED = 0x10B, 0x10C
_BLOCK = bytes(64 * 1024)
_LARGEST_BUFFER = 256 * 1024
_MOST_OCTETS = 2**30


def pack_varint(value: int) -> bytes:
    """Return a variable-length integer (RFC 9000 §16)."""
    for size, prefix in ((1, 0), (2, 1), (4, 2), (8, 3)):
        if value < 1 << (size * 8 - 2):
            return (value | prefix << (size * 8 - 2)).to_bytes(size, "big")
    raise ValueError(value)


def pack_frame(kind: int, payload: bytes) -> bytes:
    """Return a frame."""
    return pack_varint(kind) + pack_varint(len(payload)) + payload


def _read_varint(data: bytes, position: int) -> tuple[int, int] | None:
    if position >= len(data):
        return None
    size = 1 << (data[position] >> 6)
    if position + size > len(data):
        return None
    return int.from_bytes(data[position : position + size], "big") & ((1 << (size * 8 - 2)) - 1), position + size


@functools.cache
def _status_of(section: bytes) -> int:
    _, fields = pylsqpack.Decoder(0, 0).feed_header(0, section)
    return next((int(value) for name, value in fields if name == b":status"), 0)


class _Incoming:
    """What came on one stream and is no whole frame yet."""

    __slots__ = ("left", "pending", "stream_type")

    def __init__(self) -> None:
        self.pending = b""
        self.left = 0
        self.stream_type: int | None = None


class HTTP3Client(Client):
    """One connection; it shakes hands by itself, and requests wait until it has.

    Args:
        authority: host and port.
        cafile: what the server's certificate is held against.
        remote_address: where the server is.
        idle_seconds: after so long without a sign of life the connection is over.
    """

    def __init__(
        self, authority: str, cafile: str, remote_address: tuple[str, int], *, idle_seconds: float = 30.0
    ) -> None:
        super().__init__(authority, "https")
        configuration = QuicConfiguration(
            is_client=True,
            alpn_protocols=["h3"],
            server_name="localhost",
            cafile=cafile,
            idle_timeout=idle_seconds,
            max_data=_MOST_OCTETS,
            max_stream_data=_MOST_OCTETS,
        )
        self.quic = QuicConnection(configuration=configuration)
        self.ready = False
        self._address = remote_address
        self._waiting: list[tuple[Exchange, bytes]] = []
        self._heads: dict[tuple[str, str, int], bytes] = {}
        self._incoming: dict[int, _Incoming] = {}
        self._uploads: dict[int, Exchange] = {}
        self._next_waiting = 0
        self.quic.connect(remote_address, time.monotonic())

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` is to be called, on the monotonic clock."""
        return None if self.lost else self.quic.get_timer()

    def handle_timer(self) -> None:
        """Do what is due."""
        self.quic.handle_timer(time.monotonic())
        self._take_events()

    def open(
        self, method: str, path: str, upload_octets: int = 0, on_end: Callable[[Exchange], None] | None = None
    ) -> Exchange:
        """Send a request, as soon as hands are shaken and the server gives it a stream."""
        head = self._pack_head(method, path, upload_octets)
        if not self.may_open():
            self._next_waiting -= 1
            exchange = Exchange(self._next_waiting, upload_octets, on_end)
            self._waiting.append((exchange, head))
            if self.lost:
                exchange.end(Outcome.FAILED)
            return exchange
        exchange = Exchange(0, upload_octets, on_end)
        self._send_head(exchange, head)
        return exchange

    def _pack_head(self, method: str, path: str, upload_octets: int) -> bytes:
        """Return a request's HEADERS frame, and that of its body's one DATA frame the head."""
        head = self._heads.get((method, path, upload_octets))
        if head is None:
            fields = [(":method", method), (":scheme", "https"), (":authority", self.authority), (":path", path)]
            if method != "GET":
                fields.append(("content-length", str(upload_octets)))
            encoded = [(name.encode(), value.encode()) for name, value in fields]
            head = pack_frame(_HEADERS, pylsqpack.Encoder().encode(0, encoded)[1])
            if upload_octets:
                head += pack_varint(_DATA) + pack_varint(upload_octets)
            if "?" not in path:  # what differs every time is not worth remembering
                self._heads[method, path, upload_octets] = head
        return head

    def may_open(self) -> bool:
        """Return whether a request could be sent at once."""
        if not self.ready or self._waiting:
            return False
        return self.quic.get_next_available_stream_id() >> 2 < self.quic.max_concurrent_bidi_streams

    def _send_head(self, exchange: Exchange, head: bytes) -> None:
        exchange.stream_id = self.quic.get_next_available_stream_id()
        self.exchanges[exchange.stream_id] = exchange
        if exchange.upload_octets:
            self._uploads[exchange.stream_id] = exchange
        try:
            self.quic.send_stream_data(exchange.stream_id, head, end_stream=not exchange.upload_octets)
        except QuicConnectionError:  # it ended, and the event that says so has not been taken yet
            self._end(exchange, Outcome.FAILED)

    def cancel(self, exchange: Exchange) -> None:
        """Stop both directions, as far as they are open."""
        if exchange.stream_id >= 0:
            with contextlib.suppress(QuicConnectionError):
                if exchange.upload_octets:
                    self.quic.reset_stream(exchange.stream_id, _REQUEST_CANCELLED)
                self.quic.stop_stream(exchange.stream_id, _REQUEST_CANCELLED)
            self._end(exchange, Outcome.CANCELLED)

    def take_output(self) -> list[bytes]:
        """Take the datagrams that are to be sent; of uploads a bounded part is handed to QUIC at a time."""
        if self._waiting and self.ready:
            self._send_waiting()
        if self._uploads:
            with contextlib.suppress(QuicConnectionError):
                self._feed_uploads()
        return [data for data, _ in self.quic.datagrams_to_send(time.monotonic())]

    def _send_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        while waiting and self.may_open():
            self._send_head(*waiting.pop(0))
        self._waiting = waiting

    def _feed_uploads(self) -> None:
        for stream_id, exchange in list(self._uploads.items()):
            while exchange.upload_octets and self.quic.get_send_buffer_size(stream_id) < _LARGEST_BUFFER:
                block = _BLOCK[: exchange.upload_octets]
                exchange.upload_octets -= len(block)
                self.quic.send_stream_data(stream_id, block, end_stream=not exchange.upload_octets)
            if not exchange.upload_octets:
                del self._uploads[stream_id]

    def receive(self, data: bytes) -> None:
        """Take a datagram."""
        self.receive_many([data])

    def receive_many(self, datagrams: list[bytes]) -> None:
        """Take datagrams that have come together."""
        self.quic.receive_many_datagrams(datagrams, self._address, time.monotonic())
        self._take_events()

    def close(self) -> None:
        """End the connection."""
        self.quic.close()

    def connection_lost(self) -> None:
        """Tell that nothing will come any more."""
        super().connection_lost()
        waiting, self._waiting = self._waiting, []
        for exchange, _ in waiting:
            exchange.end(Outcome.FAILED)

    def _take_events(self) -> None:
        while (event := self.quic.next_event()) is not None:
            if type(event) is StreamDataReceived:
                if event.stream_id & 3 == 0:
                    self._take_answer(event.stream_id, event.data, event.end_stream)
                else:
                    self._take_unidirectional(event.stream_id, event.data)
            elif isinstance(event, HandshakeCompleted):
                self._start()
            elif isinstance(event, StreamReset):
                exchange = self.exchanges.get(event.stream_id)
                if exchange is not None:
                    rejected = event.error_code == _REQUEST_REJECTED
                    self._end(exchange, Outcome.RETRYABLE if rejected else Outcome.FAILED)
            elif isinstance(event, StopSendingReceived):
                self._uploads.pop(event.stream_id, None)
            elif isinstance(event, ConnectionTerminated):
                self.connection_lost()

    def _start(self) -> None:
        control = self.quic.get_next_available_stream_id(is_unidirectional=True)
        self.quic.send_stream_data(control, pack_varint(_CONTROL_STREAM) + pack_frame(_SETTINGS, b""))
        self.ready = True
        self._send_waiting()

    def _take_answer(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        exchange = self.exchanges.get(stream_id)
        if exchange is None:
            return
        incoming = self._incoming.get(stream_id)
        if incoming is None:
            incoming = _Incoming()
            if not end_stream:
                self._incoming[stream_id] = incoming
        for kind, payload in self._frames(incoming, data):
            if kind == _HEADERS and not exchange.octets:
                exchange.status = _status_of(payload)
            elif kind == _DATA:
                exchange.octets += len(payload)
                exchange.body = payload
        if end_stream:
            self._end(exchange, Outcome.COMPLETE)

    @classmethod
    def frames_of(cls, pieces: Iterable[bytes]) -> list[tuple[int, bytes]]:
        """Return the frames of a stream that comes in pieces; those of DATA in the pieces they come in."""
        incoming = _Incoming()
        return [taken for piece in pieces for taken in cls._frames(incoming, piece)]

    @staticmethod
    def _frames(incoming: _Incoming, data: bytes) -> list[tuple[int, bytes]]:
        """Return the frames there are; those of DATA in the pieces they come in."""
        frames: list[tuple[int, bytes]] = []
        data = incoming.pending + data
        position = 0
        while position < len(data):
            if incoming.left:
                piece = data[position : position + incoming.left]
                incoming.left -= len(piece)
                position += len(piece)
                frames.append((_DATA, piece))
                continue
            kind = _read_varint(data, position)
            length = _read_varint(data, kind[1]) if kind else None
            if kind is None or length is None:
                break
            if kind[0] == _DATA:
                incoming.left, position = length
            elif length[1] + length[0] <= len(data):
                position = length[1] + length[0]
                frames.append((kind[0], data[length[1] : position]))
            else:
                break
        incoming.pending = data[position:]
        return frames

    def _take_unidirectional(self, stream_id: int, data: bytes) -> None:
        incoming = self._incoming.setdefault(stream_id, _Incoming())
        if incoming.stream_type is None and data:
            incoming.stream_type, data = data[0], data[1:]
        if incoming.stream_type != _CONTROL_STREAM:
            return
        for kind, payload in self._frames(incoming, data):
            if kind == _GOAWAY:
                self.closing = True
                first = _read_varint(payload, 0)
                if first is not None:
                    self._fail_all(Outcome.RETRYABLE, first[0] - 1)

    def _end(self, exchange: Exchange, outcome: Outcome) -> None:
        self._incoming.pop(exchange.stream_id, None)
        self._uploads.pop(exchange.stream_id, None)
        super()._end(exchange, outcome)
