"""RFC 9113 §8.2 and §8.3: each rule, on sections that break that rule alone."""

from __future__ import annotations

import pytest

from hface_trio.protocols._fields import (
    MalformedSectionError,
    check_request,
    check_response,
    check_trailers,
    join_cookies,
)

from .sections import BAD_REQUESTS, BAD_RESPONSES, BAD_TRAILERS, CONNECT, GOOD_REQUESTS


@pytest.mark.parametrize("section", GOOD_REQUESTS.values(), ids=GOOD_REQUESTS)
def test_well_formed_request_passes(section):
    check_request(section)


@pytest.mark.parametrize("section", BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_malformed_request_is_refused(section):
    with pytest.raises(MalformedSectionError):
        check_request(section)


@pytest.mark.parametrize("section", BAD_RESPONSES.values(), ids=BAD_RESPONSES)
def test_malformed_response_is_refused(section):
    with pytest.raises(MalformedSectionError):
        check_response(section)


@pytest.mark.parametrize("section", BAD_TRAILERS.values(), ids=BAD_TRAILERS)
def test_malformed_trailers_are_refused(section):
    with pytest.raises(MalformedSectionError):
        check_trailers(section)


def test_content_length_of_connect_counts_for_nothing():
    assert check_request([*CONNECT, (b"content-length", b"5")]).content_length is None


def test_cookies_are_joined_where_the_first_stood():
    section = [(b"a", b"1"), (b"cookie", b"x=1"), (b"b", b"2"), (b"cookie", b"y=2")]
    assert join_cookies(section) == [(b"a", b"1"), (b"cookie", b"x=1; y=2"), (b"b", b"2")]
