"""What a server sends: framing, connection options, interim responses, and what it refuses to send."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from hface_trio.errors import LocalProtocolError, SendCapacityError
from hface_trio.events import HeadersReceived, SendCapacityIncreased
from hface_trio.protocols import OutputEnd
from hface_trio.protocols.http1._server import HTTP1Server

from .drive import GET, OK, events, feed, opened, post, server

HEAD = GET.replace(b"GET", b"HEAD")
OLD = b"GET / HTTP/1.0\r\n\r\n"
OLD_KEEP_ALIVE = b"GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n"


def length(octets: int) -> tuple[bytes, bytes]:
    return (b"content-length", b"%d" % octets)


def answer(
    protocol: HTTP1Server,
    request: bytes,
    headers: list[tuple[bytes, bytes]],
    *bodies: bytes,
    end_stream: bool | None = None,
) -> bytes:
    """Answer a request and return the octets; without ``bodies`` the head ends the stream."""
    stream_id = opened(protocol, request)
    protocol.submit_headers(stream_id, headers, end_stream=not bodies if end_stream is None else end_stream)
    for index, body in enumerate(bodies):
        protocol.submit_data(stream_id, body, end_stream=index == len(bodies) - 1)
    return protocol.bytes_to_send()


# Framing


def test_a_declared_length_is_sent_as_it_is() -> None:
    octets = answer(server(), GET, [*OK, length(5)], b"he", b"llo")
    assert octets == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


def test_a_body_of_unknown_length_is_chunked() -> None:
    octets = answer(server(), GET, OK, b"he", b"", b"llo")
    assert octets == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"


def test_no_body_is_declared_as_one_of_no_octets() -> None:
    assert answer(server(), GET, OK) == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize("status", [b"204", b"304"])
def test_a_status_without_body_declares_none(status: bytes) -> None:
    octets = answer(server(), GET, [(b":status", status)])
    assert b"content-length" not in octets.lower()
    assert b"transfer-encoding" not in octets.lower()
    assert octets.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(("request_octets", "status"), [(HEAD, b"200"), (GET, b"304")], ids=["head", "not modified"])
def test_the_length_of_a_body_that_is_not_sent_may_be_declared(request_octets: bytes, status: bytes) -> None:
    octets = answer(server(), request_octets, [(b":status", status), length(5)])
    assert octets.endswith(b"\r\ncontent-length: 5\r\n\r\n")


def test_204_never_declares_a_length() -> None:
    assert b"content-length" not in answer(server(), GET, [(b":status", b"204"), length(0)])


def test_the_response_to_head_ends_without_a_body() -> None:
    octets = answer(server(), HEAD, OK, b"")
    assert octets.endswith(b"\r\n\r\n")
    assert octets.count(b"\r\n\r\n") == 1


def test_large_data_pass_through_uncopied() -> None:
    protocol = server()
    stream_id = opened(protocol)
    protocol.submit_headers(stream_id, OK)
    data = memoryview(bytearray(100_000))
    protocol.submit_data(stream_id, data)
    assert any(buffer is data for buffer in protocol.buffers_to_send())


def test_a_view_of_wide_items_counts_its_octets() -> None:
    view = memoryview(b"abcdefgh").cast("H")
    octets = answer(server(), GET, [*OK, length(8)], view)  # type: ignore[arg-type]
    assert octets.endswith(b"abcdefgh")


def test_trailers_end_a_chunked_response() -> None:
    protocol = server()
    stream_id = opened(protocol)
    protocol.submit_headers(stream_id, OK)
    protocol.submit_trailers(stream_id, [(b"a", b"b")])
    assert protocol.bytes_to_send().endswith(b"\r\n\r\n0\r\na: b\r\n\r\n")
    assert opened(protocol) == stream_id + 2


# HTTP/1.0


def test_a_client_of_http10_gets_a_body_that_ends_with_the_connection() -> None:
    protocol = server()
    octets = answer(protocol, OLD, OK, b"he", b"llo")
    assert octets == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello"
    assert protocol.output_end is OutputEnd.CLOSED


def test_a_client_of_http10_that_asks_is_kept_when_the_length_is_known() -> None:
    protocol = server()
    octets = answer(protocol, OLD_KEEP_ALIVE, [*OK, length(2)], b"ab")
    assert octets == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nab"
    assert opened(protocol, OLD_KEEP_ALIVE) == 3
    assert protocol.request_version(3) == "1.0"


def test_a_client_of_http10_that_asks_is_not_kept_when_it_is_not() -> None:
    protocol = server()
    octets = answer(protocol, OLD_KEEP_ALIVE, OK, b"ab")
    assert octets == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nab"
    assert protocol.output_end is OutputEnd.CLOSED


@pytest.mark.parametrize(
    "request_octets",
    [
        OLD,
        OLD.replace(b"\r\n\r\n", b"\r\nHost: a\r\n\r\n"),
        OLD.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"),
    ],
    ids=["bare", "with host", "without host"],
)
def test_other_clients_of_http10_are_not_kept(request_octets: bytes) -> None:
    protocol = server()
    assert b"onnection: close\r\n" in answer(protocol, request_octets, [*OK, length(2)], b"ab")
    assert protocol.output_end is OutputEnd.CLOSED


def test_trailers_to_http10_are_dropped() -> None:
    protocol = server()
    stream_id = opened(protocol, OLD)
    protocol.submit_headers(stream_id, OK)
    protocol.submit_data(stream_id, b"x")
    protocol.submit_trailers(stream_id, [(b"a", b"b")])
    assert protocol.bytes_to_send().endswith(b"\r\n\r\nx")


def test_interim_responses_to_http10_are_dropped() -> None:
    protocol = server()
    stream_id = opened(protocol, OLD)
    protocol.submit_informational(stream_id, [(b":status", b"103")])
    assert protocol.bytes_to_send() == b""


# Keeping the connection


def test_a_request_with_close_is_answered_with_close() -> None:
    protocol = server()
    request = GET.replace(b"Host", b"Connection: Close\r\nHost")
    assert answer(protocol, request, OK) == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    assert protocol.output_end is OutputEnd.CLOSED


def test_streams_are_numbered_one_three_five() -> None:
    protocol = server()
    ids = []
    for _ in range(3):
        ids.append(opened(protocol))
        protocol.submit_headers(ids[-1], OK, end_stream=True)
    assert ids == [1, 3, 5]


# Expectations


WAITING = post(b"Content-Length: 2", b"Expect: 100-Continue")


def test_100_is_sent_when_the_application_asks_for_it_and_once() -> None:
    protocol = server()
    stream_id = opened(protocol, WAITING)
    assert protocol.awaits_continue
    assert protocol.bytes_to_send() == b""
    for _ in range(2):
        protocol.submit_continue(stream_id)
    assert protocol.bytes_to_send() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert not protocol.awaits_continue


def test_100_may_be_submitted_as_an_interim_response() -> None:
    protocol = server()
    stream_id = opened(protocol, WAITING)
    protocol.submit_informational(stream_id, [(b":status", b"100")])
    protocol.submit_continue(stream_id)
    assert protocol.bytes_to_send().count(b"100 Continue") == 1


@pytest.mark.parametrize(
    "request_octets",
    [
        GET,
        post(b"Content-Length: 0", b"Expect: 100-continue"),
        WAITING + b"x",
        WAITING.replace(b"HTTP/1.1", b"HTTP/1.0"),
        post(b"Content-Length: 2", b"Expect: something-else"),
    ],
    ids=["no expectation", "no body", "body has begun", "old client", "other expectation"],
)
def test_100_is_not_sent_to_who_does_not_wait(request_octets: bytes) -> None:
    protocol = server()
    protocol.submit_continue(opened(protocol, request_octets))
    assert protocol.bytes_to_send() == b""


def test_a_final_response_instead_of_100_ends_the_connection() -> None:
    protocol = server()
    assert b"onnection: close" in answer(protocol, WAITING, [(b":status", b"417")])
    protocol.discard_input(1)
    assert protocol.output_end is OutputEnd.CLOSED


def test_a_final_response_behind_100_keeps_the_connection() -> None:
    protocol = server()
    stream_id = opened(protocol, WAITING)
    protocol.submit_continue(stream_id)
    feed(protocol, b"ab")
    protocol.submit_headers(stream_id, OK, end_stream=True)
    assert b"lose" not in protocol.bytes_to_send()
    assert opened(protocol) == 3


def test_a_body_that_was_not_held_back_keeps_the_connection() -> None:
    protocol = server()
    assert b"lose" not in answer(protocol, WAITING + b"ab", OK)


def test_interim_responses_come_before_the_final_one() -> None:
    protocol = server()
    stream_id = opened(protocol)
    for _ in range(2):
        protocol.submit_informational(stream_id, [(b":status", b"103"), (b"link", b"</a>")])
    protocol.submit_headers(stream_id, OK, end_stream=True)
    octets = protocol.bytes_to_send()
    assert octets.startswith(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 2 + b"HTTP/1.1 200 OK\r\n")


# Reason phrases


@pytest.mark.parametrize("status", [status.value for status in HTTPStatus if status.value >= 200])
def test_a_known_status_has_its_phrase(status: int) -> None:
    octets = answer(server(), GET, [(b":status", b"%d" % status)])
    assert octets.startswith(b"HTTP/1.1 %d %s\r\n" % (status, HTTPStatus(status).phrase.encode()))


@pytest.mark.parametrize(("status", "phrase"), [(299, b"Success"), (399, b"Redirection"), (599, b"Server Error")])
def test_an_unknown_status_has_the_phrase_of_its_class(status: int, phrase: bytes) -> None:
    assert answer(server(), GET, [(b":status", b"%d" % status)]).startswith(b"HTTP/1.1 %d %s\r\n" % (status, phrase))


# What cannot be sent


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"a", b"b")],
        [(b":status", b"20")],
        [(b":status", b"2000")],
        [(b":status", b"abc")],
        [(b":status", b"099")],
        [(b":status", b"600")],
        [(b":status", b"103")],
        [(b":status", b"101"), (b"upgrade", b"h")],
        [(b":status", b"101")],
        [*OK, *OK],
        [(b"a", b"b"), *OK],
        [*OK, (b":path", b"/")],
        [*OK, (b"A", b"b")],
        [*OK, (b"", b"b")],
        [*OK, (b"a b", b"b")],
        [*OK, (b"a:", b"b")],
        [*OK, (b"a", b" b")],
        [*OK, (b"a", b"b\t")],
        [*OK, (b"a", b"b\rc")],
        [*OK, (b"a", b"b\nc")],
        [*OK, (b"a", b"b\0c")],
        [*OK, (b"a", b"b\x7fc")],
        [*OK, (b"connection", b"close")],
        [*OK, (b"keep-alive", b"5")],
        [*OK, (b"proxy-connection", b"close")],
        [*OK, (b"transfer-encoding", b"chunked")],
        [*OK, (b"upgrade", b"h")],
        [*OK, (b"content-length", b"x")],
        [*OK, (b"content-length", b"-1")],
        [*OK, (b"content-length", b"")],
        [*OK, (b"content-length", b"1" * 20)],
        [*OK, length(1), length(1)],
    ],
)
def test_a_section_that_cannot_be_sent_changes_nothing(headers: list[tuple[bytes, bytes]]) -> None:
    protocol = server()
    stream_id = opened(protocol)
    with pytest.raises(LocalProtocolError):
        protocol.submit_headers(stream_id, headers)
    assert protocol.bytes_to_send() == b""
    protocol.submit_headers(stream_id, OK, end_stream=True)
    assert protocol.bytes_to_send().startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("headers", [OK, [(b":status", b"101"), (b"upgrade", b"h")], [(b":status", b"103"), length(1)]])
def test_an_interim_response_that_is_none_changes_nothing(headers: list[tuple[bytes, bytes]]) -> None:
    protocol = server()
    stream_id = opened(protocol)
    with pytest.raises(LocalProtocolError):
        protocol.submit_informational(stream_id, headers)
    assert protocol.bytes_to_send() == b""


def test_426_may_say_what_to_upgrade_to() -> None:
    octets = answer(server(), GET, [(b":status", b"426"), (b"upgrade", b"h")])
    assert b"\r\nupgrade: h\r\n" in octets
    assert b"\r\nconnection: upgrade\r\n" in octets


def test_a_head_that_promises_a_body_cannot_end_the_stream() -> None:
    protocol = server()
    stream_id = opened(protocol)
    with pytest.raises(LocalProtocolError):
        protocol.submit_headers(stream_id, [*OK, length(5)], end_stream=True)
    assert protocol.bytes_to_send() == b""


@pytest.mark.parametrize(("data", "end_stream"), [(b"x" * 6, False), (b"x" * 6, True), (b"x" * 4, True), (b"", True)])
def test_a_body_of_another_length_than_declared_is_not_taken(data: bytes, end_stream: bool) -> None:
    protocol = server()
    stream_id = opened(protocol)
    protocol.submit_headers(stream_id, [*OK, length(5)])
    protocol.bytes_to_send()
    with pytest.raises(LocalProtocolError):
        protocol.submit_data(stream_id, data, end_stream)
    assert protocol.bytes_to_send() == b""
    protocol.submit_data(stream_id, b"hello", end_stream=True)
    assert protocol.bytes_to_send() == b"hello"


@pytest.mark.parametrize(("request_octets", "status"), [(HEAD, b"200"), (GET, b"204"), (GET, b"304")])
def test_a_response_without_body_takes_no_data(request_octets: bytes, status: bytes) -> None:
    protocol = server()
    stream_id = opened(protocol, request_octets)
    protocol.submit_headers(stream_id, [(b":status", status)])
    with pytest.raises(LocalProtocolError):
        protocol.submit_data(stream_id, b"x")
    with pytest.raises(LocalProtocolError):
        protocol.submit_trailers(stream_id, [(b"a", b"b")])
    protocol.submit_data(stream_id, b"", end_stream=True)
    assert opened(protocol) == 3


@pytest.mark.parametrize(
    "trailers",
    [[(b":status", b"200")], [(b"A", b"b")], [(b"host", b"a")], [(b"content-length", b"0")], [(b"connection", b"a")]],
)
def test_trailers_that_cannot_be_sent_change_nothing(trailers: list[tuple[bytes, bytes]]) -> None:
    protocol = server()
    stream_id = opened(protocol)
    protocol.submit_headers(stream_id, OK)
    protocol.bytes_to_send()
    with pytest.raises(LocalProtocolError):
        protocol.submit_trailers(stream_id, trailers)
    assert protocol.bytes_to_send() == b""
    protocol.submit_data(stream_id, b"", end_stream=True)


def test_trailers_do_not_go_with_a_declared_length() -> None:
    protocol = server()
    stream_id = opened(protocol)
    protocol.submit_headers(stream_id, [*OK, length(0)])
    with pytest.raises(LocalProtocolError):
        protocol.submit_trailers(stream_id, [(b"a", b"b")])


def test_each_part_has_its_turn() -> None:
    protocol = server()
    stream_id = opened(protocol)
    for early in (lambda: protocol.submit_data(stream_id, b""), lambda: protocol.submit_trailers(stream_id, [])):
        with pytest.raises(LocalProtocolError):
            early()
    protocol.submit_headers(stream_id, OK)
    for late in (
        lambda: protocol.submit_headers(stream_id, OK),
        lambda: protocol.submit_informational(stream_id, [(b":status", b"103")]),
    ):
        with pytest.raises(LocalProtocolError):
            late()


@pytest.mark.parametrize("stream_id", [0, 1, 2, 3, 99])
def test_a_stream_that_is_not_open_takes_nothing(stream_id: int) -> None:
    protocol = server()
    if stream_id == 1:
        answer(protocol, GET, OK)
    for submit in (
        lambda: protocol.submit_headers(stream_id, OK),
        lambda: protocol.submit_data(stream_id, b"x"),
        lambda: protocol.submit_trailers(stream_id, []),
        lambda: protocol.submit_informational(stream_id, [(b":status", b"103")]),
    ):
        with pytest.raises(LocalProtocolError):
            submit()
    protocol.submit_stream_reset(stream_id, 500)
    protocol.submit_continue(stream_id)
    protocol.acknowledge(stream_id, 5)
    assert protocol.send_capacity(stream_id) == 0
    assert protocol.output_end is OutputEnd.OPEN


def test_a_server_opens_no_streams() -> None:
    protocol = server()
    assert not protocol.is_available()
    with pytest.raises(LocalProtocolError):
        protocol.get_available_stream_id()


# Send capacity


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
    assert events(protocol) == [SendCapacityIncreased(stream_id)]
    assert protocol.send_capacity(stream_id) == 262_144
    protocol.submit_data(stream_id, b"x")
    protocol.buffers_to_send()
    assert events(protocol) == []


def test_capacity_that_was_not_used_up_grows_without_a_word() -> None:
    protocol = server()
    stream_id = opened(protocol)
    protocol.submit_headers(stream_id, OK)
    protocol.buffers_to_send()
    assert events(protocol) == []


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


def test_a_request_while_the_response_waits_is_answered_behind_it() -> None:
    protocol = server()
    answer(protocol, GET + GET, OK)
    second = [event for event in events(protocol) if isinstance(event, HeadersReceived)]
    assert [event.stream_id for event in second] == [3]


def test_fields_may_be_lists() -> None:
    fields = [[b":status", b"200"], [b"x-a", b"b"]]
    sent = answer(server(), GET, fields)  # type: ignore[arg-type]  # against the types, and yet clear
    assert b"x-a: b\r\n" in sent
