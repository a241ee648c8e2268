"""Streams of four kinds, what may be sent on them, and how much of it."""

from __future__ import annotations

import pytest

from hface_trio.errors import LocalProtocolError, SendCapacityError
from hface_trio.events import DataReceived, SendCapacityIncreased, StopSendingReceived, StreamResetReceived
from hface_trio.protocols.quic import QUICSettings, StreamsAllowed, is_client_initiated, is_unidirectional

from ..taken import events_of
from .network import BOTH_WAYS, connected, data_of

# Streams of four kinds.


def test_ids_tell_the_kind():
    assert [is_client_initiated(i) for i in range(4)] == [True, False, True, False]
    assert [is_unidirectional(i) for i in range(4)] == [False, False, True, True]


@pytest.mark.parametrize("unidirectional", [False, True])
@pytest.mark.parametrize("opener", ["client", "server"])
def test_either_side_opens_streams_of_either_kind(opener, unidirectional):
    net = connected(BOTH_WAYS, BOTH_WAYS)
    near, far = (net.client, net.server) if opener == "client" else (net.server, net.client)
    stream_id = near.next_stream_id(unidirectional=unidirectional)
    assert stream_id == (opener == "server") + 2 * unidirectional
    near.submit_data(stream_id, b"hello", end_stream=True)
    net.run()
    assert events_of(far) == [DataReceived(stream_id, b"hello", True)]
    if unidirectional:
        with pytest.raises(LocalProtocolError):
            far.submit_data(stream_id, b"x")
    else:
        far.submit_data(stream_id, b"back", end_stream=True)
        net.run()
        assert data_of(near, stream_id) == b"back"
    net.run(1)
    assert net.client.open_streams == net.server.open_streams == 0


def test_the_limit_on_streams_is_kept_and_moves_as_they_end():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    ids = []
    for _ in range(4):
        stream_id = net.client.next_stream_id()
        net.client.submit_data(stream_id, b"x", end_stream=True)
        ids.append(stream_id)
    assert net.client.streams_left() == 0
    with pytest.raises(LocalProtocolError):
        net.client.next_stream_id()
    net.run()
    for stream_id in ids:
        net.server.submit_data(stream_id, b"", end_stream=True)
    net.run(1)
    assert StreamsAllowed() in events_of(net.client)
    assert net.client.streams_left() == 4


def test_streams_of_the_peer_cannot_be_opened_here():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    for stream_id in (1, 3, 8):
        with pytest.raises(LocalProtocolError):
            net.client.submit_data(stream_id, b"x")


def test_a_reset_and_a_stop():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"x" * 100)
    net.run()
    events_of(net.server)
    net.client.submit_stream_reset(stream_id, 7)
    net.client.submit_stop_sending(stream_id, 8)
    net.run()
    events = events_of(net.server)
    assert StreamResetReceived(stream_id, 7) in events
    assert StopSendingReceived(stream_id, 8) in events
    assert len(events) == 2
    net.run(1)
    assert net.client.open_streams == net.server.open_streams == 0


def test_stopped_streams_deliver_nothing_and_cost_nothing():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"x")
    net.run()
    events_of(net.server)
    net.server.submit_stop_sending(stream_id, 9)
    net.client.submit_data(stream_id, b"y" * 5000)
    net.run()
    assert events_of(net.server) == []
    assert events_of(net.client) == [StopSendingReceived(stream_id, 9)]
    ledger = net.server.ledger
    assert ledger.held == 1  # what came before and nobody has acknowledged
    assert ledger._consumed + ledger.held == net.server._machine._local_max_data.used


# Credit and capacity.


def test_nothing_arrives_beyond_the_window_until_it_is_consumed():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    stream_id = net.client.next_stream_id()
    sent = 0

    def pump() -> None:
        nonlocal sent
        while capacity := net.client.send_capacity(stream_id):
            net.client.submit_data(stream_id, b"x" * capacity)
            sent += capacity

    net.on_step = pump
    pump()
    net.run(2)
    received = len(data_of(net.server, stream_id))
    assert received == sent == 64 * 1024
    net.server.acknowledge(stream_id, received)
    net.run(2)
    assert len(data_of(net.server, stream_id)) == 64 * 1024  # no more: it was slow


def test_windows_grow_where_the_application_keeps_up():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"x" * net.client.send_capacity(stream_id))
    net.run(0.2)
    net.server.acknowledge(stream_id, len(data_of(net.server, stream_id)))
    assert net.server.streams.live[stream_id].credit.window == 128 * 1024


def test_capacity_is_refused_and_announced():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    stream_id = net.client.next_stream_id()
    capacity = net.client.send_capacity(stream_id)
    with pytest.raises(SendCapacityError):
        net.client.submit_data(stream_id, b"x" * (capacity + 1))
    net.client.submit_data(stream_id, b"x" * capacity)
    assert net.client.send_capacity(stream_id) == 0
    net.run()
    net.server.acknowledge(stream_id, capacity)
    net.run()
    assert SendCapacityIncreased(stream_id) in events_of(net.client)


def test_the_connection_window_bounds_all_streams_together():
    settings = QUICSettings(bidirectional_streams=8, connection_window_octets=100_000)
    net = connected(BOTH_WAYS, settings)
    for _ in range(4):
        stream_id = net.client.next_stream_id()
        net.client.submit_data(stream_id, b"x" * min(50_000, net.client.send_capacity(stream_id)))
        net.run()
    events = events_of(net.server)
    received = {e.stream_id: 0 for e in events}
    for event in events:
        received[event.stream_id] += len(event.data)
    assert sum(received.values()) == 100_000
    for stream_id, octets in received.items():
        net.server.acknowledge(stream_id, octets)
    net.run()
    assert events_of(net.client)
