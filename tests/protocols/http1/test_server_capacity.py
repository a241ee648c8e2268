"""How much a server may send: what is queued, and when it may be more."""

from __future__ import annotations

import pytest

from hface_trio.errors import SendCapacityError
from hface_trio.events import SendCapacityIncreased

from ..taken import events_of
from .drive import GET, OK, length, opened, post, server


def test_send_capacity_is_what_may_still_be_queued() -> None:
    protocol = server()
    stream_id = opened(protocol)
    assert protocol.send_capacity(stream_id) == 262_144
    protocol.submit_headers(stream_id, [*OK, length(300_000)])
    capacity = protocol.send_capacity(stream_id)
    assert 262_000 < capacity < 262_144
    with pytest.raises(SendCapacityError):
        protocol.submit_data(stream_id, bytes(capacity + 1))
    protocol.submit_data(stream_id, bytes(capacity))
    assert protocol.send_capacity(stream_id) == 0
    with pytest.raises(SendCapacityError):
        protocol.submit_data(stream_id, b"x")


def test_taking_the_output_makes_capacity_grow_and_says_so_once() -> None:
    protocol = server()
    stream_id = opened(protocol)
    protocol.submit_headers(stream_id, [*OK, length(300_000)])
    protocol.submit_data(stream_id, bytes(protocol.send_capacity(stream_id)))
    protocol.buffers_to_send()
    assert events_of(protocol) == [SendCapacityIncreased(stream_id)]
    assert protocol.send_capacity(stream_id) == 262_144
    protocol.submit_data(stream_id, b"x")
    protocol.buffers_to_send()
    assert events_of(protocol) == []


def test_capacity_that_was_not_used_up_grows_without_a_word() -> None:
    protocol = server()
    stream_id = opened(protocol)
    protocol.submit_headers(stream_id, OK)
    protocol.buffers_to_send()
    assert events_of(protocol) == []


def test_a_stream_that_has_ended_has_no_capacity() -> None:
    protocol = server()
    stream_id = opened(protocol, post(b"Content-Length: 5"))
    protocol.submit_headers(stream_id, OK, end_stream=True)
    assert protocol.send_capacity(stream_id) == 0


def test_data_can_be_sent_between_the_head_and_the_end() -> None:
    protocol = server()
    stream_id = opened(protocol)
    assert not protocol.can_send(stream_id)
    protocol.submit_headers(stream_id, OK)
    assert protocol.can_send(stream_id)
    assert not protocol.can_send(stream_id + 2)
    protocol.submit_data(stream_id, b"", end_stream=True)
    assert not protocol.can_send(stream_id)


def test_buffered_octets_count_both_directions() -> None:
    protocol = server()
    stream_id = opened(protocol, GET + b"GET /")
    protocol.submit_headers(stream_id, OK)
    assert protocol.buffered_octets == len(b"GET /") + len(protocol.bytes_to_send())
    assert protocol.buffered_octets == len(b"GET /")
