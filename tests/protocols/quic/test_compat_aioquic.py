"""Each private name of aioquic that is relied on, and what is relied on about it: these fail first when aioquic changes."""

from __future__ import annotations

import dataclasses
import inspect
import re

import pytest
from aioquic.quic.connection import QuicConnection, QuicConnectionState, QuicReceiveContext
from aioquic.quic.events import StreamDataReceived
from aioquic.quic.packet_builder import QuicPacketBuilder, QuicSentPacket
from aioquic.quic.recovery import QuicPacketRecovery, QuicPacketSpace
from aioquic.quic.stream import QuicStream, QuicStreamReceiver, QuicStreamSender
from aioquic.tls import Context, Epoch

from hface_trio.protocols.quic._compat_aioquic import QuicMachine
from hface_trio.protocols.quic._compat_aioquic._packets import PacketWriter

from .network import client_connection, connected

ATTRIBUTES = [
    "_ack_delay",
    "_spin_highest_pn",
    "_local_ack_delay_exponent",
    "_remote_preferred_address",
    "_ack_eliciting_sent_since_receipt",
    "_close_pending",
    "_handshake_confirmed",
    "_handshake_done_pending",
    "_pacing_at",
    "_ping_pending",
    "_probe_pending",
    "_retire_connection_ids",
    "_spaces",
    "_spin_bit",
    "_streams_blocked_pending",
    "_close_at",
    "_close_event",
    "_QuicConnection__frame_handlers",
    "_crypto_buffers",
    "_crypto_streams",
    "_cryptos",
    "_cryptos_initial",
    "_events",
    "_streams_blocked_bidi",
    "_streams_blocked_uni",
    "_datagrams_pending",
    "_handshake_complete",
    "_host_cid_seq",
    "_host_cids",
    "_is_client",
    "_local_initial_source_connection_id",
    "_local_max_data",
    "_local_max_stream_data_uni",
    "_local_max_streams_bidi",
    "_local_max_streams_uni",
    "_local_next_stream_id_bidi",
    "_local_next_stream_id_uni",
    "_logger",
    "_loss",
    "_max_datagram_size",
    "_network_paths",
    "_original_destination_connection_id",
    "_packet_number",
    "_peer_cid",
    "_quic_logger",
    "_remote_active_connection_id_limit",
    "_remote_max_data",
    "_remote_max_data_used",
    "_remote_max_datagram_frame_size",
    "_remote_max_stream_data_bidi_remote",
    "_remote_max_stream_data_uni",
    "_remote_max_streams_bidi",
    "_remote_max_streams_uni",
    "_state",
    "_streams",
    "_streams_queue",
    "_version",
    "host_cid",
]

METHODS = {
    "_payload_received": ["self", "context", "plain", "crypto_frame_required"],
    "_get_or_create_stream_for_send": ["self", "stream_id"],
    "_write_stream_frame": ["self", "builder", "space", "stream", "max_offset"],
    "_handle_ack_frame": ["self", "context", "frame_type", "buf"],
    "_handle_crypto_frame": ["self", "context", "frame_type", "buf"],
    "_handle_stream_frame": ["self", "context", "frame_type", "buf"],
    "_idle_timeout": ["self"],
    "_initialize": ["self", "peer_cid"],
    "_on_connection_limit_delivery": ["self", "delivery", "limit"],
    "_push_crypto_data": ["self"],
    "_on_max_stream_data_delivery": ["self", "delivery", "stream"],
    "_replenish_connection_ids": ["self"],
    "_stream_is_discarded": ["self", "stream_id"],
    "_write_ack_frame": ["self", "builder", "space", "now"],
    "_write_connection_limits": ["self", "builder", "space"],
    "_write_reset_stream_frame": ["self", "builder", "stream"],
    "_write_stop_sending_frame": ["self", "builder", "stream"],
    "_write_stream_limits": ["self", "builder", "space", "stream"],
}


@pytest.fixture
def stock() -> QuicConnection:
    return QuicConnection(configuration=client_connection()._machine.configuration)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_the_connection_has_the_attribute(stock, name):
    assert hasattr(stock, name)


@pytest.mark.parametrize("name", METHODS)
def test_the_connection_has_the_method(name):
    assert list(inspect.signature(getattr(QuicConnection, name)).parameters) == METHODS[name]


@pytest.mark.parametrize(
    "name",
    [
        "_buffer",
        "_buffer_start",
        "_final_size",
        "_ranges",
        "_stop_error_code",
        "highest_offset",
        "is_finished",
        "stop_pending",
    ],
)
def test_the_receiving_side_has_the_attribute(name):
    assert hasattr(QuicStreamReceiver(stream_id=0, readable=True), name)


@pytest.mark.parametrize(
    "name",
    [
        "_acked",
        "_buffer",
        "_buffer_fin",
        "_buffer_start",
        "_buffer_stop",
        "_pending",
        "_pending_eof",
        "_reset_error_code",
        "buffer_is_empty",
        "highest_offset",
        "is_finished",
        "reset_pending",
    ],
)
def test_the_sending_side_has_the_attribute(name):
    assert hasattr(QuicStreamSender(stream_id=0, writable=True), name)


@pytest.mark.parametrize(
    "name", ["is_blocked", "max_stream_data_local", "max_stream_data_local_sent", "max_stream_data_remote"]
)
def test_the_stream_has_the_attribute(name):
    assert hasattr(QuicStream(stream_id=0), name)


def test_recovery_has_its_estimates(stock):
    assert isinstance(stock._loss, QuicPacketRecovery)
    assert hasattr(stock._loss, "_rtt_smoothed")
    assert hasattr(stock._loss, "_send_probe")
    assert stock._loss.spaces == []
    assert stock._loss._rtt_initialized is False


def test_tls_has_early_data_and_the_certificate():
    context = Context(is_client=False, max_early_data=5)
    assert context._max_early_data == 5
    assert context._peer_certificate is None


def test_states_are_named_as_expected():
    assert {"DRAINING", "TERMINATED"} <= set(QuicConnectionState.__members__)


def test_frame_handlers_are_found_on_the_subclass():
    """The table of handlers is made of bound methods, so overriding one is enough."""
    machine = client_connection()._machine
    handlers = machine._QuicConnection__frame_handlers
    assert handlers[0x08][0].__func__ is QuicMachine._handle_stream_frame
    assert handlers[0x06][0].__func__ is QuicMachine._handle_crypto_frame


@pytest.mark.parametrize(
    "name",
    [
        "_write_ack_frame",
        "_write_ping_frame",
        "_write_reset_stream_frame",
        "_write_stop_sending_frame",
        "_write_stream_frame",
    ],
)
def test_what_writes_frames_asks_no_more_of_a_builder_than_a_writer_has(name):
    asked = set(re.findall(r"\bbuilder\.(\w+)", inspect.getsource(getattr(QuicConnection, name))))
    assert asked
    assert asked <= set(dir(PacketWriter))


def test_a_writer_takes_the_arguments_of_a_builder():
    ours = inspect.signature(PacketWriter.start_frame).parameters
    assert list(ours) == list(inspect.signature(QuicPacketBuilder.start_frame).parameters)


def test_headers_are_protected_together_as_one_by_one():
    net = connected()
    protection = net.client._machine._cryptos[Epoch.ONE_RTT].send.hp
    samples = [bytes([number]) * 16 for number in range(5)]
    assert protection._mask(b"".join(samples)) == b"".join(map(protection._mask, samples))
    assert protection._is_chacha20 is False


def test_a_received_packet_is_entered_into_these_books():
    space = QuicPacketSpace()
    assert {
        "ack_at",
        "ack_queue",
        "expected_packet_number",
        "largest_received_packet",
        "largest_received_time",
        "received_packets",
        "sent_packets",
    } <= set(vars(space))
    assert [field.name for field in dataclasses.fields(QuicReceiveContext)] == [
        "epoch",
        "host_cid",
        "network_path",
        "quic_logger_frames",
        "time",
        "version",
    ]


def test_the_pacer_has_its_bucket():
    pacer = QuicPacketRecovery(
        congestion_control_algorithm="cubic",
        initial_rtt=0.1,
        max_datagram_size=1200,
        peer_completed_address_validation=True,
        send_probe=lambda: None,
    )._pacer
    assert pacer.packet_time is None
    pacer.update_rate(congestion_window=120_000, smoothed_rtt=0.1)
    pacer.update_bucket(now=1.0)
    assert pacer.bucket_max == pytest.approx(16 * pacer.packet_time)
    assert pacer.next_send_time(now=1.0) is None
    for _ in range(16):
        pacer.update_after_send(now=1.0)
    assert pacer.next_send_time(now=1.0) == pytest.approx(1.0 + pacer.packet_time)


def test_sent_packets_are_made_of_these_parts():
    assert [field.name for field in dataclasses.fields(QuicSentPacket)] == [
        "epoch",
        "in_flight",
        "is_ack_eliciting",
        "is_crypto_packet",
        "packet_number",
        "packet_type",
        "sent_time",
        "sent_bytes",
        "delivery_handlers",
        "quic_logger_frames",
    ]


def test_events_of_octets_have_these_parts():
    assert [field.name for field in dataclasses.fields(StreamDataReceived)] == ["data", "end_stream", "stream_id"]


def test_keys_and_books_stay_the_same_objects():
    """They are found once, when they are made: a change of keys happens inside them."""
    net = connected()
    machine = net.server._machine
    net.server.submit_key_update()
    net.client.submit_data(net.client.next_stream_id(), b"x" * 100)
    net.run()
    assert machine._application_keys is machine._cryptos[Epoch.ONE_RTT]
    assert machine._early_keys is machine._cryptos[Epoch.ZERO_RTT]
    assert machine._application_space is machine._spaces[Epoch.ONE_RTT]
    assert machine._application_keys.recv.key_phase == 1


def test_buffers_for_tls_are_looked_up_where_something_is_put_in():
    """They are made on demand, so nobody may ask for them otherwise; what is in them is taken out by one function."""
    source = inspect.getsource(inspect.getmodule(QuicConnection))
    assert source.count("self._crypto_buffers") == 5  # twice made, twice handed to TLS, once emptied
    assert "output_buf.items()" not in inspect.getsource(Context)
    assert "output_buf.get(" not in inspect.getsource(Context)


def test_only_values_walks_the_streams_for_every_packet():
    """``values`` is replaced by the streams whose limit is to be told; whoever else walks would see too little."""
    source = inspect.getsource(inspect.getmodule(QuicConnection))
    assert source.count("self._streams.values()") == 1
    assert "self._streams.items()" not in source
    assert "in self._streams:" not in source.replace("not in self._streams", "")
    assert "self._streams.pop(stream.stream_id)" in source
