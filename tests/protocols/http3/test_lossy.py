"""Exchanges over a network that drops, duplicates and reorders, in virtual time."""

from __future__ import annotations

import hashlib
import random

import pytest

from hface_trio.events import ConnectionTerminated, DataReceived, HeadersReceived, StreamResetReceived, TrailersReceived
from hface_trio.protocols.http3 import HTTP3ErrorCode as Code

from ..taken import events_of
from .pair import connected
from .raw_peer import POST, REQUEST, RESPONSE

EXCHANGES = 50


class Exchanges:
    """Both applications: uploads that are echoed as digests, downloads, and requests given up half-way."""

    def __init__(self, net, seed: int) -> None:
        self.net = net
        self.random = random.Random(seed)
        self.waiting = list(range(EXCHANGES))
        self.uploads: dict[int, bytes] = {}
        self.unsent: dict[object, dict[int, bytes]] = {net.client: {}, net.server: {}}
        self.bodies: dict[int, bytes] = {}
        self.expected: dict[int, bytes] = {}
        self.given_up: set[int] = set()
        self.done: set[int] = set()

    def payload(self) -> bytes:
        return self.random.randbytes(self.random.choice([0, 10, 3000, 40_000, 90_000]))

    def step(self) -> None:
        self.serve()
        self.ask()
        self.read()
        for endpoint, unsent in self.unsent.items():
            for stream_id in list(unsent):
                self.pump(endpoint, unsent, stream_id)

    def pump(self, endpoint, unsent, stream_id: int) -> None:
        while stream_id in unsent:
            body = unsent[stream_id]
            capacity = endpoint.send_capacity(stream_id)
            if body and not capacity:
                return
            part, rest = body[:capacity], body[capacity:]
            endpoint.submit_data(stream_id, part, not rest)
            if rest:
                unsent[stream_id] = rest
            else:
                del unsent[stream_id]

    def ask(self) -> None:
        client = self.net.client
        while self.waiting and client.is_available() and client.open_streams < 8:
            number = self.waiting.pop()
            stream_id = client.get_available_stream_id()
            client.submit_headers(stream_id, POST)
            body = self.payload()
            self.expected[stream_id] = hashlib.sha256(body).digest()
            self.unsent[client][stream_id] = body
            self.bodies[stream_id] = b""
            if number % 7 == 0:
                self.given_up.add(stream_id)

    def serve(self) -> None:
        server = self.net.server
        for event in events_of(server):
            if isinstance(event, HeadersReceived):
                self.uploads[event.stream_id] = b""
                if event.end_stream:
                    self.answer(event.stream_id)
            elif isinstance(event, StreamResetReceived):
                self.unsent[server].pop(event.stream_id, None)
            elif isinstance(event, DataReceived):
                self.uploads[event.stream_id] += event.data
                server.acknowledge(event.stream_id, len(event.data))
                if event.end_stream:
                    self.answer(event.stream_id)

    def answer(self, stream_id: int) -> None:
        digest = hashlib.sha256(self.uploads[stream_id]).digest()
        self.net.server.submit_headers(stream_id, RESPONSE)
        self.unsent[self.net.server][stream_id] = digest + self.payload()

    def read(self) -> None:
        client = self.net.client
        for event in events_of(client):
            assert not isinstance(event, ConnectionTerminated), event
            if isinstance(event, DataReceived):
                self.bodies[event.stream_id] += event.data
                client.acknowledge(event.stream_id, len(event.data))
                if event.end_stream:
                    self.done.add(event.stream_id)
            if event.__class__ is HeadersReceived and event.stream_id in self.given_up:
                client.submit_stream_reset(event.stream_id, Code.REQUEST_CANCELLED)
                self.unsent[client].pop(event.stream_id, None)
                self.done.add(event.stream_id)

    @property
    def finished(self) -> bool:
        return len(self.done) == EXCHANGES


@pytest.mark.parametrize("seed", [1, 2])
def test_fifty_exchanges_complete(seed):
    net = connected(loss=0.1, duplicate=0.05, reorder=0.2, seed=seed)
    exchanges = Exchanges(net, seed)
    net.on_step = exchanges.step
    exchanges.step()
    net.run(600, until=lambda: exchanges.finished)
    for stream_id, digest in exchanges.expected.items():
        if stream_id not in exchanges.given_up:
            assert exchanges.bodies[stream_id][:32] == digest
    net.run(20)
    for protocol in (net.client, net.server):
        assert protocol.open_streams == 0
        assert protocol.quic.open_streams == 6
        assert protocol.unacknowledged_octets == 0


@pytest.mark.parametrize("seed", range(3))
def test_a_drain_loses_no_response(seed):
    net = connected(loss=0.1, reorder=0.1, seed=seed)
    ids = []
    for _ in range(10):
        stream_id = net.client.get_available_stream_id()
        net.client.submit_headers(stream_id, REQUEST, True)
        ids.append(stream_id)
    arrived = set()
    answered = {}

    def step() -> None:
        for event in events_of(net.server):
            if isinstance(event, HeadersReceived):
                net.server.submit_headers(event.stream_id, RESPONSE)
                net.server.submit_data(event.stream_id, b"x" * 2000)
                net.server.submit_trailers(event.stream_id, [(b"x", b"y")])
                arrived.add(event.stream_id)
        for event in events_of(net.client):
            if isinstance(event, TrailersReceived):
                answered[event.stream_id] = True
            elif isinstance(event, StreamResetReceived):
                assert event.error_code == Code.REQUEST_REJECTED
                answered[event.stream_id] = False

    net.on_step = step
    net.server.submit_goaway()
    net.run(60)
    assert set(answered) == set(ids)
    assert {stream_id for stream_id, served in answered.items() if served} == arrived
    assert net.server.is_closed
    assert net.client.is_closed
