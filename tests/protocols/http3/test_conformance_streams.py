"""Ends of streams and of the connection: resets, STOP_SENDING, GOAWAY, cancellation (RFC 9114 §4.1.1, §5, §8)."""

from __future__ import annotations

import pytest

from hface_trio.errors import LocalProtocolError
from hface_trio.events import (
    ConnectionTerminated,
    GoawayReceived,
    HeadersReceived,
    StopSendingReceived,
    StreamResetReceived,
    StreamResetSent,
)
from hface_trio.limits import Limits
from hface_trio.protocols import OutputEnd
from hface_trio.protocols.http3 import HTTP3ErrorCode as Code

from ..taken import events_of
from .pair import answer, ask, asked, connected
from .raw_peer import POST, REQUEST, RESPONSE, client, data, headers, open_request, server

# The peer ends a stream.


def test_reset_of_an_open_request_means_gone():
    pair = server()
    stream_id = pair.request(headers(POST), end=False)
    pair.events()
    pair.peer.quic.reset_stream(stream_id, Code.REQUEST_CANCELLED)
    pair.run()
    assert pair.events() == [StreamResetReceived(stream_id, Code.REQUEST_CANCELLED)]
    assert pair.peer.resets == {stream_id: Code.REQUEST_CANCELLED}  # nobody is left to answer
    pair.assert_alive()


def test_stop_sending_of_a_complete_request_means_gone():
    pair = server()
    stream_id = pair.request(headers())
    pair.events()
    pair.protocol.submit_headers(stream_id, RESPONSE)
    pair.run()
    pair.peer.quic.stop_stream(stream_id, Code.REQUEST_CANCELLED)
    pair.run()
    assert pair.events() == [StreamResetReceived(stream_id, Code.REQUEST_CANCELLED)]
    assert pair.peer.resets == {stream_id: Code.REQUEST_CANCELLED}
    assert pair.protocol.open_streams == 0


def test_stop_sending_with_the_request_open_ends_sending_alone():
    pair = server()
    stream_id = pair.request(headers(POST), end=False)
    pair.protocol.submit_headers(stream_id, RESPONSE)
    pair.run()
    pair.events()
    pair.peer.quic.stop_stream(stream_id, Code.NO_ERROR)
    pair.send(stream_id, data(b"more"))
    events = pair.events()
    assert events[0] == StopSendingReceived(stream_id, Code.NO_ERROR)
    assert events[1].data == b"more"
    assert pair.peer.resets == {stream_id: Code.NO_ERROR}  # the same code (RFC 9000 §3.5)
    assert not pair.protocol.can_send(stream_id)
    assert pair.protocol.send_capacity(stream_id) == 0
    with pytest.raises(LocalProtocolError):
        pair.protocol.submit_data(stream_id, b"x")
    pair.send(stream_id, end=True)
    assert pair.protocol.open_streams == 0


def test_stop_sending_after_the_whole_response_was_submitted_is_nothing():
    pair = server()
    stream_id = pair.request(headers())
    pair.events()
    pair.protocol.submit_headers(stream_id, RESPONSE)
    pair.run()
    pair.protocol.submit_data(stream_id, b"x" * 1000, end_stream=True)
    pair.peer.quic.stop_stream(stream_id, Code.REQUEST_CANCELLED)
    pair.run()
    assert pair.events() == []
    pair.assert_alive()


def test_a_stream_that_is_reset_before_anything_came_is_unseen():
    pair = server()
    stream_id = pair.peer.quic.get_next_available_stream_id()
    pair.peer.send(stream_id, headers())
    pair.peer.quic.reset_stream(stream_id, Code.REQUEST_CANCELLED)  # in front of the data
    pair.run()
    assert pair.events() == []
    assert pair.protocol.quic.open_streams == 6
    pair.assert_alive()


def test_a_server_may_stop_the_request_and_answer():
    pair = client()
    stream_id = open_request(pair, POST, end_stream=False)
    pair.peer.quic.stop_stream(stream_id, Code.NO_ERROR)
    pair.send(stream_id, headers(RESPONSE), end=True)
    events = pair.events()
    assert len(events) == 2
    assert StopSendingReceived(stream_id, Code.NO_ERROR) in events
    assert HeadersReceived(stream_id, RESPONSE, True) in events
    assert pair.protocol.open_streams == 0


def test_a_server_may_stop_the_request_behind_its_answer():
    pair = client()
    stream_id = open_request(pair, POST, end_stream=False)
    pair.send(stream_id, headers(RESPONSE), end=True)
    pair.events()
    pair.peer.quic.stop_stream(stream_id, Code.NO_ERROR)
    pair.run()
    assert pair.events() == [StopSendingReceived(stream_id, Code.NO_ERROR)]
    assert pair.protocol.open_streams == 0


# This side ends a stream.


def test_a_clean_early_answer_stops_the_request_and_stays_whole():
    pair = server()
    stream_id = pair.request(headers(POST), end=False)
    pair.protocol.submit_headers(stream_id, RESPONSE)
    pair.protocol.submit_data(stream_id, b"early" * 100, end_stream=True)
    pair.protocol.submit_stream_reset(stream_id, pair.protocol.stream_codes.no_error)
    pair.run()
    assert pair.peer.stops == {stream_id: Code.NO_ERROR}
    assert pair.peer.body(stream_id) == b"early" * 100
    assert stream_id in pair.peer.ended
    assert not pair.peer.resets


def test_zero_stands_for_no_error():
    pair = server()
    stream_id = pair.request(headers(POST), end=False)
    pair.protocol.submit_headers(stream_id, RESPONSE, end_stream=True)
    pair.protocol.submit_stream_reset(stream_id)
    pair.run()
    assert pair.peer.stops == {stream_id: Code.NO_ERROR}


@pytest.mark.parametrize("code", [Code.INTERNAL_ERROR, Code.REQUEST_REJECTED, Code.REQUEST_CANCELLED])
def test_a_reset_ends_both_sides(code):
    pair = server()
    stream_id = pair.request(headers(POST), end=False)
    pair.events()
    pair.protocol.submit_stream_reset(stream_id, code)
    assert pair.events() == [StreamResetSent(stream_id, code)]
    pair.protocol.submit_stream_reset(stream_id, code)
    pair.run()
    assert pair.peer.stops == pair.peer.resets == {stream_id: code}
    assert pair.events() == []
    pair.send(stream_id + 4, headers(), end=True)
    pair.events()


def test_cancelling_a_get_stops_the_response():
    pair = client()
    stream_id = open_request(pair)
    pair.protocol.submit_stream_reset(stream_id, pair.protocol.stream_codes.cancelled)
    pair.run()
    assert pair.peer.stops == {stream_id: Code.REQUEST_CANCELLED}
    assert stream_id in pair.peer.ended  # the request had been acknowledged: no reset is possible any more
    assert pair.protocol.open_streams == 0
    assert pair.protocol.is_available()


def test_cancelling_an_upload_resets_and_stops():
    pair = client()
    stream_id = open_request(pair, POST, end_stream=False)
    pair.protocol.submit_stream_reset(stream_id, Code.REQUEST_CANCELLED)
    pair.run()
    assert pair.peer.stops == pair.peer.resets == {stream_id: Code.REQUEST_CANCELLED}


def test_what_arrives_late_on_a_reset_stream_is_credited_and_told_to_nobody():
    net = connected()
    stream_id = ask(net, POST, end_stream=False)
    asked(net)
    net.server.submit_stream_reset(stream_id, Code.REQUEST_CANCELLED)
    net.client.submit_data(stream_id, b"x" * 10_000)
    net.run(0.5)
    assert [type(e) for e in events_of(net.server)] == [StreamResetSent]
    assert net.server.unacknowledged_octets == 0
    assert net.server.quic.open_streams == 6
    assert net.client.quic.open_streams == 6


# Concurrency.


def test_streams_beyond_the_limit_are_rejected():
    # More were advertised than are served: the transport lets them come.
    pair = server(limits=Limits(concurrent_streams=4))
    ids = [pair.peer.quic.get_next_available_stream_id() + 4 * i for i in range(4)]
    for stream_id in ids:
        pair.peer.send(stream_id, headers(), end=True)
    pair.run()
    pair.protocol._connection.limits = Limits(concurrent_streams=2)
    pair.protocol.submit_headers(ids[0], RESPONSE, end_stream=True)
    pair.run()
    stream_id = pair.request(headers())
    assert pair.peer.resets == {stream_id: Code.REQUEST_REJECTED}


def test_the_peer_opens_as_many_streams_as_there_are_slots():
    net = connected(limits=Limits(concurrent_streams=4))
    ids = [ask(net) for _ in range(4)]
    assert not net.client.is_available()
    with pytest.raises(LocalProtocolError):
        net.client.get_available_stream_id()
    for stream_id in ids:
        answer(net, stream_id)
    assert net.client.is_available()
    assert asked(net) == ids


def test_held_streams_count_until_they_are_released():
    net = connected(limits=Limits(concurrent_streams=2))
    net.server.hold_streams = True
    first, second = ask(net), ask(net)
    for stream_id in (first, second):
        answer(net, stream_id)
    events_of(net.client)
    assert net.client.open_streams == net.server.open_streams == 0
    assert not net.client.is_available()
    net.server.stream_released(first)
    net.run()
    assert net.client.is_available()
    ask(net)
    assert not net.client.is_available()


def test_resetting_streams_opens_no_slots_while_they_are_held():
    net = connected(limits=Limits(concurrent_streams=2))
    net.server.hold_streams = True
    for _ in range(2):
        net.client.submit_stream_reset(ask(net), Code.REQUEST_CANCELLED)
        net.run()
    assert not net.client.is_available()
    for stream_id in asked(net):
        net.server.stream_released(stream_id)
    net.run()
    assert net.client.is_available()


def test_refused_streams_hold_nothing():
    net = connected(limits=Limits(concurrent_streams=2))
    net.server.hold_streams = True
    for _ in range(10):
        stream_id = ask(net)
        net.server.refuse_stream(stream_id)
        net.server.stream_released(stream_id)
        net.run()
        assert events_of(net.client)[-1] == StreamResetReceived(stream_id, Code.REQUEST_REJECTED)


# The end of the connection.


def test_close_resets_streams_and_tells_the_code():
    net = connected()
    stream_id = ask(net)
    events_of(net.server)
    net.server.submit_close(Code.INTERNAL_ERROR, "done for")
    assert net.server.output_end is OutputEnd.CLOSED
    assert events_of(net.server) == [
        StreamResetSent(stream_id, Code.INTERNAL_ERROR),
        ConnectionTerminated(Code.INTERNAL_ERROR, "done for"),
    ]
    net.run(5)
    assert events_of(net.client) == [
        StreamResetReceived(stream_id, Code.INTERNAL_ERROR),
        ConnectionTerminated(Code.INTERNAL_ERROR, "done for"),
    ]
    assert net.server.is_closed
    assert net.client.is_closed
    assert net.server.output_end is OutputEnd.ABORTED


def test_a_clean_close_is_code_zero():
    net = connected()
    net.server.submit_close()
    net.run()
    assert events_of(net.client) == [ConnectionTerminated(0, "")]


def test_a_peer_that_vanishes_is_noticed():
    net = connected()
    stream_id = ask(net)
    events_of(net.server)
    net.cut = True
    net.run(60)
    reset, terminated = events_of(net.server)
    assert reset == StreamResetReceived(stream_id, Code.REQUEST_CANCELLED)
    assert terminated == ConnectionTerminated(Code.REQUEST_CANCELLED, "the peer was silent for too long")
    assert net.server.is_closed
    assert net.server.get_timer() is None


def test_a_lost_socket_ends_everything_at_once():
    net = connected()
    stream_id = ask(net)
    events_of(net.client)
    net.client.connection_lost()
    assert [type(e) for e in events_of(net.client)] == [StreamResetReceived, ConnectionTerminated]
    assert net.client.output_end is OutputEnd.ABORTED
    assert net.client.is_closed
    assert net.client.datagrams_to_send() == []
    net.client.acknowledge(stream_id, 5)
    net.client.submit_stream_reset(stream_id, 1)
    net.client.submit_goaway()
    net.client.submit_close()


def test_a_connection_with_requests_is_kept_alive():
    net = connected()
    stream_id = ask(net)
    net.run(200)
    events_of(net.server)
    answer(net, stream_id)
    assert events_of(net.client)[-1] == HeadersReceived(stream_id, RESPONSE, True)


def test_a_connection_without_requests_is_not():
    net = connected()
    net.run(200)
    assert events_of(net.client)[-1].error_code == 0
    assert net.server.is_closed


def test_goaway_of_a_client_is_told_and_its_requests_go_on():
    net = connected()
    stream_id = ask(net)
    net.client.submit_goaway()
    net.run()
    assert GoawayReceived(0) in events_of(net.server)
    assert net.client.has_expired()
    answer(net, stream_id)
    net.run()
    assert [type(e) for e in events_of(net.client)] == [HeadersReceived, ConnectionTerminated]
    assert events_of(net.server)[-1] == ConnectionTerminated(0, "drained")


def test_servers_open_no_streams():
    net = connected()
    assert not net.server.is_available()
    with pytest.raises(LocalProtocolError):
        net.server.get_available_stream_id()


def test_stream_ids_are_taken_in_order():
    net = connected()
    with pytest.raises(LocalProtocolError):
        net.client.submit_headers(4, REQUEST)
    net.client.submit_headers(0, REQUEST)
    assert net.client.get_available_stream_id() == 4
    assert net.client.get_available_stream_id() == 4
