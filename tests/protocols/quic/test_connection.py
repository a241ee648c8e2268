"""QUIC connections, two of this package against each other in virtual time: datagrams, pings, keys, settings."""

from __future__ import annotations

import pytest

from hface_trio.errors import ConfigurationError, LocalProtocolError
from hface_trio.events import PingAcknowledged
from hface_trio.protocols.quic import QUICSettings, TransportDatagramReceived

from ..taken import events_of
from .network import BOTH_WAYS, connected, data_of

# Datagrams, pings, keys.


def test_datagram_frames_with_size_check():
    settings = QUICSettings(datagram_frames=True)
    net = connected(settings, settings)
    longest = net.client.max_datagram_frame_octets
    net.client.submit_datagram_frame(b"d" * longest)
    with pytest.raises(LocalProtocolError):
        net.client.submit_datagram_frame(b"d" * (longest + 1))
    net.client.submit_datagram_frame(b"after")
    net.run()
    assert events_of(net.server) == [TransportDatagramReceived(b"d" * longest), TransportDatagramReceived(b"after")]


def test_no_datagram_frames_to_a_peer_that_takes_none():
    net = connected(QUICSettings(datagram_frames=True), QUICSettings())
    assert net.client.max_datagram_frame_octets == -1
    with pytest.raises(LocalProtocolError):
        net.client.submit_datagram_frame(b"")


def test_pings_measure_the_round_trip():
    net = connected()
    number = net.client.submit_ping()
    net.run()
    (event,) = events_of(net.client)
    assert event == PingAcknowledged(number.to_bytes(8, "big"), event.round_trip_seconds)
    assert event.round_trip_seconds >= 0.02


def test_lost_pings_are_sent_again():
    net = connected()
    net.client.submit_ping()
    net.cut = True
    net.run(0.01)
    net.cut = False
    net.run(1)
    assert [type(e) for e in events_of(net.client)] == [PingAcknowledged]


def test_keys_can_be_updated_by_either_side():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    stream_id = net.client.next_stream_id()
    for endpoint in (net.client, net.server):
        endpoint.submit_key_update()
        net.client.submit_data(stream_id, b"x")
        net.run()
        assert data_of(net.server, stream_id) == b"x"


@pytest.mark.parametrize("versions", [(1,), (0x6B3343CF,)])
def test_both_versions_are_spoken(versions):
    settings = QUICSettings(versions=versions)
    net = connected(settings, QUICSettings())
    assert net.client.version == net.server.version == versions[0]


@pytest.mark.parametrize("algorithm", ["cubic", "reno"])
def test_both_congestion_controls_carry_data(algorithm):
    settings = QUICSettings(congestion_control=algorithm)
    net = connected(settings, settings, loss=0.02)
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"x" * 50_000, end_stream=True)
    net.run(20)
    assert len(data_of(net.server, stream_id)) == 50_000


# Settings.


@pytest.mark.parametrize(
    "arguments",
    [
        {"congestion_control": "vegas"},
        {"versions": ()},
        {"versions": (5,)},
        {"max_datagram_octets": 1199},
        {"idle_timeout_seconds": 0},
        {"stream_window_octets": 10},
        {"bidirectional_streams": -1},
        {"keep_alive_interval_seconds": float("nan")},
    ],
)
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ConfigurationError):
        QUICSettings(**arguments)
