"""How connections end: by a close on either side, by silence, or by what the dependency stumbles over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hface_trio.errors import LocalProtocolError
from hface_trio.events import ConnectionTerminated
from hface_trio.protocols.quic import QUICErrorCode, QUICSettings
from hface_trio.protocols.quic._ending import LastWord

from ..taken import events_of
from .network import (
    BOTH_WAYS,
    CLIENT_ADDRESS,
    SERVER_ADDRESS,
    authority,
    client_connection,
    connected,
    server_connection,
)


def test_an_application_close_carries_code_and_message():
    net = connected()
    net.client.submit_close(77, "enough")
    assert events_of(net.client) == [ConnectionTerminated(77, "enough")]
    assert not net.client.is_closed
    net.run()
    assert events_of(net.server) == [ConnectionTerminated(77, "enough")]
    assert net.server.close_reason == (77, "enough", True, False)
    net.run(5)
    assert net.client.is_closed
    assert net.server.is_closed
    assert net.client.get_timer() is None


def test_a_transport_close():
    net = connected()
    net.server.submit_close(QUICErrorCode.INTERNAL_ERROR, application=False)
    net.run()
    assert net.client.close_reason == (QUICErrorCode.INTERNAL_ERROR, "", False, False)


def test_a_long_message_is_cut():
    net = connected()
    net.client.submit_close(1, "ü" * 2000)
    net.run()
    assert net.server.close_reason.message == "ü" * 128


def test_the_last_word_is_repeated_less_and_less_often():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    net.client.submit_close(1)
    assert len(net.client.datagrams_to_send()) == 1
    said = 0
    for _ in range(64):
        net.client.datagram_received((b"\x41" + bytes(60), SERVER_ADDRESS))
        said += len(net.client.datagrams_to_send())
    assert 4 <= said <= 8
    net.run(5)
    net.client.datagram_received((b"\x41" + bytes(60), SERVER_ADDRESS))
    assert net.client.datagrams_to_send() == []


@pytest.mark.parametrize("n_names", [0, 20, 100])
@pytest.mark.parametrize("heard_octets", [0, 21, 60, 1200])
def test_the_last_word_is_held_to_three_times_what_an_unproven_address_sent(heard_octets, n_names):
    names = [f"{'x' * 50}{number}.example.org" for number in range(n_names)]
    client, server = client_connection(), server_connection(tls=authority().server_config("localhost", *names))
    client.clock(0.0)
    server.clock(0.0)
    client.connect(SERVER_ADDRESS)
    sent = received = 0
    for data, _ in client.datagrams_to_send():
        server.datagram_received((data, CLIENT_ADDRESS))
        sent += len(data)
    for now in (0.0, 1.0, 3.0, 7.0, 15.0):  # lost packets are sent again, as far as the limit lets them
        server.clock(now)
        received += sum(len(data) for data, _ in server.datagrams_to_send())
    assert 2.5 * sent < received <= 3 * sent
    server.submit_close(0, "the handshake was not completed", application=False)
    for _ in range(20):
        received += sum(len(data) for data, _ in server.datagrams_to_send())
        if heard_octets:
            server.datagram_received((b"\x41" + bytes(heard_octets - 1), CLIENT_ADDRESS))
            sent += heard_octets
        assert received <= 3 * sent


@given(st.lists(st.integers(1, 1500)), st.integers(1, 1200))
def test_who_talks_after_the_end_hears_at_most_three_times_as_much(heard, n_octets):
    last_word = LastWord()
    last_word.said([(bytes(n_octets), CLIENT_ADDRESS)])
    said = 0
    for number, octets in enumerate(heard, 1):
        last_word.heard(octets)
        said += sum(len(data) for data, _ in last_word.again())
        assert said <= 3 * sum(heard[:number])


def test_after_the_end_everything_is_refused_or_ignored():
    net = connected(BOTH_WAYS, BOTH_WAYS)
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"x")
    net.client.submit_close(1)
    net.client.submit_close(2)
    assert net.client.streams_left() == 0
    assert net.client.send_capacity(stream_id) == 0
    with pytest.raises(LocalProtocolError):
        net.client.submit_data(stream_id, b"x")
    net.client.submit_stream_reset(stream_id, 1)
    net.client.submit_stop_sending(stream_id, 1)
    net.client.acknowledge(stream_id, 1)
    net.client.release(stream_id)
    net.client.submit_key_update()
    net.run(5)
    assert net.client.close_reason.code == 1


def test_early_calls_do_nothing():
    server = server_connection()
    server.clock(1.0)
    assert server.get_timer() is None
    assert server.datagrams_to_send() == []
    assert server.peer_certificate is None
    assert server.round_trip_seconds is None
    server.clock(2.0)
    server.submit_close(1)
    assert server.datagrams_to_send() == []
    assert server.is_closed
    client = client_connection()
    client.clock(1.0)
    assert client.get_timer() is None
    assert client.datagrams_to_send() == []


def test_silence_ends_the_connection():
    settings = QUICSettings(idle_timeout_seconds=5)
    net = connected(settings, QUICSettings(bidirectional_streams=0))
    net.run(4)
    assert events_of(net.client) == []
    net.run(2)
    assert events_of(net.client) == [ConnectionTerminated(0, "the peer was silent for too long")]
    assert net.client.is_closed
    net.client.clock(net.now + 100)
    assert net.client.get_timer() is None


def test_keep_alive_pings_keep_it():
    settings = QUICSettings(idle_timeout_seconds=5, keep_alive_interval_seconds=2)
    net = connected(settings)
    net.run(30)
    assert events_of(net.client) == []
    assert net.client.close_reason is None


def test_what_the_dependency_stumbles_over_ends_this_connection_alone(monkeypatch):
    net = connected(BOTH_WAYS, BOTH_WAYS)

    def stumble(*_arguments):
        raise IndexError("pop from empty list")

    monkeypatch.setattr(net.server._machine, "receive_datagram", stumble)
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"x")
    net.run()
    assert net.server.close_reason.code == QUICErrorCode.INTERNAL_ERROR
    assert "IndexError" in net.client.close_reason.message
