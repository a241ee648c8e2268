"""A client built on connections: one request, and the events of its response.

    python custom_client.py URL [CAFILE]          CAFILE: whom to trust for https, if not the system's authorities

``make_request`` works with a connection of any HTTP version; the factory in ``main`` decides for one.
"""

from __future__ import annotations

import sys

import trio

from hface_trio import ClientTLSConfig, HTTPConnection
from hface_trio.client import RequestURL, request_headers
from hface_trio.connections import HTTPOverTCPOpener
from hface_trio.events import (
    ConnectionTerminated,
    DataReceived,
    HeadersReceived,
    StreamReset,
    TrailersReceived,
)
from hface_trio.protocols import HTTP1ClientFactory


async def make_request(connection: HTTPConnection, url: RequestURL) -> None:
    """Send a GET request and print what comes back."""
    stream_id = connection.get_available_stream_id()
    await connection.send_headers(stream_id, request_headers("GET", url), end_stream=True)
    while True:
        event = await connection.receive_event()
        match event:
            case HeadersReceived():
                for name, value in event.headers:
                    print(f"{name.decode()}: {value.decode()}")
                print(flush=True)
                if event.end_stream:
                    return
            case DataReceived():
                sys.stdout.buffer.write(event.data)
                sys.stdout.buffer.flush()
                if event.end_stream:
                    return
            case TrailersReceived():
                return
            case StreamReset() | ConnectionTerminated():
                raise SystemExit(f"the exchange was cut off: {event!r}")
            case _:
                pass  # interim responses, and what only other versions have


async def main(url: RequestURL, cafile: str | None) -> None:
    """Open a connection, use it, and close it."""
    opener = HTTPOverTCPOpener(HTTP1ClientFactory())
    tls_config = ClientTLSConfig(cafile=cafile) if url.secure else None
    async with await opener(url.address, tls_config=tls_config) as connection:
        print(f"connected to {connection.remote_address}, HTTP/{connection.http_version}")
        await make_request(connection, url)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: custom_client.py URL [CAFILE]")
    trio.run(main, RequestURL.parse(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
