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


@pytest.mark.parametrize("authority", AUTHORITIES)
def test_an_authority_is_taken_by_every_version(authority):
    assert is_authority(authority)
    assert is_taken(b"GET /", authority)


@pytest.mark.parametrize("authority", BAD_AUTHORITIES)
def test_what_is_no_authority_is_refused_by_every_version(authority):
    assert not is_authority(authority)
    assert not is_taken(b"GET /", authority)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_taken_by_every_version(target):
    assert is_target(target)
    assert is_taken(b"GET " + target)


@pytest.mark.parametrize("target", BAD_TARGETS)
def test_what_is_no_target_is_refused_by_every_version(target):
    assert not is_target(target)
    assert not is_taken(b"GET " + target)


@pytest.mark.parametrize("authority", TUNNELS_ENDS)
def test_a_tunnel_may_lead_there_in_every_version(authority):
    assert is_host_with_port(authority)
    assert is_taken(b"CONNECT " + authority)


@pytest.mark.parametrize("authority", NO_TUNNELS_END)
def test_a_tunnel_leads_nowhere_else_in_any_version(authority):
    assert not is_host_with_port(authority)
    assert not is_taken(b"CONNECT " + authority)
