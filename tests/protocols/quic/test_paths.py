"""Clients whose address changes under them: packets take the short way again, and RFC 9000 §9 holds on the long one."""

from __future__ import annotations

from collections import Counter

import pytest
from aioquic.quic.connection import QuicConnection, QuicNetworkPath
from aioquic.tls import Epoch

from hface_trio.protocols.quic import QUICSettings

from ..taken import events_of
from . import network
from .network import Network, connected

ELSEWHERE = ("192.0.2.1", 50001)
FAR_AWAY = ("198.51.100.7", 4000)
CHALLENGE = b"\x1a12345678"


@pytest.fixture
def stock(monkeypatch) -> Counter:
    """Counts what took the stock way."""
    counter: Counter = Counter()

    def spy_on(name: str) -> None:
        original = getattr(QuicConnection, name)

        def spy(self, *args, **kwargs):
            if not self._is_client:
                counter[name] += 1
            return original(self, *args, **kwargs)

        monkeypatch.setattr(QuicConnection, name, spy)

    spy_on("receive_datagram")
    spy_on("datagrams_to_send")
    return counter


def moved(monkeypatch, address=ELSEWHERE) -> Network:
    """A connection whose client's address has changed some time ago."""
    both_ways = QUICSettings(bidirectional_streams=4)
    net = connected(both_ways, both_ways)
    monkeypatch.setattr(network, "CLIENT_ADDRESS", address)
    exchange(net)
    net.run(10)
    return net


def exchange(net: Network) -> None:
    stream_id = net.client.next_stream_id() if not net.client.streams.live else 0
    net.client.submit_data(stream_id, b"x" * 100)
    net.run(0.5)
    net.server.submit_data(stream_id, b"y" * 100)
    net.run(0.5)
    assert {type(event).__name__ for event in events_of(net.server)} <= {"DataReceived", "SendCapacityIncreased"}
    assert events_of(net.client)


def put(net: Network, frames: bytes, address) -> int:
    """Have the server receive a packet of the client with given frames, from an address; return its length."""
    machine = net.client._machine
    number = machine._packet_number
    machine._packet_number += 1
    header = bytes([0x40 | 1 | machine._cryptos[Epoch.ONE_RTT].key_phase << 2]) + machine._peer_cid.cid
    header += (number & 0xFFFF).to_bytes(2, "big")
    packet = machine._cryptos[Epoch.ONE_RTT].encrypt_packet(header, frames, number)
    net.server.datagram_received((packet, address))
    return len(packet)


def test_packets_take_the_short_way_again_once_the_new_address_is_validated(monkeypatch, stock):
    net = moved(monkeypatch)
    stock.clear()
    for _ in range(5):
        exchange(net)
    assert net.server.remote_address == ELSEWHERE
    assert stock == {}


def test_a_client_may_come_back_to_where_it_was_validated(monkeypatch, stock):
    first = network.CLIENT_ADDRESS
    net = moved(monkeypatch)
    monkeypatch.setattr(network, "CLIENT_ADDRESS", first)
    exchange(net)
    assert net.server.remote_address == first
    stock.clear()
    exchange(net)
    assert stock == {}


def test_an_address_that_is_not_validated_gets_three_times_what_came_from_it_at_most(monkeypatch):
    net = moved(monkeypatch)
    net.server.submit_data(0, b"z" * 30_000)
    octets = put(net, b"\x01\x00\x00\x00", FAR_AWAY)
    sent = 0
    for _ in range(50):
        for data, address in net.server.datagrams_to_send():
            sent += len(data) if address == FAR_AWAY else 0
        timer = net.server.get_timer()
        if timer is None or net.server.remote_address != FAR_AWAY:
            break
        net.server.clock(timer)
    assert 0 < sent <= 3 * octets
    assert net.server.remote_address == ELSEWHERE  # the last that was validated


def test_a_challenge_is_answered_where_it_came_from_and_moves_nothing(monkeypatch, stock):
    net = moved(monkeypatch)
    put(net, CHALLENGE + bytes(1100), FAR_AWAY)
    answers = [address for _, address in net.server.datagrams_to_send()]
    assert FAR_AWAY in answers
    assert net.server.remote_address == ELSEWHERE
    exchange(net)  # in which the challenge to the other address is given up as lost
    stock.clear()
    exchange(net)
    assert stock == {}


def test_a_path_is_known_by_these():
    path = QuicNetworkPath(("192.0.2.1", 1))
    assert {"addr", "bytes_sent", "is_validated", "local_challenge_sent", "peer_cid", "remote_challenges"} <= set(
        vars(path)
    )
    assert hasattr(connected().server._machine, "_peer_cid_available")
