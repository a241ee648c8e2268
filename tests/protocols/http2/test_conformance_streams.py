"""RFC 9113 §5: streams in every state, their ids, and their number."""

from __future__ import annotations

import pytest
from hyperframe.frame import DataFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from hface_trio.errors import LocalProtocolError
from hface_trio.events import HeadersReceived, StreamResetReceived, StreamResetSent, TrailersReceived
from hface_trio.limits import Limits

from .raw_peer import (
    POST,
    REQUEST,
    RESPONSE,
    RawPeer,
    assert_alive,
    assert_connection_error,
    assert_stream_error,
    client,
    open_request,
    resets,
    server,
    settled,
    updates,
)
from .wire import CANCEL, PROTOCOL_ERROR, REFUSED_STREAM, STREAM_CLOSED

# §5.1 States. Each function brings stream 1 of a server into a state.


def half_closed_remote() -> RawPeer:
    peer = server()
    peer.send(peer.request(1))
    return peer


def ended() -> RawPeer:
    peer = half_closed_remote()
    peer.protocol.submit_headers(1, RESPONSE, True)
    return peer


def reset_by_peer() -> RawPeer:
    peer = server()
    peer.send(peer.request(1, POST, end_stream=False), RstStreamFrame(1, CANCEL))
    return peer


def reset_here() -> RawPeer:
    peer = server()
    peer.send(peer.request(1, POST, end_stream=False))
    peer.protocol.submit_stream_reset(1, CANCEL)
    return peer


@pytest.mark.parametrize("stream_id", [1, 2])
def test_data_on_an_idle_stream(stream_id):
    peer = server()
    peer.send(DataFrame(stream_id, b"x"))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_data_behind_the_end():
    peer = settled(half_closed_remote())
    peer.send(DataFrame(1, b"x"))
    assert peer.events() == [StreamResetSent(1, STREAM_CLOSED)]
    assert_stream_error(peer, 1, STREAM_CLOSED)


def test_headers_behind_the_end():
    peer = settled(half_closed_remote())
    peer.send(peer.headers(1, [(b"a", b"b")], "END_STREAM"))
    assert_stream_error(peer, 1, STREAM_CLOSED)


@pytest.mark.parametrize("state", [half_closed_remote, ended, reset_by_peer, reset_here])
@pytest.mark.parametrize(
    "frame", [WindowUpdateFrame(1, 5), RstStreamFrame(1, CANCEL)], ids=["WINDOW_UPDATE", "RST_STREAM"]
)
def test_frames_that_are_allowed_behind_the_end(state, frame):
    peer = settled(state())
    peer.send(frame)
    assert resets(peer.frames()) == []
    assert_alive(peer)


@pytest.mark.parametrize("state", [ended, reset_by_peer])
def test_data_on_a_closed_stream(state):
    peer = settled(state())
    before = peer.protocol.receive_window()
    peer.send(DataFrame(1, b"x"))
    assert_stream_error(peer, 1, STREAM_CLOSED)
    peer.send(DataFrame(1, b"x"))
    assert resets(peer.frames()) == []
    assert peer.protocol.receive_window() == before - 2


def test_headers_on_a_stream_that_ended():
    peer = settled(ended())
    peer.send(peer.request(1))
    assert_connection_error(peer, STREAM_CLOSED)


def test_headers_on_a_stream_that_the_peer_reset():
    peer = settled(reset_by_peer())
    peer.send(peer.headers(1, [(b"a", b"b")], "END_STREAM"))
    assert_stream_error(peer, 1, STREAM_CLOSED)


def test_frames_on_a_stream_that_was_reset_here_are_ignored():
    peer = settled(reset_here())
    peer.send(DataFrame(1, b"x" * 1000), peer.headers(1, [(b"a", b"b")], "END_STREAM"))
    assert resets(peer.frames()) == []
    assert peer.events() == []
    peer.send(peer.request(3, [*REQUEST, (b"a", b"b")]))
    assert peer.events() == [HeadersReceived(3, [*REQUEST, (b"a", b"b")], True)]


def test_late_data_is_credited_to_the_connection():
    peer = settled(reset_here())
    whole = peer.protocol.receive_window()
    for _ in range(4 * whole // 16384):
        peer.send(DataFrame(1, b"x" * 16384))
        assert peer.protocol.receive_window() >= whole // 2 - 16384
    assert updates(peer.frames(), 0) >= whole


def test_a_rounds_worth_of_late_data_costs_nothing():
    peer = settled(reset_here())
    tokens = peer.protocol._connection.budget.tokens
    peer.send(*[DataFrame(1, b"x" * 1024)] * 64)
    assert peer.protocol._connection.budget.tokens == tokens
    peer.send(DataFrame(1, b"x"))
    assert peer.protocol._connection.budget.tokens == tokens - 1


# §5.1.1 Ids.


@pytest.mark.parametrize("stream_id", [2, 4])
def test_client_must_use_odd_ids(stream_id):
    peer = server()
    peer.send(peer.request(stream_id))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_ids_must_grow():
    peer = server()
    peer.send(peer.request(5), peer.request(3))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_server_must_not_open_streams_unpromised():
    peer = client()
    peer.send(peer.headers(2, RESPONSE))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_response_to_no_request():
    peer = client()
    peer.send(peer.headers(1, RESPONSE))
    assert_connection_error(peer, PROTOCOL_ERROR)


def test_ids_run_out():
    peer = client()
    peer.protocol._connection.core.highest_outbound_stream_id = 2**31 - 3
    assert peer.protocol.get_available_stream_id() == 2**31 - 1
    open_request(peer)
    assert not peer.protocol.is_available()
    assert peer.protocol.has_expired()
    with pytest.raises(LocalProtocolError):
        peer.protocol.get_available_stream_id()


# §5.1.2 Number.


@pytest.mark.parametrize("acknowledge", [True, False])
def test_surplus_stream_is_refused_and_the_others_go_on(acknowledge):
    peer = server(limits=Limits(concurrent_streams=100), start=False)
    peer.start(acknowledge=acknowledge)
    ids = range(1, 201, 2)
    peer.send(*[peer.request(i, POST, end_stream=False) for i in ids], peer.request(201), peer.request(203))
    assert [e.stream_id for e in peer.events()] == list(ids)
    assert resets(peer.frames()) == [(201, REFUSED_STREAM), (203, REFUSED_STREAM)]
    for stream_id in ids:
        peer.send(DataFrame(stream_id, b"x", flags=["END_STREAM"]))
        peer.protocol.submit_headers(stream_id, RESPONSE, True)
    peer.send(peer.request(205))
    assert peer.events()[-1] == HeadersReceived(205, REQUEST, True)
    assert peer.protocol.open_streams == 1


def test_data_of_a_refused_stream_is_ignored_and_credited():
    peer = server(limits=Limits(concurrent_streams=1))
    whole = peer.protocol.receive_window()
    peer.send(peer.request(1), peer.request(3, POST, end_stream=False), DataFrame(3, b"x" * 16384))
    peer.send(DataFrame(3, b"x" * 16384), peer.headers(3, [(b"a", b"b")], "END_STREAM"))
    assert resets(peer.frames()) == [(3, REFUSED_STREAM)]
    assert peer.protocol.receive_window() == whole - 32768
    assert_alive(peer)


def test_more_streams_are_accepted_once_allowed():
    peer = server(limits=Limits(concurrent_streams=1))
    peer.protocol.submit_settings({3: 2})
    peer.send(peer.request(1), peer.request(3), peer.request(5))
    assert resets(peer.frames()) == [(5, REFUSED_STREAM)]


def test_fewer_streams_are_accepted_once_that_is_acknowledged():
    peer = server(limits=Limits(concurrent_streams=3))
    peer.protocol.submit_settings({3: 1})
    peer.send(peer.request(1), peer.request(3), SettingsFrame(0, flags=["ACK"]), peer.request(5))
    assert resets(peer.frames()) == [(5, REFUSED_STREAM)]


def test_client_keeps_to_the_servers_number():
    peer = client(peer_settings={3: 2})
    open_request(peer), open_request(peer)
    assert not peer.protocol.is_available()
    assert not peer.protocol.has_expired()
    with pytest.raises(LocalProtocolError):
        peer.protocol.submit_headers(5, REQUEST, True)
    peer.send(peer.headers(1, RESPONSE, "END_STREAM"))
    assert peer.protocol.get_available_stream_id() == 5


def test_client_survives_a_number_below_what_is_in_flight():
    peer = client(peer_settings={3: 100})
    ids = [open_request(peer) for _ in range(10)]
    peer.send(SettingsFrame(0, {3: 1}))
    for stream_id in ids[:-1]:
        assert not peer.protocol.is_available()
        peer.send(peer.headers(stream_id, RESPONSE, "END_STREAM"))
    assert not peer.protocol.is_available()
    peer.send(peer.headers(ids[-1], RESPONSE, "END_STREAM"))
    assert peer.protocol.is_available()
    assert peer.protocol.open_streams == 0


def test_number_of_0_lets_nothing_through_and_ends_nothing():
    peer = client(peer_settings={3: 0})
    assert not peer.protocol.is_available()
    assert not peer.protocol.has_expired()
    peer.send(SettingsFrame(0, {3: 1}))
    assert peer.protocol.is_available()


# §5.4 Errors.


def test_events_before_a_connection_error_are_kept():
    peer = server()
    peer.send(peer.request(1), peer.request(3), DataFrame(0x7FFFFFFF, b"x"), peer.request(5))
    events = peer.events()
    assert events[:2] == [HeadersReceived(1, REQUEST, True), HeadersReceived(3, REQUEST, True)]
    assert events[2:4] == [StreamResetReceived(1, PROTOCOL_ERROR), StreamResetReceived(3, PROTOCOL_ERROR)]
    assert len(events) == 5


def test_nothing_is_read_or_sent_after_the_end():
    peer = server()
    peer.send(peer.request(1), raw := DataFrame(9, b"x"))
    peer.frames()
    peer.events()
    peer.send(raw, peer.request(11))
    peer.protocol.acknowledge(1, 10)
    peer.protocol.submit_stream_reset(1)
    peer.protocol.connection_lost()
    peer.protocol.eof_received()
    peer.protocol.clock(1e9)
    assert peer.events() == []
    assert peer.frames() == []
    for submit in (
        lambda: peer.protocol.submit_headers(1, RESPONSE),
        lambda: peer.protocol.submit_data(1, b"x"),
        lambda: peer.protocol.submit_trailers(1, []),
        peer.protocol.submit_ping,
        lambda: peer.protocol.submit_settings({}),
    ):
        with pytest.raises(LocalProtocolError):
            submit()


# §5.1 The stream ends when both sides have.


@pytest.mark.parametrize("order", ["request first", "response first"])
def test_stream_leaves_the_table_when_both_sides_have_ended(order):
    peer = server()
    peer.send(peer.request(1, POST, end_stream=False))
    if order == "request first":
        peer.send(peer.headers(1, [(b"t", b"1")], "END_STREAM"))
        assert peer.events()[-1] == TrailersReceived(1, [(b"t", b"1")])
        peer.protocol.submit_headers(1, RESPONSE, True)
    else:
        peer.protocol.submit_headers(1, RESPONSE, True)
        assert peer.protocol.open_streams == 1
        peer.send(DataFrame(1, b"", flags=["END_STREAM"]))
    assert peer.protocol.open_streams == 0
    assert peer.protocol._connection.core.streams == {}


def test_what_is_remembered_of_closed_streams_is_bounded():
    peer = server()
    for i in range(5000):
        peer.send(peer.request(2 * i + 1))
        peer.protocol.submit_headers(2 * i + 1, RESPONSE, True)
        peer.events()
        peer.frames()
    connection = peer.protocol._connection
    assert len(connection.streams._closed) == connection.settings.remembered_streams
    assert not connection.core.streams
    assert not connection.core._closed_streams
