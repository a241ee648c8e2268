"""Connections are capped, in all and per address, and so is what is answered."""

from __future__ import annotations

import pytest

from hface_trio.limits import address_owner
from hface_trio.protocols.quic._router_actions import Accept, Deliver, Drop, DropReason, Reply
from hface_trio.protocols.quic._router_limits import AnswerRate, OwnerCounts

from .routing import CLIENT, NOW, SERVER, VERSION_1, VERSION_2, drops, initial, long_header, make_client, make_router

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


# Counts and rates


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
