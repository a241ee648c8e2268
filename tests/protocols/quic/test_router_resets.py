"""Stateless resets: for unknown ids, smaller than what they answer, and not without end."""

from __future__ import annotations

import pytest

from hface_trio.errors import ConfigurationError
from hface_trio.protocols.http3 import HTTP3ServerFactory
from hface_trio.protocols.quic._router import QUICRouter
from hface_trio.protocols.quic._router_actions import Drop, DropReason, Reply
from hface_trio.protocols.quic._router_ids import KeyedConnectionIdSource
from hface_trio.protocols.quic._router_packets import stateless_reset_packet

from .network import client_connection, server_tls
from .routing import CLIENT, NOW, SERVER, make_router, short_header


def resetting_router(**options):
    return make_router(reset_token=lambda connection_id: connection_id * 2, **options)[0]


@pytest.mark.parametrize("octets", [22, 30, 43, 44, 1200])
def test_an_unknown_connection_is_reset_by_less_than_was_received(octets):
    router = resetting_router()
    reply = router.datagram_received(short_header(b"unknown!", octets), CLIENT, NOW)
    data = reply.datagram[0]
    assert 21 <= len(data) < octets
    assert data[-16:] == b"unknown!unknown!"
    assert data[0] & 0xC0 == 0x40
    assert router.statistics().resets == 1


@pytest.mark.parametrize("octets", [9, 16, 21])
def test_what_is_too_short_is_not_reset(octets):
    action = resetting_router().datagram_received(short_header(b"unknown!", octets), CLIENT, NOW)
    assert action == Drop(DropReason.UNKNOWN_CONNECTION)


def test_resets_are_limited_and_come_to_an_end():
    router = resetting_router(resets_per_address=3)
    data = short_header(b"unknown!", 1200)
    answers = [router.datagram_received(data, CLIENT, NOW) for _ in range(5)]
    assert [isinstance(answer, Reply) for answer in answers] == [True] * 3 + [False] * 2
    one, other = resetting_router(resets_per_address=1000), resetting_router(resets_per_address=1000)
    rounds = 0
    while isinstance(reply := one.datagram_received(data, CLIENT, NOW), Reply):
        data = reply.datagram[0]
        one, other = other, one
        rounds += 1
    assert rounds < 30


def test_ids_without_a_token_are_not_reset():
    router, _ = make_router(reset_token=lambda connection_id: None)
    assert router.datagram_received(short_header(b"unknown!"), CLIENT, NOW) == Drop(DropReason.UNKNOWN_CONNECTION)


def test_a_reset_needs_room():
    assert stateless_reset_packet(bytes(16), 21) is None
    assert len(stateless_reset_packet(bytes(16), 22)) == 21


def test_tokens_of_keyed_ids_need_not_be_remembered():
    source = KeyedConnectionIdSource(12, key=b"k" * 16)
    issued = source.issue()
    assert len(issued.connection_id) == source.length == 12
    assert len(issued.reset_token) == 16
    assert KeyedConnectionIdSource(12, key=b"k" * 16).reset_token(issued.connection_id) == issued.reset_token
    assert KeyedConnectionIdSource(12).reset_token(issued.connection_id) != issued.reset_token
    assert source.issue().connection_id != issued.connection_id


@pytest.mark.parametrize("arguments", [{"length": 3}, {"length": 21}, {"key": b"short"}])
def test_keyed_ids_are_checked(arguments):
    with pytest.raises(ConfigurationError):
        KeyedConnectionIdSource(**arguments)


def test_a_client_believes_the_reset_of_its_connection():
    source = KeyedConnectionIdSource()
    router = QUICRouter(
        HTTP3ServerFactory(server_tls(), connection_id_source=source),
        connection_id_source=source,
        reset_token=source.reset_token,
    )
    client = client_connection()
    client.clock(NOW)
    client.connect(SERVER)
    now = NOW
    for _ in range(10):
        for data, _ in client.datagrams_to_send():
            action = router.datagram_received(data, CLIENT, now)
            action.connection.clock(now)
            action.connection.datagram_received((data, CLIENT))
            for answer, _ in action.connection.datagrams_to_send():
                client.datagram_received((answer, SERVER))
            router.update(action.connection)
        now += 0.1
        client.clock(now)
    assert client.handshake is not None
    router.forget(router.connections[0])
    client.submit_ping()
    for data, _ in client.datagrams_to_send():
        client.datagram_received((router.datagram_received(data, CLIENT, now).datagram[0], SERVER))
    assert client.close_reason is not None
    assert client.is_closed
