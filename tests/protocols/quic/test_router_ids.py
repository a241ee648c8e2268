"""Datagrams are routed by the ids that connections have, as long as they have them."""

from __future__ import annotations

import pytest

from hface_trio.protocols.quic._router_actions import Deliver, Drop, DropReason

from .routing import CLIENT, NOW, accepted, initial, make_router, short_header


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
