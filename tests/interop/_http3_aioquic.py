"""aioquic's own HTTP/3 client, on its own asyncio endpoint.

Tests are plain functions that call :func:`run`: asyncio and trio do not share a thread at the same time, and the server is another process anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import urllib.parse
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, ErrorCode, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic import events as quic_events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.tls import SessionTicket

__all__ = ["AioquicClient", "Exchange", "aioquic_client", "run"]

SECONDS = 40.0
_Headers = list[tuple[bytes, bytes]]


class Exchange:
    """A request and its response, as aioquic shows it. Only the digest of the body is kept, and its first octets."""

    def __init__(self, client: AioquicClient, stream_id: int) -> None:
        self._client = client
        self.stream_id = stream_id
        self.informational: list[_Headers] = []
        self.head: _Headers | None = None
        self.trailers: _Headers | None = None
        self.body = b""
        self.octets = 0
        self.reset_code: int | None = None
        self.stop_code: int | None = None
        self._sha = hashlib.sha256()
        self._ended = False
        self._changed = asyncio.Event()

    def send(self, data: bytes = b"", *, end: bool = False) -> None:
        self._client.h3.send_data(self.stream_id, data, end)
        self._client.transmit()

    def send_trailers(self, trailers: _Headers) -> None:
        self._client.h3.send_headers(self.stream_id, trailers, end_stream=True)
        self._client.transmit()

    def cancel(self) -> None:
        """Give up both directions."""
        quic = self._client.quic
        quic.reset_stream(self.stream_id, ErrorCode.H3_REQUEST_CANCELLED)
        quic.stop_stream(self.stream_id, ErrorCode.H3_REQUEST_CANCELLED)
        self._client.transmit()

    @property
    def status(self) -> int:
        return int(dict(self.head or [])[b":status"])

    @property
    def sha256(self) -> str:
        return self._sha.hexdigest()

    async def wait(self, condition: Callable[[], object]) -> None:
        """Wait until a condition on this exchange holds."""
        while not condition():
            if self._client.closed is not None:
                raise ConnectionError(f"closed: {self._client.closed}")
            self._changed.clear()
            await self._changed.wait()

    async def finish(self) -> Exchange:
        """Wait for the end of the response."""
        await self.wait(lambda: self._ended or self.reset_code is not None)
        assert self.reset_code is None, f"reset with {self.reset_code:#x}"
        return self

    def take(self, event: H3Event | quic_events.QuicEvent | None = None) -> None:
        if isinstance(event, HeadersReceived):
            self._take_section(event.headers)
        elif isinstance(event, DataReceived):
            self.body += event.data[: 4096 - len(self.body)] if len(self.body) < 4096 else b""
            self.octets += len(event.data)
            self._sha.update(event.data)
        elif isinstance(event, quic_events.StreamReset):
            self.reset_code = event.error_code
        elif isinstance(event, quic_events.StopSendingReceived):
            self.stop_code = event.error_code
        self._ended = self._ended or getattr(event, "stream_ended", False)
        self._changed.set()

    def _take_section(self, section: _Headers) -> None:
        if self.head is not None:
            self.trailers = section
        elif dict(section)[b":status"].startswith(b"1"):
            self.informational.append(section)
        else:
            self.head = section


class AioquicClient(QuicConnectionProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.authority = b""
        self.quic = self._quic
        self.h3 = H3Connection(self._quic)
        self.closed: quic_events.ConnectionTerminated | None = None
        self._exchanges: dict[int, Exchange] = {}

    def open(
        self, method: str, path: str, headers: Iterable[tuple[bytes, bytes]] = (), *, end: bool = True
    ) -> Exchange:
        """Send the head of a request."""
        stream_id = self._quic.get_next_available_stream_id()
        exchange = self._exchanges[stream_id] = Exchange(self, stream_id)
        head = [(b":method", method.encode()), (b":scheme", b"https"), (b":authority", self.authority)]
        self.h3.send_headers(stream_id, [*head, (b":path", path.encode()), *headers], end_stream=end)
        self.transmit()
        return exchange

    async def fetch(self, method: str, path: str, body: Iterable[bytes] = ()) -> Exchange:
        """Make a whole exchange."""
        exchange = self.open(method, path, end=not body)
        if body:
            for chunk in body:
                exchange.send(chunk)
            exchange.send(end=True)
        return await exchange.finish()

    def quic_event_received(self, event: quic_events.QuicEvent) -> None:
        if isinstance(event, quic_events.ConnectionTerminated):
            self.closed = event
            for exchange in self._exchanges.values():
                exchange.take()
        elif isinstance(event, quic_events.StreamReset | quic_events.StopSendingReceived):
            self._exchanges[event.stream_id].take(event)
        for h3_event in self.h3.handle_event(event):
            if isinstance(h3_event, HeadersReceived | DataReceived):
                self._exchanges[h3_event.stream_id].take(h3_event)


@contextlib.asynccontextmanager
async def aioquic_client(
    url: str, cafile: str, take_ticket: Callable[[SessionTicket], None] | None = None, **configuration: Any
) -> AsyncGenerator[AioquicClient]:
    """Connect for the length of the block."""
    parts = urllib.parse.urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    settings = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, cafile=cafile, **configuration)
    async with connect(
        parts.hostname,
        parts.port,
        configuration=settings,
        create_protocol=AioquicClient,
        session_ticket_handler=take_ticket,
    ) as client:
        assert isinstance(client, AioquicClient)
        client.authority = parts.netloc.encode()
        yield client


def run(test: Callable[[AioquicClient], Awaitable[None]], url: str, cafile: str, **configuration: Any) -> None:
    """Run a test with a connection, under a deadline."""

    async def main() -> None:
        async with asyncio.timeout(SECONDS), aioquic_client(url, cafile, **configuration) as client:
            await test(client)
            assert client.closed is None, client.closed

    asyncio.run(main())
