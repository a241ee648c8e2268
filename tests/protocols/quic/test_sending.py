"""Packets that one stream fills: written at once, and held to all that the builder of packets is held to."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.tls import CipherSuite, Epoch

from hface_trio.events import DataReceived
from hface_trio.protocols.quic import QUICConnection, QUICSettings

from ..taken import events_of
from .network import Network, connected

DATAGRAM = QUICSettings().max_datagram_octets
WIDE = QUICSettings(
    queued_octets=2**20,
    unacknowledged_octets=2**22,
    stream_window_octets=2**22,
    maximum_window_octets=2**22,
    connection_window_octets=2**24,
)
CLIENT = QUICSettings(
    queued_octets=2**20, unacknowledged_octets=2**22, stream_window_octets=2**22, connection_window_octets=2**24
)


@pytest.fixture
def built(monkeypatch) -> Counter:
    """Counts the packets that went through the builder."""
    counter: Counter = Counter()
    original = QuicPacketBuilder._end_packet

    def spy(self) -> None:
        before = len(self._packets)
        original(self)
        counter["packets"] += len(self._packets) - before

    monkeypatch.setattr(QuicPacketBuilder, "_end_packet", spy)
    return counter


def pump(net: Network, sender: QUICConnection, receiver: QUICConnection, contents: dict[int, bytes]) -> None:
    """Send on streams, whole, and see that it arrives."""
    left = {stream_id: memoryview(data) for stream_id, data in contents.items()}
    arrived = {stream_id: bytearray() for stream_id in contents}
    ended = set()

    def go_on() -> None:
        for stream_id, data in left.items():
            capacity = min(sender.send_capacity(stream_id), len(data))
            if capacity:
                sender.submit_data(stream_id, data[:capacity], end_stream=capacity == len(data))
                left[stream_id] = data[capacity:]
        for event in events_of(receiver):
            if isinstance(event, DataReceived):
                arrived[event.stream_id] += event.data
                receiver.acknowledge(event.stream_id, len(event.data))
                if event.end_stream:
                    ended.add(event.stream_id)
        events_of(sender)

    net.on_step = go_on
    go_on()
    net.run(60, until=lambda: ended == set(contents))
    assert {stream_id: bytes(data) for stream_id, data in arrived.items()} == contents


def filled(octets: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(octets)


def test_what_fills_packets_does_not_go_through_the_builder(built):
    net = connected(CLIENT, WIDE)
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"x", end_stream=True)
    net.run()
    events_of(net.server)
    built.clear()
    pump(net, net.server, net.client, {stream_id: filled(500_000)})
    assert net.sent[id(net.server)] > 400
    assert built["packets"] < 250  # the client's acknowledgements among them


@pytest.mark.parametrize("octets", [1, 1150, 1180, 1190, 1200, 1210, 1220, 1232, 2400, 3000, 30_000])
def test_every_length_arrives(octets):
    net = connected(CLIENT, WIDE)
    pump(net, net.client, net.server, {net.client.next_stream_id(): filled(octets)})


@pytest.mark.parametrize("cipher", [CipherSuite.CHACHA20_POLY1305_SHA256, CipherSuite.AES_256_GCM_SHA384])
def test_every_cipher_is_spoken(cipher, monkeypatch):
    original = QuicConnection._initialize

    def choose(self, peer_cid) -> None:
        self._configuration.cipher_suites = [cipher]
        original(self, peer_cid)

    monkeypatch.setattr(QuicConnection, "_initialize", choose)
    net = connected(CLIENT, WIDE)
    assert net.server._machine.tls.key_schedule.cipher_suite is cipher
    pump(net, net.client, net.server, {net.client.next_stream_id(): filled(100_000)})


def test_streams_take_turns():
    net = connected(CLIENT, WIDE)
    first = net.client.next_stream_id()
    net.client.submit_data(first, filled(6000), end_stream=True)
    second = net.client.next_stream_id()
    net.client.submit_data(second, filled(6000), end_stream=True)
    net.run(0.5)
    seen = [event.stream_id for event in events_of(net.server)]
    assert seen[:4] == [first, second, first, second]


def test_many_streams_arrive_through_a_bad_network():
    net = connected(CLIENT, WIDE, loss=0.05, duplicate=0.05, reorder=0.1, seed=3)
    contents = {}
    for number in range(5):
        stream_id = net.client.next_stream_id()
        net.client.submit_data(stream_id, b"x")
        contents[stream_id] = filled(40_000 + 997 * number, number)
    net.run(5)
    assert sum(len(event.data) for event in events_of(net.server)) == 5
    pump(net, net.client, net.server, contents)


def test_no_more_is_in_flight_than_congestion_control_allows():
    net = connected(CLIENT, WIDE)
    machine = net.client._machine
    net.client.submit_data(net.client.next_stream_id(), filled(500_000))
    net.cut = True
    for _ in range(100):
        net.flush()
        assert machine._loss.bytes_in_flight <= machine._loss.congestion_window
        net.now += 0.0001
        net.client.clock(net.now)
    assert machine._loss.bytes_in_flight > machine._loss.congestion_window - DATAGRAM


def test_bursts_are_paced():
    net = connected(CLIENT, WIDE, latency=0.05)
    stream_id = net.client.next_stream_id()
    pump(net, net.client, net.server, {stream_id: filled(500_000)})
    net.run(1)
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, filled(500_000))
    datagrams = net.client.datagrams_to_send()
    assert 2 <= len(datagrams) <= 16
    timer = net.client.get_timer()
    assert net.now < timer < net.now + 0.05
    net.client.clock(timer)
    assert 2 <= len(net.client.datagrams_to_send()) <= 16


def test_the_peers_limit_on_a_stream_is_kept_exactly():
    net = connected(CLIENT, QUICSettings(stream_window_octets=20_000, maximum_window_octets=20_000))
    stream_id = net.client.next_stream_id()
    net.client._machine.send_stream_data(stream_id, filled(100_000))
    net.run(2)
    assert sum(len(event.data) for event in events_of(net.server)) == 20_000
    assert net.server.close_reason is None


def test_the_peers_limit_on_the_connection_is_kept_exactly():
    net = connected(CLIENT, QUICSettings(connection_window_octets=30_000))
    for _ in range(2):
        net.client._machine.send_stream_data(net.client.next_stream_id(), filled(100_000))
    net.run(2)
    assert sum(len(event.data) for event in events_of(net.server)) == 30_000
    assert net.server.close_reason is None
    assert net.client._machine.connection_room() == 0


def test_streams_end_and_others_open_while_a_long_one_goes_on():
    net = connected(CLIENT, QUICSettings(bidirectional_streams=4, unacknowledged_octets=2**22, queued_octets=2**20))
    long_id = net.client.next_stream_id()
    net.client.submit_data(long_id, b"x")
    net.run(0.1)
    data = memoryview(filled(2_000_000))
    position = opened = 0

    def go_on() -> None:
        nonlocal position, opened
        capacity = min(net.server.send_capacity(long_id), len(data) - position)
        if capacity:
            net.server.submit_data(long_id, data[position : position + capacity])
            position += capacity
        if net.client.streams_left():
            net.client.submit_data(net.client.next_stream_id(), b"y", end_stream=True)
            opened += 1
        for event in events_of(net.server):
            if isinstance(event, DataReceived) and event.end_stream:
                net.server.submit_data(event.stream_id, b"", end_stream=True)
        for event in events_of(net.client):
            if isinstance(event, DataReceived):
                net.client.acknowledge(event.stream_id, len(event.data))

    net.on_step = go_on
    go_on()
    net.run(20, until=lambda: position == len(data))
    assert opened > 6  # the limit was 4


def test_a_new_key_is_used_at_once():
    net = connected(CLIENT, WIDE)
    stream_id = net.client.next_stream_id()
    pump(net, net.client, net.server, {stream_id: filled(50_000)})
    net.client.submit_key_update()
    pump(net, net.client, net.server, {net.client.next_stream_id(): filled(50_000)})
    assert net.server._machine._cryptos[Epoch.ONE_RTT].recv.key_phase == 1


def test_a_connection_that_sends_stays_alive_by_it():
    settings = QUICSettings(idle_timeout_seconds=2, queued_octets=2**20, stream_window_octets=2**22)
    net = connected(settings, WIDE)
    net.run(1.5)
    before = net.client._machine._close_at
    net.client.submit_data(net.client.next_stream_id(), filled(10_000))
    net.flush()
    assert net.client._machine._close_at > before
