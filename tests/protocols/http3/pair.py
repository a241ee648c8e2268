"""A client and a server of this package, and the network between them."""

from __future__ import annotations

from hface_trio.events import HeadersReceived
from hface_trio.limits import Limits, Timeouts
from hface_trio.protocols.http3 import HTTP3Settings

from ..quic.network import Network
from ..taken import events_of
from .raw_peer import REQUEST, RESPONSE, client_protocol, server_protocol


def connected(
    client_settings: HTTP3Settings | None = None,
    server_settings: HTTP3Settings | None = None,
    *,
    limits: Limits | None = None,
    client_limits: Limits | None = None,
    timeouts: Timeouts | None = None,
    **network,
) -> Network:
    """Both have shaken hands and know each other's settings; the events of that are taken."""
    client = client_protocol(client_settings, limits=client_limits)
    server = server_protocol(server_settings, limits=limits, timeouts=timeouts)
    net = Network(client, server, **network)
    net.run(20.0, until=lambda: bool(client.peer_settings and server.peer_settings))
    net.run(0.1)
    events_of(client)
    events_of(server)
    return net


def ask(net: Network, fields=REQUEST, *, end_stream: bool = True) -> int:
    """Open a stream and let the request arrive."""
    stream_id = net.client.get_available_stream_id()
    net.client.submit_headers(stream_id, fields, end_stream)
    net.run(0.1)
    return stream_id


def answer(net: Network, stream_id: int, payload: bytes = b"") -> None:
    """Answer a request and let the response arrive."""
    net.server.submit_headers(stream_id, RESPONSE, end_stream=not payload)
    if payload:
        net.server.submit_data(stream_id, payload, end_stream=True)
    net.run(0.1)


def asked(net: Network) -> list[int]:
    """The streams of requests that arrived since the last look."""
    return [event.stream_id for event in events_of(net.server) if isinstance(event, HeadersReceived)]
