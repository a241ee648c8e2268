"""Credit for what is received, capacity for what is sent, priorities, and HTTP datagrams."""

from __future__ import annotations

import tracemalloc

import pytest

from hface_trio.errors import LocalProtocolError, SendCapacityError
from hface_trio.events import (
    DatagramReceived,
    DataReceived,
    PingAcknowledged,
    PriorityUpdateReceived,
    SendCapacityIncreased,
)
from hface_trio.limits import Limits
from hface_trio.protocols.http3 import HTTP3ErrorCode as Code
from hface_trio.protocols.http3 import HTTP3Settings
from hface_trio.protocols.http3._frames import pack_frame, pack_varint
from hface_trio.protocols.quic import QUICSettings

from ..taken import events_of
from .pair import answer, ask, asked, connected
from .raw_peer import POST, REQUEST, RESPONSE, client, data, headers, server

WINDOW = 64 * 1024


def upload(net, stream_id: int, octets: int, *, end_stream: bool = True):
    """A pump that submits what capacity allows."""
    left = octets

    def pump() -> None:
        nonlocal left
        while left and (capacity := net.client.send_capacity(stream_id)):
            size = min(capacity, left, 16_384)
            left -= size
            net.client.submit_data(stream_id, b"u" * size, end_stream and not left)

    return pump


def test_24_megabytes_at_a_reader_that_does_not_read_stop_at_the_window():
    net = connected()
    stream_id = ask(net, POST, end_stream=False)
    asked(net)
    pump = upload(net, stream_id, 24 * 1024 * 1024)
    net.on_step = pump
    pump()
    tracemalloc.start()
    net.run(5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    received = sum(len(e.data) for e in events_of(net.server))
    assert WINDOW - 64 <= received <= WINDOW
    assert net.server.unacknowledged_octets == received
    assert net.client.send_capacity(stream_id) == 0
    assert peak < 1024 * 1024
    net.server.acknowledge(stream_id, received)
    net.run(1)
    assert sum(len(e.data) for e in events_of(net.server)) >= WINDOW - 64


def test_a_stalled_stream_stalls_nobody_else():
    net = connected()
    for _ in range(3):
        stream_id = ask(net, POST, end_stream=False)
        pump = upload(net, stream_id, 10 * WINDOW)
        net.on_step = pump
        net.run(2)
    events_of(net.server)
    other = ask(net)
    assert asked(net) == [other]
    answer(net, other, b"quick")
    assert any(isinstance(e, DataReceived) and e.data == b"quick" for e in events_of(net.client))


def test_credit_returns_with_consumption_and_windows_grow():
    net = connected()
    stream_id = ask(net, POST, end_stream=False)
    asked(net)
    total = 0
    pump = upload(net, stream_id, 2 * 1024 * 1024)

    def step() -> None:
        nonlocal total
        for event in events_of(net.server):
            total += len(event.data)
            net.server.acknowledge(stream_id, len(event.data))
        pump()

    net.on_step = step
    step()
    net.run(60, until=lambda: total == 2 * 1024 * 1024)
    assert net.server.unacknowledged_octets == 0


def test_windows_do_not_grow_where_they_may_not():
    net = connected()
    net.server.may_grow = lambda: False
    stream_id = ask(net, POST, end_stream=False)
    asked(net)
    pump = upload(net, stream_id, 512 * 1024)
    total = 0

    def step() -> None:
        nonlocal total
        for event in events_of(net.server):
            total += len(event.data)
            net.server.acknowledge(stream_id, len(event.data))
        pump()

    net.on_step = step
    step()
    net.run(60, until=lambda: total == 512 * 1024)
    assert net.server.quic.streams.live[stream_id].credit.window == WINDOW


def test_framing_is_credited_by_the_protocol_itself():
    pair = server()
    stream_id = pair.request(headers(POST), end=False)
    for _ in range(200):  # a kibibyte of head, skipped frame and padding each
        pair.send(stream_id, pack_frame(0x21, b"s" * 1000), data(b"x"))
        pair.protocol.acknowledge(stream_id, 1)
    assert pair.protocol.unacknowledged_octets == 0
    assert b"".join(e.data for e in pair.events() if isinstance(e, DataReceived)) == b"x" * 200


def test_reset_streams_return_exactly_what_they_cost():
    net = connected()
    before = net.server.quic.ledger.available
    for _ in range(5):
        stream_id = ask(net, POST, end_stream=False)
        net.client.submit_data(stream_id, b"x" * 20_000)
        net.run(0.05)
        net.client.submit_stream_reset(stream_id, Code.REQUEST_CANCELLED)
        net.run(0.5)
        events_of(net.server)
    ledger = net.server.quic.ledger
    machine = net.server.quic._machine
    assert ledger.held == 0
    assert machine._local_max_data.used == sum_consumed(net.server)
    assert ledger.available <= before


def sum_consumed(protocol) -> int:
    ledger = protocol.quic.ledger
    open_streams = protocol.quic.streams.live.values()
    return ledger._consumed + sum(stream.credit.held for stream in open_streams)


# Sending.


def test_capacity_is_one_write_and_grows_with_what_leaves():
    net = connected()
    stream_id = ask(net)
    net.server.submit_headers(stream_id, RESPONSE)
    capacity = net.server.send_capacity(stream_id)
    assert 60_000 < capacity <= 64 * 1024
    with pytest.raises(SendCapacityError):
        net.server.submit_data(stream_id, b"x" * (capacity + 1))
    net.server.submit_data(stream_id, b"x" * capacity)
    assert net.server.send_capacity(stream_id) == 0
    events_of(net.server)
    net.on_step = lambda: [
        net.client.acknowledge(stream_id, len(e.data)) for e in events_of(net.client) if isinstance(e, DataReceived)
    ]
    net.run(1)
    assert SendCapacityIncreased(stream_id) in events_of(net.server)
    assert net.server.send_capacity(stream_id) > 60_000


def test_a_response_to_a_peer_that_does_not_read_stays_small():
    net = connected()
    stream_id = ask(net)
    asked(net)
    net.server.submit_headers(stream_id, RESPONSE)
    sent = 0

    def pump() -> None:
        nonlocal sent
        while capacity := net.server.send_capacity(stream_id):
            net.server.submit_data(stream_id, bytes(min(capacity, 16_384)))
            sent += min(capacity, 16_384)

    net.on_step = pump
    pump()
    tracemalloc.start()
    net.run(10)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent <= WINDOW
    assert peak < 1024 * 1024


def test_a_response_to_a_peer_that_acknowledges_nothing_stays_small():
    net = connected(HTTP3Settings(quic=QUICSettings()), client_limits=Limits(stream_window_octets=8 * 1024 * 1024))
    stream_id = ask(net)
    asked(net)
    net.server.submit_headers(stream_id, RESPONSE)
    net.cut = True
    sent = 0
    while capacity := net.server.send_capacity(stream_id):
        net.server.submit_data(stream_id, bytes(capacity))
        sent += capacity
        net.run(0.05)
    assert sent <= 1024 * 1024


def test_a_window_of_a_few_octets_is_used_when_it_opens():
    pair = client(configuration={"max_stream_data": 100, "max_data": 100_000})
    stream_id = pair.protocol.get_available_stream_id()
    pair.protocol.submit_headers(stream_id, POST)
    capacity = pair.protocol.send_capacity(stream_id)
    assert 0 < capacity < 100
    pair.protocol.submit_data(stream_id, b"y" * capacity)
    assert pair.protocol.send_capacity(stream_id) == 0
    pair.run(1)
    assert SendCapacityIncreased(stream_id) in pair.events()


def test_resets_free_what_was_unsent():
    net = connected()
    stream_id = ask(net)
    net.server.submit_headers(stream_id, RESPONSE)
    net.server.submit_data(stream_id, b"x" * 50_000)
    net.server.submit_stream_reset(stream_id, Code.INTERNAL_ERROR)
    assert net.server.quic.sender.unsent == net.server.quic.sender.unacknowledged
    other = ask(net)
    net.server.submit_headers(other, RESPONSE)
    assert net.server.send_capacity(other) > 60_000


# Priorities (RFC 9218).


def test_the_priority_field_is_known():
    net = connected()
    stream_id = ask(net, [*REQUEST, (b"priority", b"u=1, i")])
    other = ask(net)
    assert net.server.explicit_priority(stream_id) == (1, True)
    assert net.server.explicit_priority(other) is None
    assert net.server.priority(other) == (3, False)


def test_priority_updates_change_it_and_are_told():
    net = connected()
    stream_id = ask(net)
    asked(net)
    net.client.prioritize(stream_id, urgency=6, incremental=True)
    net.run()
    assert events_of(net.server) == [PriorityUpdateReceived(stream_id, b"u=6, i")]
    assert net.server.explicit_priority(stream_id) == (6, True)


def test_a_priority_update_may_come_before_its_stream_and_wins():
    net = connected()
    net.client.prioritize(0, urgency=0)
    net.run()
    assert events_of(net.server) == []
    stream_id = ask(net, [*REQUEST, (b"priority", b"u=5")])
    assert net.server.explicit_priority(stream_id) == (0, False)


@pytest.mark.parametrize("arguments", [{"urgency": 8}, {"urgency": -1}])
def test_priorities_out_of_range_are_refused(arguments):
    net = connected()
    with pytest.raises(LocalProtocolError):
        net.client.prioritize(0, **arguments)


@pytest.mark.parametrize(
    ("frame_type", "payload", "code"),
    [
        (0xF0700, b"\x02u=1", Code.ID_ERROR),  # of no request
        (0xF0700, pack_varint(4 * 100) + b"u=1", Code.ID_ERROR),  # beyond the limit on streams
        (0xF0701, b"\x00u=1", Code.ID_ERROR),  # of a push
        (0xF0700, b"", Code.FRAME_ERROR),
    ],
)
def test_wrong_priority_updates(frame_type, payload, code):
    pair = server()
    pair.peer.send(pair.control, pack_frame(frame_type, payload))
    pair.assert_closed(code)


def test_a_priority_update_of_a_server_is_unexpected():
    pair = client()
    pair.peer.send(pair.control, pack_frame(0xF0700, b"\x00u=1"))
    pair.assert_closed(Code.FRAME_UNEXPECTED)


def test_what_does_not_parse_is_ignored():
    pair = server()
    stream_id = pair.request(headers(), end=False)
    pair.send(pair.control, pack_frame(0xF0700, pack_varint(stream_id) + b"u=("))
    assert pair.protocol.explicit_priority(stream_id) is None


# HTTP datagrams (RFC 9297).


def test_datagrams_both_ways():
    net = connected()
    ask(net)
    stream_id = ask(net, POST, end_stream=False)
    net.server.submit_headers(stream_id, RESPONSE)
    net.run()
    events_of(net.server), events_of(net.client)
    net.client.submit_datagram(stream_id, b"ping")
    net.server.submit_datagram(stream_id, b"pong")
    net.run()
    assert events_of(net.server) == [DatagramReceived(stream_id, b"ping")]
    assert events_of(net.client) == [DatagramReceived(stream_id, b"pong")]


def test_the_longest_datagram_fits_and_a_longer_one_is_refused():
    net = connected()
    stream_id = ask(net, POST, end_stream=False)
    asked(net)
    longest = net.client.max_datagram_octets(stream_id)
    assert longest > 1150
    with pytest.raises(LocalProtocolError):
        net.client.submit_datagram(stream_id, b"x" * (longest + 1))
    net.client.submit_datagram(stream_id, b"x" * longest)
    net.client.submit_datagram(stream_id, b"behind it")
    net.run()
    assert [len(e.data) for e in events_of(net.server)] == [longest, 9]


def test_too_many_datagrams_drop_the_oldest():
    net = connected()
    stream_id = ask(net, POST, end_stream=False)
    asked(net)
    for number in range(200):
        net.client.submit_datagram(stream_id, number.to_bytes(2, "big"))
    net.run()
    numbers = [int.from_bytes(e.data, "big") for e in events_of(net.server)]
    assert numbers == list(range(136, 200))


def test_without_the_setting_there_are_no_datagrams():
    net = connected(server_settings=HTTP3Settings(datagrams=False))
    stream_id = ask(net, POST, end_stream=False)
    assert net.client.max_datagram_octets(stream_id) == -1
    with pytest.raises(LocalProtocolError):
        net.client.submit_datagram(stream_id, b"")


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", Code.DATAGRAM_ERROR),
        (b"\x40", Code.DATAGRAM_ERROR),
        (pack_varint(2**60), Code.DATAGRAM_ERROR),
        (pack_varint(100), Code.ID_ERROR),  # a stream that cannot be
    ],
)
def test_malformed_datagrams_end_the_connection(payload, code):
    pair = server(configuration={"max_datagram_frame_size": 65535})
    pair.peer.quic.send_datagram_frame(payload)
    pair.assert_closed(code)


def test_datagrams_of_unknown_or_ended_streams_are_dropped():
    pair = server(configuration={"max_datagram_frame_size": 65535})
    stream_id = pair.request(headers())
    pair.events()
    for quarter in (stream_id // 4, 50):
        pair.peer.quic.send_datagram_frame(pack_varint(quarter) + b"x")
    pair.run()
    assert pair.events() == []
    pair.assert_alive()


def test_pings_come_back():
    net = connected()
    data = net.client.submit_ping()
    net.run()
    (event,) = events_of(net.client)
    assert event == PingAcknowledged(data, event.round_trip_seconds)
    assert 0.02 <= event.round_trip_seconds < 0.06
