"""Binding and resolving for UDP."""

from __future__ import annotations

import errno
import socket

import pytest

from hface_trio.errors import ConfigurationError, ConnectError
from hface_trio.networking import SystemNetworking, _udp_bind

from ._names import resolving

pytestmark = pytest.mark.timeout(20, method="signal")


@pytest.fixture
def networking():
    return SystemNetworking()


@pytest.fixture
async def resolver():
    names = {
        "both.example": ["::1", "127.0.0.1"],
        "many.example": ["127.0.0.1", "127.0.0.2", "::1"],
        "nowhere.example": [],
    }
    with resolving(names):
        yield


@pytest.fixture
def routes(monkeypatch):
    """Hosts to which there is no route; without them there is one to all."""
    missing: set[str] = set()

    def find(family, target):
        if target[0] in missing:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(_udp_bind, "_find_route", find)
    return missing


async def test_port_0_is_one_port_for_all_families(networking):
    sockets = await networking.listen_udp(("", 0))
    assert {udp.local_address[0] for udp in sockets} <= {"::", "0.0.0.0"}
    assert len({udp.local_address[1] for udp in sockets}) == 1
    for udp in sockets:
        await udp.aclose()


async def test_a_port_in_use(networking):
    (first,) = await networking.listen_udp(("127.0.0.1", 0))
    with pytest.raises(OSError) as info:
        await networking.listen_udp(first.local_address)
    assert info.value.errno == errno.EADDRINUSE
    await first.aclose()
    (second,) = await networking.listen_udp(first.local_address)
    await second.aclose()


async def test_tcp_and_udp_share_a_port(networking):
    (listener,) = await networking.listen_tcp(("127.0.0.1", 0))
    (udp,) = await networking.listen_udp(listener.address)
    assert udp.local_address == listener.address
    await udp.aclose()
    await listener.aclose()


async def test_datagrams_are_not_fragmented(networking):
    (udp,) = await networking.listen_udp(("127.0.0.1", 0))
    assert udp._socket.getsockopt(socket.IPPROTO_IP, 10) == 3
    await udp.aclose()


async def test_a_port_that_does_not_exist(networking):
    for function in (networking.listen_udp, networking.resolve_udp, networking.bind_udp):
        with pytest.raises(ConfigurationError):
            await function(("127.0.0.1", 65_536))


async def test_families_take_turns(networking, resolver, routes):
    assert await networking.resolve_udp(("many.example", 443)) == [
        ("127.0.0.1", 443),
        ("::1", 443),
        ("127.0.0.2", 443),
    ]


async def test_addresses_without_a_route_are_left_out(networking, resolver, routes):
    routes.add("::1")
    assert await networking.resolve_udp(("both.example", 443)) == [("127.0.0.1", 443)]


async def test_no_route_at_all(networking, resolver, routes):
    routes.update({"::1", "127.0.0.1"})
    with pytest.raises(ConnectError, match=r"cannot connect to both\.example:443: Network is unreachable"):
        await networking.resolve_udp(("both.example", 443))


async def test_a_route_is_found_without_sending(networking):
    assert await networking.resolve_udp(("127.0.0.1", 443)) == [("127.0.0.1", 443)]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (("unknown.example", 443), "cannot resolve 'unknown.example': Name or service not known"),
        (("nowhere.example", 443), "cannot connect to nowhere.example:443: the host has no address"),
        (("unix:/run/socket", 0), "cannot send datagrams to unix:/run/socket"),
    ],
)
async def test_hosts_that_cannot_be_found(address, message, networking, resolver):
    with pytest.raises(ConnectError) as info:
        await networking.resolve_udp(address)
    assert str(info.value) == message


async def test_an_empty_host(networking):
    with pytest.raises(ConnectError):
        await networking.resolve_udp(("", 443))


async def test_a_client_binds_in_the_family_of_its_peer(networking):
    udp = await networking.bind_udp(("127.0.0.1", 443))
    assert udp.local_address[0] == "0.0.0.0"
    assert udp.local_address[1]
    await udp.aclose()


async def test_a_client_needs_an_ip_address(networking):
    with pytest.raises(ConnectError, match="not an IP address"):
        await networking.bind_udp(("localhost", 443))


async def test_a_socket_that_cannot_be_made(networking, monkeypatch):
    def refuse(*args):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(_udp_bind, "_open", refuse)
    with pytest.raises(ConnectError, match="Too many open files"):
        await networking.bind_udp(("127.0.0.1", 443))


async def test_a_socket_that_cannot_be_bound_is_closed(monkeypatch):
    made = []
    real = socket.socket

    def make(*args):
        made.append(real(*args))
        return made[-1]

    monkeypatch.setattr(_udp_bind.socket, "socket", make)
    with pytest.raises(OSError):
        await _udp_bind.bind_udp_server("192.0.2.1", 0)
    assert made
    assert all(sock.fileno() == -1 for sock in made)
