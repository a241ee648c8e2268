"""TLS on both ends of a pair in memory, whose handshake a test makes itself."""

from __future__ import annotations

import trio

from hface_trio.models import ClientTLSConfig
from hface_trio.networking import TLSByteStream
from hface_trio.networking._tls_context import client_tls_context, server_tls_context
from hface_trio.testing import Authority, MemoryByteStream, memory_stream_pair

from ._pairs import DEADLINE_SECONDS, Outcome

VERSIONS = ["tls12", "tls13"]


def new_pair(
    authority: Authority,
    *,
    client_config: ClientTLSConfig | None = None,
    client_alpn=("http/1.1",),
    server_alpn=("http/1.1",),
    server_name="localhost",
    verify_clients=False,
    transports: tuple[MemoryByteStream, MemoryByteStream] | None = None,
) -> tuple[TLSByteStream, TLSByteStream]:
    """Put TLS on both ends of a pair in memory, without a handshake."""
    near, far = transports or memory_stream_pair()
    client_context = client_tls_context(client_config or authority.client_config(), client_alpn)
    server_config = authority.server_config("localhost", "127.0.0.1", verify_clients=verify_clients)
    server_context = server_tls_context(server_config, server_alpn)
    return (
        TLSByteStream(near, client_context, server_side=False, server_name=server_name),
        TLSByteStream(far, server_context, server_side=True),
    )


async def shake_hands(client: TLSByteStream, server: TLSByteStream) -> tuple[Outcome, Outcome]:
    outcomes = Outcome(), Outcome()
    with trio.fail_after(DEADLINE_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outcomes[0].run, client.handshake)
            nursery.start_soon(outcomes[1].run, server.handshake)
    return outcomes
