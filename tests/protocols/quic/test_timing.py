"""The time of which it is remembered when a connection has to be looked at is the one that a look at everything finds."""

from __future__ import annotations

import pytest
from aioquic.quic.connection import QuicConnection

from hface_trio.protocols.quic import QUICConnection

from ..taken import events_of
from .network import SERVER_ADDRESS, Network, client_connection, connected, server_connection


def found_anew(connection: QUICConnection) -> float | None:
    machine = connection._machine
    return None if machine._close_at is None else QuicConnection.get_timer(machine)


def checking(net: Network) -> list[int]:
    """Compare at each step from now on; what is returned counts how often."""
    compared = [0]

    def compare() -> None:
        for connection in (net.client, net.server):
            assert connection._machine.get_timer() == found_anew(connection)
            compared[0] += 1

    net.on_step = compare
    flush = net.flush

    def flush_and_compare() -> None:
        compare()
        flush()
        compare()

    net.flush = flush_and_compare
    return compared


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_from_the_handshake_to_the_end(loss: float):
    client, server = client_connection(), server_connection()
    net = Network(client, server, loss=loss, seed=3)
    compared = checking(net)
    client.connect(SERVER_ADDRESS)
    net.run(20.0, until=lambda: client.handshake is not None and server.handshake is not None)
    stream_id = client.next_stream_id()
    left = 300_000
    while left:
        octets = min(left, client.send_capacity(stream_id))
        left -= octets
        client.submit_data(stream_id, bytes(octets), not left)
        net.run(0.05)
        for event in events_of(server):
            server.acknowledge(stream_id, len(getattr(event, "data", b"")))
    server.submit_data(stream_id, b"x" * 5000, end_stream=True)
    net.run(2)
    client.submit_close(0)
    net.run(10)
    assert server.is_closed
    assert compared[0] > 500


def test_a_connection_that_falls_silent():
    net = connected()
    compared = checking(net)
    net.client.submit_data(net.client.next_stream_id(), b"x" * 3000)
    net.cut = True
    net.run(200)
    assert net.client.is_closed
    assert compared[0] > 10


def test_pings_are_due_by_the_latest_that_was_heard_and_by_what_is_needed():
    net = connected()
    pings, machine = net.server.pings, net.server._machine
    pings.needed = True
    pings.heard(50.0)
    assert pings.deadline() == 50.0 + machine.idle_seconds / 2
    pings.heard(60.0)
    assert pings.deadline() == 60.0 + machine.idle_seconds / 2
    pings.needed = False
    assert pings.deadline() > 1000
    pings.needed = True
    assert pings.deadline() == 60.0 + machine.idle_seconds / 2
    pings.clock(100.0)
    assert pings.deadline() == 100.0 + machine.idle_seconds / 2
