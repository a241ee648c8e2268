"""Twenty thousand requests over one HTTP/3 connection: none fails, and the server is afterwards what it was after the first thousand."""

from __future__ import annotations

from collections import deque

from hface_trio.testing import Authority

from ..memory._resident import resident_octets
from ._http3_wire import WireClient
from ._payload import MIB
from ._process import running_server

WARM_UP = 1_000
REQUESTS = 20_000
AT_ONCE = 50
ALLOWED_GROWTH_OCTETS = 2 * MIB
SETTLED_SECONDS = 0.3  # until the last answers are acknowledged, and the server has forgotten their streams
ALLOWED_OBJECTS = 500


def exchange(client: WireClient, n_requests: int) -> int:
    """Make so many requests, some at once; return how many were answered as they should be."""
    open_streams: deque[int] = deque()
    asked = answered = 0
    while asked < n_requests or open_streams:
        while asked < n_requests and len(open_streams) < AT_ONCE:
            open_streams.append(client.request(b"GET", b"/hello"))
            asked += 1
        client.pump(lambda: open_streams[0] in client.ended)
        while open_streams and open_streams[0] in client.ended:
            stream_id = open_streams.popleft()
            client.ended.discard(stream_id)
            client.octets.pop(stream_id)
            answered += client.received.pop(stream_id).endswith(b"hello\n")
    return answered


def test_twenty_thousand_requests_leave_nothing_behind(authority: Authority) -> None:
    with running_server(authority) as server:
        with WireClient(server.https_url, server.cafile) as client:
            assert exchange(client, WARM_UP) == WARM_UP
            client.pause(SETTLED_SECONDS)
            objects, resident = server.collect(), resident_octets(server.pid)
            assert exchange(client, REQUESTS - WARM_UP) == REQUESTS - WARM_UP
            client.pause(SETTLED_SECONDS)
            assert server.collect() - objects < ALLOWED_OBJECTS
            assert resident_octets(server.pid) - resident < ALLOWED_GROWTH_OCTETS
            assert server.statistics()["connections"] == 1
        server.wait_idle()
        assert server.take_errors() == []
