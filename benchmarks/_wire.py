"""The clients on the network: a task that reads and one that writes for each connection, and a time for each request."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import socket
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator

import trio
from _client import Client, Exchange, Outcome
from _client_http1 import HTTP1Client
from _client_http2 import HTTP2Client
from _client_http3 import HTTP3Client

__all__ = ["Target", "Wire", "connecting", "fetch", "speaks"]

_READ_OCTETS = 256 * 1024
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
"""Longer than any answer takes that somebody waits for, so that a server that hangs does not hold up the run."""


class Wire(ABC):
    """A client and what connects it to its server."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._wake = trio.Event()

    def wake(self) -> None:
        """Tell the writer that there is something to send."""
        self._wake.set()

    def open(self, method: str, path: str, upload_octets: int = 0) -> tuple[Exchange, trio.Event]:
        """Send a request; the event is set when its exchange has ended."""
        ended = trio.Event()
        exchange = self.client.open(method, path, upload_octets, lambda _: ended.set())
        self.wake()
        return exchange, ended

    async def request(self, method: str, path: str, upload_octets: int = 0) -> Exchange:
        """Send a request, and wait for the end of its exchange."""
        exchange, ended = self.open(method, path, upload_octets)
        await ended.wait()
        return exchange

    async def read(self) -> None:
        """Read until the connection is over."""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            await self._read()
        self.client.connection_lost()

    async def write(self) -> None:
        """Write what there is, for ever, or as long as it can be written."""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            while True:
                while output := self.client.take_output():
                    await self._send(output)
                self._sent()
                await self._wake.wait()
                self._wake = trio.Event()

    @abstractmethod
    async def _read(self) -> None:
        """Read until the end."""

    @abstractmethod
    async def _send(self, output: list[bytes]) -> None:
        """Send what the client has."""

    @abstractmethod
    def _sent(self) -> None:
        """Do what is to be done when everything has been sent for now."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close at once."""


class _StreamWire(Wire):
    def __init__(self, client: Client, stream: trio.abc.Stream) -> None:
        super().__init__(client)
        self._stream = stream

    async def _read(self) -> None:
        while data := await self._stream.receive_some(_READ_OCTETS):
            self.client.receive(bytes(data))
            self.wake()

    async def _send(self, output: list[bytes]) -> None:
        await self._stream.send_all(b"".join(output))

    def _sent(self) -> None:
        pass  # the kernel looks after it

    async def aclose(self) -> None:
        await trio.aclose_forcefully(self._stream)


class _DatagramWire(Wire):
    def __init__(self, client: HTTP3Client, datagrams: trio.socket.SocketType) -> None:
        super().__init__(client)
        self._http3 = client
        self._socket = datagrams
        self._waiting = trio.CancelScope()

    def _deadline(self) -> float:
        timer = self._http3.get_timer()
        return math.inf if timer is None else trio.current_time() + timer - time.monotonic()

    async def _read(self) -> None:
        while not self.client.lost:
            with trio.CancelScope(deadline=self._deadline()) as self._waiting:
                self.client.receive(await self._socket.recv(_READ_OCTETS))
            timer = self._http3.get_timer()
            if timer is not None and timer <= time.monotonic():
                self._http3.handle_timer()
            self.wake()

    def _sent(self) -> None:
        self._waiting.deadline = self._deadline()  # what was sent has to be heard of; and pacing may hold back the rest

    async def _send(self, output: list[bytes]) -> None:
        for datagram in output:
            await self._socket.send(datagram)

    async def aclose(self) -> None:
        self._http3.close()
        with contextlib.suppress(OSError), trio.move_on_after(1, shield=True):
            await self._send(self._http3.take_output())
        self._socket.close()


@dataclasses.dataclass(frozen=True)
class Target:
    """What is connected to.

    Args:
        address: of the server.
        http_version: ``"1.1"``, ``"2"`` (with prior knowledge where it is cleartext) or ``"3"``.
        cafile: what the certificate is held against.
        tls: whether the server speaks TLS.
    """

    address: tuple[str, int]
    http_version: str
    cafile: str
    tls: bool = True

    async def connect(self) -> Wire:
        """Connect.

        Raises:
            OSError: the server is not there.
        """
        authority = f"localhost:{self.address[1]}"
        if self.http_version == "3":
            datagrams = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            await datagrams.connect(self.address)
            return _DatagramWire(HTTP3Client(authority, self.cafile, self.address, idle_seconds=10), datagrams)
        stream: trio.abc.Stream = await trio.open_tcp_stream(*self.address)
        if self.tls:
            context = ssl.create_default_context(cafile=self.cafile)
            context.set_alpn_protocols(["h2" if self.http_version == "2" else "http/1.1"])
            tls = trio.SSLStream(stream, context, server_hostname="localhost", https_compatible=True)
            try:
                await tls.do_handshake()
            except BaseException:
                await trio.aclose_forcefully(stream)
                raise
            stream = tls
        make = HTTP2Client if self.http_version == "2" else HTTP1Client
        return _StreamWire(make(authority, "https" if self.tls else "http"), stream)


@contextlib.asynccontextmanager
async def connecting(target: Target) -> AsyncGenerator[Wire]:
    """Connect for the length of the block.

    Raises:
        OSError: the server is not there, or lets clients wait.
    """
    try:
        with trio.fail_after(_CONNECT_SECONDS):
            wire = await target.connect()
    except trio.TooSlowError:
        raise TimeoutError(f"no connection within {_CONNECT_SECONDS:g} s") from None
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wire.read)
        nursery.start_soon(wire.write)
        try:
            yield wire
        except Exception as exc:  # noqa: BLE001  # raised below, where it is in no group
            failure = exc
        finally:
            await wire.aclose()
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def fetch(wire: Wire, path: str = "/", upload_octets: int = 0) -> float:
    """Make one request, and return how many seconds it took.

    Raises:
        RuntimeError: it failed, or was not answered in time.
    """
    began = time.perf_counter()
    try:
        with trio.fail_after(_ANSWER_SECONDS):
            exchange = await wire.request("POST" if upload_octets else "GET", path, upload_octets)
    except trio.TooSlowError:
        raise RuntimeError(f"{path}: no answer within {_ANSWER_SECONDS:g} s") from None
    seconds = time.perf_counter() - began
    if exchange.outcome is not Outcome.COMPLETE or exchange.status != 200:
        raise RuntimeError(f"{path}: {exchange.outcome}, status {exchange.status}")
    return seconds


async def speaks(target: Target, body: bytes) -> bool:
    """Return whether a server answers ``/`` with ``body``."""
    with trio.move_on_after(_CONNECT_SECONDS), contextlib.suppress(OSError, RuntimeError, trio.BrokenResourceError):
        async with connecting(target) as wire:
            exchange = await wire.request("GET", "/")
            return exchange.status == 200 and exchange.body == body
    return False
