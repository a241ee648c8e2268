"""What the engine rests on in httptools: each test fails when httptools, or llhttp in it, changes under it."""

from __future__ import annotations

import re
import subprocess
import sys

import httptools
import pytest

from hface_trio.protocols.http1._front import request_scanner
from hface_trio.protocols.http1._httptools import HttpToolsCodec
from hface_trio.protocols.http1._refusal import Refusal

from .drive import post

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]")


@pytest.fixture(scope="module", autouse=True)
def engine() -> str:
    """Run these tests once: they name their engine."""
    return "httptools"


def passes(line: bytes) -> bool:
    """Return whether llhttp takes a field line."""
    try:
        HttpToolsCodec().receive_fields(b"GET / HTTP/1.1\r\n%b\r\n\r\n" % line, chunked=False)
    except Refusal:
        return False
    return True


def test_the_octets_of_values_are_those_that_the_front_lets_pass() -> None:
    octets = set(range(256)) - {0x0A, 0x0D}
    allowed = {0x09, *range(0x20, 0x7F), *range(0x80, 0x100)}
    assert {octet for octet in octets if passes(b"A: x%cy" % octet)} == allowed


def test_the_octets_of_names_are_those_that_the_front_lets_pass() -> None:
    octets = set(range(256)) - {0x0A, 0x0D, 0x3A}
    allowed = {octet for octet in octets if _TOKEN.match(b"%c" % octet)}
    assert {octet for octet in octets if passes(b"A%cB: x" % octet)} == allowed


def test_a_start_line_is_not_its_business() -> None:
    codec = HttpToolsCodec()
    fields = codec.receive_fields(b'M-NEW "<>\\^`{|} HTTP/1.9\r\nA: b\r\n\r\n', chunked=False)
    assert fields == [(b"a", b"b")]


@pytest.mark.parametrize(
    "fields",
    [
        b"Connection: upgrade\r\nUpgrade: h\r\n",
        b"Connection: close\r\n",
        b"Connection: upgrade, close\r\nUpgrade: h\r\nContent-Length: 5\r\n",
        b"Content-Length: 9999999999999999999\r\n",
        b"Proxy-Connection: close\r\nExpect: 100-continue\r\n",
        b"HTTP2-Settings: AAAA\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nTransfer-Encoding: chunked\r\n",
    ],
)
def test_what_fields_mean_is_not_its_business(fields: bytes) -> None:
    codec = HttpToolsCodec()
    for _ in range(2):
        received = codec.receive_fields(b"POST / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n", chunked=False)
        assert len(received) == 1 + fields.count(b"\r\n")


def test_an_empty_value_does_not_run_into_the_next_name() -> None:
    fields = HttpToolsCodec().receive_fields(post(b"A:", b"B: ", b"C:  x\t "), chunked=False)
    assert fields[1:] == [(b"a", b""), (b"b", b""), (b"c", b"x")]


def test_no_parser_is_kept_where_no_body_is_decoded() -> None:
    codec = HttpToolsCodec()
    codec.receive_fields(post(b"Content-Length: 5"), chunked=False)
    assert codec._parser is None
    codec.receive_fields(post(b"Transfer-Encoding: chunked"), chunked=True)
    codec.receive_chunked(b"1\r\n")
    assert codec._parser is not None
    codec.receive_chunked(b"a\r\n0\r\n\r\n")
    assert codec._parser is None


def test_trailers_that_would_mean_something_in_a_head_mean_nothing() -> None:
    codec = HttpToolsCodec()
    codec.receive_fields(post(b"Transfer-Encoding: chunked"), chunked=True)
    body = codec.receive_chunked(b"0\r\nConnection: upgrade\r\nUpgrade: h\r\n\r\n")
    assert body == (b"", [(b"connection", b"upgrade"), (b"upgrade", b"h")])


def test_llhttp_itself_judges_what_the_front_has_to_judge() -> None:
    """It takes what the front refuses, and refuses what the front takes: so it is shown neither."""
    parser = httptools.HttpRequestParser(object())
    with pytest.raises(httptools.HttpParserInvalidMethodError):
        parser.feed_data(b"M-NEW / HTTP/1.1\r\n\r\n")
    parser = httptools.HttpRequestParser(object())
    parser.feed_data(b"GET / HTTP/1.1\r\n\r\n")  # no Host
    assert request_scanner(100, 10).scan(b"M-NEW / HTTP/1.1\r\n\r\n", 0) > 0


def test_it_is_imported_only_when_it_is_chosen() -> None:
    program = (
        "import sys, hface_trio\n"
        "from hface_trio.protocols import HTTP1ServerFactory, HTTP1ClientFactory\n"
        "HTTP1ServerFactory()(None, None), HTTP1ClientFactory()(None, None)\n"
        "assert 'httptools' not in sys.modules\n"
        "HTTP1ServerFactory('httptools')\n"
        "assert 'httptools' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
