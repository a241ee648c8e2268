"""The network in memory."""

from __future__ import annotations

import errno

import pytest
import trio
import trio.testing

from hface_trio.errors import ConfigurationError, ConnectError, TLSHandshakeError
from hface_trio.testing import MemoryNetworking

pytestmark = pytest.mark.timeout(20, method="signal")


@pytest.fixture
def network() -> MemoryNetworking:
    return MemoryNetworking()


async def test_a_connection_reaches_its_listener(network, autojump_clock):
    (listener,) = await network.listen_tcp(("server", 80))
    assert listener.address == ("server", 80)
    client = await network.connect_tcp(("server", 80))
    server = await listener.accept()
    await client.send_all(b"hello")
    assert await server.receive_some() == b"hello"
    assert server.extra_attributes.local_address == ("server", 80)
    assert server.extra_attributes.remote_address == client.extra_attributes.local_address
    assert server.extra_attributes.remote_address[0] == "127.0.0.1"


async def test_connections_come_from_different_ports(network, autojump_clock):
    (listener,) = await network.listen_tcp(("server", 80))
    ports = set()
    for _ in range(5):
        await network.connect_tcp(("server", 80))
        ports.add((await listener.accept()).extra_attributes.remote_address[1])
    assert len(ports) == 5


async def test_the_host_of_clients_can_be_chosen(autojump_clock):
    network = MemoryNetworking(client_host="192.0.2.7")
    (listener,) = await network.listen_tcp(("server", 80))
    await network.connect_tcp(("server", 80))
    assert (await listener.accept()).extra_attributes.remote_address[0] == "192.0.2.7"


async def test_port_0_takes_a_free_port(network, autojump_clock):
    (first,) = await network.listen_tcp(("server", 0))
    (second,) = await network.listen_tcp(("server", 0))
    assert first.address[1] != second.address[1]
    await network.connect_tcp(first.address)
    await first.accept()


@pytest.mark.parametrize("host", ["", "*"])
async def test_a_listener_for_all_names(host, network, autojump_clock):
    (listener,) = await network.listen_tcp((host, 80))
    await network.connect_tcp(("any.example", 80))
    stream = await listener.accept()
    assert stream.extra_attributes.local_address == ("any.example", 80)


async def test_a_unix_address_needs_no_port(network, autojump_clock):
    (listener,) = await network.listen_tcp(("unix:/run/app.sock", 0))
    assert listener.address == ("unix:/run/app.sock", 0)
    await network.connect_tcp(listener.address)
    await listener.accept()


async def test_nobody_listens(network, autojump_clock):
    with pytest.raises(ConnectError) as info:
        await network.connect_tcp(("server", 80))
    assert str(info.value) == "cannot connect to server:80: Connection refused"


async def test_an_address_in_use(network, autojump_clock):
    await network.listen_tcp(("server", 80))
    with pytest.raises(OSError) as info:
        await network.listen_tcp(("server", 80))
    assert (info.value.errno, info.value.strerror) == (errno.EADDRINUSE, "Address already in use")


async def test_a_port_that_does_not_exist(network, autojump_clock):
    with pytest.raises(ConfigurationError):
        await network.listen_tcp(("server", 65536))


async def test_a_closed_listener(network, autojump_clock):
    (listener,) = await network.listen_tcp(("server", 80))
    waiting = await network.connect_tcp(("server", 80))
    await listener.aclose()
    await listener.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await listener.accept()
    with pytest.raises(ConnectError):
        await network.connect_tcp(("server", 80))
    with pytest.raises(trio.BrokenResourceError):
        await waiting.receive_some()
    await network.listen_tcp(("server", 80))


async def test_closing_wakes_who_accepts_and_who_connects(autojump_clock):
    network = MemoryNetworking(backlog=0)
    (listener,) = await network.listen_tcp(("server", 80))
    async with trio.open_nursery() as nursery:

        async def connect() -> None:
            with pytest.raises(ConnectError):
                await network.connect_tcp(("server", 80))

        nursery.start_soon(connect)
        await trio.testing.wait_all_tasks_blocked()
        listener._incoming.close()
    (other,) = await network.listen_tcp(("other", 80))
    async with trio.open_nursery() as nursery:

        async def accept() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await other.accept()

        nursery.start_soon(accept)
        await trio.testing.wait_all_tasks_blocked()
        await other.aclose()


async def test_connections_beyond_the_backlog_wait(autojump_clock):
    network = MemoryNetworking(backlog=1)
    (listener,) = await network.listen_tcp(("server", 80))
    await network.connect_tcp(("server", 80))
    with trio.move_on_after(1) as scope:
        await network.connect_tcp(("server", 80))
    assert scope.cancelled_caught
    await listener.accept()
    await network.connect_tcp(("server", 80))


async def test_limits_are_those_of_the_network(autojump_clock):
    network = MemoryNetworking(buffer_octets=10, receive_limit_octets=3)
    (listener,) = await network.listen_tcp(("server", 80))
    client = await network.connect_tcp(("server", 80))
    server = await listener.accept()
    assert client.send_nowait([bytes(20)]) == 10
    assert len(await server.receive_some()) == 3


async def test_tls_is_real(network, authority, autojump_clock):
    (listener,) = await network.listen_tcp_tls(
        ("localhost", 443), tls_config=authority.server_config(), alpn_protocols=["http/1.1"]
    )

    async def serve() -> None:
        server = await listener.accept()
        await server.handshake()
        assert server.extra_attributes.server_name == "localhost"
        await server.send_all(b"hello")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        client = await network.connect_tcp_tls(
            listener.address, tls_config=authority.client_config(), alpn_protocols=["http/1.1"]
        )
        assert client.extra_attributes.alpn_protocol == "http/1.1"
        assert await client.receive_some() == b"hello"


async def test_certificates_are_verified(network, authority, autojump_clock):
    (listener,) = await network.listen_tcp_tls(
        ("localhost", 443), tls_config=authority.server_config("other.example"), alpn_protocols=[]
    )

    async def serve() -> None:
        server = await listener.accept()
        with pytest.raises(TLSHandshakeError):
            await server.handshake()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with pytest.raises(TLSHandshakeError, match="localhost:443: TLS handshake failed: certificate verify failed"):
            await network.connect_tcp_tls(listener.address, tls_config=authority.client_config(), alpn_protocols=[])
