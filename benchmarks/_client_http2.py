"""A client of HTTP/2: frames, windows and GOAWAY, and nothing that a small load does not need."""

from __future__ import annotations

import struct
from collections.abc import Callable

from _client import Client, Exchange, Outcome
from hpack import Decoder, Encoder

__all__ = ["PREFACE", "HTTP2Client", "frame"]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 1, 1, 4, 8, 0x20
_INITIAL_WINDOW_SIZE, _ENABLE_PUSH = 4, 2
_NO_ERROR, _REFUSED_STREAM, _CANCEL = 0, 7, 8
_FRAME_OCTETS = 16384
_WINDOW = 2**31 - 1
_BLOCK = bytes(_FRAME_OCTETS)


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Return a frame."""
    return struct.pack(">HBBBL", len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream_id) + payload


class HTTP2Client(Client):
    """One connection. Its own windows are as wide as they can be, and are not looked after."""

    def __init__(self, authority: str, scheme: str) -> None:
        super().__init__(authority, scheme)
        settings = struct.pack(">HLHL", _INITIAL_WINDOW_SIZE, _WINDOW, _ENABLE_PUSH, 0)
        window = struct.pack(">L", _WINDOW - 65535)
        self._output = [PREFACE + frame(_SETTINGS, 0, 0, settings) + frame(_WINDOW_UPDATE, 0, 0, window)]
        self._encoder = Encoder()
        self._decoder = Decoder()
        self._received = b""
        self._section = b""
        self._next_id = 1
        self._connection_window = 65535
        self._initial_window = 65535
        self._windows: dict[int, int] = {}

    def open(
        self, method: str, path: str, upload_octets: int = 0, on_end: Callable[[Exchange], None] | None = None
    ) -> Exchange:
        """Send a request."""
        fields = [(":method", method), (":scheme", self.scheme), (":authority", self.authority), (":path", path)]
        if method != "GET":
            fields.append(("content-length", str(upload_octets)))
        exchange = Exchange(self._next_id, upload_octets, on_end)
        self._next_id += 2
        flags = _END_HEADERS if upload_octets else _END_HEADERS | _END_STREAM
        self._output.append(frame(_HEADERS, flags, exchange.stream_id, self._encoder.encode(fields)))
        self.exchanges[exchange.stream_id] = exchange
        self._windows[exchange.stream_id] = self._initial_window
        if self.lost:
            self._end(exchange, Outcome.FAILED)
        return exchange

    def cancel(self, exchange: Exchange) -> None:
        """Reset the stream with CANCEL."""
        self._output.append(frame(_RST_STREAM, 0, exchange.stream_id, struct.pack(">L", _CANCEL)))
        self._end(exchange, Outcome.CANCELLED)

    def take_output(self) -> list[bytes]:
        """Take what is to be sent, of uploads as much as the windows let through."""
        for exchange in self.exchanges.values():
            while exchange.upload_octets:
                window = min(self._connection_window, self._windows[exchange.stream_id])
                size = min(exchange.upload_octets, window, _FRAME_OCTETS)
                if size <= 0:
                    break
                exchange.upload_octets -= size
                self._connection_window -= size
                self._windows[exchange.stream_id] -= size
                flags = 0 if exchange.upload_octets else _END_STREAM
                self._output.append(frame(_DATA, flags, exchange.stream_id, _BLOCK[:size]))
        output, self._output = self._output, []
        return output

    def receive(self, data: bytes) -> None:
        """Take what has come."""
        received = self._received + data
        position = 0
        while position + 9 <= len(received):
            end = position + 9 + int.from_bytes(received[position : position + 3], "big")
            if end > len(received):
                break
            kind, flags = received[position + 3], received[position + 4]
            stream_id = int.from_bytes(received[position + 5 : position + 9], "big")
            self._take(kind, flags, stream_id, received[position + 9 : end])
            position = end
        self._received = received[position:]

    def _take(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        exchange = self.exchanges.get(stream_id)
        if kind == _DATA:
            self._take_data(exchange, flags, stream_id, payload)
        elif kind in {_HEADERS, _CONTINUATION}:
            self._take_section(exchange, kind, flags, payload)
        elif kind == _RST_STREAM:
            code = int.from_bytes(payload, "big")
            if exchange is not None:
                self._end(exchange, Outcome.RETRYABLE if code == _REFUSED_STREAM else Outcome.FAILED)
        elif kind == _SETTINGS and not flags & _ACK:
            self._take_settings(payload)
        elif kind == _PING and not flags & _ACK:
            self._output.append(frame(_PING, _ACK, 0, payload))
        elif kind == _GOAWAY:
            self.closing = True
            self._fail_all(Outcome.RETRYABLE, int.from_bytes(payload[:4], "big"))
        elif kind == _WINDOW_UPDATE:
            increment = int.from_bytes(payload, "big")
            if not stream_id:
                self._connection_window += increment
            elif stream_id in self._windows:
                self._windows[stream_id] += increment

    def _take_data(self, exchange: Exchange | None, flags: int, stream_id: int, payload: bytes) -> None:
        if payload:
            credit = struct.pack(">L", len(payload))
            self._output.append(frame(_WINDOW_UPDATE, 0, 0, credit))
            if not flags & _END_STREAM:
                self._output.append(frame(_WINDOW_UPDATE, 0, stream_id, credit))
        if exchange is None:
            return
        body = payload[1 : len(payload) - payload[0]] if flags & _PADDED else payload
        exchange.octets += len(body)
        exchange.body = body or exchange.body
        if flags & _END_STREAM:
            self._end(exchange, Outcome.COMPLETE)

    def _take_section(self, exchange: Exchange | None, kind: int, flags: int, payload: bytes) -> None:
        if kind == _HEADERS:
            padding = 0
            if flags & _PADDED:
                padding, payload = payload[0], payload[1:]
            if flags & _PRIORITY:
                payload = payload[5:]
            self._section, payload = b"", payload[: len(payload) - padding]
        self._section += payload
        if not flags & _END_HEADERS:
            return
        name, value = next(iter(self._decoder.decode(self._section, raw=True)), (b"", b""))
        if exchange is None:
            return
        if name == b":status":
            exchange.status = int(value)
        if flags & _END_STREAM:
            self._end(exchange, Outcome.COMPLETE)

    def _take_settings(self, payload: bytes) -> None:
        for key, value in struct.iter_unpack(">HL", payload):
            if key == _INITIAL_WINDOW_SIZE:
                for stream_id in self._windows:
                    self._windows[stream_id] += value - self._initial_window
                self._initial_window = value
        self._output.append(frame(_SETTINGS, _ACK, 0))

    def _end(self, exchange: Exchange, outcome: Outcome) -> None:
        self._windows.pop(exchange.stream_id, None)
        if outcome is Outcome.COMPLETE and exchange.upload_octets:
            self._output.append(frame(_RST_STREAM, 0, exchange.stream_id, struct.pack(">L", _NO_ERROR)))
        super()._end(exchange, outcome)
