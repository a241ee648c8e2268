"""Addresses of datagrams."""

from __future__ import annotations

import socket
import struct

import pytest

from hface_trio.networking import _udp_addresses as addresses
from hface_trio.networking import _udp_origins as origins
from hface_trio.networking._udp_addresses import TargetCache, from_system, to_system
from hface_trio.networking._udp_origins import Origins


@pytest.mark.parametrize(
    ("system", "ours"),
    [
        (("192.0.2.1", 80), ("192.0.2.1", 80)),
        (("2001:db8::1", 80, 0, 0), ("2001:db8::1", 80)),
        (("fe80::1", 80, 0, 3), ("fe80::1%3", 80)),
        (("fe80::1%3", 80, 0, 3), ("fe80::1%3", 80)),
    ],
)
def test_from_the_system(system, ours):
    assert from_system(system) == ours


@pytest.mark.parametrize(
    ("family", "ours", "system"),
    [
        (socket.AF_INET, ("192.0.2.1", 80), ("192.0.2.1", 80)),
        (socket.AF_INET6, ("2001:db8::1", 80), ("2001:db8::1", 80, 0, 0)),
        (socket.AF_INET6, ("fe80::1%3", 80), ("fe80::1", 80, 0, 3)),
        (socket.AF_INET6, ("fe80::1%lo", 80), ("fe80::1", 80, 0, socket.if_nametoindex("lo"))),
        (socket.AF_INET6, ("fe80::1%nonesuch", 80), None),
        (socket.AF_INET6, ("192.0.2.1", 80), None),
        (socket.AF_INET, ("2001:db8::1", 80), None),
        (socket.AF_INET, ("example.com", 80), None),
        (socket.AF_INET, ("192.0.2.1", 0), None),
        (socket.AF_INET, ("192.0.2.1", 65_536), None),
        (socket.AF_INET, ("192.0.2.1%1", 80), None),
    ],
)
def test_to_the_system(family, ours, system):
    assert to_system(family, ours) == system


def test_the_cache_is_bounded(monkeypatch):
    monkeypatch.setattr(addresses, "_MOST_CACHED", 10)
    cache = TargetCache(socket.AF_INET)
    for port in range(1, 100):
        assert cache.find(("192.0.2.1", port)) == ("192.0.2.1", port)
        assert len(cache._targets) <= 10


PEER = ("192.0.2.9", 5)
ASKED = (socket.IPPROTO_IP, 8, struct.pack("=I4s4s", 2, b"\x7f\0\0\2", b"\x7f\0\0\2"))


def test_a_peer_is_answered_from_the_address_it_asked():
    known = Origins(socket.AF_INET)
    assert known.beside(PEER) == []
    known.heard(PEER, [ASKED])
    # No interface and no header destination: the route decides on these.
    assert known.beside(PEER) == [(socket.IPPROTO_IP, 8, struct.pack("=I4s4s", 0, b"\x7f\0\0\2", bytes(4)))]


def test_an_address_of_one_link_keeps_its_interface():
    known = Origins(socket.AF_INET6)
    peer = ("fe80::9", 5, 0, 2)
    asked = b"\xfe\x80" + bytes(13) + b"\1"
    known.heard(peer, [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, struct.pack("=16sI", asked, 2))])
    assert known.beside(peer)[0][2] == struct.pack("=16sI", asked, 2)
    known.heard(peer, [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, struct.pack("=16sI", b"\x20" + asked[1:], 2))])
    assert known.beside(peer)[0][2] == struct.pack("=16sI", b"\x20" + asked[1:], 0)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_what_the_system_says_of_other_things_is_passed_over(family):
    known = Origins(family)
    known.heard(PEER, [(1, 2, b"x"), (socket.IPPROTO_IP, 8, b"short")])
    assert known.beside(PEER) == []


def test_the_peers_that_are_remembered_are_bounded(monkeypatch):
    monkeypatch.setattr(origins, "_MOST_PEERS", 3)
    known = Origins(socket.AF_INET)
    for port in range(1, 10):
        known.heard(("192.0.2.9", port), [ASKED])
    assert len(known._known) == 3
    assert known.beside(("192.0.2.9", 9))
    assert not known.beside(("192.0.2.9", 1))


def test_a_socket_at_one_address_needs_no_watching():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        assert Origins.watch(sock) is None
