"""The framers: how far octets belong to a body, whether they are well-formed, and what their overhead may be."""

from __future__ import annotations

import math

import pytest

from hface_trio.protocols.http1._body import BodyFramer, ChunkedFramer, LengthFramer, UntilCloseFramer
from hface_trio.protocols.http1._front import trailer_scanner

WIDE = 1 << 30


def chunked(max_octets: float = math.inf, overhead: float = 20, trailer_octets: float = 100) -> ChunkedFramer:
    return ChunkedFramer(trailer_scanner(trailer_octets, 3), max_octets, overhead)


def by_octets(framer: BodyFramer, octets: bytes) -> int:
    """Feed one octet more at a time; return how many it took to complete or to be refused."""
    passed = 0
    for length in range(1, len(octets) + 1):
        passed = framer.advance(bytearray(octets[:length]), passed, WIDE)
        if framer.complete or framer.refusal is not None:
            return length
    return -1


def test_a_length_passes_exactly_its_octets() -> None:
    framer = LengthFramer(5)
    assert framer.advance(b"..123", 2, WIDE) == 5
    assert (framer.complete, framer.octets_left, framer.wants_credit) == (False, 2, True)
    assert framer.advance(b"45next", 0, WIDE) == 2
    assert (framer.complete, framer.octets_left, framer.wants_credit) == (True, 0, False)


def test_a_length_passes_no_more_than_the_window() -> None:
    framer = LengthFramer(5)
    assert framer.advance(b"12345", 0, 3) == 3
    assert framer.advance(b"45", 0, 0) == 0
    assert not framer.complete


def test_until_close_never_completes() -> None:
    framer = UntilCloseFramer()
    assert framer.advance(b"12345", 0, 3) == 3
    assert (framer.complete, framer.octets_left, framer.wants_credit) == (False, None, True)


BODY = b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"


def test_chunks_pass_up_to_their_end() -> None:
    framer = chunked()
    assert framer.advance(BODY + b"next", 0, WIDE) == len(BODY)
    assert framer.complete
    assert framer.octets_left is None


def test_chunks_that_come_octet_by_octet_end_at_the_same_place() -> None:
    assert by_octets(chunked(), BODY + b"next") == len(BODY)


def test_a_chunk_line_passes_only_when_it_is_complete() -> None:
    framer = chunked()
    assert framer.advance(b"5\r", 0, WIDE) == 0
    assert framer.advance(b"5\r\nhe", 0, WIDE) == 5


def test_trailers_pass_only_when_they_are_complete() -> None:
    framer = chunked()
    assert framer.advance(b"0\r\nA: b\r\n", 0, WIDE) == 3
    assert not framer.complete
    assert framer.advance(b"A: b\r\n\r\n", 0, WIDE) == 8
    assert framer.complete


def test_chunks_pass_no_more_data_than_the_window() -> None:
    framer = chunked()
    assert framer.advance(b"5\r\nhello\r\n", 0, 3) == 6
    assert framer.wants_credit
    assert framer.advance(b"lo\r\n0\r\n\r\n", 0, 2) == 9
    assert framer.complete


def test_framing_passes_without_credit() -> None:
    framer = chunked()
    framer.advance(b"5\r\nhello", 0, 5)
    assert not framer.wants_credit
    assert framer.advance(b"\r\n0\r\n\r\n", 0, 0) == 7
    assert framer.complete


@pytest.mark.parametrize(
    "line",
    [
        b"5",
        b"005",
        b"0000000000000005",
        b"a",
        b"A",
        b"5;a",
        b"5;a=b",
        b'5;a="b c"',
        b'5;a="\\"";b',
        b"5 ; a = b",
        b"5\t;a",
    ],
)
def test_a_chunk_line_of_the_grammar_passes(line: bytes) -> None:
    framer = chunked()
    assert framer.advance(line + b"\r\n", 0, WIDE) == len(line) + 2
    assert framer.refusal is None


@pytest.mark.parametrize(
    "line",
    [
        b"\r\n",
        b"g\r\n",
        b"-5\r\n",
        b"+5\r\n",
        b"0x5\r\n",
        b" 5\r\n",
        b"5 \r\n",
        b"5\n",
        b"5;\r\n",
        b"5;a=\r\n",
        b"5;=b\r\n",
        b"5;a b\r\n",
        b'5;a="b\r\n',
        b'5;a="\0"\r\n',
        b"5;a\n\r\n",
        b"5;a\rb\r\n",
        b"5,a\r\n",
        b"5_0\r\n",
        b"00000000000000005\r\n",
        b"10000000000000000\r\n",
    ],
)
def test_a_malformed_chunk_line_is_refused(line: bytes) -> None:
    framer = chunked()
    assert framer.advance(line, 0, WIDE) == 0
    assert framer.refusal is not None
    assert framer.refusal.status == 400


@pytest.mark.parametrize(
    ("octets", "taken"), [(b"1\r\naX", 4), (b"1\r\na\n", 4), (b"1\r\na\rX", 4), (b"1\r\naa\r\n", 4)]
)
def test_a_chunk_without_its_crlf_is_refused_behind_its_data(octets: bytes, taken: int) -> None:
    framer = chunked()
    assert framer.advance(octets, 0, WIDE) == taken
    assert framer.refusal is not None
    assert framer.refusal.status == 400


def test_the_octet_that_cannot_be_the_crlf_of_a_chunk_is_refused_at_once() -> None:
    assert by_octets(chunked(), b"1\r\naX\r\n") == 5
    assert by_octets(chunked(), b"1\r\na\rX\r\n") == 6


def test_one_octet_chunks_cost_nothing_extra() -> None:
    body = b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n"
    framer = chunked(overhead=0)
    assert framer.advance(body, 0, WIDE) == len(body)
    assert framer.complete


def test_extensions_past_the_budget_are_refused_in_the_line_that_passes_it() -> None:
    body = b"1;abc\r\nx\r\n" * 5
    assert by_octets(chunked(overhead=9), body) == len(b"1;abc\r\nx\r\n" * 2 + b"1;abc\r\n")


def test_leading_zeros_are_charged_like_extensions() -> None:
    line = b"00000001\r\n"
    assert by_octets(chunked(overhead=9), (line + b"x\r\n") * 2) == len(line + b"x\r\n" + line)


@pytest.mark.parametrize("line", [b"5;a=b", b"5 ;a", b"005"])
def test_a_run_ends_with_a_line_that_is_not_plain_and_tells_the_plain_one(line: bytes) -> None:
    framer = chunked()
    octets = b"1\r\nx\r\n" + line + b"\r\nhello\r\n"
    end = framer.advance(octets, 0, WIDE)
    assert octets[:end].endswith(line + b"\r\n")
    assert (framer.substitute_at, framer.substitute) == (6, b"5\r\n")
    assert framer.advance(octets, end, WIDE) == len(octets)
    assert framer.substitute is None


def test_a_chunk_line_without_end_is_refused_at_a_fixed_octet() -> None:
    octets = b"1;" + b"a" * 100
    length = by_octets(chunked(overhead=20), octets)
    assert length == 16 + 2 + 20 + 1
    framer = chunked(overhead=20)
    framer.advance(octets + b"\r\n", 0, WIDE)
    assert framer.refusal is not None


def test_data_past_the_limit_is_refused_by_its_announcement() -> None:
    framer = chunked(max_octets=10)
    assert framer.advance(b"a\r\n0123456789\r\n1\r\nx\r\n", 0, WIDE) == 15
    assert framer.refusal is not None
    assert framer.refusal.status == 413


@pytest.mark.parametrize(
    ("trailers", "status"),
    [
        (b"bad\r\n\r\n", 400),
        (b" a: b\r\n\r\n", 400),
        (b"A: b\n\r\n", 400),
        (b"A: b\r\n" * 4, 431),
        (b"A: " + b"b" * 100, 431),
    ],
)
def test_bad_trailers_are_refused(trailers: bytes, status: int) -> None:
    framer = chunked()
    assert framer.advance(b"0\r\n" + trailers, 0, WIDE) == 3
    assert framer.refusal is not None
    assert framer.refusal.status == status
