"""What a server cannot send is refused and changes nothing; what looks odd and is clear is sent."""

from __future__ import annotations

import pytest

from hface_trio.errors import LocalProtocolError
from hface_trio.protocols import OutputEnd

from .drive import GET, HEAD, OK, answer, length, opened, server

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
    protocol.submit_data(stream_id, b"", end_stream=True)
    assert opened(protocol) == 3


@pytest.mark.parametrize("status", [b"204", b"304"])
def test_a_status_without_content_takes_no_trailers(status: bytes) -> None:
    protocol = server()
    stream_id = opened(protocol, GET)
    protocol.submit_headers(stream_id, [(b":status", status)])
    with pytest.raises(LocalProtocolError):
        protocol.submit_trailers(stream_id, [(b"a", b"b")])
    protocol.submit_data(stream_id, b"", end_stream=True)
    assert opened(protocol) == 3


def test_trailers_of_the_answer_to_head_are_dropped() -> None:
    protocol = server()
    stream_id = opened(protocol, HEAD)
    protocol.submit_headers(stream_id, OK)
    protocol.bytes_to_send()
    protocol.submit_trailers(stream_id, [(b"a", b"b")])
    assert protocol.bytes_to_send() == b""
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


def test_trailers_behind_a_declared_length_are_dropped() -> None:
    protocol = server()
    stream_id = opened(protocol)
    protocol.submit_headers(stream_id, [*OK, length(5)])
    protocol.submit_data(stream_id, b"hello")
    protocol.bytes_to_send()
    protocol.submit_trailers(stream_id, [(b"a", b"b")])
    assert protocol.bytes_to_send() == b""
    assert opened(protocol) == 3


def test_trailers_do_not_make_up_for_what_a_declared_length_lacks() -> None:
    protocol = server()
    stream_id = opened(protocol)
    protocol.submit_headers(stream_id, [*OK, length(5)])
    with pytest.raises(LocalProtocolError):
        protocol.submit_trailers(stream_id, [(b"a", b"b")])
    protocol.submit_data(stream_id, b"hello", end_stream=True)


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


# What only looks odd


def test_fields_may_be_lists() -> None:
    fields = [[b":status", b"200"], [b"x-a", b"b"]]
    sent = answer(server(), GET, fields)  # type: ignore[arg-type]  # against the types, and yet clear
    assert b"x-a: b\r\n" in sent
