"""What every engine does, and that all do the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hface_trio.events import Event
from hface_trio.protocols import protocol_registry
from hface_trio.protocols.http1 import _recent as recent
from hface_trio.protocols.http1._codec import Codec
from hface_trio.protocols.http1._h11 import H11ClientCodec, H11ServerCodec
from hface_trio.protocols.http1._httptools import HttpToolsCodec

from .drive import ENGINES, GET, Engine, examples, post
from .octets import CUTS, EDITS, REQUESTS, RESPONSES, Client, Server, mutate, run

_SERVER_CODECS: dict[str, type[Codec]] = {"h11": H11ServerCodec, "httptools": HttpToolsCodec}
_CLIENT_CODECS: dict[str, type[Codec]] = {"h11": H11ClientCodec, "httptools": HttpToolsCodec}


@pytest.fixture
def server_codec(engine: str) -> Codec:
    return _SERVER_CODECS[engine]()


@pytest.fixture
def client_codec(engine: str) -> Codec:
    return _CLIENT_CODECS[engine]()


def test_every_engine_that_there_is_is_tested() -> None:
    assert tuple(protocol_registry.http1_servers.names()) == ENGINES
    assert tuple(protocol_registry.http1_clients.names()) == ENGINES


def test_fields_come_out_as_bytes_in_lower_case(server_codec: Codec) -> None:
    fields = server_codec.receive_fields(b"GET /A HTTP/1.1\r\nHOST: A\r\nX-Y: Z \r\n\r\n", chunked=False)
    assert fields == [(b"host", b"A"), (b"x-y", b"Z")]
    assert {type(part) for field in fields for part in field} == {bytes}


def test_a_head_of_any_size_passes_in_one_piece(server_codec: Codec) -> None:
    fields = b"".join(b"X-%d: %b\r\n" % (number, b"y" * 100) for number in range(4000))
    assert len(server_codec.receive_fields(GET[:-2] + fields + b"\r\n", chunked=False)) == 4001


def test_a_body_may_come_in_views_and_in_pieces(server_codec: Codec) -> None:
    for _ in range(2):
        server_codec.receive_fields(post(b"Transfer-Encoding: chunked"), chunked=True)
        decoded = [
            server_codec.receive_chunked(octets)
            for octets in (memoryview(b"2\r\nab\r\n"), b"2\r\n", bytearray(b"c"), b"d\r\n0\r\n", b"A: b\r\nC:\r\n\r\n")
        ]
        assert [data for data, _ in decoded] == [b"ab", b"", b"c", b"d", b""]
        assert [list(trailers) for _, trailers in decoded] == [[], [], [], [], [(b"a", b"b"), (b"c", b"")]]


def test_the_longest_chunk_that_can_be_announced_is_taken(server_codec: Codec) -> None:
    server_codec.receive_fields(post(b"Transfer-Encoding: chunked"), chunked=True)
    assert server_codec.receive_chunked(b"ffffffffffffffff\r\nab").data == b"ab"


def test_chunks_of_one_read_are_joined(server_codec: Codec) -> None:
    server_codec.receive_fields(post(b"Transfer-Encoding: chunked"), chunked=True)
    assert server_codec.receive_chunked(b"1\r\na\r\n" * 1000).data == b"a" * 1000


def test_a_response_s_body_is_decoded_likewise(client_codec: Codec) -> None:
    assert client_codec.receive_fields(b"HTTP/1.0 100 \r\n\r\n", chunked=False) == []
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
    ((name, value),) = client_codec.receive_fields(head, chunked=True)
    assert (name, value.lower()) == (b"transfer-encoding", b"chunked")
    assert tuple(client_codec.receive_chunked(b"1\r\na\r\n0\r\n\r\n")) == (b"a", [])


def test_a_reason_phrase_may_be_missing(client_codec: Codec) -> None:
    assert client_codec.receive_fields(b"HTTP/1.1 103\r\nA: b\r\n\r\n", chunked=False) == [(b"a", b"b")]
    assert client_codec.receive_fields(b"HTTP/1.1 204 \r\n\r\n", chunked=False) == []


@pytest.mark.parametrize("end", [b"", b" ", b"\t", b" \t ", b"\t" * 60_000])
def test_white_space_behind_a_value_is_no_part_of_it(server_codec: Codec, client_codec: Codec, end: bytes) -> None:
    lines = b"transfer-encoding:\tchunked" + end + b"\r\na: b\tc" + end + b"\r\n\r\n"
    fields = [(b"transfer-encoding", b"chunked"), (b"a", b"b\tc")]
    assert server_codec.receive_fields(b"POST / HTTP/1.1\r\nhost: a\r\n" + lines, chunked=True)[1:] == fields
    assert client_codec.receive_fields(b"HTTP/1.1 200 OK\t\r\n" + lines, chunked=True) == fields
    for codec in (server_codec, client_codec):
        assert codec.receive_chunked(b"1\r\na\r\n0\r\n\r\n").data == b"a"


def test_white_space_is_looked_at_once(server_codec: Codec) -> None:
    value = (b"\t" * 30_000 + b"x") * 4
    fields = server_codec.receive_fields(b"GET / HTTP/1.1\r\nhost: a\r\nx: y" + value + b"\t\r\n\r\n", chunked=False)
    assert fields[1] == (b"x", b"y" + value)


@pytest.mark.parametrize("status", [100, 101, 103, 199, 200, 204, 304, 426, 599, 999])
def test_what_a_response_is_to_does_not_matter(client_codec: Codec, status: int) -> None:
    for _ in range(2):
        fields = client_codec.receive_fields(b"HTTP/1.1 %d x\r\nContent-Length: 3\r\n\r\n" % status, chunked=False)
        assert fields == [(b"content-length", b"3")]


def _on_every_engine(make: Any, octets: bytes, cuts: list[int]) -> list[list[Event]]:
    before = Engine.name
    try:
        taken: list[list[Event]] = []
        for Engine.name in ENGINES:
            recent.forget()  # what one engine has read would be told again
            taken.append(run(make(), octets, list(cuts)))
        return taken
    finally:
        Engine.name = before


@examples(150)
@given(REQUESTS, EDITS, CUTS)
def test_engines_tell_the_same_of_requests(octets: bytes, edits: list[tuple[int, bytes]], cuts: list[int]) -> None:
    first, *others = _on_every_engine(Server, mutate(octets, edits), cuts)
    assert others == [first] * len(others)


@examples(150)
@given(RESPONSES, EDITS, CUTS, st.sampled_from([b"GET", b"HEAD", b"CONNECT"]))
def test_engines_tell_the_same_of_responses(
    octets: bytes, edits: list[tuple[int, bytes]], cuts: list[int], method: bytes
) -> None:
    first, *others = _on_every_engine(lambda: Client(method), mutate(octets, edits), cuts)
    assert others == [first] * len(others)
