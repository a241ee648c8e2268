"""What is done otherwise than aioquic does it: limits, timers, tables, packets and pace."""

from __future__ import annotations

import pytest
from aioquic.quic.connection import Limit
from aioquic.quic.recovery import QuicPacketPacer
from aioquic.quic.stream import QuicStream

from hface_trio.protocols.quic import QUICSettings
from hface_trio.protocols.quic._compat_aioquic._limits import _GrantedLimit, _Streams
from hface_trio.protocols.quic._compat_aioquic._sending import MillisecondPacer

from ..taken import events_of
from .network import connected, server_connection


def test_a_discarded_stream_grants_nothing():
    limit = _GrantedLimit(Limit(frame_type=1, name="x", value=5), 7)
    limit.value += 1
    assert limit.value == 7
    limit.grant(2)
    assert (limit.value, limit.sent, limit.used) == (9, 7, 0)


def test_the_table_tells_what_was_discarded():
    table = _Streams()
    table[4] = QuicStream(stream_id=4)
    table.with_news[4] = table[4]
    assert table.pop(4).stream_id == 4
    assert table.discarded == [4]
    assert table.values() == []


def test_receive_limits_do_not_move_by_themselves():
    net = connected()
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"x" * net.client.send_capacity(stream_id))
    net.run(1)
    machine = net.server._machine
    assert machine._streams[stream_id].max_stream_data_local == QUICSettings().stream_window_octets
    assert machine._local_max_data.value == QUICSettings().connection_window


def test_lost_limits_are_told_again():
    net = connected()
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"x" * net.client.send_capacity(stream_id))
    net.run(1)
    octets = sum(len(e.data) for e in events_of(net.server))
    net.server.acknowledge(stream_id, octets)
    net.cut = True
    net.run(0.05)
    net.cut = False
    net.run(2)
    assert net.client.send_capacity(stream_id) > 0


def test_a_connection_id_is_taken_from_the_first_datagram():
    net = connected()
    machine = net.server._machine
    assert machine.initial_destination_id == machine.original_destination_connection_id
    assert machine.initial_destination_id == net.client._machine.original_destination_connection_id


def test_the_idle_timeout_has_its_text():
    net = connected(QUICSettings(idle_timeout_seconds=2, bidirectional_streams=0))
    net.run(5)
    assert net.client._machine._close_event.reason_phrase == "Idle timeout"
    assert net.client._machine.timed_out


def test_handshake_data_out_of_order_is_bounded():
    from aioquic.buffer import Buffer
    from aioquic.quic.connection import QuicConnectionError
    from aioquic.tls import Epoch

    net = connected()
    machine = net.server._machine

    class FakeContext:
        epoch = Epoch.ONE_RTT

    frame = Buffer(capacity=64)
    frame.push_uint_var(70_000)
    frame.push_uint_var(1)
    frame.push_bytes(b"x")
    with pytest.raises(QuicConnectionError) as caught:
        machine._handle_crypto_frame(FakeContext(), 6, Buffer(data=frame.data))
    assert caught.value.error_code == 0xD


def test_a_timer_that_has_come_is_dealt_with():
    """Rounding in loss detection must not leave a timer due for ever at one moment."""
    net = connected()
    stream_id = net.client.next_stream_id()
    net.client.submit_data(stream_id, b"x" * 3000)
    net.cut = True
    times = 0
    net.flush()
    while (timer := net.client.get_timer()) is not None:
        times += 1
        assert times < 50
        net.client.clock(timer)
        net.client.datagrams_to_send()
        assert net.client.get_timer() is None or net.client.get_timer() > timer
    assert times > 5
    assert net.client.is_closed


def test_idle_streams_cost_nothing_for_a_packet():
    settings = QUICSettings(bidirectional_streams=50)
    net = connected(settings, settings)
    for _ in range(50):
        net.client.submit_data(net.client.next_stream_id(), b"x")
    net.run()
    machine = net.client._machine
    assert len(machine._streams) == 50
    assert machine._streams.values() == []
    net.client.submit_data(0, b"y")
    turns = machine._turns(ordinary=True)
    assert [len(turns.mixed), len(turns.filling), len(turns.idle)] == [1, 0, 49]
    net.client.datagrams_to_send()
    assert len(machine._streams_queue) == 50


def test_a_fresh_server_has_no_timer_and_sends_nothing():
    machine = server_connection()._machine
    assert machine.get_timer() is None
    assert machine.datagrams_to_send(1.0) == []
    assert not machine.started


def test_an_acknowledgement_of_what_was_never_sent_ends_the_connection():
    net = connected()
    spaces = net.client._machine._loss.spaces
    spaces[2].ack_queue.add(5000)
    spaces[2].largest_received_packet = 5000
    spaces[2].ack_at = net.now
    net.run()
    assert net.server.close_reason.code == 0xA
    assert net.client.close_reason.message == "acknowledgement of a packet that was never sent"


def test_a_peer_cannot_fill_the_log(caplog):
    caplog.set_level("INFO")
    net = connected()
    net.server._machine._logger.warning("what a peer did")
    net.client.submit_close(1, "done")
    net.run(5)
    assert caplog.records == []


def test_a_stream_that_is_read_to_its_end_needs_no_second_look():
    """What the builder of frames says of an empty stream, only a packet earlier."""
    net = connected()
    net.client.submit_data(net.client.next_stream_id(), b"x" * 10, end_stream=True)
    net.client.datagrams_to_send()
    sender = net.client._machine._streams[0].sender
    assert sender.buffer_is_empty
    assert sender.get_frame(1000) is None


def test_a_fast_path_is_paced_by_the_millisecond():
    pacer = MillisecondPacer(max_datagram_size=1200)
    pacer.update_rate(congestion_window=1_200_000, smoothed_rtt=0.01)  # a packet in 10 µs
    pacer.update_bucket(now=1.0)
    for _ in range(99):
        assert pacer.next_send_time(now=1.0) is None
        pacer.update_after_send(now=1.0)
    pacer.update_after_send(now=1.0)
    pacer.update_after_send(now=1.0)
    assert pacer.next_send_time(now=1.0) is not None
    assert pacer.next_send_time(now=1.001) is None


def test_a_slow_path_is_paced_as_ever():
    pacer, stock = MillisecondPacer(max_datagram_size=1200), QuicPacketPacer(max_datagram_size=1200)
    for each in (pacer, stock):
        each.update_rate(congestion_window=12_000, smoothed_rtt=0.1)
    assert pacer.bucket_max == stock.bucket_max > 0.001
