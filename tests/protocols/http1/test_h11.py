"""What the engine rests on in h11: each test fails when h11 changes under it."""

from __future__ import annotations

import h11
import pytest

from hface_trio.protocols.http1._h11 import H11ClientCodec, H11ServerCodec
from hface_trio.protocols.http1._refusal import Refusal

from .drive import post


@pytest.fixture(scope="module", autouse=True)
def engine() -> str:
    """Run these tests once: they name their engine."""
    return "h11"


def test_what_h11_alone_knows_better_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        H11ServerCodec().receive_fields(b"GET / HTTP/1.1\r\n\r\n", chunked=False)
    assert (caught.value.status, caught.value.message) == (400, "not exactly one Host")


def test_h11_itself_takes_a_final_response_before_a_request_and_an_interim_one_behind_one() -> None:
    connection = h11.Connection(h11.CLIENT)
    connection.receive_data(b"HTTP/1.1 204 x\r\n\r\n")
    assert isinstance(connection.next_event(), h11.Response)
    connection = h11.Connection(h11.CLIENT)
    connection.receive_data(b"HTTP/1.1 103 x\r\n\r\n")
    with pytest.raises(h11.RemoteProtocolError):
        connection.next_event()
    for status in (100, 101, 103):
        assert H11ClientCodec().receive_fields(b"HTTP/1.1 %d x\r\n\r\n" % status, chunked=False) == []


def test_no_connection_object_is_kept_where_no_body_is_decoded() -> None:
    codec = H11ServerCodec()
    codec.receive_fields(post(b"Content-Length: 5"), chunked=False)
    assert codec._connection is None
    codec.receive_fields(post(b"Transfer-Encoding: chunked"), chunked=True)
    assert codec._connection is not None
    codec.receive_chunked(b"0\r\n\r\n")
    assert codec._connection is None


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
