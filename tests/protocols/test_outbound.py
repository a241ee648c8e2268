"""Sections on their way out: form, checks, secrets, and what is remembered of them."""

from __future__ import annotations

import pytest
from hpack import NeverIndexedHeaderTuple

from hface_trio.errors import LocalProtocolError
from hface_trio.protocols._fields import check_request, check_response, check_trailers
from hface_trio.protocols._outbound import SectionPreparer
from hface_trio.protocols.http2 import HTTP2Settings

from .http2.raw_peer import REQUEST, RESPONSE


def preparer(normalized=True, checked=True, split_cookies=False) -> SectionPreparer:
    return SectionPreparer(
        normalized=normalized,
        checked=checked,
        split_cookies=split_cookies,
        never_indexed=HTTP2Settings().never_indexed,
    )


@pytest.mark.parametrize("field", [(b"a", b"b\r\nc: d"), (b"a", b"b\0"), (b"a b", b"c"), (b"te", b"gzip")])
def test_outbound_section_is_checked(field):
    with pytest.raises(LocalProtocolError):
        preparer().prepare([*REQUEST, field], check_request)


def test_outbound_text_is_refused():
    with pytest.raises(LocalProtocolError):
        preparer().prepare([*REQUEST, ("a", "b")], check_request)  # type: ignore[list-item]


def test_outbound_section_is_brought_into_form():
    headers = [*REQUEST, (b"Accept", b" */* "), (b"Connection", b"close"), (b"transfer-encoding", b"chunked")]
    fields = preparer().prepare(headers, check_request).fields
    assert fields == [*REQUEST, (b"accept", b"*/*")]


def test_outbound_section_is_left_alone_on_request():
    settings = {"normalized": False}
    with pytest.raises(LocalProtocolError):
        preparer(**settings).prepare([*REQUEST, (b"connection", b"close")], check_request)
    settings = {"normalized": False, "checked": False}
    fields = preparer(**settings).prepare([*REQUEST, (b"Connection", b"close")], check_request).fields
    assert fields[-1] == (b"Connection", b"close")


@pytest.mark.parametrize(
    ("field", "secret"),
    [
        ((b"authorization", b"x"), True),
        ((b"proxy-authorization", b"x"), True),
        ((b"set-cookie", b"a=b"), True),
        ((b"cookie", b"a=b"), True),
        ((b"cookie", b"a=" + b"b" * 40), False),
        ((b"accept", b"x"), False),
        (NeverIndexedHeaderTuple(b"x", b"y"), True),
        (NeverIndexedHeaderTuple(b"X", b"y "), True),
    ],
)
def test_secrets_are_never_indexed(field, secret):
    fields = preparer().prepare([*REQUEST, field], check_request).fields
    assert isinstance(fields[-1], NeverIndexedHeaderTuple) is secret


def test_cookies_are_split_on_request():
    fields = preparer(split_cookies=True).prepare([*REQUEST, (b"cookie", b"a=1; b=2")], check_request).fields
    assert fields[-2:] == [(b"cookie", b"a=1"), (b"cookie", b"b=2")]


def test_a_section_that_comes_again_is_not_prepared_again():
    sections = preparer()
    first = sections.prepare(RESPONSE, check_response)
    assert sections.prepare(list(RESPONSE), check_response) is first
    assert sections.prepare([*RESPONSE, (b"a", b"b")], check_response) is not first


def test_a_section_is_checked_again_as_what_it_is_now():
    sections = preparer()
    sections.prepare([(b"a", b"b")], check_trailers)
    with pytest.raises(LocalProtocolError):
        sections.prepare([(b"a", b"b")], check_response)


def test_secrets_are_not_taken_for_plain_fields_that_came_before():
    sections = preparer()
    sections.prepare([*RESPONSE, (b"a", b"b")], check_response)
    section = sections.prepare([*RESPONSE, NeverIndexedHeaderTuple(b"a", b"b")], check_response)
    assert isinstance(section.fields[-1], NeverIndexedHeaderTuple)
    assert not isinstance(
        sections.prepare([*RESPONSE, (b"a", b"b")], check_response).fields[-1], NeverIndexedHeaderTuple
    )


def test_octets_that_can_be_changed_are_refused():
    with pytest.raises(LocalProtocolError):
        preparer().prepare([*RESPONSE, (b"a", bytearray(b"b"))], check_response)  # type: ignore[list-item]


def test_few_and_short_sections_are_remembered():
    sections = preparer()
    for number in range(1000):
        sections.prepare([*RESPONSE, (b"a", b"%d" % number)], check_response)
        sections.prepare([*RESPONSE, (b"b", b"%d" % number * 1000)], check_response)
    assert 0 < len(sections._remembered) <= 16
    assert all(section.octets <= 1024 for section in sections._remembered.values())


def test_sections_are_left_unprotected_where_there_are_no_tables():
    sections = SectionPreparer(normalized=True, checked=True, split_cookies=False, never_indexed=None)
    assert type(sections.prepare([*REQUEST, (b"authorization", b"x")], check_request).fields[-1]) is tuple
