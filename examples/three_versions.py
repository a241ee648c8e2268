"""One handler and one client call, over HTTP/1.1, HTTP/2 and HTTP/3; and what only HTTP/3 has, datagrams.

    python three_versions.py

The server takes a free port, the same one on TCP and UDP, and a certificate that is made for the occasion.
"""

from __future__ import annotations

import functools

import trio

import hface_trio
from hface_trio.client import RequestURL
from hface_trio.events import DatagramReceived
from hface_trio.testing import throwaway_authority


async def handler(stream: hface_trio.HTTPStream) -> None:
    """Greet; or send datagrams back, where a client asks for a tunnel that may lose some."""
    if stream.method == b"CONNECT":
        await stream.send_headers([(b":status", b"200")])
        async for event in stream:
            if isinstance(event, DatagramReceived):
                stream.submit_datagram(event.data.upper())
        await stream.send_data(b"", end_stream=True)
    else:
        await stream.send_response(200, body=b"hello over HTTP/" + stream.http_version.encode())


async def echo_datagrams(connection: hface_trio.HTTPConnection, url: RequestURL) -> None:
    """Open a tunnel and send a datagram until one comes back: any of them may be lost."""
    head = [(b":method", b"CONNECT"), (b":protocol", b"shout"), (b":scheme", b"https")]
    head += [(b":authority", url.authority), (b":path", b"/")]
    async with connection.open_stream(head) as stream:
        await stream.receive_response()
        answer = None
        while answer is None:
            stream.submit_datagram(b"may be lost")
            with trio.move_on_after(0.5):
                event = await stream.receive()
                answer = event.data if isinstance(event, DatagramReceived) else None
        print(f"a datagram came back: {answer.decode()}")


async def main() -> None:
    """Serve, fetch over each version, exchange datagrams, and shut down."""
    with throwaway_authority() as authority:
        async with trio.open_nursery() as nursery:
            tls_config = authority.server_config("localhost", "127.0.0.1", "::1")
            serve = functools.partial(hface_trio.serve, tls_config=tls_config)
            server = await nursery.start(serve, handler, "https://localhost:0")
            url = f"https://localhost:{server.endpoints[0].port}/"
            trusting = authority.client_config()
            for version in ("1.1", "2", "3"):
                async with hface_trio.open_client(http_versions=[version], tls_config=trusting) as client:
                    response = await client.get(url)
                    print(response.body.decode())
            connect = functools.partial(hface_trio.connect, http_versions=["3"], tls_config=trusting)
            async with await connect(nursery, url) as connection:
                await echo_datagrams(connection, RequestURL.parse(url))
            await server.shutdown(grace_seconds=5)


if __name__ == "__main__":
    trio.run(main)
