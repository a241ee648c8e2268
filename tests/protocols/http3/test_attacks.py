"""What a hostile peer can make of little: memory, time, and work without end. Each is bounded."""

from __future__ import annotations

import tracemalloc

import pytest

from hface_trio.events import HeadersReceived, StreamResetReceived
from hface_trio.limits import Limits, Timeouts
from hface_trio.protocols.http3 import HTTP3ErrorCode as Code
from hface_trio.protocols.http3 import HTTP3Settings
from hface_trio.protocols.http3._frames import pack_frame, pack_varint
from hface_trio.protocols.quic import QUICErrorCode

from .pair import ask, asked, connected
from .raw_peer import POST, REQUEST, RESPONSE, Pair, body, client, data, headers, open_request, section, server

MIB = 1024 * 1024


def peak_of(act) -> int:
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def feed(pair: Pair, act) -> int:
    """Let the peer act; return the memory that the protocol took for what arrived."""
    act()
    datagrams = []
    for _ in range(400):
        out = pair.peer.datagrams_to_send()
        datagrams += out
        if not out:
            break
    pair.network.now += 0.01
    pair.protocol.clock(pair.network.now)

    def receive() -> None:
        for payload, _ in datagrams:
            pair.protocol.datagram_received((payload, ("192.0.2.1", 50000)))
            pair.protocol.datagrams_to_send()

    return peak_of(receive)


def test_a_qpack_bomb_of_the_static_table_costs_little():
    pair = server()
    block = b"\x00\x00" + b"\xff\x15" * 20_000  # 40 kB of wire, 20,000 fields
    stream_id = pair.peer.quic.get_next_available_stream_id()
    tracemalloc.start()
    pair.send(stream_id, pack_frame(1, block), end=True)
    pair.run(1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MIB
    pair.assert_closed(Code.EXCESSIVE_LOAD)


def test_a_qpack_bomb_in_trailers_costs_little_either():
    pair = server()
    block = b"\x00\x00" + b"\xff\x15" * 20_000
    stream_id = pair.peer.quic.get_next_available_stream_id()
    tracemalloc.start()
    pair.send(stream_id, headers(POST), pack_frame(1, block), end=True)
    pair.run(1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MIB
    pair.assert_closed(Code.EXCESSIVE_LOAD)


def test_headers_that_declare_a_gibibyte_end_the_connection_at_once():
    pair = server()
    pair.request(b"\x01" + pack_varint(2**30), end=False)
    pair.assert_closed(Code.EXCESSIVE_LOAD)


def test_endless_sections_on_all_streams_stay_within_the_connection_window():
    pair = server(limits=Limits(concurrent_streams=20))
    for _ in range(20):
        stream_id = pair.peer.quic.get_next_available_stream_id()
        pair.peer.send(stream_id, b"\x01" + pack_varint(128 * 1024) + b"x" * 127_000)
    pair.run(3)
    machine = pair.protocol.quic._machine
    assert machine._local_max_data.used <= pair.protocol.quic.settings.connection_window
    assert pair.protocol.unacknowledged_octets < 3 * MIB


def test_a_request_head_that_takes_too_long_is_answered_408():
    pair = server(timeouts=Timeouts(request_head_seconds=3))
    slow = pair.request(headers()[:5], end=False)
    pair.run(2)
    later = pair.request(headers()[:5], end=False)
    pair.run(1.5)
    assert dict(pair.peer.heads(slow)[0])[b":status"] == b"408"
    assert later not in pair.peer.received
    pair.send(later, headers()[5:], end=True)
    assert [e.stream_id for e in pair.events()] == [later]


def test_sparse_streams_cost_little_and_lose_nothing():
    pair = server()
    streams = pair.peer.quic._streams
    request = headers(POST) + data(b"x" * 64_000)
    ids = list(range(0, 4 * 12, 4))

    def send_sparse() -> None:
        for stream_id in ids:
            pair.peer.send(stream_id, request, end=True)
            streams[stream_id].sender._pending.subtract(0, len(request) - 1)  # all but the last octet is held back

    assert feed(pair, send_sparse) < MIB
    table = pair.protocol.quic._machine._streams
    assert 100_000 < sum(len(table[stream_id].receiver._buffer) for stream_id in ids if stream_id in table) < 262_144
    for stream_id in ids:
        streams[stream_id].sender._pending.add(0, len(request) - 1)
        streams[stream_id].sender.buffer_is_empty = False
    pair.run(20)
    events = pair.events()
    assert {stream_id: len(body(events, stream_id)) for stream_id in ids} == dict.fromkeys(ids, 64_000)
    assert not pair.protocol.quic._machine.reassembly


def test_more_streams_than_allowed_end_the_connection():
    pair = server(limits=Limits(concurrent_streams=4))
    pair.peer.quic._remote_max_streams_bidi = 100
    stream_id = 4 * 4
    pair.peer.send(stream_id, headers(), end=True)
    pair.run()
    close = pair.peer.quic._close_event
    assert (close.error_code, close.frame_type) == (QUICErrorCode.STREAM_LIMIT_ERROR, 0xB)
    assert pair.protocol.has_expired()


def test_more_data_than_the_window_ends_the_connection():
    pair = server()
    stream_id = pair.request(headers(POST), end=False)
    pair.peer.quic._streams[stream_id].max_stream_data_remote = 10**9
    pair.peer.quic._remote_max_data = 10**9
    pair.peer.send(stream_id, data(b"x" * 200_000))
    pair.run(2)
    assert pair.peer.quic._close_event.error_code == QUICErrorCode.FLOW_CONTROL_ERROR


def drive_resets(pair: Pair, count: int, how) -> int:
    """Open and abandon streams until the connection ends; return how many it took."""
    for number in range(count):
        if pair.peer.quic._close_event is not None:
            return number
        stream_id = pair.peer.quic.get_next_available_stream_id()
        how(stream_id)
        pair.run(0.03)
        pair.events()
    return count


def test_rapid_resets_end_the_connection():
    pair = server(HTTP3Settings(abuse_tokens=100, abuse_tokens_per_second=0))

    def how(stream_id: int) -> None:
        pair.peer.send(stream_id, headers(POST))
        pair.peer.quic.datagrams_to_send(pair.network.now)
        pair.peer.quic.reset_stream(stream_id, Code.REQUEST_CANCELLED)

    assert 90 <= drive_resets(pair, 500, how) <= 110
    assert pair.peer.quic._close_event.error_code == Code.EXCESSIVE_LOAD


def test_stop_sending_games_end_the_connection():
    pair = server(HTTP3Settings(abuse_tokens=100, abuse_tokens_per_second=0))

    def how(stream_id: int) -> None:
        pair.peer.send(stream_id, headers(), end=True)
        pair.peer.quic.stop_stream(stream_id, Code.REQUEST_CANCELLED)

    assert 90 <= drive_resets(pair, 500, how) <= 110
    assert pair.peer.quic._close_event.error_code == Code.EXCESSIVE_LOAD


@pytest.mark.parametrize("answered", [False, True])
def test_a_server_may_reset_and_stop_each_request(answered):
    pair = client(HTTP3Settings(abuse_tokens=10, abuse_tokens_per_second=0))
    for _ in range(30):
        stream_id = open_request(pair, POST, end_stream=False)
        if answered:
            pair.send(stream_id, headers(RESPONSE))
        pair.peer.quic.stop_stream(stream_id, Code.NO_ERROR)
        pair.peer.quic.reset_stream(stream_id, Code.REQUEST_REJECTED)
        pair.run(0.03)
    assert pair.protocol.is_available()
    assert pair.peer.quic._close_event is None


def test_resets_that_this_side_is_made_to_send_are_counted():
    pair = server(HTTP3Settings(abuse_tokens=100, abuse_tokens_per_second=0))

    def how(stream_id: int) -> None:
        pair.peer.send(stream_id, headers([*REQUEST, (b"Upper", b"x")]), end=True)

    assert 90 <= drive_resets(pair, 500, how) <= 110


def test_a_client_that_cancels_every_second_request_is_no_abuser():
    net = connected()
    for number in range(600):
        stream_id = ask(net)
        assert asked(net) == [stream_id]
        if number % 2:
            net.client.submit_stream_reset(stream_id, Code.REQUEST_CANCELLED)
        else:
            net.server.submit_headers(stream_id, RESPONSE, end_stream=True)
        net.run(0.03)
        while net.client.next_event() is not None:
            pass
    assert not net.server.has_expired()


@pytest.mark.parametrize("frame", [pack_frame(0x21, b""), data(b"")])
def test_floods_of_useless_frames_end_the_connection(frame):
    pair = server(HTTP3Settings(abuse_tokens=100, abuse_tokens_per_second=0))
    stream_id = pair.request(headers(POST), end=False)
    pair.send(stream_id, frame * 200)
    pair.assert_closed(Code.EXCESSIVE_LOAD)


def test_floods_of_priority_updates_end_the_connection():
    pair = server(HTTP3Settings(abuse_tokens=100, abuse_tokens_per_second=0))
    pair.peer.send(pair.control, pack_frame(0xF0700, b"\x00u=1") * 200)
    pair.assert_closed(Code.EXCESSIVE_LOAD)


def test_floods_of_goaway_end_the_connection():
    pair = server(HTTP3Settings(abuse_tokens=100, abuse_tokens_per_second=0))
    pair.peer.send(pair.control, pack_frame(7, b"\x00") * 200)
    pair.assert_closed(Code.EXCESSIVE_LOAD)


def test_early_priorities_are_bounded():
    pair = server(limits=Limits(concurrent_streams=1000))
    for number in range(500):
        pair.peer.send(pair.control, pack_frame(0xF0700, pack_varint(4 * number) + b"u=1"))
    pair.run(1)
    assert len(pair.protocol._receiver._early_priorities) == 128


def test_streams_leave_nothing_behind():
    net = connected()
    for number in range(300):
        stream_id = ask(net)
        asked(net)
        if number % 3 == 0:
            net.client.submit_stream_reset(stream_id, Code.REQUEST_CANCELLED)
        else:
            net.server.submit_headers(stream_id, RESPONSE, end_stream=True)
        net.run(0.05)
        while net.client.next_event() is not None:
            pass
    net.run(1)
    for protocol in (net.client, net.server):
        assert protocol.open_streams == 0
        assert protocol.quic.open_streams == 6
        assert len(protocol.quic._machine._streams) == 6
        assert len(protocol.quic._machine._streams_queue) == 6
        assert protocol.quic.sender._active == {}
        assert protocol.unacknowledged_octets == 0


def test_a_lone_reset_of_each_stream_is_no_leak():
    pair = server()
    for _ in range(150):
        stream_id = pair.peer.quic.get_next_available_stream_id()
        pair.peer.send(stream_id, b"\x01")
        pair.peer.quic.reset_stream(stream_id, Code.REQUEST_CANCELLED)
        pair.run(0.05)
    assert not [e for e in pair.events() if isinstance(e, HeadersReceived | StreamResetReceived)]
    assert pair.protocol.open_streams == 0
    assert pair.protocol.quic.open_streams == 6


def test_garbage_datagrams_are_dropped_in_silence():
    pair = server()
    import random

    chance = random.Random(7)
    for _ in range(300):
        pair.protocol.datagram_received((chance.randbytes(chance.randrange(1, 1300)), ("192.0.2.1", 50000)))
    assert pair.events() == []
    pair.assert_alive()


def test_section_lengths_are_judged_before_their_content():
    pair = server(limits=Limits(header_section_octets=1000))
    block = section([*REQUEST, (b"x", b"y" * 4000)])
    pair.request(b"\x01" + pack_varint(len(block)), end=False)
    pair.assert_closed(Code.EXCESSIVE_LOAD)
