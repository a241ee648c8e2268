"""HPACK as it is sent: what hpack's own decoder makes of it, and what is in the table (RFC 7541)."""

from __future__ import annotations

from hpack import Decoder, NeverIndexedHeaderTuple
from hypothesis import given
from hypothesis import strategies as st

from hface_trio.protocols._fields import SectionFacts, check_trailers
from hface_trio.protocols._outbound import OutboundSection
from hface_trio.protocols.http2._encoder import SectionEncoder

NAMES = st.sampled_from([b"date", b"etag", b"content-length", b"x", b"y", b"authorization"]) | st.binary(max_size=6)
VALUES = st.sampled_from([b"", b"1", b"abcdef", b"Tue, 01 Jan 2030 00:00:00 GMT"]) | st.binary(max_size=200)
FIELDS = st.lists(st.tuples(NAMES, VALUES, st.booleans()), max_size=6)
STEPS = st.lists(st.tuples(st.none() | st.sampled_from([0, 40, 100, 500, 4096]), FIELDS), max_size=30)

RESPONSE = [(b":status", b"200"), (b"date", b"Tue, 01 Jan 2030 00:00:00 GMT"), (b"content-length", b"1234")]


def decoded(decoder: Decoder, block: bytes) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in decoder.decode(block, raw=True)]


def section(fields) -> OutboundSection:
    return OutboundSection(fields, SectionFacts(), check_trailers)


@given(STEPS)
def test_whatever_is_sent_is_decoded_and_both_tables_stay_the_same(steps):
    encoder, decoder = SectionEncoder(), Decoder()
    for size, triples in steps:
        if size is not None:
            encoder.resize(size)
        fields = [NeverIndexedHeaderTuple(n, v) if secret else (n, v) for n, v, secret in triples]
        outbound = section(fields)
        for _ in range(3):
            assert decoded(decoder, encoder.encode_section(outbound)) == [(n, v) for n, v, _ in triples]
        assert decoder.header_table_size == encoder.table_octets
        assert [tuple(entry) for entry in decoder.header_table.dynamic_entries] == [*encoder._entries][::-1]


def test_what_is_sent_again_is_encoded_once():
    encoder = SectionEncoder()
    outbound = section(RESPONSE)
    encoder.encode_section(outbound)  # enters the date
    second = encoder.encode_section(outbound)
    assert encoder.encode_section(outbound) is second
    encoder.encode([(b"x", b"y")])
    assert encoder.encode_section(outbound) is not second


def test_secrets_enter_no_table():
    encoder, decoder = SectionEncoder(), Decoder()
    secret = [NeverIndexedHeaderTuple(b"authorization", b"Basic aGVsbG8=")]
    for _ in range(2):
        block = encoder.encode(secret)
        assert block[0] & 0xF0 == 0x10
        (field,) = decoder.decode(block, raw=True)
        assert isinstance(field, NeverIndexedHeaderTuple)
    assert not encoder._entries


def test_what_seldom_repeats_pushes_nothing_out():
    encoder = SectionEncoder()
    for number in range(1000):
        encoder.encode([(b"server", b"x"), (b"content-length", b"%d" % number)])
    assert [*encoder._entries] == [(b"server", b"x")]


def test_a_field_larger_than_the_table_empties_nothing():
    encoder, decoder = SectionEncoder(), Decoder()
    decoded(decoder, encoder.encode([(b"a", b"b")]))
    assert decoded(decoder, encoder.encode([(b"a", b"c" * 5000)])) == [(b"a", b"c" * 5000)]
    assert [*encoder._entries] == [(b"a", b"b")]


def test_of_many_changes_of_size_the_smallest_and_the_last_are_told():
    encoder = SectionEncoder()
    for size in (4000, 10, 3000, 20, 1000):
        encoder.resize(size)
    assert encoder.encode([]) == b"\x2a\x3f\xc9\x07"
    assert encoder.encode([]) == b""


def test_the_same_size_is_not_told():
    encoder = SectionEncoder()
    encoder.resize(4096)
    assert encoder.encode([]) == b""


def test_a_section_that_told_a_size_is_not_sent_again_as_it_was():
    encoder, decoder = SectionEncoder(), Decoder()
    outbound = section([(b":status", b"200")])
    encoder.resize(100)
    assert decoded(decoder, encoder.encode_section(outbound)) == [(b":status", b"200")]
    assert encoder.encode_section(outbound) == b"\x88"
