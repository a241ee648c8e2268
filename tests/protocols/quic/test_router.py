"""Real Initial packets of aioquic's client make connections; everything that is none is dropped."""

from __future__ import annotations

import pytest

from hface_trio.errors import ConfigurationError
from hface_trio.protocols.quic._router_actions import Accept, Deliver, Drop, DropReason, Reply
from hface_trio.protocols.quic._router_packets import long_packet_type
from hface_trio.protocols.quic._router_settings import QUICRouterSettings

from .routing import CLIENT, NOW, SERVER, VERSION_1, VERSION_2, drops, initial, long_header, make_client, make_router

# New connections


@pytest.mark.parametrize("version", [VERSION_1, VERSION_2])
def test_an_initial_packet_makes_a_connection(version):
    router, factory = make_router()
    action = router.datagram_received(initial(version), CLIENT, NOW)
    assert action == Accept(factory.made[0], address_validated=False)
    assert factory.made[0].arguments == {}
    assert (router.statistics().connections, router.statistics().half_open, router.statistics().accepted) == (1, 1, 1)
    assert list(router.connections) == factory.made


def test_the_same_packet_again_is_delivered_to_it():
    router, factory = make_router()
    data = initial()
    router.datagram_received(data, CLIENT, NOW)
    assert router.datagram_received(data, CLIENT, NOW) == Deliver(factory.made[0])
    assert router.statistics().delivered == 1


def test_an_initial_packet_in_a_small_datagram_is_dropped():
    router, factory = make_router()
    assert router.datagram_received(initial()[:1199], CLIENT, NOW) == Drop(DropReason.SMALL_INITIAL)
    assert not factory.made


def test_the_smallest_datagram_for_an_initial_packet():
    router, _ = make_router()
    data = long_header(VERSION_1, rest=b"\x00\x44\x96" + bytes(1174))  # no token, and 1174 octets to the end
    assert len(data) == 1200
    assert isinstance(router.datagram_received(data, CLIENT, NOW), Accept)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc0",
        b"\xc0\0\0\0\1\x08",
        b"\xc0\0\0\0\1\x08dddddddd",
        b"\xc0\0\0\0\1\x08dddddddd\x09ssssssss",
        long_header(VERSION_1, first=0x80),  # without the fixed bit
        long_header(VERSION_1, b"d" * 21),
        long_header(VERSION_1, source=b"s" * 21),
        long_header(VERSION_1, b"d" * 7, rest=b"\x00\x44\x00" + bytes(1200)),  # RFC 9000 §7.2
        long_header(VERSION_1, rest=b"\x7f\xff" + bytes(1200)),  # a token that ends beyond the datagram
        long_header(VERSION_1, rest=b"\x00\x7f\xff" + bytes(1200)),  # a payload likewise
        long_header(VERSION_1, rest=b"\x00\x05" + bytes(1200)),  # a payload that cannot be protected
        long_header(VERSION_1, b"d" * 20, b"s" * 20, rest=b"\x44\x9c" + bytes(1200))[:1248],  # no payload
    ],
)
def test_malformed_packets_are_dropped(data):
    router, factory = make_router()
    assert router.datagram_received(data, CLIENT, NOW) == Drop(DropReason.MALFORMED)
    assert drops(router) == {DropReason.MALFORMED: 1}
    assert not factory.made


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("version", [VERSION_1, VERSION_2])
def test_other_packets_of_unknown_connections_are_dropped(version, kind):
    router, _ = make_router()
    first = 0xC0 | (kind if version == VERSION_1 else (kind + 1) % 4) << 4
    assert router.datagram_received(long_header(version, first=first), CLIENT, NOW) == Drop(
        DropReason.UNKNOWN_CONNECTION
    )


def test_types_of_version_2_have_other_numbers():
    assert [long_packet_type(first << 4, VERSION_2) for first in range(4)] == [3, 0, 1, 2]
    assert [long_packet_type(first << 4, VERSION_1) for first in range(4)] == [0, 1, 2, 3]


# With real protocols on both sides


def drive(router, client, address=CLIENT, now=NOW, rounds=10):
    """Carry datagrams until both sides are silent; return the server's protocol."""
    protocol = None
    for _ in range(rounds):
        outgoing = client.datagrams_to_send(now)
        for data, _ in outgoing:
            action = router.datagram_received(data, address, now)
            if isinstance(action, Reply):
                client.receive_datagram(action.datagram[0], SERVER, now)
                continue
            if isinstance(action, Drop):
                continue
            protocol = action.connection
            protocol.clock(now)
            protocol.datagram_received((data, address))
            router.update(protocol)
            for answer, _ in protocol.datagrams_to_send():
                client.receive_datagram(answer, SERVER, now)
            router.update(protocol)
        if not outgoing:
            break
        now += 0.001
    return protocol


@pytest.mark.parametrize("retry", ["never", "always"])
@pytest.mark.parametrize("version", [VERSION_1, VERSION_2])
def test_a_handshake(version, retry):
    router, _ = make_router(fake=False, retry=retry)
    client = make_client(version)
    protocol = drive(router, client)
    assert protocol.handshake_complete
    assert client._handshake_complete
    statistics = router.statistics()
    assert (statistics.connections, statistics.half_open) == (1, 0)
    assert set(protocol.connection_ids) <= set(router._by_id)


def test_a_client_that_moves_and_changes_its_id_is_found():
    router, _ = make_router(fake=False)
    client = make_client()
    protocol = drive(router, client)
    for number in range(3):
        client.change_connection_id()
        client.send_ping(number)
        assert drive(router, client, ("198.51.100.9", 7 + number), NOW + 1 + number) is protocol
    assert set(protocol.connection_ids) == set(router._by_id)
    assert not drops(router)


def test_a_connection_that_the_client_closes_is_forgotten_in_the_end():
    router, _ = make_router(fake=False)
    client = make_client()
    protocol = drive(router, client)
    client.close()
    drive(router, client, now=NOW + 1)
    for _ in range(10):
        timer = protocol.get_timer()
        if timer is None:
            break
        protocol.clock(timer)
        protocol.datagrams_to_send()
        router.update(protocol)
    assert router.statistics().connections == 0
    assert router.statistics().connection_ids == 0


# What cannot be configured


@pytest.mark.parametrize("options", [{"retry": "maybe"}, {"half_open": -1}, {"token_seconds": float("nan")}])
def test_settings_are_checked(options):
    with pytest.raises(ConfigurationError):
        QUICRouterSettings(**options)


@pytest.mark.parametrize("arguments", [{"versions": ()}, {"versions": (7,)}, {"token_key": b"short"}])
def test_arguments_are_checked(arguments):
    with pytest.raises(ConfigurationError):
        make_router(**arguments)
