"""Twenty thousand requests over one connection leave nothing behind, on either side of it."""

from __future__ import annotations

import gc
import sys

from hface_trio.events import DataReceived, HeadersReceived

from ..quic.network import CLIENT_ADDRESS, SERVER_ADDRESS, Network
from ..taken import events_of
from .pair import connected
from .raw_peer import REQUEST, RESPONSE

STREAMS = 10


def exchange(net: Network, batches: int) -> int:
    """Make so many batches of requests, and answer them; return how many answers arrived whole."""
    client, server = net.client, net.server
    answered = 0
    for _ in range(batches):
        net.now += 0.002
        client.clock(net.now)
        server.clock(net.now)
        for _ in range(STREAMS):
            stream_id = client.get_available_stream_id()
            client.submit_headers(stream_id, [*REQUEST, (b"x-number", b"%d" % stream_id)], True)
        for data, _ in client.datagrams_to_send():
            server.datagram_received((data, CLIENT_ADDRESS))
        for event in events_of(server):
            if isinstance(event, HeadersReceived):
                server.submit_headers(event.stream_id, [*RESPONSE, (b"x-number", b"%d" % event.stream_id)])
                server.submit_data(event.stream_id, b"payload", end_stream=True)
                server.stream_released(event.stream_id)
        for data, _ in server.datagrams_to_send():
            client.datagram_received((data, SERVER_ADDRESS))
        for event in events_of(client):
            if isinstance(event, DataReceived):
                client.acknowledge(event.stream_id, len(event.data))
                answered += event.end_stream
    return answered


def held(net: Network) -> tuple[int, int]:
    """Count what there is, once everything is acknowledged."""
    net.run(1)
    gc.collect()
    return len(gc.get_objects()), sys.getallocatedblocks()


def test_twenty_thousand_requests_leave_nothing_behind():
    net = connected()
    net.server.hold_streams = True
    assert exchange(net, 100) == 100 * STREAMS
    objects, blocks = held(net)
    assert exchange(net, 1900) == 1900 * STREAMS
    objects_later, blocks_later = held(net)
    assert objects_later - objects < 300  # the sections that are remembered among them
    assert blocks_later - blocks < 2000
    assert (net.client.open_streams, net.server.open_streams) == (0, 0)
