"""Retry: addresses are proven before a connection costs anything."""

from __future__ import annotations

import pytest

from hface_trio.protocols.quic._router_actions import Accept, Deliver, DropReason, Reply
from hface_trio.protocols.quic._router_packets import read_long_header_untrusted

from .routing import CLIENT, NOW, SERVER, VERSION_1, VERSION_2, drops, initial, make_client, make_router


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
