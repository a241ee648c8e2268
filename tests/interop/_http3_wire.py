"""A client on stock aioquic over a blocking socket: sends whatever octets it is told to, and takes apart what comes back.

It is fast, because nothing stands between the socket and the connection, and rude where a test wants it to be: it knows frames and static QPACK, no rules.
"""

from __future__ import annotations

import contextlib
import functools
import select
import socket
import time
import urllib.parse
from collections import defaultdict
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

import pylsqpack
from aioquic.buffer import encode_uint_var
from aioquic.quic import events as quic_events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

__all__ = ["DATA", "HEADERS", "SETTINGS", "WireClient", "frame", "request_head", "varint"]

DATA, HEADERS, SETTINGS, GOAWAY = 0x0, 0x1, 0x4, 0x7
CONTROL_STREAM, ENCODER_STREAM, DECODER_STREAM = 0x0, 0x2, 0x3
SECONDS = 20.0
_RECEIVE_BUFFER_OCTETS = 2 * 1024 * 1024
_BATCH_DATAGRAMS = 64

varint = encode_uint_var


def frame(frame_type: int, payload: bytes, *, declared: int | None = None) -> bytes:
    """Make a frame; it may declare another length than it has."""
    return varint(frame_type) + varint(len(payload) if declared is None else declared) + payload


@functools.cache
def request_head(method: bytes, path: bytes) -> bytes:
    """Make the HEADERS frame of a request."""
    fields = [(b":method", method), (b":scheme", b"https"), (b":authority", b"127.0.0.1"), (b":path", path)]
    _, block = pylsqpack.Encoder().encode(0, fields)
    return frame(HEADERS, block)


class WireClient:
    """One connection, of which nothing happens outside :meth:`pump`.

    Args:
        url: of the server.
        cafile: the authority to trust.
        keep: whether received octets are kept; if not, only counted.
        configuration: options of aioquic.
    """

    def __init__(self, url: str, cafile: str, *, keep: bool = True, **configuration: Any) -> None:
        parts = urllib.parse.urlsplit(url)
        self.address = (parts.hostname or "", parts.port or 0)
        self.quic = QuicConnection(
            configuration=QuicConfiguration(
                is_client=True, alpn_protocols=["h3"], cafile=cafile, server_name=parts.hostname, **configuration
            )
        )
        self.received: defaultdict[int, bytearray] = defaultdict(bytearray)
        self.octets: defaultdict[int, int] = defaultdict(int)
        self.ended: set[int] = set()
        self.resets: dict[int, int] = {}
        self.closed: quic_events.ConnectionTerminated | None = None
        self.connected = False
        self.keep = keep
        self._socket = self._new_socket()

    def __enter__(self) -> Self:
        self.quic.connect(self.address, time.monotonic())
        self.pump(lambda: self.connected)
        control = frame(SETTINGS, b"")
        for stream_type, octets in ((CONTROL_STREAM, control), (ENCODER_STREAM, b""), (DECODER_STREAM, b"")):
            stream_id = self.quic.get_next_available_stream_id(is_unidirectional=True)
            self.send(stream_id, varint(stream_type) + octets)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.quic.close()
        self._send()
        self._socket.close()

    def rebind(self) -> None:
        """Go on from another port, as when a NAT has forgotten; what is under way to the old one is lost."""
        self._socket.close()
        self._socket = self._new_socket()

    def new_stream(self) -> int:
        """Return the id of the next request."""
        return self.quic.get_next_available_stream_id()

    def send(self, stream_id: int, *parts: bytes, end: bool = False) -> None:
        """Queue octets for a stream; opening it if it is new."""
        self.quic.send_stream_data(stream_id, b"".join(parts), end)

    def request(self, method: bytes, path: bytes, *parts: bytes, end: bool = True) -> int:
        """Queue a request; return its stream."""
        stream_id = self.new_stream()
        self.send(stream_id, request_head(method, path), *parts, end=end)
        return stream_id

    def fetch(self, path: bytes, *, seconds: float = SECONDS) -> bytes:
        """Make a GET; return what the body's frames hold."""
        stream_id = self.request(b"GET", path)
        self.pump(lambda: stream_id in self.ended, seconds)
        return b"".join(payload for frame_type, payload in self.frames(stream_id) if frame_type == DATA)

    def frames(self, stream_id: int) -> Iterable[tuple[int, bytes]]:
        """Take apart what a stream of a request has received so far."""
        octets, position = bytes(self.received[stream_id]), 0
        while position < len(octets):
            frame_type, position = _pull(octets, position)
            length, position = _pull(octets, position)
            yield frame_type, octets[position : position + length]
            position += length

    def sent(self, stream_id: int) -> int:
        """Return how many octets of a stream have been sent at least once."""
        sender: Any = self.quic._streams[stream_id].sender
        offset: int = sender.highest_offset
        return offset

    def pump(self, until: Callable[[], object], seconds: float = SECONDS) -> None:
        """Send and receive until a condition holds.

        Raises:
            TimeoutError: it does not within ``seconds``.
            ConnectionError: the connection ends instead.
        """
        deadline = time.monotonic() + seconds
        self._send()
        while not until():
            if self.closed is not None:
                raise ConnectionError(f"closed: {self.closed}")
            now = time.monotonic()
            if now >= deadline:
                raise TimeoutError(f"not within {seconds} s")
            timer = self.quic.get_timer()
            wait = deadline - now if timer is None else min(deadline, timer) - now
            if wait > 0 and not select.select([self._socket], [], [], wait)[0]:
                now = time.monotonic()
            if timer is not None and time.monotonic() >= timer:
                self.quic.handle_timer(time.monotonic())
            self._receive()
            self._take()
            self._send()

    def pause(self, seconds: float) -> None:
        """Send and receive for a while, or until the connection ends."""
        with contextlib.suppress(TimeoutError):
            self.pump(lambda: self.closed is not None, seconds)

    def wait_closed(self, seconds: float = SECONDS) -> int:
        """Wait until the server has closed the connection; return the code."""
        self.pump(lambda: self.quic._close_event is not None, seconds)
        event = self.quic._close_event
        assert event is not None
        return event.error_code

    def _new_socket(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_OCTETS)
        sock.connect(self.address)
        sock.setblocking(False)
        return sock

    def _receive(self) -> None:
        now = time.monotonic()
        for _ in range(_BATCH_DATAGRAMS):
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                return
            self.quic.receive_datagram(data, self.address, now)

    def _send(self) -> None:
        for data, _ in self.quic.datagrams_to_send(time.monotonic()):
            try:
                self._socket.send(data)
            except BlockingIOError:
                return  # lost, as it were

    def _take(self) -> None:
        while (event := self.quic.next_event()) is not None:
            if isinstance(event, quic_events.StreamDataReceived):
                self.octets[event.stream_id] += len(event.data)
                if self.keep:
                    self.received[event.stream_id] += event.data
                if event.end_stream:
                    self.ended.add(event.stream_id)
            elif isinstance(event, quic_events.StreamReset):
                self.resets[event.stream_id] = event.error_code
            elif isinstance(event, quic_events.HandshakeCompleted):
                self.connected = True
            elif isinstance(event, quic_events.ConnectionTerminated):
                self.closed = event


def _pull(octets: bytes, position: int) -> tuple[int, int]:
    length = 1 << (octets[position] >> 6)
    value = int.from_bytes(octets[position : position + length]) & ((1 << (8 * length - 2)) - 1)
    return value, position + length
