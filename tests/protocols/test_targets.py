"""Every version of HTTP takes the same authorities and targets."""

from __future__ import annotations

import pytest

from hface_trio.events import HeadersReceived
from hface_trio.protocols._targets import is_authority, is_host_with_port, is_target

from .http1.drive import received
from .sections import AUTHORITIES, BAD_AUTHORITIES, BAD_TARGETS, NO_TUNNELS_END, TARGETS, TUNNELS_ENDS


def is_taken(line: bytes, host: bytes = b"a") -> bool:
    events = received(line + b" HTTP/1.1\r\nhost: " + host + b"\r\n\r\n")
    assert len(events) == 1
    return isinstance(events[0], HeadersReceived)


KINDS = {
    "authority": (is_authority, AUTHORITIES, BAD_AUTHORITIES, lambda host: is_taken(b"GET /", host)),
    "target": (is_target, TARGETS, BAD_TARGETS, lambda target: is_taken(b"GET " + target)),
    "tunnel's end": (is_host_with_port, TUNNELS_ENDS, NO_TUNNELS_END, lambda end: is_taken(b"CONNECT " + end)),
}
CASES = [
    pytest.param(matches, value, good, taken, id=f"{kind}-{value[:20]!r}")
    for kind, (matches, goods, bads, taken) in KINDS.items()
    for values, good in ((goods, True), (bads, False))
    for value in values
]


@pytest.mark.parametrize(("matches", "value", "good", "taken"), CASES)
def test_the_grammar_says_what_http_1_takes(matches, value, good, taken):
    """HTTP/2 and HTTP/3 are held to the same lists by their own tests."""
    assert bool(matches(value)) is good
    assert taken(value) is good
