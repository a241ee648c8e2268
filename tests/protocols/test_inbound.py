"""Sections as they were received: checked once, and remembered within bounds."""

from __future__ import annotations

import pytest

from hface_trio.protocols._fields import MalformedSectionError, SectionFacts, check_request, check_response
from hface_trio.protocols._inbound import InboundSection, SectionMemory

RESPONSE = [(b":status", b"200"), (b"content-length", b"5")]


def test_a_section_is_checked_once_as_what_it_is():
    calls: list[object] = []

    def check(fields) -> SectionFacts:
        calls.append(fields)
        return check_response(fields)

    section = InboundSection(RESPONSE)
    assert section.facts(check) is section.facts(check)
    assert section.facts(check).content_length == 5
    assert calls == [RESPONSE]


def test_a_section_that_is_something_else_now_is_checked_again():
    section = InboundSection(RESPONSE)
    section.facts(check_response)
    with pytest.raises(MalformedSectionError):
        section.facts(check_request)
    assert section.facts(check_response).status == 200


def test_a_malformed_section_is_malformed_each_time():
    section = InboundSection([(b"a", b"b")])
    for _ in range(2):
        with pytest.raises(MalformedSectionError):
            section.facts(check_response)


def test_few_and_short_blocks_are_remembered():
    memory = SectionMemory()
    for number in range(100):
        memory.keep(b"%d" % number, InboundSection([]), 10)
    memory.keep(b"x" * 300, InboundSection([]), 10)
    memory.keep(b"y", InboundSection([]), 2000)
    assert memory.find(b"99") is not None
    assert memory.find(b"x" * 300) is memory.find(b"y") is None
    assert len(memory._sections) <= 16
    memory.clear()
    assert memory.find(b"99") is None
