"""Packets that come where and as the last one did: taken without the stock way, with the same result."""

from __future__ import annotations

from collections import Counter

import pytest
from aioquic.quic.connection import QuicConnection
from aioquic.tls import Epoch

from hface_trio.events import DataReceived
from hface_trio.protocols.quic._compat_aioquic import QuicMachine
from hface_trio.protocols.quic._compat_aioquic._receiving import ReceivingConnection

from ..taken import events_of
from .network import CLIENT_ADDRESS, Network, connected


@pytest.fixture
def stock(monkeypatch) -> Counter:
    """Counts the datagrams that took the stock way."""
    counter: Counter = Counter()
    original = QuicConnection.receive_datagram

    def spy(self, data, addr, now) -> None:
        counter["datagrams"] += 1
        original(self, data, addr, now)

    monkeypatch.setattr(QuicConnection, "receive_datagram", spy)
    return counter


def datagrams_of(net: Network, payload: bytes = b"x" * 3000) -> list[bytes]:
    net.client.submit_data(net.client.next_stream_id(), payload, end_stream=True)
    return [bytes(data) for data, _ in net.client.datagrams_to_send()]


def received(net: Network) -> int:
    return sum(len(event.data) for event in events_of(net.server) if isinstance(event, DataReceived))


def bookkeeping(machine: QuicMachine) -> dict[str, object]:
    space = machine._spaces[Epoch.ONE_RTT]
    return {
        "acknowledged": list(space.ack_queue),
        "acknowledge at": space.ack_at,
        "expected": space.expected_packet_number,
        "largest": (space.largest_received_packet, space.largest_received_time),
        "seen": sorted(space.received_packets._received),
        "spin": (machine._spin_bit, machine._spin_highest_pn),
        "idle": machine._close_at,
        "sent since": machine._ack_eliciting_sent_since_receipt,
    }


def scenario() -> tuple[dict[str, object], dict[str, object], int]:
    net = connected()
    octets = 0
    for number in range(20):
        datagrams = datagrams_of(net)
        if number % 3 == 0:
            datagrams.reverse()
        if number % 5 == 0:
            datagrams.append(datagrams[0])
        if number % 7 == 0:
            del datagrams[1:]
        net.now += 0.01
        net.server.clock(net.now)
        net.client.clock(net.now)
        for datagram in datagrams:
            net.server.datagram_received((datagram, CLIENT_ADDRESS))
        octets += received(net)
        net.run(0.05)
        octets += received(net)
    return bookkeeping(net.server._machine), bookkeeping(net.client._machine), octets


def test_it_makes_no_difference(monkeypatch, stock):
    ordinary = scenario()
    assert 0 < stock["datagrams"] < 20  # the handshakes
    monkeypatch.setattr(ReceivingConnection, "_receive_ordinary", lambda *_: False)
    assert scenario() == ordinary
    assert stock["datagrams"] > 60


@pytest.mark.parametrize("position", [0, 1, 9, 10, 11, 30, -1])
def test_a_corrupt_packet_is_dropped(position):
    net = connected()
    datagram = bytearray(datagrams_of(net, b"x")[0])
    datagram[position] ^= 0x04
    before = bookkeeping(net.server._machine)
    net.server.datagram_received((bytes(datagram), CLIENT_ADDRESS))
    assert bookkeeping(net.server._machine) == before
    assert net.server.close_reason is None
    net.run(2)
    assert received(net) == 1


@pytest.mark.parametrize("octets", range(30))
def test_a_packet_cut_short_is_dropped(octets):
    net = connected()
    datagram = datagrams_of(net, b"x")[0]
    before = bookkeeping(net.server._machine)
    net.server.datagram_received((datagram[:octets], CLIENT_ADDRESS))
    assert bookkeeping(net.server._machine) == before


def test_a_packet_is_taken_once():
    net = connected()
    (datagram,) = datagrams_of(net, b"x")
    for _ in range(3):
        net.server.datagram_received((datagram, CLIENT_ADDRESS))
    assert received(net) == 1


def test_reserved_bits_end_the_connection():
    net = connected()
    crypto = net.client._machine._cryptos[Epoch.ONE_RTT]
    machine = net.client._machine
    header = bytes([0x40 | 0x18 | 1]) + machine._peer_cid.cid + (machine._packet_number & 0xFFFF).to_bytes(2, "big")
    packet = crypto.encrypt_packet(header, b"\x01\x00\x00\x00", machine._packet_number)
    net.server.datagram_received((packet, CLIENT_ADDRESS))
    assert net.server.close_reason.code == 0xA
    assert net.server.close_reason.message == "Reserved bits must be zero"


def test_frames_that_break_the_protocol_end_the_connection():
    net = connected()
    machine = net.client._machine
    crypto = machine._cryptos[Epoch.ONE_RTT]
    header = bytes([0x40 | 1]) + machine._peer_cid.cid + (machine._packet_number & 0xFFFF).to_bytes(2, "big")
    packet = crypto.encrypt_packet(header, b"\x1e\x00\x00\x00", machine._packet_number)  # HANDSHAKE_DONE of a client
    net.server.datagram_received((packet, CLIENT_ADDRESS))
    assert net.server.close_reason.code == 0xA
    assert not net.server.close_reason.application


def test_another_address_takes_the_stock_way(stock):
    net = connected()
    stock.clear()
    (datagram,) = datagrams_of(net, b"x")
    net.server.datagram_received((datagram, ("192.0.2.77", 9999)))
    assert stock["datagrams"] == 1
    assert received(net) == 1
    assert net.server.remote_address == ("192.0.2.77", 9999)
