"""Frames that are the next octets of a stream are taken on a short way, with the same result as on the stock one."""

from __future__ import annotations

import contextlib
from collections import Counter

import pytest
from aioquic.buffer import encode_uint_var
from aioquic.tls import Epoch
from hypothesis import given, settings
from hypothesis import strategies as st

from hface_trio.events import DataReceived
from hface_trio.protocols.quic import QUICSettings
from hface_trio.protocols.quic._compat_aioquic import QuicMachine
from hface_trio.protocols.quic._compat_aioquic._guards import GuardedConnection, PacketDroppedError
from hface_trio.protocols.quic._compat_aioquic._receiving import ReceivingConnection

from ..taken import events_of
from .network import connected

WINDOW = 4000
SETTINGS = QUICSettings(stream_window_octets=WINDOW, hole_octets=1500, connection_window_octets=6000)


@pytest.fixture
def stock(monkeypatch) -> Counter:
    """Counts the frames of streams that took the stock way."""
    counter: Counter = Counter()
    original = GuardedConnection._handle_stream_frame

    def spy(self, context, frame_type, buf) -> None:
        counter["frames"] += 1
        original(self, context, frame_type, buf)

    monkeypatch.setattr(GuardedConnection, "_handle_stream_frame", spy)
    # the table of handlers was made of bound methods, so it has to be found there before a machine is made
    monkeypatch.setattr(QuicMachine, "_handle_stream_frame", spy, raising=False)
    return counter


def test_an_upload_takes_the_short_way(stock: Counter):
    net = connected()
    stream_id = net.client.next_stream_id()
    payload = bytes(range(256)) * 800
    received = b""
    sent = 0
    while sent < len(payload):
        part = payload[sent : sent + net.client.send_capacity(stream_id)]
        sent += len(part)
        net.client.submit_data(stream_id, part, sent == len(payload))
        net.run()
        for event in events_of(net.server):
            assert isinstance(event, DataReceived)
            received += event.data
            net.server.acknowledge(stream_id, len(event.data))
    assert received == payload
    assert stock["frames"] < 20  # the first, the last, and what came with something else


def frame(offset: int, octets: int, *, stream_id: int = 0, fin: bool = False, length: bool = True) -> bytes:
    frame_type = 0x08 | (0x04 if offset else 0) | (0x02 if length else 0) | (0x01 if fin else 0)
    head = bytes([frame_type]) + encode_uint_var(stream_id)
    head += (encode_uint_var(offset) if offset else b"") + (encode_uint_var(octets) if length else b"")
    return head + bytes((offset + number) % 251 for number in range(octets))


def state(machine: QuicMachine) -> dict[str, object]:
    streams = {
        stream_id: [
            stream.receiver.highest_offset,
            stream.receiver._buffer_start,
            bytes(stream.receiver._buffer),
            list(stream.receiver._ranges),
            stream.receiver._final_size,
            stream.receiver.is_finished,
        ]
        for stream_id, stream in machine._streams.items()
    }
    space = machine._spaces[Epoch.ONE_RTT]
    return {
        "streams": streams,
        "events": list(machine._events),
        "used": machine._local_max_data.used,
        "waits": (machine.reassembly.octets, bool(machine.reassembly)),
        "closed": machine._close_event,
        "acknowledged": list(space.ack_queue),
        "acknowledge": space.ack_at is not None,
    }


def outcome(payloads: list[bytes], *, stopped: bool) -> dict[str, object]:
    machine = connected(None, SETTINGS).server._machine
    space = machine._spaces[Epoch.ONE_RTT]
    number = space.expected_packet_number + 10
    for count, payload in enumerate(payloads):
        if stopped and count == 2 and machine.has_stream(0):
            machine.end_receiving(0, 1)
        with contextlib.suppress(PacketDroppedError):
            machine._take_payload(payload, number + count, space, 5.0)
    result = state(machine)
    first = space.ack_queue[0].start
    result["acknowledged"] = [(found.start - first, found.stop - first) for found in space.ack_queue]
    return result


def payloads() -> st.SearchStrategy[list[bytes]]:
    """Mostly what comes next on a stream; else something near it, again, at its end, too far, or beside something else."""
    steps = st.tuples(
        st.sampled_from([0, 0, 0, 4]),
        st.sampled_from([0, 0, 0, 0, -50, 200, 900, 2000]),
        st.sampled_from([1, 100, 300, 1200]),
        st.sampled_from(["", "", "", "", "fin", "no length", "ping", "padding", "cut", "empty"]),
    )

    def build(chosen: list[tuple[int, int, int, str]]) -> list[bytes]:
        ends: dict[int, int] = {}
        built: list[bytes] = []
        for stream_id, shift, octets, kind in chosen:
            offset = max(0, ends.get(stream_id, 0) + shift)
            count = 0 if kind == "empty" else octets
            whole = frame(offset, count, stream_id=stream_id, fin=kind == "fin", length=kind != "no length")
            ends[stream_id] = max(ends.get(stream_id, 0), offset + count)
            whole += {"ping": b"\x01", "padding": b"\x00\x00"}.get(kind, b"")
            built.append(whole[: len(whole) // 2 + 1] if kind == "cut" else whole)
        return built

    return st.lists(steps, min_size=1, max_size=12).map(build)


@settings(max_examples=60, deadline=None)
@given(payloads(), st.booleans())
def test_both_ways_come_to_the_same(sent: list[bytes], stopped: bool):
    short = outcome(sent, stopped=stopped)
    original = ReceivingConnection._take_stream_frame
    ReceivingConnection._take_stream_frame = lambda self, payload: False  # type: ignore[method-assign]
    try:
        stock = outcome(sent, stopped=stopped)
    finally:
        ReceivingConnection._take_stream_frame = original  # type: ignore[method-assign]
    assert short == stock


@pytest.mark.parametrize("octets", [1, 2, 3])
def test_a_packet_of_few_octets_is_read_to_its_end(octets: int):
    machine = connected().server._machine
    space = machine._spaces[Epoch.ONE_RTT]
    machine._take_payload(frame(5, 1)[:octets], space.expected_packet_number, space, 5.0)
    assert machine._close_event is not None
    assert machine._close_event.error_code == 0x7  # FRAME_ENCODING_ERROR


@pytest.mark.parametrize("payload", [b"", b"\x21"], ids=["no frame", "a frame of unknown type"])
def test_what_is_no_frame_of_a_stream_ends_the_connection_as_it_should(payload: bytes):
    """RFC 9000 §12.4: PROTOCOL_VIOLATION, or FRAME_ENCODING_ERROR."""
    net = connected()
    client = net.client._machine
    crypto = client._cryptos[Epoch.ONE_RTT]
    head = bytes([0x43 | crypto.key_phase << 2]) + client._peer_cid.cid + client._packet_number.to_bytes(4, "big")
    packet = crypto.encrypt_packet(head, payload, client._packet_number)
    net.server.datagram_received((packet, net.server.remote_address))
    assert net.server.close_reason is not None
    assert net.server.close_reason.code == (0xA if not payload else 0x7)
