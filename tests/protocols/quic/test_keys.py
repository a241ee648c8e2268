"""Key updates: no second one before a packet under the keys of the first was acknowledged (RFC 9001 §6.1)."""

from __future__ import annotations

import inspect

import pytest
from aioquic.quic.connection import QuicConnection
from aioquic.quic.crypto import CryptoPair
from aioquic.tls import Epoch

from hface_trio.events import DataReceived

from ..taken import events_of
from .network import Network, connected


def phase(endpoint) -> int:
    return endpoint._machine._cryptos[Epoch.ONE_RTT].send.key_phase


def exchange(net: Network) -> None:
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"request", end_stream=True)
    net.run(1)
    assert DataReceived(stream_id, b"request", True) in events_of(net.server)
    net.client.settle()
    assert net.client.sender.unacknowledged == 0


def test_a_second_update_waits_for_the_acknowledgement_of_the_first():
    net = connected()
    net.cut = True
    net.client.submit_key_update()
    net.client.submit_ping()
    net.flush()  # which is lost
    net.client.submit_key_update()
    net.client.submit_ping()
    net.flush()
    assert phase(net.client) == 1
    net.cut = False
    exchange(net)
    assert phase(net.client) == phase(net.server) == 0  # the second was made up for
    exchange(net)


def test_an_update_waits_for_the_acknowledgement_of_the_peers():
    net = connected()
    net.server.submit_key_update()
    net.server.submit_ping()
    net.flush()
    while phase(net.client) == 0:
        net.step()
    # Nothing that the client sent under these keys can have been acknowledged.
    net.cut = True
    net.client.submit_key_update()
    net.client.submit_ping()
    net.flush()
    assert phase(net.client) == 1
    net.cut = False
    exchange(net)
    assert phase(net.client) == phase(net.server) == 0


def test_requests_that_wait_together_are_one():
    net = connected()
    net.client.submit_key_update()
    net.client.submit_ping()
    net.flush()
    for _ in range(5):
        net.client.submit_key_update()
        net.client.submit_ping()
        net.flush()
    exchange(net)  # the rest are due with the next packet
    for _ in range(3):
        exchange(net)
        assert phase(net.client) == phase(net.server) == 0


def test_updates_follow_one_another_as_they_are_acknowledged():
    net = connected()
    for number in range(1, 6):
        net.client.submit_key_update()
        exchange(net)
        assert phase(net.client) == phase(net.server) == number % 2


@pytest.mark.parametrize("seed", range(10))
def test_both_sides_may_update_again_and_again_over_a_bad_network(seed):
    net = connected(seed=seed)
    net.loss, net.reorder = 0.2, 0.5
    for _ in range(10):
        net.client.submit_key_update()
        net.client.submit_ping()
        net.run(0.02)
        net.server.submit_key_update()
        net.server.submit_ping()
        net.run(0.02)
    net.loss = 0.0
    net.run(5)
    exchange(net)


def test_aioquic_tells_of_changes_of_keys_by_these_names():
    source = inspect.getsource(CryptoPair)
    assert '_update_key("remote_update")' in source
    assert '_update_key("local_update")' in source
    assert list(inspect.signature(QuicConnection._log_key_updated).parameters) == ["self", "key_type", "trigger"]
