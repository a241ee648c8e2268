"""Tokens that prove an address, by themselves."""

from __future__ import annotations

import pytest

from hface_trio.protocols.quic._router_packets import LongHeader, read_initial_token_untrusted
from hface_trio.protocols.quic._router_tokens import AddressTokens, TokenFault

from .routing import CLIENT, NOW


def test_tokens_tell_what_is_wrong():
    tokens = AddressTokens(lifetime_seconds=10)
    token = tokens.issue(CLIENT, b"original", b"retry", NOW)
    assert tokens.check_untrusted(token, CLIENT, b"retry", NOW + 10) == b"original"
    assert tokens.check_untrusted(token, CLIENT, b"retry", NOW + 10.1) is TokenFault.INVALID
    assert tokens.check_untrusted(token, CLIENT, b"retry", NOW - 2) is TokenFault.INVALID
    assert tokens.check_untrusted(token, CLIENT, b"other", NOW) is TokenFault.INVALID
    assert tokens.check_untrusted(token[:-1], CLIENT, b"retry", NOW) is TokenFault.INVALID
    for foreign in (b"", b"x" * 40, token[:20], token + bytes(50)):
        assert tokens.check_untrusted(foreign, CLIENT, b"retry", NOW) is TokenFault.FOREIGN


@pytest.mark.parametrize("now", [-5.0, 0.0, 1e9])
def test_any_clock_will_do_for_tokens(now):
    tokens = AddressTokens()
    assert tokens.check_untrusted(tokens.issue(CLIENT, b"o", b"r", now), CLIENT, b"r", now) == b"o"


def test_a_token_that_ends_with_the_datagram():
    header = LongHeader(1, b"", b"", 1)
    assert read_initial_token_untrusted(b"\xc0\x02tk\x14" + bytes(20), header) == b"tk"
    assert read_initial_token_untrusted(b"\xc0\x02tk\x14" + bytes(19), header) is None
    assert read_initial_token_untrusted(b"\xc0\x02tk", header) is None
    assert read_initial_token_untrusted(b"\xc0\x40", header) is None
    assert read_initial_token_untrusted(b"\xc0", header) is None
