"""What a connection keeps in memory: no more than it needs while it is open, and nothing when it is over."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Callable

import pytest

from hface_trio.protocols.quic import QUICSettings

from ..taken import events_of
from .network import CLIENT_ADDRESS, SERVER_ADDRESS, Network, client_connection, connected, server_connection

KIB = 1024
CONNECTIONS = 10


def used() -> Network:
    """Streams were used both ways, and some still are."""
    net = connected(QUICSettings(bidirectional_streams=10))
    for end_stream in (True, False):
        stream_id = net.client.next_stream_id()
        net.client.submit_data(stream_id, b"x" * 20_000, end_stream)
        net.run()
        net.server.submit_data(stream_id, b"y" * 20_000, end_stream)
        net.run()
    events_of(net.client)
    events_of(net.server)
    return net


def closed_here(net: Network) -> None:
    net.server.submit_close(7, "enough")
    net.run(5)


def closed_in_the_middle(net: Network) -> None:
    """Packets are under way that nobody acknowledges any more."""
    net.server.submit_data(4, b"z" * 5000)
    net.server.datagrams_to_send()
    net.server.submit_close(7, "enough")
    net.run(5)


def closed_by_the_peer(net: Network) -> None:
    net.client.submit_close(7, "enough")
    net.run(5)


def fallen_silent(net: Network) -> None:
    net.cut = True
    net.run(100)


def socket_lost(net: Network) -> None:
    net.server.connection_lost()
    net.client.connection_lost()


@pytest.mark.parametrize("end", [closed_here, closed_in_the_middle, closed_by_the_peer, fallen_silent, socket_lost])
def test_a_connection_that_is_over_is_no_garbage(no_collector: None, end: Callable[[Network], None]):
    net = used()
    end(net)
    assert net.server.is_closed
    over = [weakref.ref(net.server), weakref.ref(net.server._machine), weakref.ref(net.client)]
    del net
    assert [reference() for reference in over] == [None, None, None]


def test_a_connection_that_never_was_one_is_no_garbage(no_collector: None):
    client, server = client_connection(), server_connection()
    client.clock(0)
    server.clock(0)
    client.connect(SERVER_ADDRESS)
    for data, _ in client.datagrams_to_send():
        server.datagram_received((data, CLIENT_ADDRESS))
    server.submit_close(0)
    assert server.datagrams_to_send()
    client.connection_lost()
    over = [weakref.ref(server), weakref.ref(client)]
    del server, client
    assert [reference() for reference in over] == [None, None]


def test_an_open_connection_has_no_buffers_for_a_handshake():
    tracemalloc.start()
    try:
        kept = [connected() for _ in range(2)]
        before = tracemalloc.get_traced_memory()[0]
        kept += [connected() for _ in range(CONNECTIONS)]
        gc.collect()
        octets = (tracemalloc.get_traced_memory()[0] - before) / CONNECTIONS
    finally:
        tracemalloc.stop()
    assert len(kept) == CONNECTIONS + 2
    assert octets < 2 * 70 * KIB  # of a client and a server; aioquic's buffers alone would be 96 KiB


def test_a_connection_in_its_closing_period_has_let_go_of_most():
    nets = [used() for _ in range(CONNECTIONS)]
    tracemalloc.start()
    try:
        nets += [used() for _ in range(CONNECTIONS)]
        gc.collect()
        opened = tracemalloc.get_traced_memory()[0]
        for net in nets[CONNECTIONS:]:
            net.server.submit_close(0)
            net.client.submit_close(0)
            net.flush()
            net.wire.clear()
        gc.collect()
        closing = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert not any(net.server.is_closed for net in nets)
    assert closing < opened / 2


def test_what_can_be_asked_of_a_connection_outlives_it():
    net = used()

    def facts() -> list[object]:
        client = net.client
        return [
            client.peer_certificate,
            client.remote_address,
            client.version,
            client.round_trip_seconds,
            client.handshake,
            list(client.connection_ids),
            client.open_streams > 0,
        ]

    before = facts()
    assert None not in before
    net.client.submit_close(0)
    net.client.datagrams_to_send()
    assert facts() == [*before[:-1], False]
    net.client.connection_lost()
    assert facts() == [*before[:-1], False]


def test_a_connection_that_is_over_holds_and_owes_nothing():
    net = used()
    net.client.submit_data(4, b"z" * 5000)
    net.client.submit_close(0)
    net.client.datagrams_to_send()
    client = net.client
    assert not client.sender.busy
    assert (client.sender.unsent, client.sender.unacknowledged, client.held_octets) == (0, 0, 0)
    assert (client.unsent_octets(4), client.unacknowledged_octets(4), client.send_capacity(4)) == (0, 0, 0)


def test_the_closing_period_ends_as_ever():
    net = used()
    net.server.submit_close(7, "enough")
    net.flush()
    assert not net.server.is_closed
    assert net.server.get_timer() is not None
    net.run(5)
    assert net.server.is_closed
    assert net.server.close_reason.code == net.client.close_reason.code == 7
    assert events_of(net.server)[-1].error_code == 7
