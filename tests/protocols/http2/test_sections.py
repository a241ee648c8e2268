"""RFC 7541: what a decoder must refuse, and what the limits leave alone."""

from __future__ import annotations

import math

import pytest
from hpack import Encoder, NeverIndexedHeaderTuple
from hypothesis import given
from hypothesis import strategies as st

from hface_trio.protocols._faults import ConnectionFault
from hface_trio.protocols.http2._sections import SectionDecoder

FIELDS = [(b":method", b"GET"), (b":path", b"/x"), (b"a", b"b"), (b"a", b"b"), (b"cookie", b"secret")]

fields = st.lists(st.tuples(st.binary(min_size=1, max_size=20), st.binary(max_size=60)), max_size=20)


@given(sections=st.lists(fields, max_size=6), huffman=st.booleans())
def test_what_an_encoder_encodes_is_decoded_section_after_section(sections, huffman):
    encoder, decoder = Encoder(), SectionDecoder(math.inf, math.inf)
    for section in sections:
        assert decoder.decode(encoder.encode(section, huffman=huffman)).fields == section


def test_fields_are_plain_tuples_also_when_never_indexed():
    block = Encoder().encode([NeverIndexedHeaderTuple(b"a", b"b")])
    decoded = SectionDecoder(1000, 10).decode(block)
    assert decoded is not None
    assert [type(field) for field in decoded.fields] == [tuple]


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",  # index 0
        b"\xc0",  # index 64: the dynamic table is empty
        b"\xff\xff\xff\xff\xff\xff\xff",  # integer of too many octets
        b"\xff",  # integer cut short
        b"\x40",  # literal without a name
        b"\x40\x01",  # name cut short
        b"\x40\x01a",  # no value
        b"\x40\x01a\x05b",  # value cut short
        b"\x40\x01a\x81\xff",  # Huffman padding that is a whole octet of ones: 8 bits, more than 7
        b"\x40\x01a\x81\x00",  # Huffman padding of zeros
        b"\x40\x01a\x84\xff\xff\xff\xff",  # Huffman code of EOS
        b"\x82\x20",  # table size update behind a field
        b"\x3f\xe2\x1f",  # table size update to 4097
        b"\x7f\x20\x01a",  # name at an index out of the table
    ],
)
def test_malformed_block_is_a_compression_error(block):
    with pytest.raises(ConnectionFault) as caught:
        SectionDecoder(1000, 10).decode(block)
    assert caught.value.code == 9


def test_table_has_to_shrink_once_its_new_size_is_acknowledged():
    decoder = SectionDecoder(1000, 10)
    decoder.max_table_octets = 100
    with pytest.raises(ConnectionFault):
        decoder.decode(b"\x82")
    shrunk = SectionDecoder(1000, 10)
    shrunk.max_table_octets = 100
    assert shrunk.decode(b"\x3f\x45\x82").fields == [(b":method", b"GET")]


def test_size_updates_before_the_first_field_are_accepted():
    assert SectionDecoder(1000, 10).decode(b"\x20\x3f\xe1\x1f\x82").fields == [(b":method", b"GET")]


def section_of(octets: int, count: int) -> bytes:
    """Exactly so many octets, as RFC 9113 counts, in so many fields."""
    value = octets - count * 33
    return Encoder().encode([(b"a", b"v" * value)] + [(b"a", b"")] * (count - 1), huffman=False)


@pytest.mark.parametrize(
    ("octets", "count", "kept"),
    [(1000, 10, True), (1001, 10, False), (2000, 10, False), (900, 20, False), (900, 11, False), (1000, 1, True)],
)
def test_section_over_a_limit_is_decoded_but_not_kept(octets, count, kept):
    decoder = SectionDecoder(1000, 10)
    assert (decoder.decode(section_of(octets, count)) is not None) is kept
    # The dynamic table is in step: the last field is its first entry.
    again = decoder.decode(b"\xbe")
    assert again is not None
    assert again.fields[0][0] == b"a"


@pytest.mark.parametrize(("octets", "count"), [(2001, 10), (900, 21)])
def test_section_twice_over_a_limit_ends_the_connection(octets, count):
    with pytest.raises(ConnectionFault) as caught:
        SectionDecoder(1000, 10).decode(section_of(octets, count))
    assert caught.value.code == 11


def test_indexed_fields_cannot_multiply_beyond_the_limit():
    decoder = SectionDecoder(64 * 1024, 128)
    assert decoder.decode(Encoder().encode([(b"n", b"v" * 4000)], huffman=False)) is not None
    with pytest.raises(ConnectionFault):
        decoder.decode(b"\xbe" * 16_000)


def test_what_comes_again_is_decoded_once():
    decoder = SectionDecoder(1000, 10)
    assert decoder.decode(b"\x82\x84") is decoder.decode(b"\x82\x84")


def test_what_comes_again_means_what_the_table_says_now():
    encoder, decoder = Encoder(), SectionDecoder(1000, 10)
    for value in (b"1", b"2", b"3"):
        decoder.decode(encoder.encode([(b"a", value)]))
        assert decoder.decode(b"\xbe").fields == [(b"a", value)]
    decoder.decode(b"\x20")
    with pytest.raises(ConnectionFault):
        decoder.decode(b"\xbe")


def test_what_comes_again_is_refused_too_once_the_table_is_too_large():
    decoder = SectionDecoder(1000, 10)
    decoder.decode(b"\x82")
    decoder.max_table_octets = 100
    with pytest.raises(ConnectionFault):
        decoder.decode(b"\x82")


def test_few_and_short_sections_are_remembered():
    decoder = SectionDecoder(math.inf, math.inf)
    for number in range(100):
        decoder.decode(Encoder().encode([NeverIndexedHeaderTuple(b"a", b"%d" % number)]))
        decoder.decode(Encoder().encode([NeverIndexedHeaderTuple(b"a", b"%d" % number * 1000)]))
    assert 0 < len(decoder._memory._sections) <= 16
    assert sum(map(len, decoder._memory._sections)) < 1000


def test_size_updates_count_as_fields():
    with pytest.raises(ConnectionFault):
        SectionDecoder(1000, 10).decode(b"\x20" * 21)


@given(block=st.binary(max_size=300))
def test_any_octets_are_a_section_or_a_fault(block):
    decoder = SectionDecoder(1000, 10)
    try:
        decoded = decoder.decode(block)
    except ConnectionFault as fault:
        assert fault.code in {9, 11}  # noqa: PT017
    else:
        assert decoded is None or len(decoded.fields) <= 10
