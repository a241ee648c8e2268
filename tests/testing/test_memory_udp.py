"""Datagrams in memory, and what befalls them."""

from __future__ import annotations

import errno

import pytest
import trio
import trio.testing

from hface_trio.errors import ConfigurationError
from hface_trio.protocols.http3 import HTTP3ServerFactory
from hface_trio.protocols.quic import RandomConnectionIdSource
from hface_trio.protocols.quic._router import QUICRouter
from hface_trio.protocols.quic._router_actions import Drop, Reply
from hface_trio.protocols.quic._router_settings import QUICRouterSettings
from hface_trio.testing import DatagramConditions, MemoryNetworking
from tests.protocols.quic.network import client_connection, server_tls

pytestmark = pytest.mark.timeout(20, method="signal")

SERVER = ("server", 443)


async def make_pair(**arguments):
    network = MemoryNetworking(**arguments)
    (server,) = await network.listen_udp(SERVER)
    client = await network.bind_udp(SERVER)
    return network, client, server


async def receive_all(udp, seconds=10.0):
    received = []
    with trio.move_on_after(seconds):
        while True:
            received += await udp.receive()
    return [data for data, _ in received]


def numbered(count, target=SERVER, octets=4):
    return [(number.to_bytes(octets, "big"), target) for number in range(count)]


async def test_there_and_back(autojump_clock):
    _, client, server = await make_pair()
    client.send_nowait([(b"question", SERVER)])
    ((data, origin),) = await server.receive()
    assert (data, origin) == (b"question", client.local_address)
    server.send_nowait([(b"answer", origin)])
    assert await client.receive() == [(b"answer", SERVER)]
    assert trio.current_time() == pytest.approx(autojump_clock.current_time())


async def test_a_good_network_keeps_all_in_order_and_takes_no_time(autojump_clock):
    network, client, server = await make_pair()
    start = trio.current_time()
    client.send_nowait(numbered(100))
    received = await server.receive()
    assert len(received) == 64
    received += await server.receive()
    assert [datagram[0] for datagram in received] == [data for data, _ in numbered(100)]
    assert trio.current_time() == start
    assert network.datagrams_lost() == 0


async def test_delay_passes_in_virtual_time(autojump_clock):
    _, client, server = await make_pair(to_servers=DatagramConditions(delay_seconds=3))
    start = trio.current_time()
    client.send_nowait([(b"x", SERVER)])
    await server.receive()
    assert trio.current_time() - start == pytest.approx(3)
    server.send_nowait([(b"x", client.local_address)])
    await client.receive()
    assert trio.current_time() - start == pytest.approx(3)


async def test_an_earlier_arrival_wakes_who_waits_for_a_later_one(autojump_clock):
    network, client, server = await make_pair()
    network._links._to_servers = DatagramConditions(delay_seconds=10)
    client.send_nowait([(b"late", SERVER)])
    async with trio.open_nursery() as nursery:
        received = []

        async def receive() -> None:
            received.extend(await server.receive())

        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        network._links._to_servers = DatagramConditions(delay_seconds=1)
        client.send_nowait([(b"early", SERVER)])
    assert [data for data, _ in received] == [b"early"]


async def test_jitter_spreads(autojump_clock):
    _, client, server = await make_pair(to_servers=DatagramConditions(delay_seconds=1, jitter_seconds=1))
    start = trio.current_time()
    client.send_nowait(numbered(50))
    first = await server.receive()
    assert 0 < trio.current_time() - start < 2
    rest = await receive_all(server)
    assert len(first) + len(rest) == 50
    assert [data for data, _ in first] + rest != [data for data, _ in numbered(50)]


@pytest.mark.parametrize("direction", ["to_servers", "to_clients"])
async def test_drops_are_as_many_as_asked_for_each_way(direction, autojump_clock):
    network, client, server = await make_pair(**{direction: DatagramConditions(drop=0.25)})
    client.send_nowait(numbered(1000))
    server.send_nowait(numbered(1000, client.local_address))
    arrived = {"to_servers": len(await receive_all(server)), "to_clients": len(await receive_all(client))}
    lossy = arrived.pop(direction)
    assert 680 < lossy < 820
    assert list(arrived.values()) == [1000]
    assert network.datagrams_lost() == 1000 - lossy


async def test_duplicates(autojump_clock):
    _, client, server = await make_pair(to_servers=DatagramConditions(duplicate=0.5))
    client.send_nowait(numbered(200))
    received = await receive_all(server)
    assert 260 < len(received) < 340
    assert len(set(received)) == 200


async def test_reordering(autojump_clock):
    _, client, server = await make_pair(to_servers=DatagramConditions(reorder=0.3))
    client.send_nowait(numbered(200))
    received = await receive_all(server)
    assert received != sorted(received)
    assert sorted(received) == [data for data, _ in numbered(200)]


async def test_corruption_changes_one_octet(autojump_clock):
    _, client, server = await make_pair(to_servers=DatagramConditions(corrupt=1))
    client.send_nowait([(bytes(100), SERVER), (b"", SERVER)])
    changed, empty = await receive_all(server)
    assert sum(octet != 0 for octet in changed) == 1
    assert empty == b""


async def test_the_same_seed_gives_the_same_course(autojump_clock):
    conditions = DatagramConditions(drop=0.2, duplicate=0.2, reorder=0.2, corrupt=0.2, jitter_seconds=1)

    async def course(seed):
        _, client, server = await make_pair(to_servers=conditions, seed=seed)
        client.send_nowait(numbered(100))
        return await receive_all(server)

    assert await course(7) == await course(7)
    assert await course(7) != await course(8)


async def test_buffers_are_bounded(autojump_clock):
    network, client, server = await make_pair(datagram_buffer_octets=1000)
    assert client.send_nowait([(bytes(100), SERVER)] * 30) == 30
    assert len(await receive_all(server)) == 10
    assert network.datagrams_lost() == 20
    client.send_nowait([(bytes(100), SERVER)] * 10)
    assert len(await receive_all(server)) == 10


async def test_longer_datagrams_than_the_network_carries_are_lost(autojump_clock):
    network, client, server = await make_pair(to_servers=DatagramConditions(longest_octets=1200))
    client.send_nowait([(bytes(1201), SERVER), (bytes(1200), SERVER)])
    assert [len(data) for data in await receive_all(server)] == [1200]
    assert network.datagrams_lost() == 1


async def test_what_goes_to_nobody_is_lost(autojump_clock):
    network, client, _ = await make_pair()
    client.send_nowait([(b"x", ("nobody", 443))])
    assert network.datagrams_lost() == 1


async def test_a_server_for_all_names_answers_under_the_name_it_was_asked_by(autojump_clock):
    network = MemoryNetworking()
    (server,) = await network.listen_udp(("", 443))
    client = await network.bind_udp(("a.example", 443))
    for name in ("a.example", "b.example"):
        client.send_nowait([(b"x", (name, 443))])
        await server.receive()
        server.send_nowait([(b"x", client.local_address)])
        assert await client.receive() == [(b"x", (name, 443))]


async def test_names_need_no_resolving(autojump_clock):
    network = MemoryNetworking()
    assert await network.resolve_udp(("server", 443)) == [("server", 443)]


async def test_ports(autojump_clock):
    network = MemoryNetworking()
    (first,) = await network.listen_udp(("server", 0))
    (second,) = await network.listen_udp(("server", 0))
    assert first.local_address[1] != second.local_address[1]
    with pytest.raises(OSError) as info:
        await network.listen_udp(first.local_address)
    assert info.value.errno == errno.EADDRINUSE
    await network.listen_tcp(first.local_address)
    await first.aclose()
    await network.listen_udp(first.local_address)
    for function in (network.listen_udp, network.resolve_udp, network.bind_udp):
        with pytest.raises(ConfigurationError):
            await function(("server", 65_536))


async def test_a_rebound_socket_has_another_address(autojump_clock):
    network, client, server = await make_pair()
    old = client.local_address
    new = client.rebind()
    assert client.local_address == new != old
    client.send_nowait([(b"x", SERVER)])
    assert await server.receive() == [(b"x", new)]
    server.send_nowait([(b"old", old), (b"new", new)])
    assert await client.receive() == [(b"new", SERVER)]
    assert network.datagrams_lost() == 1


async def test_a_cancelled_receive_takes_nothing(autojump_clock):
    _, client, server = await make_pair()
    client.send_nowait([(b"x", SERVER)])
    with trio.CancelScope() as scope:
        scope.cancel()
        await server.receive()
    assert scope.cancelled_caught
    assert len(await server.receive()) == 1


async def test_one_task_receives_at_a_time(autojump_clock, nursery):
    _, _, server = await make_pair()
    nursery.start_soon(server.receive)
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(trio.BusyResourceError):
        await server.receive()
    nursery.cancel_scope.cancel()


async def test_closing_wakes_who_receives_and_ends_all_use(autojump_clock):
    _, client, server = await make_pair()

    async def receive() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await server.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        await server.aclose()
    await server.aclose()
    with pytest.raises(trio.ClosedResourceError):
        server.send_nowait([(b"x", client.local_address)])
    with pytest.raises(trio.ClosedResourceError):
        await server.wait_writable()
    with pytest.raises(trio.ClosedResourceError):
        server.rebind()
    with trio.testing.assert_checkpoints():
        await client.wait_writable()


async def test_what_was_moved_is_counted(autojump_clock):
    _, client, server = await make_pair()
    client.send_nowait(numbered(3))
    await server.receive()
    assert client.statistics().sent == 3
    assert server.statistics().received == 3


@pytest.mark.parametrize(
    "arguments", [{"drop": 1.1}, {"corrupt": -0.1}, {"delay_seconds": -1}, {"jitter_seconds": float("inf")}]
)
def test_conditions_are_checked(arguments):
    with pytest.raises(ConfigurationError):
        DatagramConditions(**arguments)


@pytest.mark.parametrize("seed", range(5))
async def test_quic_gets_through_a_bad_network(seed, autojump_clock):
    bad = DatagramConditions(
        drop=0.1, duplicate=0.05, reorder=0.05, corrupt=0.05, delay_seconds=0.02, jitter_seconds=0.01
    )
    network = MemoryNetworking(to_servers=bad, to_clients=bad, seed=seed)
    (server_socket,) = await network.listen_udp(SERVER)
    client_socket = await network.bind_udp(SERVER)
    source = RandomConnectionIdSource()
    router = QUICRouter(
        HTTP3ServerFactory(server_tls(), connection_id_source=source),
        connection_id_source=source,
        settings=QUICRouterSettings(retry="always"),
    )

    async def serve() -> None:
        while True:
            timers = [timer for connection in router.connections if (timer := connection.get_timer()) is not None]
            with trio.move_on_at(min(timers, default=float("inf"))):
                for data, address in await server_socket.receive():
                    action = router.datagram_received(data, address, trio.current_time())
                    if isinstance(action, Reply):
                        server_socket.send_nowait([action.datagram])
                    elif not isinstance(action, Drop):
                        action.connection.clock(trio.current_time())
                        action.connection.datagram_received((data, address))
            for connection in router.connections:
                connection.clock(trio.current_time())
                server_socket.send_nowait(connection.datagrams_to_send())
                router.update(connection)

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            client = client_connection()
            client.clock(trio.current_time())
            client.connect(SERVER)
            while not (client.handshake and router.connections and router.connections[0].handshake_complete):
                client_socket.send_nowait(client.datagrams_to_send())
                with trio.move_on_at(client.get_timer()):
                    for datagram in await client_socket.receive():
                        client.datagram_received(datagram)
                client.clock(trio.current_time())
                assert client.close_reason is None
            nursery.cancel_scope.cancel()
    assert router.statistics().half_open == 0
