from __future__ import annotations

import pytest

from hface_trio.protocols._priority import EarlyPriorities, Priority, format_priority, parse_priority


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", Priority(3, False)),
        (b"u=0", Priority(0, False)),
        (b"u=7, i", Priority(7, True)),
        (b"i", Priority(3, True)),
        (b"i=?1", Priority(3, True)),
        (b"i=?0", Priority(3, False)),
        (b"u=5,i", Priority(5, True)),
        (b"u=1, u=2", Priority(2, False)),
        (b"u=8", Priority(3, False)),
        (b"u=-1", Priority(3, False)),
        (b"u=1.5", Priority(3, False)),
        (b'u="1"', Priority(3, False)),
        (b"i=1", Priority(3, False)),
        (b'x="a,b", u=2', Priority(2, False)),
        (b"x=(1 2 3);p=1, u=2;q, i", Priority(2, True)),
        (b"x=:aGk=:, y=token/x, u=4", Priority(4, False)),
    ],
)
def test_known_parameters_are_read_and_others_skipped(value, expected):
    assert parse_priority(value) == expected


@pytest.mark.parametrize(
    "value", [b"u=", b"u=1,", b",u=1", b"U=1", b"u=1 i", b'x="', b"\xff", b"u=1;;", b"u=1," * 2000]
)
def test_what_is_no_dictionary_is_ignored(value):
    assert parse_priority(value) is None


@pytest.mark.parametrize("priority", [Priority(), Priority(0, True), Priority(7, False)])
def test_formatted_priority_parses_to_itself(priority):
    assert parse_priority(format_priority(priority)) == priority


def test_what_came_before_a_stream_goes_above_its_field_once():
    early = EarlyPriorities()
    assert early.of(1, None) is None
    assert early.of(1, b"u=2") == Priority(2)
    early.note(1, Priority(5))
    early.note(1, Priority(6, True))
    assert early.of(1, b"u=2") == Priority(6, True)
    assert early.of(1, b"u=2") == Priority(2)


def test_the_oldest_of_many_early_priorities_are_forgotten():
    early = EarlyPriorities()
    for stream_id in range(200):
        early.note(stream_id, Priority(1))
    assert len(early) == 128
    assert early.of(71, None) is None
    assert early.of(72, None) == Priority(1)
