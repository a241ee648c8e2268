"""However a stream of octets is cut into reads, it means the same, and is refused at the same octet for the same reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from hface_trio.errors import LocalProtocolError
from hface_trio.events import ConnectionTerminated, Event, StreamResetSent

from .drive import OK, examples
from .octets import CUTS, EDITS, REQUESTS, RESPONSES, Client, Server, mutate, run


def _failure(taken: list[Event]) -> tuple[Event, ...]:
    return tuple(event for event in taken if isinstance(event, ConnectionTerminated | StreamResetSent))


def _check(make: Callable[[], Any], octets: bytes, cuts: list[int]) -> None:
    whole = run(make(), octets, [])
    cut = run(make(), octets, list(cuts))
    assert cut == whole
    assert run(make(), octets, [1] * len(octets)) == whole
    failure = _failure(whole)
    if failure:
        shortest = _shortest_failing(make, octets)
        assert _failure(run(make(), octets[:shortest], list(cuts))) == failure
        assert not _failure(run(make(), octets[: shortest - 1], list(cuts)))


def _shortest_failing(make: Callable[[], Any], octets: bytes) -> int:
    """Return how many octets it takes, fed in one piece, to be refused."""
    low, high = 0, len(octets)  # a prefix of a failing stream fails from some length on
    while high - low > 1:
        middle = (low + high) // 2
        if _failure(run(make(), octets[:middle], [])):
            high = middle
        else:
            low = middle
    return high


@examples(250)
@given(REQUESTS, EDITS, CUTS)
@example(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3, [], [1] * 60)
@example(b"GET /" + b"x" * 400, [], [7] * 60)
def test_chunking_of_requests_changes_nothing(octets: bytes, edits: list[tuple[int, bytes]], cuts: list[int]) -> None:
    _check(Server, mutate(octets, edits), cuts)


@examples(250)
@given(RESPONSES, EDITS, CUTS, st.sampled_from([b"GET", b"HEAD", b"CONNECT"]))
def test_chunking_of_responses_changes_nothing(
    octets: bytes, edits: list[tuple[int, bytes]], cuts: list[int], method: bytes
) -> None:
    _check(lambda: Client(method), mutate(octets, edits), cuts)


@examples(100)
@given(st.binary(max_size=80), CUTS)
def test_chunking_of_garbage_changes_nothing(octets: bytes, cuts: list[int]) -> None:
    _check(Server, octets, cuts)


def test_a_failing_stream_stays_failed() -> None:
    side = Server()
    taken = run(side, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", [])
    assert isinstance(taken[-1], ConnectionTerminated)
    assert run(side, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", []) == taken
    try:
        side.protocol.submit_headers(1, OK)
    except LocalProtocolError:
        pass
    else:
        raise AssertionError("a stream that never was cannot be answered")
