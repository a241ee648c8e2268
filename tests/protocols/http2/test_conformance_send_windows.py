"""RFC 9113 §5.2 and §6.9: windows of what is sent, as the peer and its settings move them."""

from __future__ import annotations

from hyperframe.frame import DataFrame, SettingsFrame, WindowUpdateFrame

from hface_trio.events import DataReceived, SendCapacityIncreased
from hface_trio.limits import Limits

from .raw_peer import POST, RESPONSE, RawPeer, assert_alive, assert_stream_error, server, settled


def responding(peer_settings=None) -> RawPeer:
    peer = server(peer_settings=peer_settings)
    peer.send(peer.request(1))
    peer.protocol.submit_headers(1, RESPONSE)
    return settled(peer)


def drain_output(peer: RawPeer) -> None:
    peer.frames()
    peer.events()


def test_window_shrinks_below_0_and_grows_again():
    peer = responding()
    peer.protocol.submit_data(1, b"x" * 60_000)
    drain_output(peer)
    peer.send(SettingsFrame(0, {4: 100}))
    assert peer.protocol.send_window(1) == 100 - 60_000
    assert peer.protocol.send_capacity(1) == 0
    drain_output(peer)
    peer.send(WindowUpdateFrame(1, 59_900))
    assert peer.protocol.send_capacity(1) == 0
    assert peer.events() == []
    peer.send(WindowUpdateFrame(1, 1))
    assert peer.events() == [SendCapacityIncreased(1)]
    assert peer.protocol.send_capacity(1) == 1


def test_initial_window_applies_to_streams_that_are_open():
    peer = responding({4: 0})
    assert peer.protocol.send_capacity(1) == 0
    peer.send(SettingsFrame(0, {4: 10}))
    assert SendCapacityIncreased(1) in peer.events()
    assert peer.protocol.send_capacity(1) == 10


def test_initial_window_does_not_apply_to_the_connection():
    peer = responding()
    peer.protocol.submit_data(1, b"x" * 65_535)
    drain_output(peer)
    peer.send(SettingsFrame(0, {4: 100_000}))
    assert peer.protocol.send_window(1) == 34_465
    assert peer.protocol.send_capacity(1) == 0
    peer.send(WindowUpdateFrame(0, 7))
    assert peer.protocol.send_capacity(1) == 7


def test_end_can_be_sent_without_a_window():
    peer = responding({4: 0})
    peer.protocol.submit_data(1, b"", True)
    (frame,) = peer.frames()
    assert (frame.data, "END_STREAM" in frame.flags) == (b"", True)
    assert peer.protocol.open_streams == 0


def test_smaller_receive_window_holds_only_once_acknowledged():
    peer = server(limits=Limits(stream_window_octets=1000), start=False)
    peer.start(acknowledge=False)
    peer.send(peer.request(1, POST, end_stream=False), DataFrame(1, b"x" * 16384), DataFrame(1, b"x" * 16384))
    assert_alive(peer)
    peer.send(SettingsFrame(0, flags=["ACK"]))
    assert peer.protocol.receive_window(1) == 1000 - 32768
    peer.send(DataFrame(1, b"x"))
    assert_stream_error(peer, 1, 3)


def test_shrunken_receive_window_opens_again_by_acknowledging():
    peer = server(limits=Limits(stream_window_octets=1000), start=False)
    peer.start(acknowledge=False)
    peer.send(peer.request(1, POST, end_stream=False), DataFrame(1, b"x" * 16384), SettingsFrame(0, flags=["ACK"]))
    peer.events()
    peer.protocol.acknowledge(1, 16384)
    assert peer.protocol.receive_window(1) >= 1000
    peer.send(DataFrame(1, b"x" * 1000, flags=["END_STREAM"]))
    assert peer.events()[-1] == DataReceived(1, b"x" * 1000, True)
