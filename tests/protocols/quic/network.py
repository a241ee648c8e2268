"""Two QUIC endpoints and what lies between them, in virtual time."""

from __future__ import annotations

import atexit
import heapq
import random
import shutil
import tempfile
from functools import lru_cache

from hface_trio.events import DataReceived
from hface_trio.models import ClientTLSConfig, ServerTLSConfig
from hface_trio.protocols.quic import (
    QUICConnection,
    QUICSettings,
    RandomConnectionIdSource,
    client_configuration,
    server_configuration,
)
from hface_trio.testing import Authority

from ..taken import events_of

CLIENT_ADDRESS = ("192.0.2.1", 50000)
SERVER_ADDRESS = ("192.0.2.2", 443)
ALPN = ("h3",)
BOTH_WAYS = QUICSettings(bidirectional_streams=4, unidirectional_streams=4)


@lru_cache(1)
def authority() -> Authority:
    directory = tempfile.mkdtemp(prefix="hface-trio-tests-")
    atexit.register(shutil.rmtree, directory)
    return Authority(directory)


@lru_cache(1)
def server_tls() -> ServerTLSConfig:
    return authority().server_config()


def client_tls() -> ClientTLSConfig:
    return authority().client_config()


def server_connection(settings: QUICSettings | None = None, **arguments) -> QUICConnection:
    settings = settings or QUICSettings()
    tls = arguments.pop("tls", None) or server_tls()
    source = arguments.pop("connection_id_source", None) or RandomConnectionIdSource()
    configuration = server_configuration(tls, settings, ALPN, source.length)
    return QUICConnection(configuration, settings=settings, connection_id_source=source, **arguments)


def client_connection(settings: QUICSettings | None = None, *, ticket=None, **arguments) -> QUICConnection:
    settings = settings or QUICSettings(bidirectional_streams=0)
    tls = arguments.pop("tls", None) or client_tls()
    source = arguments.pop("connection_id_source", None) or RandomConnectionIdSource()
    configuration = client_configuration(tls, settings, ALPN, source.length)
    configuration.server_name = "localhost"
    configuration.session_ticket = ticket
    return QUICConnection(configuration, settings=settings, connection_id_source=source, **arguments)


class Network:
    """Carries datagrams between two endpoints.

    An endpoint has ``clock``, ``get_timer``, ``datagram_received``, ``datagrams_to_send``. ``loss``, ``duplicate`` and
    ``reorder`` are chances for each datagram.
    """

    def __init__(self, client, server, *, latency=0.01, loss=0.0, duplicate=0.0, reorder=0.0, seed=0):
        self.client = client
        self.server = server
        self.now = 0.0
        self.latency = latency
        self.loss = loss
        self.duplicate = duplicate
        self.reorder = reorder
        self.random = random.Random(seed)
        self.wire: list[tuple[float, int, object, bytes]] = []
        self.count = 0
        self.sent = {id(client): 0, id(server): 0}
        self.octets = {id(client): 0, id(server): 0}
        self.on_step = lambda: None
        self.cut = False
        for endpoint in (client, server):
            endpoint.clock(self.now)

    def flush(self) -> None:
        for endpoint, other in ((self.client, self.server), (self.server, self.client)):
            for data, _ in endpoint.datagrams_to_send():
                self.sent[id(endpoint)] += 1
                self.octets[id(endpoint)] += len(data)
                if self.cut or self.random.random() < self.loss:
                    continue
                copies = 2 if self.random.random() < self.duplicate else 1
                for _ in range(copies):
                    delay = self.latency * (self.random.uniform(1, 4) if self.random.random() < self.reorder else 1)
                    self.count += 1
                    heapq.heappush(self.wire, (self.now + delay, self.count, other, bytes(data)))

    def step(self) -> bool:
        """Go to the next thing that happens; False if nothing will."""
        self.flush()
        timers = [t for t in (self.client.get_timer(), self.server.get_timer()) if t is not None]
        times = timers + ([self.wire[0][0]] if self.wire else [])
        if not times:
            return False
        self.now = max(self.now, min(times))
        arrived = []
        while self.wire and self.wire[0][0] <= self.now:
            arrived.append(heapq.heappop(self.wire))
        for endpoint in (self.client, self.server):
            endpoint.clock(self.now)
        for _, _, endpoint, data in arrived:
            source = CLIENT_ADDRESS if endpoint is self.server else SERVER_ADDRESS
            endpoint.datagram_received((data, source))
        self.on_step()
        self.flush()
        return True

    def run(self, seconds: float = 1.0, until=None) -> None:
        """Let time pass, or until something holds."""
        deadline = self.now + seconds
        steps = 0
        while True:
            if until is not None and until():
                return
            self.flush()
            timers = [t for t in (self.client.get_timer(), self.server.get_timer()) if t is not None]
            times = timers + ([self.wire[0][0]] if self.wire else [])
            if not times or min(times) > deadline:
                break
            steps += 1
            assert steps < 200_000, "no end"
            self.step()
        self.now = deadline
        for endpoint in (self.client, self.server):
            endpoint.clock(self.now)
        self.flush()
        assert until is None or until(), "it never came"


def data_of(endpoint, stream_id: int) -> bytes:
    """Take the events of an endpoint; return the data of a stream among them."""
    return b"".join(e.data for e in events_of(endpoint) if isinstance(e, DataReceived) and e.stream_id == stream_id)


def shake_hands(client, server, **arguments) -> Network:
    """Make a network of two endpoints that have shaken hands."""
    network = Network(client, server, **arguments)
    client.connect(SERVER_ADDRESS)
    network.run(5.0, until=lambda: client.handshake is not None and server.handshake is not None)
    network.run(0.1)
    return network


def connected(
    client_settings: QUICSettings | None = None, server_settings: QUICSettings | None = None, **arguments
) -> Network:
    """A network whose endpoints have shaken hands; the events of that are taken."""
    network = shake_hands(client_connection(client_settings), server_connection(server_settings), **arguments)
    events_of(network.client)
    events_of(network.server)
    return network
