"""The head scanner: what it lets pass, what it refuses, and at which octet."""

from __future__ import annotations

import math

import pytest

from hface_trio.protocols.http1._front import HeadScanner, request_scanner, response_scanner, trailer_scanner
from hface_trio.protocols.http1._refusal import Refusal

HEAD = b"GET /a HTTP/1.1\r\nHost: a\r\nX-Y:  b c \t\r\nEmpty:\r\n\r\n"


def by_octets(scanner: HeadScanner, octets: bytes) -> tuple[int, Refusal | None]:
    """Scan one octet more at a time; return how many it took, and the refusal."""
    for length in range(1, len(octets) + 1):
        try:
            if scanner.scan(bytearray(octets[:length]), 0) >= 0:
                return length, None
        except Refusal as refusal:
            return length, refusal
    return -1, None


def refusal_of(octets: bytes, scanner: HeadScanner | None = None) -> Refusal:
    with pytest.raises(Refusal) as caught:
        (scanner or request_scanner(1000, 10)).scan(octets, 0)
    return caught.value


def test_a_clean_head_ends_behind_its_empty_line() -> None:
    scanner = request_scanner(1000, 10)
    assert scanner.scan(b"...." + HEAD + b"rest", 4) == 4 + len(HEAD)
    assert (scanner.octets, scanner.fields) == (len(HEAD), 3)


def test_a_head_that_comes_octet_by_octet_ends_at_the_same_place() -> None:
    scanner = request_scanner(1000, 10)
    assert by_octets(scanner, HEAD + b"rest") == (len(HEAD), None)
    assert (scanner.octets, scanner.fields) == (len(HEAD), 3)


def test_one_scanner_finds_one_head_after_the_other() -> None:
    scanner = request_scanner(1000, 10)
    for _ in range(2):
        assert by_octets(scanner, HEAD) == (len(HEAD), None)
        assert scanner.scan(HEAD, 0) == len(HEAD)


@pytest.mark.parametrize("octet", sorted({*range(256)} - {0x09, 0x0A, 0x0D, *range(0x20, 0x7F), *range(0x80, 0x100)}))
def test_controls_in_a_field_value_are_refused(octet: int) -> None:
    assert refusal_of(b"GET / HTTP/1.1\r\nA: b%cc\r\n\r\n" % octet).status == 400


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\tfolded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nn\xc3\xa4me: a\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET /  HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1 \r\n\r\n",
        b"GET /\tHTTP/1.1\r\n\r\n",
        b"GET / a HTTP/1.1\r\n\r\n",
        b"GET /\xc3\xa4 HTTP/1.1\r\n\r\n",
        b"GET /\x7f HTTP/1.1\r\n\r\n",
        b"GET HTTP/1.1\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / http/1.1\r\n\r\n",
        b"GET / HTTP/1\r\n\r\n",
        b"GET / HTTP/1.\r\n\r\n",
        b"GET / HTTP/1.10\r\n\r\n",
        b"GET / HTTPS/1.1\r\n\r\n",
        b"G(T / HTTP/1.1\r\n\r\n",
        b" GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"\nGET / HTTP/1.1\r\n\r\n",
    ],
)
def test_a_malformed_head_is_refused_with_400(octets: bytes) -> None:
    assert refusal_of(octets).status == 400


@pytest.mark.parametrize(
    "version", [b"HTTP/2.0", b"HTTP/0.9", b"HTTP/2", b"HTTP/3", b"HTTP/11.1", b"HTTP/10", b"HTTP/0"]
)
def test_another_major_version_is_refused_with_505(version: bytes) -> None:
    assert refusal_of(b"GET / " + version + b"\r\n").status == 505


def test_the_preface_of_http2_is_refused_with_505_at_its_first_line() -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    length, refusal = by_octets(request_scanner(1000, 10), preface)
    assert refusal is not None
    assert (length, refusal.status) == (len(b"PRI * HTTP/2.0\r\n"), 505)


@pytest.mark.parametrize("minor", range(10))
def test_every_minor_version_of_http1_passes(minor: int) -> None:
    head = b"GET / HTTP/1.%d\r\n\r\n" % minor
    assert request_scanner(1000, 10).scan(head, 0) == len(head)


def test_a_line_is_refused_as_soon_as_it_is_complete() -> None:
    length, refusal = by_octets(request_scanner(1000, 10), b"GET / HTTP/1.1\r\nbad\r\nHost: a\r\n\r\n")
    assert refusal is not None
    assert length == len(b"GET / HTTP/1.1\r\nbad\r\n")


def test_an_impossible_first_octet_is_refused_at_once() -> None:
    length, refusal = by_octets(request_scanner(1000, 10), b"\x16\x03\x01")
    assert refusal is not None
    assert (length, refusal.status) == (1, 400)


@pytest.mark.parametrize("octets", [HEAD, b"GET /" + b"x" * 60])
def test_the_octet_past_the_limit_is_refused_with_431(octets: bytes) -> None:
    length, refusal = by_octets(request_scanner(20, 10), octets)
    assert refusal is not None
    assert (length, refusal.status) == (21, 431)
    assert refusal_of(octets, request_scanner(20, 10)).message == refusal.message


def test_a_head_as_long_as_the_limit_passes() -> None:
    assert by_octets(request_scanner(len(HEAD), 10), HEAD) == (len(HEAD), None)
    assert request_scanner(len(HEAD), 10).scan(HEAD, 0) == len(HEAD)


def test_the_field_past_the_limit_is_refused_with_431() -> None:
    length, refusal = by_octets(request_scanner(1000, 2), HEAD)
    assert refusal is not None
    assert (length, refusal.status) == (HEAD.index(b"Empty:\r\n") + len(b"Empty:\r\n"), 431)
    assert refusal_of(HEAD, request_scanner(1000, 2)).status == 431


def test_what_is_wrong_first_is_what_is_refused() -> None:
    octets = b"GET / HTTP/1.1\r\nbad\r\n" + b"A: b\r\n" * 100 + b"\r\n"
    assert refusal_of(octets, request_scanner(50, 10)).status == 400
    assert refusal_of(octets, request_scanner(18, 10)).status == 431


def test_limits_can_be_off() -> None:
    head = b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n"
    assert request_scanner(math.inf, math.inf).scan(head, 0) == len(head)


@pytest.mark.parametrize(
    "line",
    [b"HTTP/1.1 200 OK", b"HTTP/1.0 404 Not \t\xe4 Found", b"HTTP/1.1 204 ", b"HTTP/1.1 204", b"HTTP/1.1 999 x"],
)
def test_a_status_line_passes(line: bytes) -> None:
    head = line + b"\r\nA: b\r\n\r\n"
    assert response_scanner(1000, 10).scan(head, 0) == len(head)


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 20 OK\r\n",
        b"HTTP/1.1 2000 OK\r\n",
        b"HTTP/1.1 099 OK\r\n",
        b"HTTP/1.1  200 OK\r\n",
        b"HTTP/1.1 200 O\0K\r\n",
        b"HTTP/2.0 200 OK\r\n",
        b"HTTP/1.1 200 OK\n",
        b"\r\nHTTP/1.1 200 OK\r\n",
        b"ICY 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\n folded\r\n",
    ],
)
def test_a_malformed_response_head_is_refused(octets: bytes) -> None:
    assert refusal_of(octets, response_scanner(1000, 10)).status == 400


@pytest.mark.parametrize("octets", [b"\r\n", b"A: b\r\n\r\n"])
def test_trailers_end_behind_their_empty_line(octets: bytes) -> None:
    scanner = trailer_scanner(1000, 10)
    assert scanner.scan(octets + b"GET", 0) == len(octets)
    assert scanner.fields == octets.count(b":")
    assert by_octets(trailer_scanner(1000, 10), octets) == (len(octets), None)
