"""A server built on connections: events in, calls out, for those who write tools of their own.

    python custom_server.py [PORT]          8080 unless given; 0 takes a free one

Requests and responses have one form on every HTTP version, that of HTTP/2: so ``:status`` does not mean that this is
HTTP/2. What makes it HTTP/1.1 is the factory in ``main``.
"""

from __future__ import annotations

import sys

import trio

from hface_trio import HTTPConnection, LocalProtocolError
from hface_trio.connections import HTTPOverTCPListener
from hface_trio.events import ConnectionTerminated, HeadersReceived
from hface_trio.protocols import HTTP1ServerFactory

BODY = b"It works!\n"


async def handle(connection: HTTPConnection) -> None:
    """Serve one connection: its tasks run inside the block, and end with it."""
    async with connection:
        while True:
            event = await connection.receive_event()
            if isinstance(event, ConnectionTerminated):
                return
            if isinstance(event, HeadersReceived):
                await respond(connection, event)
            # Anything else is the request's body, which is dropped; receiving it returned its credit.


async def respond(connection: HTTPConnection, request: HeadersReceived) -> None:
    """Answer one request."""
    fields = dict(request.headers)
    print(fields[b":method"].decode(), fields[b":path"].decode(), flush=True)
    head = [
        (b":status", b"200"),
        (b"content-type", b"text/plain"),
        (b"content-length", b"%d" % len(BODY)),
    ]
    try:
        if fields[b":method"] == b"HEAD":
            await connection.send_headers(request.stream_id, head, end_stream=True)
        else:
            await connection.send_headers(request.stream_id, head)
            await connection.send_data(request.stream_id, BODY, end_stream=True)
    except LocalProtocolError:
        # The client reset its stream in the meantime: the event that says so comes next.
        print("the client gave up", flush=True)


async def main(port: int) -> None:
    """Listen, and handle each connection in a task of its own.

    ``tls_config=ServerTLSConfig(certfile=…, keyfile=…)`` would make it https.
    """
    async with await HTTPOverTCPListener.create(HTTP1ServerFactory(), ("localhost", port)) as listener:
        for _, bound_port in listener.addresses:
            print(f"listening on http://localhost:{bound_port}", flush=True)
        await listener.serve(handle)


if __name__ == "__main__":
    try:
        trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    except* KeyboardInterrupt:  # Ctrl-C; it may come in an exception group, out of a nursery
        print("ended")
