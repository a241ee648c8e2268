"""Binding: families, ports and unix sockets."""

from __future__ import annotations

import errno
import os
import socket

import pytest
import trio

from hface_trio.networking import _bind
from hface_trio.networking._bind import bind_tcp, bind_unix

from ._names import free_port, resolving
from ._pairs import DEADLINE_SECONDS


@pytest.fixture
async def resolver():
    names = {
        "both.example": ["::1", "127.0.0.1"],
        "two.example": ["127.0.0.1", "127.0.0.2"],
        "twice.example": ["127.0.0.1", "127.0.0.1"],
        "elsewhere.example": ["192.0.2.1"],
        "elsewhere6.example": ["2001:db8::1", "127.0.0.1"],
        "only6.example": ["2001:db8::1"],
        "nowhere.example": [],
    }
    with resolving(names):
        yield


@pytest.fixture
def closing():
    sockets: list[socket.socket] = []
    yield sockets
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize("host", ["", "*"])
async def test_all_interfaces_of_both_families(host, closing):
    closing += await bind_tcp(host, 0)
    assert [sock.family for sock in closing] == [socket.AF_INET6, socket.AF_INET]
    assert [sock.getsockname()[0] for sock in closing] == ["::", "0.0.0.0"]
    assert closing[0].getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


@pytest.mark.parametrize("host", ["", "both.example", "two.example"])
async def test_port_0_is_the_same_for_all_addresses(host, closing, resolver):
    closing += await bind_tcp(host, 0)
    assert len(closing) == 2
    ports = {sock.getsockname()[1] for sock in closing}
    assert len(ports) == 1
    assert ports != {0}


async def test_a_port_that_is_taken_at_the_second_address_is_given_up(closing, resolver, monkeypatch):
    bind = _bind._bind
    tried = []

    def taken_at_first(family, address):
        if address[1]:
            tried.append(address[1])
            if len(tried) < 3:
                raise OSError(errno.EADDRINUSE, "Address already in use")
        return bind(family, address)

    monkeypatch.setattr(_bind, "_bind", taken_at_first)
    closing += await bind_tcp("both.example", 0)
    assert len(tried) == 3
    assert {sock.getsockname()[1] for sock in closing} == {tried[-1]}


async def test_a_port_that_nobody_has_free_is_an_error_in_the_end(resolver, monkeypatch):
    bind = _bind._bind

    def always_taken(family, address):
        if address[1]:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return bind(family, address)

    monkeypatch.setattr(_bind, "_bind", always_taken)
    with pytest.raises(OSError, match="Address already in use"):
        await bind_tcp("both.example", 0)


async def test_an_address_that_is_named_twice_is_bound_once(closing, resolver):
    closing += await bind_tcp("twice.example", 0)
    assert len(closing) == 1


async def test_a_port_in_use(closing):
    closing += await bind_tcp("127.0.0.1", 0)
    with pytest.raises(OSError) as info:
        await bind_tcp("127.0.0.1", closing[0].getsockname()[1])
    assert (info.value.errno, info.value.strerror) == (errno.EADDRINUSE, "Address already in use")


async def test_nothing_stays_bound_after_a_failure(closing, resolver):
    port = free_port()
    with socket.create_server(("127.0.0.2", port)), pytest.raises(OSError, match="Address already in use"):
        await bind_tcp("two.example", port)
    closing += await bind_tcp("two.example", port)
    assert len(closing) == 2


async def test_a_port_is_free_again_while_old_connections_linger(closing):
    (sock,) = await bind_tcp("127.0.0.1", 0)
    address = sock.getsockname()
    client = socket.create_connection(address)
    server, _ = sock.accept()
    server.close()
    sock.close()
    client.close()
    closing += await bind_tcp(*address)


async def test_an_address_of_another_machine(resolver):
    with pytest.raises(OSError) as info:
        await bind_tcp("elsewhere.example", 0)
    assert info.value.strerror == "Cannot assign requested address"


async def test_ipv6_that_is_not_here_is_left_out(closing, resolver):
    closing += await bind_tcp("elsewhere6.example", 0)
    assert [sock.getsockname()[0] for sock in closing] == ["127.0.0.1"]


async def test_ipv6_that_is_all_there_is_is_not_left_out(resolver):
    with pytest.raises(OSError, match="Cannot assign requested address"):
        await bind_tcp("only6.example", 0)


async def test_an_unknown_host(resolver):
    with pytest.raises(OSError) as info:
        await bind_tcp("unknown.example", 0)
    assert info.value.strerror == "Name or service not known"


async def test_a_host_without_addresses(resolver):
    with pytest.raises(OSError, match="the host has no address"):
        await bind_tcp("nowhere.example", 0)


async def test_what_cannot_be_a_host():
    with pytest.raises(OSError, match="not a host name"):
        await bind_tcp("ü" * 70, 0)


# Unix sockets


def test_a_unix_socket_is_bound(tmp_path, closing):
    path = str(tmp_path / "socket")
    sock, identity = bind_unix(path)
    closing.append(sock)
    status = os.stat(path)
    assert identity == (status.st_dev, status.st_ino)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def test_a_file_whose_owner_is_dead_is_replaced(tmp_path, closing):
    path = str(tmp_path / "socket")
    sock, _ = bind_unix(path)
    sock.close()
    assert os.path.exists(path)
    closing.append(bind_unix(path)[0])
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def test_a_file_whose_owner_lives_is_kept(tmp_path, closing):
    path = str(tmp_path / "socket")
    closing.append(bind_unix(path)[0])
    with pytest.raises(OSError) as info:
        bind_unix(path)
    assert (info.value.errno, info.value.strerror) == (errno.EADDRINUSE, "Address already in use")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def test_a_file_whose_owner_is_busy_is_kept(tmp_path, closing):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(path)
        busy.listen(0)
        for _ in range(3):
            client = socket.socket(socket.AF_UNIX)
            client.setblocking(False)
            client.connect_ex(path)
            closing.append(client)
        with pytest.raises(OSError, match="Address already in use"):
            bind_unix(path)
        assert os.path.exists(path)


def test_a_file_that_is_no_socket_is_kept(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(OSError, match="the file exists and is not a socket"):
        bind_unix(str(path))
    assert path.read_text() == "data"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "not a path"),
        ("a\0b", "not a path"),
        ("/does/not/exist/socket", "No such file or directory"),
        ("/tmp/" + "x" * 200, "path too long"),
    ],
)
def test_a_path_that_cannot_be_bound(path, why):
    with pytest.raises(OSError, match=why) as info:
        bind_unix(path)
    assert info.value.strerror


async def test_binding_is_a_checkpoint(closing):
    with trio.fail_after(DEADLINE_SECONDS), trio.CancelScope() as scope:
        scope.cancel()
        closing += await bind_tcp("*", 0)
    assert scope.cancelled_caught
