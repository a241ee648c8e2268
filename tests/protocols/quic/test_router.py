"""Routing datagrams: real Initial packets of aioquic's client, and everything that is none."""

from __future__ import annotations

import pytest
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from hypothesis import given, settings
from hypothesis import strategies as st

from hface_trio.errors import ConfigurationError
from hface_trio.protocols import HTTPOverQUICProtocol, HTTPOverQUICServerFactory
from hface_trio.protocols.http3 import HTTP3ServerFactory
from hface_trio.protocols.quic import IssuedConnectionId, RandomConnectionIdSource
from hface_trio.protocols.quic._router import QUICRouter
from hface_trio.protocols.quic._router_actions import Accept, Deliver, Drop, DropReason, Reply
from hface_trio.protocols.quic._router_ids import KeyedConnectionIdSource
from hface_trio.protocols.quic._router_limits import AnswerRate, OwnerCounts, address_owner
from hface_trio.protocols.quic._router_packets import (
    LongHeader,
    long_packet_type,
    read_initial_token_untrusted,
    read_long_header_untrusted,
    stateless_reset_packet,
)
from hface_trio.protocols.quic._router_settings import QUICRouterSettings
from hface_trio.protocols.quic._router_tokens import AddressTokens, TokenFault

from .network import authority, client_connection, server_tls

CLIENT = ("192.0.2.1", 50_000)
SERVER = ("192.0.2.2", 443)
VERSION_1 = 1
VERSION_2 = 0x6B3343CF
NOW = 1000.0


class FakeConnection(HTTPOverQUICProtocol):
    """Has ids and a handshake, and nothing else."""

    is_closed = False
    handshake_complete = False
    connection_ids = ()

    def __init__(self, ids, arguments):
        self.connection_ids = tuple(ids)
        self.arguments = arguments
        self.changes = ([], [])

    def take_connection_id_changes(self):
        changes, self.changes = self.changes, ([], [])
        return changes


FakeConnection.__abstractmethods__ = frozenset()


class FakeFactory(HTTPOverQUICServerFactory):
    """Counts what it makes."""

    alpn_protocols = ("h3",)

    def __init__(self, source):
        self.source = source
        self.made: list[FakeConnection] = []

    def __call__(self, **arguments):
        self.made.append(FakeConnection([self.source.issue().connection_id], arguments))
        return self.made[-1]


def make_router(*, fake=True, versions=(VERSION_1, VERSION_2), length=8, reset_token=None, token_key=None, **options):
    source = RandomConnectionIdSource(length)
    factory = FakeFactory(source) if fake else HTTP3ServerFactory(server_tls(), connection_id_source=source)
    router = QUICRouter(
        factory,
        connection_id_source=source,
        versions=versions,
        settings=QUICRouterSettings(**options),
        reset_token=reset_token,
        token_key=token_key,
    )
    return router, factory


def make_client(version=VERSION_1):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["h3"], server_name="localhost")
    configuration.load_verify_locations(cadata=authority().client_config().cadata)
    if authority().client_config().cafile:
        configuration.load_verify_locations(cafile=authority().client_config().cafile)
    configuration.original_version = version
    client = QuicConnection(configuration=configuration)
    client.connect(SERVER, NOW)
    return client


def initial(version=VERSION_1) -> bytes:
    return make_client(version).datagrams_to_send(NOW)[0][0]


def drops(router):
    return {reason: count for reason, count in router.statistics().drops.items() if count}


def long_header(version, destination=b"d" * 8, source=b"s" * 8, *, first=0xC0, rest=bytes(1200)):
    return b"".join(
        (
            bytes([first]),
            version.to_bytes(4, "big"),
            bytes([len(destination)]),
            destination,
            bytes([len(source)]),
            source,
            rest,
        )
    )


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


# Version negotiation


def test_a_version_that_is_not_spoken_is_negotiated():
    router, _ = make_router()
    reply = router.datagram_received(long_header(0x1A2A3A4A, b"d" * 9, b"s" * 5), CLIENT, NOW)
    data, address = reply.datagram
    assert address == CLIENT
    header = read_long_header_untrusted(data)
    assert (header.version, header.destination_id, header.source_id) == (0, b"s" * 5, b"d" * 9)
    assert data[header.end :] == VERSION_1.to_bytes(4, "big") + VERSION_2.to_bytes(4, "big")
    assert router.statistics().negotiations == 1


def test_a_client_takes_the_negotiation():
    router, _ = make_router(versions=(VERSION_2,))
    client = make_client(VERSION_1)
    reply = router.datagram_received(client.datagrams_to_send(NOW)[0][0], CLIENT, NOW)
    client.receive_datagram(reply.datagram[0], SERVER, NOW)
    action = router.datagram_received(client.datagrams_to_send(NOW)[0][0], CLIENT, NOW)
    assert isinstance(action, Accept)


def test_ids_of_other_versions_may_be_longer():
    router, _ = make_router()
    reply = router.datagram_received(long_header(0x1A2A3A4A, b"d" * 255, b"s" * 255), CLIENT, NOW)
    assert read_long_header_untrusted(reply.datagram[0]).destination_id == b"s" * 255


def test_version_0_is_never_answered():
    router, _ = make_router()
    assert router.datagram_received(long_header(0), CLIENT, NOW) == Drop(DropReason.VERSION_NEGOTIATION)


def test_what_we_answer_with_is_not_answered():
    router, _ = make_router()
    reply = router.datagram_received(long_header(0x1A2A3A4A), CLIENT, NOW)
    assert isinstance(router.datagram_received(reply.datagram[0] + bytes(1200), CLIENT, NOW), Drop)


def test_small_datagrams_are_not_negotiated():
    router, _ = make_router()
    data = long_header(0x1A2A3A4A)[:1199]
    assert router.datagram_received(data, CLIENT, NOW) == Drop(DropReason.UNKNOWN_VERSION)


def test_a_connection_keeps_its_version():
    router, _ = make_router()
    data = initial()
    router.datagram_received(data, CLIENT, NOW)
    destination = read_long_header_untrusted(data).destination_id
    assert router.datagram_received(long_header(0x1A2A3A4A, destination), CLIENT, NOW) == Drop(
        DropReason.UNKNOWN_VERSION
    )


def test_negotiation_is_limited_in_all_and_per_address():
    router, _ = make_router(negotiations_per_second=5, negotiations_per_address=2)
    data = long_header(0x1A2A3A4A)

    def answered(address, now=NOW):
        return isinstance(router.datagram_received(data, address, now), Reply)

    assert [answered(CLIENT) for _ in range(3)] == [True, True, False]
    assert [answered((f"192.0.2.{number}", 1)) for number in range(10, 14)] == [True, True, True, False]
    assert drops(router) == {DropReason.NEGOTIATION_LIMIT: 2}
    assert answered(CLIENT, NOW + 1)


# Retry


def retry_exchange(router, client, address=CLIENT, now=NOW):
    reply = router.datagram_received(client.datagrams_to_send(now)[0][0], address, now)
    assert isinstance(reply, Reply)
    client.receive_datagram(reply.datagram[0], SERVER, now)
    return reply, client.datagrams_to_send(now)[0][0]


@pytest.mark.parametrize("length", [4, 8, 20])
@pytest.mark.parametrize("version", [VERSION_1, VERSION_2])
def test_retry_makes_no_protocol_before_the_address_is_proven(version, length):
    router, factory = make_router(retry="always", length=length)
    client = make_client(version)
    first_id = client.original_destination_connection_id
    reply, data = retry_exchange(router, client)
    assert not factory.made
    assert router.statistics().connection_ids == 0
    assert len(reply.datagram[0]) < 400
    action = router.datagram_received(data, CLIENT, NOW)
    assert action == Accept(factory.made[0], address_validated=True)
    retry_id = read_long_header_untrusted(data).destination_id
    assert len(retry_id) == length
    assert factory.made[0].arguments == {
        "original_destination_connection_id": first_id,
        "retry_source_connection_id": retry_id,
    }
    assert router.datagram_received(data, CLIENT, NOW) == Deliver(factory.made[0])
    assert router.statistics().retries == 1


@pytest.mark.parametrize(
    ("address", "now"), [(("192.0.2.9", 50_000), NOW), (("192.0.2.1", 50_001), NOW), (CLIENT, NOW + 16)]
)
@pytest.mark.parametrize("retry", ["always", "auto"])
def test_a_token_is_good_for_one_address_and_a_short_time(address, now, retry):
    router, factory = make_router(retry=retry, retry_half_open=0)
    _, data = retry_exchange(router, make_client())
    action = router.datagram_received(data, address, now)
    assert not factory.made
    assert drops(router) == {DropReason.INVALID_TOKEN: 1}
    assert isinstance(action, Reply)


def test_a_client_with_a_bad_token_is_told_at_once():
    router, _ = make_router(retry="always")
    client = make_client()
    _, data = retry_exchange(router, client)
    reply = router.datagram_received(data, CLIENT, NOW + 100)
    client.receive_datagram(reply.datagram[0], SERVER, NOW)
    client.handle_timer(NOW + 100)
    assert client._close_event.error_code == 0xB
    assert router.statistics().refusals == 1


def test_a_token_is_good_for_the_id_it_came_with():
    router, _ = make_router(retry="always")
    _, data = retry_exchange(router, make_client())
    header = read_long_header_untrusted(data)
    changed = data.replace(header.destination_id, b"x" * 8, 1)
    router.datagram_received(changed, CLIENT, NOW)
    assert drops(router) == {DropReason.INVALID_TOKEN: 1}


def test_a_token_made_elsewhere_is_as_good_as_none():
    _, data = retry_exchange(make_router(retry="always")[0], make_client())
    assert isinstance(make_router(retry="always")[0].datagram_received(data, CLIENT, NOW), Reply)
    assert isinstance(make_router()[0].datagram_received(data, CLIENT, NOW), Accept)


def test_routers_with_one_key_take_each_others_tokens():
    _, data = retry_exchange(make_router(retry="always", token_key=b"k" * 32)[0], make_client())
    router, _ = make_router(retry="always", token_key=b"k" * 32)
    assert router.datagram_received(data, CLIENT, NOW).address_validated


def test_retry_begins_with_many_half_open_connections_and_ends_with_them():
    router, factory = make_router(retry_half_open=3)
    for number in range(3):
        assert isinstance(router.datagram_received(initial(), (f"192.0.2.{number}", 1), NOW), Accept)
    assert isinstance(router.datagram_received(initial(), CLIENT, NOW), Reply)
    factory.made[0].handshake_complete = True
    router.update(factory.made[0])
    assert router.statistics().half_open == 2
    assert isinstance(router.datagram_received(initial(), CLIENT, NOW), Accept)


def test_who_forges_an_address_does_not_shut_its_owner_out():
    router, _ = make_router(retry_half_open_per_address=2, half_open_per_address=10)
    for _ in range(20):
        router.datagram_received(initial(), CLIENT, NOW)
    assert router.statistics().half_open == 2
    _, data = retry_exchange(router, make_client())
    assert router.datagram_received(data, CLIENT, NOW).address_validated
    assert isinstance(router.datagram_received(initial(), ("192.0.2.8", 1), NOW), Accept)


def test_never_means_never():
    router, _ = make_router(retry="never", retry_half_open=0)
    assert isinstance(router.datagram_received(initial(), CLIENT, NOW), Accept)


# Caps


def test_half_open_connections_are_capped():
    router, _ = make_router(retry="never", half_open=2)
    actions = [router.datagram_received(initial(), CLIENT, NOW) for _ in range(3)]
    assert isinstance(actions[1], Accept)
    assert actions[2] == Drop(DropReason.HALF_OPEN_LIMIT)


def test_half_open_connections_are_capped_per_address():
    router, _ = make_router(retry="never", half_open_per_address=1)
    assert isinstance(router.datagram_received(initial(), ("2001:db8::1", 1), NOW), Accept)
    assert router.datagram_received(initial(), ("2001:db8::2", 1), NOW) == Drop(DropReason.HALF_OPEN_LIMIT)
    assert isinstance(router.datagram_received(initial(), ("2001:db8:0:1::1", 1), NOW), Accept)


@pytest.mark.parametrize("limit", ["connections", "connections_per_address"])
def test_connections_are_capped_and_who_comes_late_is_told(limit):
    router, factory = make_router(**{limit: 1})
    router.datagram_received(initial(), CLIENT, NOW)
    factory.made[0].handshake_complete = True
    router.update(factory.made[0])
    client = make_client()
    reply = router.datagram_received(client.datagrams_to_send(NOW)[0][0], CLIENT, NOW)
    client.receive_datagram(reply.datagram[0], SERVER, NOW)
    assert client._close_event.error_code == 0x2
    assert drops(router) == {DropReason.CONNECTION_LIMIT: 1}
    factory.made[0].is_closed = True
    router.update(factory.made[0])
    assert isinstance(router.datagram_received(initial(), CLIENT, NOW), Accept)


def test_refusals_are_limited():
    router, _ = make_router(connections=0, refusals_per_address=2)
    actions = [router.datagram_received(initial(), CLIENT, NOW) for _ in range(4)]
    assert [isinstance(action, Reply) for action in actions] == [True, True, False, False]
    assert drops(router) == {DropReason.CONNECTION_LIMIT: 4}


@pytest.mark.parametrize("version", [VERSION_1, VERSION_2])
def test_a_draining_server_refuses_and_goes_on_with_what_it_has(version):
    router, factory = make_router()
    data = initial()
    router.datagram_received(data, CLIENT, NOW)
    router.drain()
    client = make_client(version)
    reply = router.datagram_received(client.datagrams_to_send(NOW)[0][0], CLIENT, NOW)
    client.receive_datagram(reply.datagram[0], SERVER, NOW)
    assert client._close_event.error_code == 0x2
    assert router.datagram_received(data, CLIENT, NOW) == Deliver(factory.made[0])
    assert router.datagram_received(long_header(0x1A2A3A4A), CLIENT, NOW) == Drop(DropReason.DRAINING)


# Ids


def short_header(connection_id, octets=40):
    return (b"\x41" + connection_id).ljust(octets, b"x")


def accepted(**options):
    router, factory = make_router(**options)
    router.datagram_received(initial(), CLIENT, NOW)
    return router, factory.made[0]


def test_short_headers_are_routed_by_the_id_alone():
    router, connection = accepted()
    (connection_id,) = connection.connection_ids
    for address in (CLIENT, ("198.51.100.7", 1), ("2001:db8::9", 65_535)):
        assert router.datagram_received(short_header(connection_id), address, NOW) == Deliver(connection)


def test_ids_issued_later_are_routed_and_retired_ones_are_not():
    router, connection = accepted()
    (first,) = connection.connection_ids
    connection.changes = ([b"issued01", b"issued02"], [first])
    router.update(connection)
    assert router.datagram_received(short_header(b"issued02"), CLIENT, NOW) == Deliver(connection)
    assert router.datagram_received(short_header(first), CLIENT, NOW) == Drop(DropReason.UNKNOWN_CONNECTION)
    connection.changes = ([], [first, b"issued01", b"unheard!"])
    router.update(connection)
    assert router.statistics().connection_ids == 2  # what the client began with, and the one that is left


def test_an_id_that_is_taken_stays_where_it_is():
    router, connection = accepted()
    router.datagram_received(initial(), CLIENT, NOW)
    other = router.connections[1]
    (taken,) = connection.connection_ids
    other.changes = ([taken], [])
    router.update(other)
    other.changes = ([], [taken])
    router.update(other)
    assert router.datagram_received(short_header(taken), CLIENT, NOW) == Deliver(connection)
    router.forget(other)
    assert router.datagram_received(short_header(taken), CLIENT, NOW) == Deliver(connection)


def test_a_closed_connection_leaves_nothing():
    router, connection = accepted()
    connection.is_closed = True
    router.update(connection)
    statistics = router.statistics()
    assert (statistics.connections, statistics.half_open, statistics.connection_ids) == (0, 0, 0)
    assert not router._open._counts
    router.update(connection)
    router.forget(connection)
    assert router.statistics().connections == 0


def test_a_connection_is_forgotten_in_any_state():
    router, connection = accepted()
    connection.handshake_complete = True
    router.update(connection)
    router.update(connection)
    router.forget(connection)
    statistics = router.statistics()
    assert (statistics.connections, statistics.half_open, statistics.connection_ids) == (0, 0, 0)


@pytest.mark.parametrize("data", [b"\x41", b"\x41short", b"\x01" + bytes(40)])
def test_short_headers_that_cannot_be(data):
    router, _ = make_router()
    assert router.datagram_received(data, CLIENT, NOW) == Drop(DropReason.MALFORMED)


# Stateless reset


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


# Parts


@pytest.mark.parametrize(
    ("host", "owner"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "20010db800010002"),
        ("fe80::1%eth0", "fe80000000000000"),
        ("a name:", "a name:"),
        ("name", "name"),
    ],
)
def test_addresses_are_counted_as_they_are_owned(host, owner):
    assert address_owner(host) == owner


def test_counts_forget_who_has_none():
    counts = OwnerCounts()
    counts.add("a")
    counts.add("a")
    counts.add("b")
    counts.remove("a")
    counts.remove("b")
    assert (counts.total, counts.of("a"), counts.of("b")) == (1, 1, 0)
    assert counts._counts == {"a": 1}


def test_a_rate_remembers_no_more_than_it_allows():
    rate = AnswerRate(10, 2)
    assert sum(rate.allows(f"192.0.2.{number % 250}", NOW) for number in range(1000)) == 10
    assert len(rate._counts._counts) <= 10
    assert rate.allows("192.0.2.1", NOW + 1.5)


def test_tokens_tell_what_is_wrong():
    tokens = AddressTokens(lifetime_seconds=10)
    token = tokens.issue(CLIENT, b"original", b"retry", NOW)
    assert tokens.check_untrusted(token, CLIENT, b"retry", NOW + 10) == b"original"
    assert tokens.check_untrusted(token, CLIENT, b"retry", NOW + 10.1) is TokenFault.INVALID
    assert tokens.check_untrusted(token, CLIENT, b"retry", NOW - 2) is TokenFault.INVALID
    assert tokens.check_untrusted(token, CLIENT, b"other", NOW) is TokenFault.INVALID
    assert tokens.check_untrusted(token[:-1], CLIENT, b"retry", NOW) is TokenFault.INVALID
    for foreign in (b"", b"x" * 40, token[:20], token + bytes(50)):
        assert tokens.check_untrusted(foreign, CLIENT, b"retry", NOW) is TokenFault.FOREIGN


@pytest.mark.parametrize("now", [-5.0, 0.0, 1e9])
def test_any_clock_will_do_for_tokens(now):
    tokens = AddressTokens()
    assert tokens.check_untrusted(tokens.issue(CLIENT, b"o", b"r", now), CLIENT, b"r", now) == b"o"


def test_a_token_that_ends_with_the_datagram():
    header = LongHeader(1, b"", b"", 1)
    assert read_initial_token_untrusted(b"\xc0\x02tk\x14" + bytes(20), header) == b"tk"
    assert read_initial_token_untrusted(b"\xc0\x02tk\x14" + bytes(19), header) is None
    assert read_initial_token_untrusted(b"\xc0\x02tk", header) is None
    assert read_initial_token_untrusted(b"\xc0\x40", header) is None
    assert read_initial_token_untrusted(b"\xc0", header) is None


@pytest.mark.parametrize("options", [{"retry": "maybe"}, {"half_open": -1}, {"token_seconds": float("nan")}])
def test_settings_are_checked(options):
    with pytest.raises(ConfigurationError):
        QUICRouterSettings(**options)


@pytest.mark.parametrize("arguments", [{"versions": ()}, {"versions": (7,)}, {"token_key": b"short"}])
def test_arguments_are_checked(arguments):
    with pytest.raises(ConfigurationError):
        make_router(**arguments)


# Any input


class CountingSource(RandomConnectionIdSource):
    """Issues ids that tests can guess."""

    def __init__(self):
        super().__init__(8)
        self.count = 0

    def issue(self):
        self.count += 1
        return IssuedConnectionId(self.count.to_bytes(8, "big"), bytes(16))


ids = st.one_of(st.integers(0, 5).map(lambda number: number.to_bytes(8, "big")), st.binary(max_size=22))
packets = st.one_of(
    st.binary(max_size=64),
    st.builds(
        lambda first, version, destination, source, rest, octets: long_header(
            version, destination, source, first=first, rest=rest
        ).ljust(octets, b"\0"),
        st.integers(0x80, 0xFF),
        st.sampled_from([0, VERSION_1, VERSION_2, 0x1A2A3A4A]),
        ids,
        ids,
        st.binary(max_size=40),
        st.sampled_from([0, 1199, 1200, 1500]),
    ),
    st.builds(lambda connection_id, rest: b"\x40" + connection_id + rest, ids, st.binary(max_size=50)),
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(packets, st.sampled_from(["192.0.2.1", "2001:db8::1", "odd"]), st.integers(0, 65_535)), max_size=20
    ),
    st.sampled_from(["auto", "always", "never"]),
)
def test_no_input_makes_it_raise_and_all_is_counted(received, retry):
    source = CountingSource()
    factory = FakeFactory(source)
    options = QUICRouterSettings(retry=retry, retry_half_open=2, half_open=4, connections=5)
    router = QUICRouter(factory, connection_id_source=source, settings=options, reset_token=lambda _: bytes(16))
    replies = 0
    for number, (data, host, port) in enumerate(received):
        action = router.datagram_received(data, (host, port), NOW + number / 10)
        if isinstance(action, Reply):
            replies += 1
            assert len(action.datagram[0]) < max(len(data), 22)
            assert action.datagram[1] == (host, port)
        elif isinstance(action, Accept):
            router.update(action.connection)
    statistics = router.statistics()
    assert statistics.connections == len(factory.made) <= 4
    sent = statistics.retries + statistics.negotiations + statistics.resets + statistics.refusals
    assert replies == sent
    counted = statistics.accepted + statistics.delivered + sum(statistics.drops.values()) + sent - statistics.refusals
    assert counted == len(received)
    for connection in router.connections:
        router.forget(connection)
    assert router.statistics().connection_ids == 0
