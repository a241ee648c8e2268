"""The floor of HTTP/2: h2 on trio's TLS, a task for each stream and one that writes. It answers ``/`` and nothing else."""

from __future__ import annotations

import ssl

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import trio
from _application import BODY
from _ports import announce, listen
from _programs import Certificate

__all__ = ["serve_h2"]

_READ_OCTETS = 65536
_HEADERS = [(b":status", b"200"), (b"content-type", b"text/plain"), (b"content-length", b"%d" % len(BODY))]


def serve_h2(certificate: Certificate | None) -> None:
    """Serve HTTP/2 over TLS."""
    if certificate is None:
        raise SystemExit("it speaks TLS only")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    context.set_alpn_protocols(["h2"])

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        try:
            async with stream, trio.open_nursery() as nursery:
                await _Connection(stream, nursery).run()
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, h2.exceptions.ProtocolError):
            pass  # the peer is gone, or said that it goes while it was answered

    async def main() -> None:
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(listen()))
        announce(listener.socket.getsockname()[1])
        await trio.serve_listeners(serve, [trio.SSLListener(listener, context)])

    trio.run(main)


class _Connection:
    """One connection: :meth:`run` reads, another task writes, and each stream is answered by a task of its own."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream], nursery: trio.Nursery) -> None:
        self._stream = stream
        self._nursery = nursery
        self._codec = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
        self._wake = trio.Event()

    async def run(self) -> None:
        """Read until the peer ends."""
        self._codec.initiate_connection()
        self._nursery.start_soon(self._write)
        self._wake.set()
        while data := await self._stream.receive_some(_READ_OCTETS):
            for event in self._codec.receive_data(bytes(data)):
                if isinstance(event, h2.events.RequestReceived):
                    self._nursery.start_soon(self._answer, event.stream_id)
            self._wake.set()

    async def _answer(self, stream_id: int) -> None:
        self._codec.send_headers(stream_id, _HEADERS)
        self._codec.send_data(stream_id, BODY, end_stream=True)
        self._wake.set()

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            if data := self._codec.data_to_send():
                await self._stream.send_all(data)
