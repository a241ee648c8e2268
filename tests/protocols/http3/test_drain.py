"""The graceful end, of servers and clients (RFC 9114 §5.2)."""

from __future__ import annotations

import pytest

from hface_trio.errors import LocalProtocolError
from hface_trio.events import ConnectionTerminated, DataReceived, GoawayReceived, HeadersReceived, StreamResetReceived
from hface_trio.limits import Timeouts
from hface_trio.protocols import OutputEnd
from hface_trio.protocols.http3 import HTTP3ErrorCode as Code
from hface_trio.protocols.http3 import HTTP3Settings

from ..quic.network import CLIENT_ADDRESS, SERVER_ADDRESS
from ..taken import events_of
from .pair import answer, ask, asked, connected
from .raw_peer import POST, RESPONSE, client, headers, open_request, server

MAXIMUM_ID = 2**62 - 4


def test_the_end_is_announced_then_named():
    pair = server()
    stream_id = pair.request(headers())
    pair.protocol.submit_goaway()
    assert pair.protocol.draining
    pair.run()
    assert pair.peer.goaways == [MAXIMUM_ID, stream_id + 4]


def test_the_last_id_of_a_connection_without_requests_is_zero():
    pair = server()
    pair.protocol.submit_goaway()
    pair.run(1)
    assert pair.peer.goaways == [MAXIMUM_ID, 0]
    assert pair.peer.closed.error_code == Code.NO_ERROR


def test_requests_between_the_announcement_and_the_ping_are_served():
    pair = server()
    pair.protocol.submit_goaway()
    pair.network.flush()
    stream_id = pair.peer.quic.get_next_available_stream_id()
    pair.peer.send(stream_id, headers(), end=True)  # crosses the announcement
    pair.run()
    assert [e.stream_id for e in pair.events()] == [stream_id]
    assert pair.peer.goaways == [MAXIMUM_ID, stream_id + 4]
    pair.protocol.submit_headers(stream_id, RESPONSE, end_stream=True)
    pair.run(1)
    assert pair.peer.heads(stream_id) == [RESPONSE]
    assert pair.peer.closed.error_code == Code.NO_ERROR


def test_requests_above_the_last_id_are_rejected():
    pair = server()
    first = pair.request(headers())
    pair.protocol.submit_goaway()
    pair.run()
    pair.events()
    late = pair.request(headers())
    assert pair.events() == []
    assert pair.peer.resets == {late: Code.REQUEST_REJECTED}
    pair.protocol.submit_headers(first, RESPONSE, end_stream=True)
    pair.run(1)
    assert pair.peer.closed.error_code == Code.NO_ERROR


def test_without_the_acknowledgement_a_second_is_waited_for():
    pair = server(HTTP3Settings(drain_ping_seconds=1))
    pair.request(headers())
    pair.network.cut = True
    pair.protocol.submit_goaway()
    pair.run(0.9)
    assert pair.protocol.get_timer() is not None
    assert pair.protocol._drain.deadline() < float("inf")
    pair.run(0.2)
    assert pair.protocol._drain.deadline() == float("inf")
    pair.network.cut = False
    pair.run(5)
    assert pair.peer.goaways == [MAXIMUM_ID, 4]


def test_a_chosen_last_id_rejects_what_is_above():
    net = connected()
    first, second = ask(net), ask(net)
    asked(net)
    net.server.submit_goaway(last_stream_id=first)
    net.run()
    events = events_of(net.client)
    assert events == [GoawayReceived(first), StreamResetReceived(second, Code.REQUEST_REJECTED)]
    answer(net, first)
    assert HeadersReceived(first, RESPONSE, True) in events_of(net.client)


def test_a_last_id_can_only_go_down():
    net = connected()
    ask(net)
    ask(net)
    net.server.submit_goaway(last_stream_id=0)
    with pytest.raises(LocalProtocolError):
        net.server.submit_goaway(last_stream_id=4)
    net.server.submit_goaway(last_stream_id=-4)


def test_the_connection_outlives_its_last_response_until_it_is_acknowledged():
    """What is on its way when a connection closes is lost: so it closes later."""
    net = connected()
    stream_id = ask(net)
    asked(net)
    net.server.submit_goaway()
    net.run()
    net.server.submit_headers(stream_id, RESPONSE)
    net.loss = 1.0
    net.server.submit_data(stream_id, b"x" * 20_000, end_stream=True)
    net.run(0.2)
    assert not any(isinstance(e, ConnectionTerminated) for e in events_of(net.server))
    net.loss = 0.0
    net.run(10)
    events = events_of(net.client)
    assert b"".join(e.data for e in events if isinstance(e, DataReceived)) == b"x" * 20_000
    assert events[-1] == ConnectionTerminated(0, "drained")


def test_held_streams_keep_the_connection():
    net = connected()
    net.server.hold_streams = True
    stream_id = ask(net)
    net.client.hold_streams = True
    net.server.submit_goaway()
    net.run()
    answer(net, stream_id)
    net.run(1)
    assert net.server.output_end.value == "open"
    net.server.stream_released(stream_id)
    net.client.stream_released(stream_id)
    net.run(1)
    assert net.server.output_end.value != "open"


def test_a_client_ends_the_connection_when_its_last_response_has_come():
    pair = client()
    stream_id = open_request(pair)
    pair.send(pair.control, b"\x07\x01\x04")
    assert pair.protocol.has_expired()
    assert not pair.protocol.is_available()
    pair.events()
    pair.send(stream_id, headers(RESPONSE), end=True)
    assert pair.events() == [HeadersReceived(stream_id, RESPONSE, True), ConnectionTerminated(0, "drained")]
    pair.run(5)
    assert pair.peer.closed.error_code == Code.NO_ERROR


def test_goaway_tells_which_requests_may_be_sent_again():
    pair = client()
    first, second = open_request(pair, POST, end_stream=False), open_request(pair, POST, end_stream=False)
    pair.send(pair.control, b"\x07\x01\x04")
    assert pair.events() == [GoawayReceived(0), StreamResetReceived(second, Code.REQUEST_REJECTED)]
    assert pair.protocol.can_send(first)
    assert not pair.protocol.can_send(second)
    assert pair.peer.resets == {second: Code.REQUEST_CANCELLED}


def test_goaway_of_nothing_excludes_all():
    pair = client()
    stream_id = open_request(pair, POST, end_stream=False)
    pair.send(pair.control, b"\x07\x01\x00")
    assert pair.events()[:2] == [GoawayReceived(-4), StreamResetReceived(stream_id, Code.REQUEST_REJECTED)]


def test_an_idle_server_connection_ends_in_order():
    net = connected(timeouts=Timeouts(idle_seconds=5))
    net.run(4.5)
    assert not net.server.draining
    net.run(2)
    assert net.server.draining
    assert GoawayReceived(MAXIMUM_ID - 4) in events_of(net.client)
    net.run(2)
    assert net.server.is_closed


def test_an_open_request_is_not_idle():
    net = connected(timeouts=Timeouts(idle_seconds=5))
    stream_id = ask(net)
    net.run(20)
    answer(net, stream_id)
    net.run(4)
    assert not net.server.draining
    net.run(2)
    assert net.server.draining


def test_the_client_says_goaway_and_finishes():
    pair = client()
    stream_id = open_request(pair)
    pair.protocol.submit_goaway()
    pair.run()
    assert pair.peer.goaways == [0]
    with pytest.raises(LocalProtocolError):
        pair.protocol.get_available_stream_id()
    pair.events()
    pair.send(stream_id, headers(RESPONSE), end=True)
    pair.run(1)
    assert pair.peer.closed.error_code == Code.NO_ERROR


def test_whoever_takes_datagrams_gets_the_last_word_with_them():
    """The last stream is found to be over while datagrams are made: no further call may be needed for the end."""
    pair = server()
    stream_id = pair.request(headers())
    pair.protocol.submit_goaway(last_stream_id=stream_id)
    pair.run()
    pair.protocol.submit_headers(stream_id, RESPONSE, end_stream=True)
    now = pair.network.now
    datagrams = []
    while pair.protocol.output_end is OutputEnd.OPEN and now < pair.network.now + 5:
        now += 0.03
        for endpoint in (pair.protocol, pair.peer):
            endpoint.clock(now)
        datagrams = pair.protocol.datagrams_to_send()
        for data, _ in datagrams:
            pair.peer.datagram_received((data, SERVER_ADDRESS))
        for data, _ in pair.peer.datagrams_to_send():
            pair.protocol.datagram_received((data, CLIENT_ADDRESS))
        if pair.protocol.output_end is not OutputEnd.OPEN and not datagrams:
            datagrams = pair.protocol.datagrams_to_send()
    assert datagrams
    pair.peer.datagram_received((datagrams[-1][0], SERVER_ADDRESS))
    assert pair.peer.quic._close_event.error_code == Code.NO_ERROR
