"""The floor of HTTP/3: aioquic's QUIC and HTTP/3 in one loop around a UDP socket. It answers ``/``, downloads and uploads."""

from __future__ import annotations

import socket
from typing import Any

import trio
from _application import BODY
from _ports import announce, listen_both
from _programs import Certificate
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionIdIssued, ConnectionTerminated, ProtocolNegotiated

__all__ = ["serve_aioquic"]

_BATCH = 64
_DATAGRAM_OCTETS = 65536
_ID_OCTETS = 8


class _Connection:
    """One connection: takes datagrams and answers requests as their events come."""

    def __init__(self, configuration: QuicConfiguration, original_id: bytes) -> None:
        self.quic = QuicConnection(configuration=configuration, original_destination_connection_id=original_id)
        self.ids = {original_id, self.quic.host_cid}
        self.over = False
        self._http: H3Connection | None = None
        self._uploads: dict[int, int] = {}

    def take_events(self) -> None:
        """Do what the events of QUIC ask for."""
        while (event := self.quic.next_event()) is not None:
            if isinstance(event, ProtocolNegotiated):
                self._http = H3Connection(self.quic)
            elif isinstance(event, ConnectionIdIssued):
                self.ids.add(event.connection_id)
            elif isinstance(event, ConnectionTerminated):
                self.over = True
            if self._http is not None:
                for http_event in self._http.handle_event(event):
                    self._answer(self._http, http_event)

    def _answer(self, http: H3Connection, event: H3Event) -> None:
        if isinstance(event, HeadersReceived):
            path = dict(event.headers)[b":path"]
            if event.stream_ended:
                length = int(path.rpartition(b"/")[2]) if path.startswith(b"/download/") else 0
                self._respond(http, event.stream_id, bytes(length) if length else BODY)
            else:
                self._uploads[event.stream_id] = 0
        elif isinstance(event, DataReceived) and event.stream_id in self._uploads:
            self._uploads[event.stream_id] += len(event.data)
            if event.stream_ended:
                self._respond(http, event.stream_id, b"%d" % self._uploads.pop(event.stream_id))

    @staticmethod
    def _respond(http: H3Connection, stream_id: int, body: bytes) -> None:
        length = (b"content-length", b"%d" % len(body))
        http.send_headers(stream_id, [(b":status", b"200"), (b"content-type", b"text/plain"), length])
        http.send_data(stream_id, body, end_stream=True)


class _Loop:
    """The socket, and whose datagrams they are."""

    def __init__(self, datagrams: socket.socket, configuration: QuicConfiguration) -> None:
        datagrams.setblocking(False)
        self._socket = datagrams
        self._configuration = configuration
        self._by_id: dict[bytes, _Connection] = {}
        self._connections: set[_Connection] = set()

    async def run(self) -> None:
        """Receive what there is, then send what there is, for ever."""
        while True:
            timers = [timer for connection in self._connections if (timer := connection.quic.get_timer()) is not None]
            with trio.move_on_at(min(timers, default=float("inf"))):
                await trio.lowlevel.wait_readable(self._socket)
            touched = self._receive()
            now = trio.current_time()
            for connection in self._connections:
                timer = connection.quic.get_timer()
                if timer is not None and timer <= now:
                    connection.quic.handle_timer(now)
                    touched.add(connection)
            for connection in touched:
                self._serve(connection)

    def _receive(self) -> set[_Connection]:
        touched: set[_Connection] = set()
        for _ in range(_BATCH):
            try:
                data, address = self._socket.recvfrom(_DATAGRAM_OCTETS)
            except BlockingIOError:
                break
            connection = self._find(data)
            if connection is not None:
                connection.quic.receive_datagram(data, address, trio.current_time())
                touched.add(connection)
        return touched

    def _find(self, data: bytes) -> _Connection | None:
        # RFC 9000 §17.2, §17.3
        destination = data[6 : 6 + data[5]] if data[0] & 0x80 else data[1 : 1 + _ID_OCTETS]
        connection = self._by_id.get(destination)
        if connection is None and data[0] & 0x80 and len(data) >= 1200:
            connection = _Connection(self._configuration, destination)
            self._connections.add(connection)
            self._by_id.update(dict.fromkeys(connection.ids, connection))
        return connection

    def _serve(self, connection: _Connection) -> None:
        connection.take_events()
        self._by_id.update(dict.fromkeys(connection.ids, connection))
        address: Any
        for data, address in connection.quic.datagrams_to_send(trio.current_time()):
            try:
                self._socket.sendto(data, address)
            except BlockingIOError:
                break  # lost, as a network would; QUIC sends it again
        if connection.over:
            self._connections.discard(connection)
            for connection_id in connection.ids:
                self._by_id.pop(connection_id, None)


def serve_aioquic(certificate: Certificate | None) -> None:
    """Serve HTTP/3."""
    if certificate is None:
        raise SystemExit("QUIC is never cleartext")
    configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN, connection_id_length=_ID_OCTETS)
    untyped: Any = configuration  # its annotations have gaps
    untyped.load_cert_chain(*certificate)
    listener, datagrams = listen_both()
    announce(datagrams.getsockname()[1])
    with listener, datagrams:
        trio.run(_Loop(datagrams, configuration).run)
