"""The protocol alone: no trio, and a plain blocking socket.

    python sansio_client.py URL

A protocol object does no I/O. It is told what the network brought (``bytes_received``, ``eof_received``) and what the
application wants (``submit_…``), and it is asked for events and for the octets to send. So it runs in any kind of program: with
threads, another event loop, or in a test without a network.
"""

from __future__ import annotations

import socket
import sys
import time
from urllib.parse import urlsplit

from hface_trio.events import ConnectionTerminated, DataReceived, Event, HeadersReceived, StreamReset, TrailersReceived
from hface_trio.protocols import HTTP1ClientFactory, HTTPOverTCPProtocol

DEADLINE_SECONDS = 30


def exchange(protocol: HTTPOverTCPProtocol, sock: socket.socket) -> list[Event]:
    """Carry octets both ways once, and return the events that come of it."""
    if octets := protocol.bytes_to_send():
        sock.sendall(octets)
    if (n_octets := min(protocol.receive_capacity(), 65536)) > 0:
        received = sock.recv(n_octets)
        protocol.clock(time.monotonic())
        if received:
            protocol.bytes_received(received)
        else:
            protocol.eof_received()
    events: list[Event] = []
    while (event := protocol.next_event()) is not None:
        events.append(event)
    return events


def fetch(host: str, port: int, path: str) -> bytes:
    """Fetch a body over cleartext HTTP/1.1."""
    protocol = HTTP1ClientFactory()(None, None)  # neither TLS nor ALPN
    protocol.clock(time.monotonic())
    stream_id = protocol.get_available_stream_id()
    request = [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", f"{host}:{port}".encode()),
        (b":path", path.encode()),
    ]
    protocol.submit_headers(stream_id, request, end_stream=True)
    body = bytearray()
    with socket.create_connection((host, port), timeout=DEADLINE_SECONDS) as sock:
        while True:
            for event in exchange(protocol, sock):
                print(type(event).__name__, end=" ")
                match event:
                    case HeadersReceived():
                        print(dict(event.headers)[b":status"].decode())
                    case DataReceived():
                        print(len(event.data), "octets")
                        body += event.data
                        protocol.acknowledge(stream_id, len(event.data))  # or the peer would run out of credit
                    case StreamReset() | ConnectionTerminated():
                        raise SystemExit("the exchange was cut off")
                    case _:
                        print()
                if isinstance(event, HeadersReceived | DataReceived) and event.end_stream:
                    return bytes(body)
                if isinstance(event, TrailersReceived):
                    return bytes(body)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: sansio_client.py URL")
    url = urlsplit(sys.argv[1])
    target = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
    print(fetch(url.hostname or "localhost", url.port or 80, target).decode("utf-8", "replace"), end="")
