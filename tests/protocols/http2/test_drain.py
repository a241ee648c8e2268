"""The end of a connection: in order, at once, by the peer, or by the transport."""

from __future__ import annotations

import pytest
from hyperframe.frame import DataFrame, GoAwayFrame, PingFrame, RstStreamFrame

from hface_trio.errors import LocalProtocolError
from hface_trio.events import (
    ConnectionTerminated,
    DataReceived,
    GoawayReceived,
    HeadersReceived,
    StreamResetReceived,
    StreamResetSent,
)
from hface_trio.protocols._interfaces import OutputEnd

from .raw_peer import (
    POST,
    REQUEST,
    RESPONSE,
    acknowledge_ping,
    assert_alive,
    client,
    goaways,
    open_request,
    resets,
    server,
)
from .wire import CANCEL, REFUSED_STREAM

HIGHEST = 2**31 - 1


# The server's graceful end, in two steps.


def test_end_is_announced_then_final_then_there():
    peer = server()
    peer.send(peer.request(1))
    peer.protocol.submit_goaway()
    assert goaways(acknowledge_ping(peer)) == [(HIGHEST, 0)]
    assert goaways(peer.frames()) == [(1, 0)]
    assert peer.protocol.output_end is OutputEnd.OPEN
    peer.protocol.submit_headers(1, RESPONSE)
    peer.protocol.submit_data(1, b"whole", True)
    frames = peer.frames()
    assert goaways(frames) == []
    assert b"".join(f.data for f in frames if isinstance(f, DataFrame)) == b"whole"
    assert peer.protocol.output_end is OutputEnd.CLOSED
    assert peer.events()[-1] == ConnectionTerminated(0, "drained")
    assert peer.protocol.get_timer() is None


def test_requests_on_their_way_when_the_end_is_announced_are_served():
    peer = server()
    peer.send(peer.request(1))
    peer.protocol.submit_goaway()
    peer.send(peer.request(3), peer.request(5))
    acknowledge_ping(peer)
    assert goaways(peer.frames()) == [(5, 0)]
    assert [e.stream_id for e in peer.events()] == [1, 3, 5]


def test_streams_above_the_last_one_are_ignored_in_all_their_frames():
    peer = server()
    peer.send(peer.request(1))
    peer.protocol.submit_goaway()
    acknowledge_ping(peer)
    peer.frames()
    peer.events()
    peer.send(
        peer.request(3, [*POST, (b"a", b"b")], end_stream=False),
        DataFrame(3, b"x" * 1000),
        peer.headers(3, [(b"c", b"d")], "END_STREAM"),
        RstStreamFrame(3, 8),
    )
    assert peer.events() == []
    assert resets(peer.frames()) == []
    assert_alive(peer)
    peer.send(peer.headers(1, [(b"a", b"b")], "END_STREAM"))  # the tables are still in step
    assert peer.protocol.open_streams == 0


def test_ping_that_is_not_answered_holds_the_end_up_for_a_second():
    peer = server()
    peer.protocol.clock(100.0)
    peer.send(peer.request(1))
    peer.protocol.submit_goaway()
    peer.frames()
    assert peer.protocol.get_timer() == 100.0  # the time of the announcement is asked for
    peer.protocol.clock(100.0)
    assert peer.protocol.get_timer() == 101.0
    peer.protocol.clock(100.9)
    assert peer.frames() == []
    peer.protocol.clock(101.0)
    assert goaways(peer.frames()) == [(1, 0)]


def test_wait_for_the_ping_begins_when_it_is_sent_not_when_something_was_last_received():
    peer = server()
    peer.send(peer.request(1))
    peer.protocol.submit_goaway()  # an hour later, but nobody told
    peer.protocol.clock(3600.0)
    peer.frames()
    assert peer.protocol.get_timer() == 3601.0
    peer.send(peer.request(3))
    assert HeadersReceived(3, REQUEST, True) in peer.events()


def test_end_of_an_idle_server():
    peer = server()
    peer.protocol.submit_goaway()
    assert peer.protocol.output_end is OutputEnd.OPEN
    acknowledge_ping(peer)
    assert goaways(peer.frames()) == [(0, 0)]
    assert peer.protocol.output_end is OutputEnd.CLOSED


def test_repeated_wish_changes_nothing():
    peer = server()
    peer.protocol.submit_goaway()
    peer.protocol.submit_goaway()
    assert goaways(peer.frames()) == [(HIGHEST, 0)]


def test_last_stream_can_be_chosen_with_code_and_data():
    peer = server()
    peer.send(peer.request(1), peer.request(3), peer.request(5))
    peer.events()
    peer.protocol.submit_goaway(last_stream_id=3, error_code=11, additional_data=b"too much")
    frames = peer.frames()
    (goaway,) = [f for f in frames if isinstance(f, GoAwayFrame)]
    assert (goaway.last_stream_id, goaway.error_code, goaway.additional_data) == (3, 11, b"too much")
    assert resets(frames) == [(5, REFUSED_STREAM)]
    assert peer.events() == [StreamResetSent(5, REFUSED_STREAM)]
    with pytest.raises(LocalProtocolError):
        peer.protocol.submit_goaway(last_stream_id=5)


def test_error_after_the_final_goaway_is_told():
    peer = server()
    peer.send(peer.request(1))
    peer.protocol.submit_goaway()
    acknowledge_ping(peer)
    peer.frames()
    peer.send(PingFrame(0, b"").serialize()[:9].replace(b"\x08", b"\x00", 1))
    assert goaways(peer.frames()) == [(1, 6)]


def test_draining_server_refuses_nothing_below_the_last_stream():
    peer = server()
    peer.protocol.submit_goaway()
    assert peer.protocol.draining
    assert peer.protocol.has_expired()
    peer.send(peer.request(1))
    assert HeadersReceived(1, REQUEST, True) in peer.events()


# The client's graceful end.


def test_client_ends_after_its_last_stream():
    peer = client()
    open_request(peer)
    peer.protocol.submit_goaway()
    assert goaways(peer.frames()) == [(0, 0)]
    assert not peer.protocol.is_available()
    assert peer.protocol.output_end is OutputEnd.OPEN
    peer.send(peer.headers(1, RESPONSE), DataFrame(1, b"x", flags=["END_STREAM"]))
    assert DataReceived(1, b"x", True) in peer.events()
    assert peer.protocol.output_end is OutputEnd.CLOSED


# GOAWAY of the peer.


def test_client_finishes_what_the_server_serves_and_reports_the_rest():
    peer = client()
    for _ in range(3):
        open_request(peer)
    peer.send(GoAwayFrame(0, 3, 0, b"bye"))
    assert peer.events() == [GoawayReceived(3, 0, b"bye"), StreamResetReceived(5, REFUSED_STREAM)]
    assert peer.protocol.has_expired()
    with pytest.raises(LocalProtocolError):
        peer.protocol.get_available_stream_id()
    peer.send(peer.headers(1, RESPONSE), DataFrame(1, b"one", flags=["END_STREAM"]))
    peer.send(peer.headers(5, RESPONSE, "END_STREAM"))  # late, ignored
    peer.send(peer.headers(3, RESPONSE), DataFrame(3, b"three", flags=["END_STREAM"]))
    events = peer.events()
    assert DataReceived(1, b"one", True) in events
    assert DataReceived(3, b"three", True) in events
    assert events[-1] == ConnectionTerminated(0, "drained")
    assert peer.protocol.output_end is OutputEnd.CLOSED


def test_two_steps_of_a_servers_end():
    peer = client()
    open_request(peer), open_request(peer)
    peer.send(GoAwayFrame(0, HIGHEST, 0))
    assert peer.protocol.open_streams == 2
    assert not peer.protocol.is_available()
    peer.send(GoAwayFrame(0, 1, 0))
    assert StreamResetReceived(3, REFUSED_STREAM) in peer.events()
    assert peer.protocol.open_streams == 1


def test_last_stream_id_that_grows_again_brings_nothing_back():
    peer = client()
    open_request(peer), open_request(peer)
    peer.send(GoAwayFrame(0, 1, 0), GoAwayFrame(0, HIGHEST, 0))
    assert peer.protocol.open_streams == 1
    assert_alive(peer)


def test_uploads_go_on_behind_goaway():
    peer = client()
    open_request(peer, POST, end_stream=False)
    peer.send(GoAwayFrame(0, 1, 0))
    peer.frames()
    peer.protocol.submit_data(1, b"rest", True)
    assert [f.data for f in peer.frames() if isinstance(f, DataFrame)] == [b"rest"]
    peer.send(peer.headers(1, RESPONSE, "END_STREAM"))
    assert peer.protocol.output_end is OutputEnd.CLOSED


def test_idle_client_ends_on_goaway():
    peer = client()
    peer.send(GoAwayFrame(0, 0, 0))
    assert peer.protocol.output_end is OutputEnd.CLOSED
    assert peer.events() == [GoawayReceived(0, 0, b""), ConnectionTerminated(0, "drained")]


@pytest.mark.parametrize(
    "prepare",
    [
        lambda p: [],
        lambda p: [p.request(1)],
        lambda p: [p.request(1, POST, end_stream=False)],
        lambda p: [p.request(1, POST, end_stream=False), DataFrame(1, b"x")],
        lambda p: [p.request(1), RstStreamFrame(1, 8)],
        lambda p: [p.request(1, [(b":method", b"CONNECT"), (b":authority", b"a:1")], end_stream=False)],
    ],
    ids=["none", "half-closed", "open", "open with data", "reset", "tunnel"],
)
@pytest.mark.parametrize("responded", [True, False])
def test_servers_streams_finish_behind_a_clients_goaway(prepare, responded):
    peer = server()
    peer.send(*prepare(peer))
    if responded and peer.protocol.open_streams:
        peer.protocol.submit_headers(1, RESPONSE)
    peer.send(GoAwayFrame(0, 0, 0))
    assert any(isinstance(e, GoawayReceived) for e in peer.events())
    if peer.protocol.open_streams:
        assert peer.protocol.output_end is OutputEnd.OPEN
        if not responded:
            peer.protocol.submit_headers(1, RESPONSE)
        peer.protocol.submit_data(1, b"", True)
        if peer.protocol.open_streams:
            peer.send(DataFrame(1, b"", flags=["END_STREAM"]))
    assert peer.protocol.open_streams == 0
    assert peer.protocol.output_end is OutputEnd.CLOSED
    assert peer.protocol.unacknowledged_octets == 0


# At once.


def test_close_resets_all_streams_and_says_why():
    peer = server()
    peer.send(peer.request(1), peer.request(3))
    peer.events()
    peer.protocol.submit_close(11, "enough")
    frames = peer.frames()
    assert resets(frames) == [(1, 11), (3, 11)]
    assert goaways(frames) == [(3, 11)]
    assert frames[-1].additional_data == b"enough"
    assert peer.events() == [StreamResetSent(1, 11), StreamResetSent(3, 11), ConnectionTerminated(11, "enough")]
    assert peer.protocol.output_end is OutputEnd.CLOSED


def test_close_without_a_reason_cancels_streams():
    peer = client()
    open_request(peer)
    peer.frames()
    peer.protocol.submit_close()
    frames = peer.frames()
    assert resets(frames) == [(1, CANCEL)]
    assert goaways(frames) == [(0, 0)]
    peer.protocol.submit_close()
    assert peer.frames() == []


# The transport.


@pytest.mark.parametrize("make", [server, client])
def test_lost_connection_takes_all_streams_down(make):
    peer = make()
    if make is server:
        peer.send(peer.request(1), peer.request(3, POST, end_stream=False), DataFrame(3, b"x"))
    else:
        open_request(peer), open_request(peer)
    peer.events()
    peer.protocol.connection_lost()
    assert peer.events() == [
        StreamResetReceived(1, CANCEL),
        StreamResetReceived(3, CANCEL),
        ConnectionTerminated(CANCEL, "the connection was lost"),
    ]
    assert peer.protocol.output_end is OutputEnd.ABORTED
    assert peer.protocol.bytes_to_send() == b""
    assert peer.protocol.open_streams == 0
    assert peer.protocol.unacknowledged_octets == 0


def test_end_of_input_without_streams_is_a_clean_end():
    peer = server()
    peer.protocol.eof_received()
    assert peer.events() == [ConnectionTerminated(0, "the peer ended the connection")]
    assert peer.protocol.output_end is OutputEnd.CLOSED


@pytest.mark.parametrize("rest", [b"", b"\0\0\x08\6"])
def test_end_of_input_within_anything_is_no_clean_end(rest):
    peer = server()
    peer.send(rest or peer.request(1))
    peer.events()
    peer.protocol.eof_received()
    assert peer.events()[-1] == ConnectionTerminated(CANCEL, "the peer ended the connection")
    assert peer.protocol.open_streams == 0
