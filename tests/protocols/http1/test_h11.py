"""What the engine rests on in h11: each test fails when h11 changes under it."""

from __future__ import annotations

import h11
import pytest

from hface_trio.errors import LocalProtocolError
from hface_trio.protocols.http1._h11 import H11ClientCodec, H11ServerCodec
from hface_trio.protocols.http1._refusal import Refusal

from .drive import GET, post


def test_a_head_comes_out_as_bytes_in_lower_case() -> None:
    head = H11ServerCodec().receive_head(b"GET /A HTTP/1.1\r\nHOST: A\r\nX-Y: Z \r\n\r\n")
    assert head == (b"GET", b"/A", 1, [(b"host", b"A"), (b"x-y", b"Z")])
    assert {type(part) for field in head.fields for part in field} == {bytes}
    assert type(head.method) is type(head.target) is bytes


def test_a_head_of_any_size_passes_in_one_piece() -> None:
    fields = b"".join(b"X-%d: %b\r\n" % (number, b"y" * 100) for number in range(4000))
    assert len(H11ServerCodec().receive_head(GET[:-2] + fields + b"\r\n").fields) == 4001


def test_a_body_may_come_in_views_and_in_pieces() -> None:
    codec = H11ServerCodec()
    codec.receive_head(post(b"Transfer-Encoding: chunked"))
    assert codec.receive_body(memoryview(b"2\r\nab\r\n")) == (b"ab", [])
    assert codec.receive_body(b"2\r\n") == (b"", [])
    assert codec.receive_body(bytearray(b"c")) == (b"c", [])
    assert codec.receive_body(b"d\r\n0\r\n") == (b"d", [])
    assert codec.receive_body(b"A: b\r\n\r\n") == (b"", [(b"a", b"b")])


def test_data_passes_through_as_the_same_object() -> None:
    codec = H11ServerCodec()
    codec.receive_head(GET)
    codec.send_response(200, b"OK", [])
    data = memoryview(b"abc")
    assert codec.send_data(data) == [b"3\r\n", data, b"\r\n"]
    assert codec.send_data(data)[1] is data


def test_what_h11_alone_knows_better_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        H11ServerCodec().receive_head(b"GET / HTTP/1.1\r\n\r\n")
    assert caught.value.status == 400


def test_what_h11_will_not_send_is_the_caller_s_error() -> None:
    codec = H11ServerCodec()
    with pytest.raises(LocalProtocolError):
        codec.send_end([])
    with pytest.raises(LocalProtocolError):
        codec.send_data(b"x")


def test_a_kept_connection_to_an_old_client_is_not_chunked() -> None:
    codec = H11ServerCodec()
    for _ in range(2):
        head = codec.receive_head(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
        assert head.minor_version == 0
        fields = [(b"content-length", b"0"), (b"connection", b"keep-alive")]
        assert codec.send_response(200, b"OK", fields).endswith(b"\r\nconnection: keep-alive\r\n\r\n")
        codec.send_end([])
        codec.start_next_cycle()


def test_a_client_s_body_that_ends_with_the_connection() -> None:
    codec = H11ClientCodec()
    codec.send_request(b"GET", b"/", [(b"host", b"a")])
    codec.send_end([])
    assert codec.receive_head(b"HTTP/1.1 200 OK\r\n\r\n") == (200, 1, [])
    assert codec.receive_body(b"abc") == (b"abc", [])
    codec.receive_eof()


def test_a_reason_phrase_may_be_missing() -> None:
    codec = H11ClientCodec()
    codec.send_request(b"GET", b"/", [(b"host", b"a")])
    assert codec.receive_head(b"HTTP/1.1 103\r\nA: b\r\n\r\n") == (103, 1, [(b"a", b"b")])
    assert codec.receive_head(b"HTTP/1.1 204 \r\n\r\n") == (204, 1, [])


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
    ],
    ids=["bare LF", "obs-fold", "both framings", "old and chunked", "list of lengths"],
)
def test_h11_itself_forgives_what_the_front_refuses(head: bytes) -> None:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(head)
    assert isinstance(connection.next_event(), h11.Request)


def test_h11_itself_does_not_know_white_space_before_a_chunk_extension() -> None:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(post(b"Transfer-Encoding: chunked", body=b"1 ;a\r\nx\r\n"))
    connection.next_event()
    with pytest.raises(h11.RemoteProtocolError):
        connection.next_event()
