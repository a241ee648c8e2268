"""What waits for octets in front of it: counted at any time, and not kept of streams that nobody wants."""

from __future__ import annotations

import random

import pytest

from hface_trio.events import DataReceived
from hface_trio.protocols.quic import QUICConnection, QUICSettings

from ..taken import events_of
from .network import Network, connected

SETTINGS = QUICSettings(bidirectional_streams=8, unidirectional_streams=4)


def held(endpoint: QUICConnection) -> int:
    return sum(len(stream.receiver._buffer) for stream in dict.values(endpoint._machine._streams))


def withhold(net: Network, octets: int, start: int, stop: int, *, end_stream: bool = False) -> int:
    """Send octets on a new stream without some of them."""
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"x" * octets, end_stream=end_stream)
    net.client._machine._streams[stream_id].sender._pending.subtract(start, stop)
    net.run(0.2)
    return stream_id


def make_up_for(net: Network, stream_id: int, start: int, stop: int) -> None:
    sender = net.client._machine._streams[stream_id].sender
    sender._pending.add(start, stop)
    sender.buffer_is_empty = False
    net.run(0.2)


def test_a_stream_waits_from_its_first_octets_and_then_from_its_last_progress():
    net = connected(SETTINGS, SETTINGS)
    began = net.now
    stream_id = withhold(net, 3000, 0, 1)
    assert net.server.held_octets == held(net.server) == 3000
    since = net.server.longest_waiting(begun=False)
    assert since == (stream_id, pytest.approx(began, abs=0.1))
    assert net.server.longest_waiting(begun=True) is None
    sender = net.client._machine._streams[stream_id].sender
    net.run(5)
    assert net.server.longest_waiting(begun=False) == since
    net.client.submit_data(stream_id, b"y" * 2000)
    sender._pending.subtract(3000, 3001)
    net.run(0.2)
    assert net.server.longest_waiting(begun=False) == since  # no progress
    make_up_for(net, stream_id, 0, 1)
    assert net.server.held_octets == held(net.server) == 2000
    assert net.server.longest_waiting(begun=False) is None
    assert net.server.longest_waiting(begun=True) == (stream_id, pytest.approx(net.now, abs=0.3))
    make_up_for(net, stream_id, 3000, 3001)
    assert net.server.held_octets == 0
    assert net.server.longest_waiting(begun=True) is None


def test_the_stream_that_waits_longest_comes_first():
    net = connected(SETTINGS, SETTINGS)
    first = withhold(net, 3000, 1, 2)
    second = withhold(net, 3000, 1, 2)
    assert net.server.longest_waiting(begun=True)[0] == first
    make_up_for(net, first, 1, 2)
    assert net.server.longest_waiting(begun=True)[0] == second


@pytest.mark.parametrize("how", ["reset", "stopped", "closed"])
def test_nothing_is_held_of_what_is_over(how):
    net = connected(SETTINGS, SETTINGS)
    stream_id = withhold(net, 3000, 1, 2)
    events_of(net.server)
    assert net.server.held_octets == 2999
    if how == "reset":
        net.client.submit_stream_reset(stream_id, 1)
        net.run(0.2)
    elif how == "stopped":
        net.server.submit_stop_sending(stream_id, 1)
    else:
        net.server.submit_close(0)
    assert net.server.held_octets == 0
    assert how == "closed" or held(net.server) == 0


def test_of_a_stopped_stream_nothing_more_is_kept_and_all_of_it_is_credited():
    net = connected(SETTINGS, SETTINGS)
    stream_id = withhold(net, 3000, 1, 2)
    assert [event for event in events_of(net.server) if isinstance(event, DataReceived)] == [
        DataReceived(stream_id, b"x", False)
    ]
    machine = net.client._machine
    net.server.submit_stop_sending(stream_id, 1)
    net.server.acknowledge(stream_id, 1)
    server = net.server._machine
    server._streams[stream_id].receiver.stop_pending = False  # the peer does not hear of it
    net.client.submit_data(stream_id, b"y" * 4000, end_stream=True)
    machine._streams[stream_id].sender._pending.subtract(5000, 5001)
    net.run(0.2)
    assert held(net.server) == net.server.held_octets == 0
    make_up_for(net, stream_id, 5000, 5001)
    make_up_for(net, stream_id, 1, 2)
    assert events_of(net.server) == []
    assert net.server.streams.live[stream_id].receiving_ended
    assert net.server.streams.live[stream_id].credit.delivered == 7000
    assert (net.server.ledger._consumed, net.server.ledger.held) == (7000, 0)
    assert net.server.close_reason is None


@pytest.mark.parametrize("seed", range(8))
def test_the_count_is_right_whatever_happens(seed):
    chance = random.Random(seed)
    net = connected(SETTINGS, SETTINGS, seed=seed)
    net.loss, net.reorder = 0.2, 0.5

    def check() -> None:
        assert net.server.held_octets == held(net.server)
        waiting = [net.server.longest_waiting(begun=begun) for begun in (False, True)]
        assert any(waiting) or not net.server.held_octets
        for event in events_of(net.server):
            if isinstance(event, DataReceived):
                net.server.acknowledge(event.stream_id, len(event.data))

    net.on_step = check
    for _ in range(40):
        if net.client.streams_left():
            net.client.submit_data(net.client.next_stream_id(), b"x" * 5000)
        for stream_id in [*net.client.streams.live]:
            act = chance.random()
            if act < 0.1:
                net.client.submit_stream_reset(stream_id, 1)
            elif act < 0.2:
                net.server.submit_stop_sending(stream_id, 1)
            elif act < 0.5 and (octets := min(3000, net.client.send_capacity(stream_id))):
                net.client.submit_data(stream_id, b"y" * octets, end_stream=act < 0.3)
            if act < 0.3:
                net.server.submit_stream_reset(stream_id, 1)
        net.run(0.05)
        check()
    net.loss = 0.0
    net.run(10)
    check()
    assert net.server.held_octets == 0
    assert not net.server._machine.reassembly
    assert net.server.close_reason is None
