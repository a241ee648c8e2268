"""A client of HTTP/1.1: one exchange at a time, answers with a content-length."""

from __future__ import annotations

import re
from collections.abc import Callable

from _client import Client, Exchange, Outcome

__all__ = ["HTTP1Client"]

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_BLOCK = bytes(64 * 1024)


class HTTP1Client(Client):
    """One connection. What cannot be read in it ends it."""

    def __init__(self, authority: str, scheme: str) -> None:
        super().__init__(authority, scheme)
        self._output: list[bytes] = []
        self._received = b""
        self._left: int | None = None
        self._current: Exchange | None = None
        self._next_id = 0

    def open(
        self, method: str, path: str, upload_octets: int = 0, on_end: Callable[[Exchange], None] | None = None
    ) -> Exchange:
        """Send a request.

        Raises:
            RuntimeError: one is under way.
        """
        if self._current is not None:
            raise RuntimeError("one exchange at a time")
        length = f"Content-Length: {upload_octets}\r\n" if method != "GET" else ""
        self._output.append(f"{method} {path} HTTP/1.1\r\nHost: {self.authority}\r\n{length}\r\n".encode())
        exchange = Exchange(self._next_id, upload_octets, on_end)
        self._next_id += 1
        self.exchanges[exchange.stream_id] = self._current = exchange
        if self.lost:
            self._finish(Outcome.FAILED)
        return exchange

    def cancel(self, exchange: Exchange) -> None:
        """End the connection: there is no other way."""
        self.lost = True
        self._finish(Outcome.CANCELLED)

    def take_output(self) -> list[bytes]:
        """Take what is to be sent, of an upload a block."""
        output, self._output = self._output, []
        if self._current is not None and self._current.upload_octets:
            output.append(_BLOCK[: self._current.upload_octets])
            self._current.upload_octets -= len(output[-1])
        return output

    def receive(self, data: bytes) -> None:
        """Take what has come."""
        if self._left is None:
            self._received += data
            head, separator, data = self._received.partition(b"\r\n\r\n")
            if not separator:
                return
            self._received = b""
            length = _LENGTH.search(head)
            if self._current is None or length is None:
                self.closing = True
                self._finish(Outcome.FAILED)
                return
            self._current.status = int(head[9:12])
            self.closing = self.closing or _CLOSE.search(head) is not None
            self._left = int(length[1])
        self._left -= len(data)
        if self._current is not None:
            self._current.octets += len(data)
            self._current.body = data
        if self._left <= 0:
            self._left = None
            self._finish(Outcome.COMPLETE)

    def _finish(self, outcome: Outcome) -> None:
        current, self._current = self._current, None
        if current is not None:
            self._end(current, outcome)

    def connection_lost(self) -> None:
        """Tell that nothing will come any more."""
        self._current = None
        super().connection_lost()
