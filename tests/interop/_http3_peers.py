"""Other projects' HTTP/3 servers, each in a process of its own.

As a program, ``python -m tests.interop._http3_peers NAME TCP_FD UDP_FD CERTFILE KEYFILE``, this is such a process: it serves the ASGI application on inherited sockets,
so that the port is known before the server runs, and datagrams sent meanwhile wait in the socket's buffer.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, MutableMapping
from dataclasses import dataclass
from typing import Any

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic import events as quic_events
from aioquic.quic.configuration import QuicConfiguration

from ._asgi import application
from ._process import EXIT_SECONDS, ROOT, ended

__all__ = ["NAMES", "HTTP3Peer", "running_http3_peer"]

NAMES = ("aioquic", "hypercorn")
_BACKLOG = 100


@dataclass(frozen=True)
class HTTP3Peer:
    """A running server."""

    name: str
    url: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End it at once, without a word to its clients."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(EXIT_SECONDS)


def _sockets() -> tuple[socket.socket, socket.socket]:
    """Return a TCP and a UDP socket at one port of the loopback interface."""
    while True:
        stream = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            datagram.bind(stream.getsockname())
        except OSError:  # somebody has it: take another port
            stream.close()
            datagram.close()
        else:
            return stream, datagram


@contextlib.contextmanager
def running_http3_peer(name: str, certificate: tuple[str, str]) -> Generator[HTTP3Peer]:
    """Run a server for the length of the block.

    Args:
        name: one of ``NAMES``.
        certificate: certificate and key files.
    """
    stream, datagram = _sockets()
    with stream, datagram:
        port: int = stream.getsockname()[1]
        fds = [stream.fileno(), datagram.fileno()]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.interop._http3_peers", name, *map(str, fds), *certificate],
            pass_fds=fds,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
        )
    with ended(process):
        yield HTTP3Peer(name, f"https://127.0.0.1:{port}", process)
        assert process.poll() in {None, -signal.SIGKILL}, f"{name} ended by itself"


def _run_hypercorn(tcp_fd: int, udp_fd: int, certfile: str, keyfile: str) -> None:
    import hypercorn.config
    import hypercorn.trio
    import trio

    config = hypercorn.config.Config()
    config.bind = [f"fd://{tcp_fd}"]
    config.quic_bind = [f"fd://{udp_fd}"]
    config.errorlog = None
    config.certfile = certfile
    config.keyfile = keyfile
    trio.run(functools.partial(hypercorn.trio.serve, application, config))  # type: ignore[arg-type]  # its own types


class _Bridge(QuicConnectionProtocol):
    """Serves the ASGI application on ``aioquic.h3``; what ASGI cannot say (trailers, 103) is answered here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._h3: H3Connection | None = None
        self._requests: dict[int, asyncio.Queue[MutableMapping[str, Any]]] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def quic_event_received(self, event: quic_events.QuicEvent) -> None:
        if isinstance(event, quic_events.ProtocolNegotiated):
            self._h3 = H3Connection(self._quic)
        elif isinstance(event, quic_events.StreamReset | quic_events.StopSendingReceived):
            self._abandon(event.stream_id)
        elif isinstance(event, quic_events.ConnectionTerminated):
            for stream_id in list(self._tasks):
                self._abandon(stream_id)
        if self._h3 is not None:
            for h3_event in self._h3.handle_event(event):
                self._take(h3_event)

    def _abandon(self, stream_id: int) -> None:
        if (task := self._tasks.get(stream_id)) is not None:
            task.cancel()
            self._quic.reset_stream(stream_id, 0x10C)
            self.transmit()

    def _take(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived) and event.stream_id not in self._requests:
            self._requests[event.stream_id] = asyncio.Queue()
            task = asyncio.create_task(self._serve(event.stream_id, event.headers))
            self._tasks[event.stream_id] = task
            if event.stream_ended:
                self._requests[event.stream_id].put_nowait({"type": "http.request"})
        elif isinstance(event, DataReceived | HeadersReceived):
            data = event.data if isinstance(event, DataReceived) else b""
            message = {"type": "http.request", "body": data, "more_body": not event.stream_ended}
            self._requests[event.stream_id].put_nowait(message)

    async def _serve(self, stream_id: int, headers: list[tuple[bytes, bytes]]) -> None:
        fields = dict(headers)
        path, _, query = fields[b":path"].partition(b"?")
        scope: dict[str, Any] = {
            "type": "http",
            "method": fields[b":method"].decode(),
            "path": path.decode(),
            "query_string": query,
        }
        scope["headers"] = [(name, value) for name, value in headers if not name.startswith(b":")]
        try:
            if path in {b"/hints", b"/trailers"}:
                self._answer(stream_id, path)
            else:
                await application(scope, self._requests[stream_id].get, functools.partial(self._send, stream_id))
        finally:
            del self._requests[stream_id], self._tasks[stream_id]

    def _answer(self, stream_id: int, path: bytes) -> None:
        assert self._h3 is not None
        if path == b"/hints":
            self._h3.send_headers(stream_id, [(b":status", b"103"), (b"link", b"</style.css>; rel=preload")])
        self._h3.send_headers(stream_id, [(b":status", b"200")])
        if path == b"/hints":
            self._h3.send_data(stream_id, b"hinted\n", end_stream=True)
        else:
            self._h3.send_data(stream_id, b"with trailers\n", end_stream=False)
            self._h3.send_headers(stream_id, [(b"x-end", b"1")], end_stream=True)
        self.transmit()

    async def _send(self, stream_id: int, message: MutableMapping[str, Any]) -> None:
        assert self._h3 is not None
        if message["type"] == "http.response.start":
            self._h3.send_headers(stream_id, [(b":status", b"%d" % message["status"]), *message["headers"]])
        else:
            self._h3.send_data(stream_id, message.get("body", b""), end_stream=not message.get("more_body"))
        self.transmit()
        await asyncio.sleep(0)


def _run_aioquic(tcp_fd: int, udp_fd: int, certfile: str, keyfile: str) -> None:
    async def main() -> None:
        configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN)
        configuration.load_cert_chain(certfile, keyfile)
        sock = socket.socket(fileno=udp_fd)
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: QuicServer(configuration=configuration, create_protocol=_Bridge), sock=sock
        )
        await asyncio.Event().wait()

    asyncio.run(main())


if __name__ == "__main__":
    _name, _tcp_fd, _udp_fd, _certfile, _keyfile = sys.argv[1:]
    _run = {"aioquic": _run_aioquic, "hypercorn": _run_hypercorn}[_name]
    _run(int(_tcp_fd), int(_udp_fd), _certfile, _keyfile)
