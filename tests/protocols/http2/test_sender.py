"""Sending data: capacity, its news, frames and padding."""

from __future__ import annotations

import pytest
from hyperframe.frame import DataFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from hface_trio.errors import LocalProtocolError, SendCapacityError
from hface_trio.events import SendCapacityIncreased
from hface_trio.protocols.http2 import HTTP2Settings

from .raw_peer import RESPONSE, RawPeer, server

KIB = 1024
WIDE = {4: 2**30}


def responding(*stream_ids: int, settings: HTTP2Settings | None = None, window: int = 2**30) -> RawPeer:
    """Responses whose windows leave nothing but the queue to hold them up."""
    peer = server(settings, peer_settings={4: window})
    peer.send(WindowUpdateFrame(0, 2**30), *[peer.request(i) for i in stream_ids])
    for i in stream_ids:
        peer.protocol.submit_headers(i, RESPONSE)
    peer.frames()
    peer.events()
    return peer


def test_capacity_is_one_writes_worth_for_all_streams_together():
    peer = responding(1, 3)
    assert peer.protocol.send_capacity(1) == peer.protocol.send_capacity(3) == 64 * KIB
    peer.protocol.submit_data(1, b"x" * 40_000)
    assert peer.protocol.send_capacity(3) == 64 * KIB - 40_000
    peer.protocol.submit_data(3, b"x" * (64 * KIB - 40_000))
    assert peer.protocol.send_capacity(1) == peer.protocol.send_capacity(3) == 0
    peer.frames()
    assert peer.events() == [SendCapacityIncreased(3), SendCapacityIncreased(1)]
    assert peer.protocol.send_capacity(1) == 64 * KIB


def test_capacity_is_bounded_by_the_smaller_window():
    peer = responding(1, window=500)
    assert peer.protocol.send_capacity(1) == 500


def test_more_than_the_capacity_is_refused_and_nothing_taken():
    peer = responding(1, window=500)
    with pytest.raises(SendCapacityError):
        peer.protocol.submit_data(1, b"x" * 501)
    assert peer.frames() == []
    assert peer.protocol.send_capacity(1) == 500


def test_data_is_split_by_frame_size_and_arrives_unchanged():
    peer = responding(1)
    data = bytes(range(256)) * 200
    peer.protocol.submit_data(1, data, True)
    frames = [f for f in peer.frames() if isinstance(f, DataFrame)]
    assert [len(f.data) for f in frames] == [16384, 16384, 16384, 2048]
    assert b"".join(f.data for f in frames) == data
    assert ["END_STREAM" in f.flags for f in frames] == [False, False, False, True]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("octets", [0, 1, 2048, 2049, 16384, 16385])
def test_any_buffer_can_be_sent(kind, octets):
    peer = responding(1)
    peer.protocol.submit_data(1, kind(b"z" * octets), True)
    assert b"".join(f.data for f in peer.frames() if isinstance(f, DataFrame)) == b"z" * octets
    assert peer.protocol.open_streams == 0


def test_large_data_is_not_copied():
    peer = responding(1)
    data = b"x" * 16384
    peer.protocol.submit_data(1, data)
    assert any(buffer is data for buffer in peer.protocol.buffers_to_send())


def test_larger_frames_are_sent_if_both_sides_allow():
    peer = responding(1, settings=HTTP2Settings(send_frame_octets=65536))
    peer.send(SettingsFrame(0, {5: 40_000}))
    peer.protocol.submit_data(1, b"x" * 50_000)
    assert [len(f.data) for f in peer.frames() if isinstance(f, DataFrame)] == [40_000, 10_000]


def test_empty_data_without_end_is_nothing():
    peer = responding(1)
    peer.protocol.submit_data(1, b"")
    assert peer.frames() == []


def test_news_comes_once_for_what_was_used_up():
    peer = responding(1, window=100)
    peer.protocol.submit_data(1, b"x" * 100)
    peer.frames()
    assert peer.events() == []
    peer.send(WindowUpdateFrame(1, 10), WindowUpdateFrame(1, 10))
    assert peer.events() == [SendCapacityIncreased(1)]
    assert peer.protocol.send_capacity(1) == 20
    peer.send(WindowUpdateFrame(1, 10))
    assert peer.events() == []


def test_news_for_those_who_only_asked():
    peer = responding(1, window=0)
    assert peer.protocol.send_capacity(1) == 0
    peer.send(WindowUpdateFrame(1, 10))
    assert peer.events() == [SendCapacityIncreased(1)]


def test_connection_window_is_news_for_all_who_wait():
    peer = server(peer_settings={4: 2**20})
    peer.send(*[peer.request(i) for i in (1, 3, 5)])
    for i in (1, 3, 5):
        peer.protocol.submit_headers(i, RESPONSE)
    peer.protocol.submit_data(1, b"x" * 65_535)
    peer.frames()
    peer.events()
    assert [peer.protocol.send_capacity(i) for i in (1, 3, 5)] == [0, 0, 0]
    peer.send(WindowUpdateFrame(0, 1))
    assert sorted(e.stream_id for e in peer.events()) == [1, 3, 5]


def test_no_news_for_streams_that_are_over():
    peer = responding(1, window=0)
    assert peer.protocol.send_capacity(1) == 0
    peer.send(RstStreamFrame(1, 8))
    peer.events()
    peer.send(WindowUpdateFrame(0, 10), SettingsFrame(0, {4: 100}))
    assert [e for e in peer.events() if isinstance(e, SendCapacityIncreased)] == []
    assert peer.protocol.send_capacity(1) == 0


def test_no_capacity_behind_the_end():
    peer = server()
    peer.send(peer.request(1, end_stream=False))
    peer.protocol.submit_headers(1, RESPONSE, True)
    assert peer.protocol.send_capacity(1) == 0
    with pytest.raises(LocalProtocolError):
        peer.protocol.submit_data(1, b"x")


@pytest.mark.parametrize("pad", [0, 10, 255])
def test_padding_counts_against_windows(pad):
    peer = responding(1, window=1000)
    peer.protocol.submit_data(1, b"abc", pad_length=pad)
    (frame,) = peer.frames()
    assert (frame.data, frame.pad_length, "PADDED" in frame.flags) == (b"abc", pad, True)
    assert peer.protocol.send_window(1) == 1000 - 4 - pad
    with pytest.raises(SendCapacityError):
        peer.protocol.submit_data(1, b"x" * (1000 - 4 - pad), pad_length=pad)


def test_padded_data_is_split_with_room_for_padding():
    peer = responding(1)
    peer.protocol.submit_data(1, b"x" * 20_000, pad_length=255)
    frames = peer.frames()
    assert [len(f.data) for f in frames] == [16384 - 256, 20_000 - 16384 + 256]
    assert {f.pad_length for f in frames} == {255}


def test_padding_out_of_range_is_refused():
    peer = responding(1)
    with pytest.raises(LocalProtocolError):
        peer.protocol.submit_data(1, b"x", pad_length=256)


def test_negative_window_is_no_capacity():
    peer = responding(1, window=1000)
    peer.protocol.submit_data(1, b"x" * 1000)
    peer.frames()
    peer.send(SettingsFrame(0, {4: 0}))
    assert peer.protocol.send_window(1) == -1000
    assert peer.protocol.send_capacity(1) == 0
    with pytest.raises(SendCapacityError):
        peer.protocol.submit_data(1, b"x")
    peer.send(WindowUpdateFrame(1, 1001))
    assert SendCapacityIncreased(1) in peer.events()
    peer.protocol.submit_data(1, b"x")
