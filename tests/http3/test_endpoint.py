"""The server's end of QUIC: strangers, half-open connections, addresses that change, and the port it shares with TCP."""

from __future__ import annotations

import functools
import random

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import ConnectionLostError, HTTPStream, Limits, Timeouts
from hface_trio.connections import HTTPOverQUICListener
from hface_trio.connections._quic_endpoint import QUICEndpoint
from hface_trio.protocols.http3 import HTTP3ServerFactory
from hface_trio.protocols.quic import DropReason, KeyedConnectionIdSource, QUICRouterSettings
from hface_trio.testing import DatagramConditions

from ..protocols.quic.network import client_tls, server_tls
from .harness import ADDRESS, Served, hello, serving3
from .raw import GET, POST, Code, data, headers

Clock = trio.testing.MockClock
CONNECTION_REFUSED = 0x2


def router(s: Served):
    """What the router of a server that speaks HTTP/3 alone tells."""
    (statistics,) = s.server.quic_statistics()
    return statistics


serving_quic = functools.partial(serving3, http_versions=["3"])


async def echo_size(stream: HTTPStream) -> None:
    octets = 0
    async for chunk in stream.iter_data():
        octets += len(chunk)
    await stream.send_response(200, body=b"%d" % octets)


class Stranger:
    """A socket that sends datagrams and notes what comes back."""

    def __init__(self, socket) -> None:
        self.socket = socket

    async def answers(self, *datagrams: bytes, seconds: float = 1.0) -> list[bytes]:
        self.socket.send_nowait([(datagram, ADDRESS) for datagram in datagrams])
        found: list[bytes] = []
        with trio.move_on_after(seconds):
            while True:
                found += [payload for payload, _ in await self.socket.receive()]
        return found


async def stranger(s: Served) -> Stranger:
    return Stranger(await s.network.bind_udp(ADDRESS))


def record(peer) -> list[bytes]:
    """Note all that a peer sends from now on."""
    sent: list[bytes] = []
    send = peer.flush

    def flush() -> None:
        datagrams = peer.quic.datagrams_to_send(now=trio.current_time())
        sent.extend(payload for payload, _ in datagrams)
        peer.socket.send_nowait(datagrams)
        send()

    peer.flush = flush
    return sent


def tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


# Strangers


async def test_garbage_is_met_with_silence_and_counted(autojump_clock: Clock) -> None:
    chance = random.Random(1)
    garbage = [chance.randbytes(chance.randrange(1, 1500)) for _ in range(300)]
    garbage = [datagram for datagram in garbage if not (datagram[0] & 0x80 and len(datagram) >= 1200)]
    async with serving_quic(hello) as s:
        before = tasks()
        assert await (await stranger(s)).answers(*garbage, b"") == []
        assert sum(router(s).drops.values()) == len(garbage) + 1
        assert router(s).connections == 0
        assert tasks() == before
        peer = await s.peer()
        assert await peer.response(await peer.request()) == (200, b"hello")
        await peer.close()


async def test_truncated_initials_are_met_with_silence(autojump_clock: Clock) -> None:
    async with serving_quic(hello) as s:
        peer = await s.raw()
        (initial, _), *_ = peer.quic.datagrams_to_send(now=trio.current_time())
        await peer.vanish()
        assert len(initial) >= 1200
        whole = len(initial)
        found = await (await stranger(s)).answers(*(initial[:n] for n in range(0, 1200, 7)), seconds=5)
        assert found == []
        assert router(s).drops[DropReason.SMALL_INITIAL] > 150
        assert router(s).accepted == 0
        assert whole >= 1200


async def test_replayed_datagrams_change_nothing(autojump_clock: Clock) -> None:
    seen: list[bytes] = []

    async def handler(stream: HTTPStream) -> None:
        seen.append(stream.path)
        await hello(stream)

    async with serving_quic(handler) as s:
        peer = await s.raw()
        sent = record(peer)
        await peer.start()
        for _ in range(3):
            await peer.response(await peer.request())
        replays = list(sent)
        other = await stranger(s)
        await other.answers(*replays)
        peer.socket.send_nowait([(datagram, ADDRESS) for datagram in replays])
        await peer.read_for(1)
        assert len(seen) == 3
        assert router(s).connections == 1
        assert await peer.response(await peer.request()) == (200, b"hello")
        await peer.close()


async def test_a_version_that_is_not_spoken_is_negotiated_but_never_version_zero(autojump_clock: Clock) -> None:
    async with serving_quic(hello) as s:
        peer = await stranger(s)
        ids = b"\x08" + b"d" * 8 + b"\x04" + b"srcs"
        unknown = b"\xc0\x1a\x2a\x3a\x4a" + ids + bytes(1200)
        (answer,) = await peer.answers(unknown)
        assert answer[1:5] == bytes(4)
        assert b"srcs" in answer
        assert b"d" * 8 in answer
        assert await peer.answers(b"\xc0" + bytes(4) + ids + bytes(1200)) == []
        assert await peer.answers(unknown[:1100]) == []
        assert len(await peer.answers(*[unknown] * 100)) <= 10
        assert router(s).accepted == 0


@pytest.mark.parametrize("ours", [False, True])
async def test_retry(autojump_clock: Clock, ours: bool) -> None:
    settings = QUICRouterSettings(retry="always")
    async with serving_quic(hello, quic_router_settings=settings) as s, trio.open_nursery() as nursery:
        if ours:
            async with await s.connect(nursery) as connection:
                async with connection.open_stream(GET, end_stream=True) as stream:
                    await stream.receive_response()
        else:
            peer = await s.peer()
            assert await peer.response(await peer.request()) == (200, b"hello")
            await peer.close()
        assert router(s).retries == 1
        assert router(s).accepted == 1


async def test_half_open_connections_make_others_prove_their_address(autojump_clock: Clock) -> None:
    settings = QUICRouterSettings(retry_half_open=5)
    async with serving_quic(hello, quic_router_settings=settings) as s:
        for _ in range(8):
            peer = await s.raw()
            peer.flush()
            await peer.vanish()
        await trio.sleep(0.5)
        assert router(s).half_open == 5
        assert router(s).retries == 3
        peer = await s.peer()
        assert router(s).retries == 4
        assert await peer.response(await peer.request()) == (200, b"hello")
        await peer.close()


# Half-open connections


async def test_a_client_that_vanishes_in_its_handshake_leaves_nothing_and_never_had_a_task(
    autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 0
    advance = QUICEndpoint._advance

    def counted(self, link, datagram) -> None:
        nonlocal steps
        steps += 1
        advance(self, link, datagram)

    monkeypatch.setattr(QUICEndpoint, "_advance", counted)
    async with serving_quic(hello) as s:
        before = tasks()
        for _ in range(10):
            peer = await s.raw()
            peer.flush()
            await peer.vanish()
        await trio.sleep(1)
        assert tasks() == before
        assert router(s).half_open == router(s).connections == 10
        assert s.server.statistics().connections == 10
        await trio.sleep(9.5)
        assert router(s).connections == router(s).connection_ids == 0
        assert s.server.statistics().connections == 0
        assert steps < 20 * 10


async def test_a_handshake_ends_at_its_deadline_however_busy_it_is(autojump_clock: Clock) -> None:
    async with serving_quic(hello, timeouts=Timeouts(handshake_seconds=3)) as s:
        peer = await s.raw()
        (initial, _), *_ = peer.quic.datagrams_to_send(now=trio.current_time())
        await peer.vanish()
        busy = await stranger(s)
        for _ in range(6):
            assert len(await busy.answers(initial, seconds=0.45)) < 10
        assert router(s).half_open == 1
        await trio.sleep(0.4)
        assert router(s).half_open == 0


async def test_no_more_connections_are_half_open_than_allowed(autojump_clock: Clock) -> None:
    settings = QUICRouterSettings(retry="never", half_open=4)
    async with serving_quic(hello, quic_router_settings=settings) as s:
        for _ in range(10):
            peer = await s.raw()
            peer.flush()
            await peer.vanish()
        await trio.sleep(0.5)
        assert router(s).half_open == 4
        assert router(s).drops[DropReason.HALF_OPEN_LIMIT] == 6
        peer = await s.peer()  # it tries again until there is room
        assert trio.current_time() > 9
        assert await peer.response(await peer.request()) == (200, b"hello")
        await peer.close()


async def test_a_handshake_with_a_client_that_speaks_something_else_fails(autojump_clock: Clock) -> None:
    async with serving_quic(hello) as s:
        peer = await s.raw()
        peer.configuration.alpn_protocols[:] = ["h9"]
        await peer.read_to_end()
        assert peer.closed_with == 0x100 + 120  # no_application_protocol
        await trio.sleep(1)
        assert router(s).connections == 0
        assert s.server.statistics().connections == 0


async def test_a_handshake_that_is_given_up_is_told_so(autojump_clock: Clock) -> None:
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with serving_quic(hello) as s:
                s.nursery = nursery  # the peer outlives the server
                peer = await s.raw()
                await trio.sleep(0.007)
                assert router(s).half_open == 1
                scope.cancel()
                await trio.sleep_forever()
        await peer.read_to_end()
        assert trio.current_time() < 1
        assert peer.close_event is not None
        assert "handshake" in peer.close_event.reason_phrase or peer.closed_with in {Code.NO_ERROR, 0xC}


async def test_a_client_that_missed_the_end_is_told_again_when_it_is_heard(autojump_clock: Clock) -> None:
    """By a stateless reset, where ids have tokens that need not be remembered."""
    network = hface_trio.testing.MemoryNetworking()
    factory = HTTP3ServerFactory(server_tls(), connection_id_source=KeyedConnectionIdSource())
    listener = await HTTPOverQUICListener.create(factory, ADDRESS, networking=network)
    served: list[hface_trio.HTTPConnection] = []

    async def handle(connection: hface_trio.HTTPConnection) -> None:
        served.append(connection)
        await connection.serve_streams(hello)

    async with trio.open_nursery() as nursery:
        await nursery.start(listener.serve, handle)
        connect = functools.partial(hface_trio.connect, http_versions=["3"], tls_config=client_tls())
        connection = await connect(nursery, "https://localhost:443", networking=network)
        await trio.sleep(1)
        conditions, network._links._to_clients = network._links._to_clients, DatagramConditions(drop=1)
        await served[0].aclose()
        assert listener.quic_statistics()[0].connections == 0
        assert not connection.has_expired()
        network._links._to_clients = conditions
        began = trio.current_time()
        with pytest.raises(ConnectionLostError, match="forgot"):
            async with connection.open_stream(GET, end_stream=True) as stream:
                await stream.receive_response()
        assert trio.current_time() < began + 1
        assert listener.quic_statistics()[0].resets >= 1
        await listener.aclose()


# Limits


@pytest.mark.parametrize(
    "limits", [Limits(connections=2), Limits(connections_per_address=2)], ids=["in all", "of an address"]
)
async def test_connections_beyond_the_limit_are_refused(autojump_clock: Clock, limits: Limits) -> None:
    async with serving_quic(hello, limits=limits) as s:
        one, other = await s.peer(), await s.peer()
        third = await s.raw()
        await third.read_to_end()
        assert third.closed_with == CONNECTION_REFUSED
        await one.close()
        await trio.sleep(5)
        third = await s.peer()
        assert await third.response(await third.request()) == (200, b"hello")
        for peer in (other, third):
            await peer.close()


async def test_connections_over_tcp_count_for_the_limit_too(autojump_clock: Clock) -> None:
    async with serving3(hello, limits=Limits(connections=1)) as s, trio.open_nursery() as nursery:
        over_tcp = await s.connect(nursery, http_versions=["2"])
        peer = await s.raw()
        await peer.read_to_end()
        assert peer.closed_with == CONNECTION_REFUSED
        await over_tcp.aclose()
        await trio.sleep(5)
        peer = await s.peer()
        await peer.close()


# Addresses


@pytest.mark.parametrize("ours", [False, True])
async def test_an_upload_goes_on_when_its_sender_has_another_address(autojump_clock: Clock, ours: bool) -> None:
    addresses: set[object] = set()

    async def handler(stream: HTTPStream) -> None:
        octets = 0
        async for chunk in stream.iter_data():
            addresses.add(stream.remote_address)
            octets += len(chunk)
        await stream.send_response(200, body=b"%d" % octets)

    async with serving_quic(handler) as s, trio.open_nursery() as nursery:
        if ours:
            async with await s.connect(nursery) as connection, connection.open_stream(POST) as stream:
                for number in range(20):
                    if number in {5, 10}:
                        connection._transport._socket.rebind()
                    await stream.send_data(bytes(50_000))
                    await trio.sleep(0.02)
                await stream.send_data(b"", end_stream=True)
                await stream.receive_response()
                assert await stream.read_body() == b"1000000"
        else:
            peer = await s.peer()
            stream_id = await peer.request(POST, end=False)
            for number in range(20):
                if number in {5, 10}:
                    peer.socket.rebind()
                await peer.send(stream_id, data(bytes(50_000)), end=number == 19)
                await trio.sleep(0.02)
            assert await peer.response(stream_id) == (200, b"1000000")
            await peer.close()
    assert len(addresses) == 3


async def test_a_download_follows_its_receiver_to_another_address(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=b"x" * 1_000_000)

    async with serving_quic(handler) as s, trio.open_nursery() as nursery:
        async with await s.connect(nursery) as connection, connection.open_stream(GET, end_stream=True) as stream:
            await stream.receive_response()
            first = await stream.receive()
            connection._transport._socket.rebind()
            assert len(first.data) + len(await stream.read_body()) == 1_000_000


async def test_somebody_elses_address_gets_no_more_than_a_probe(autojump_clock: Clock) -> None:
    """A datagram of a peer that arrives from elsewhere, sent there by an attacker, moves nothing for good."""

    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=b"x" * 1_000_000)

    async with serving_quic(handler) as s:
        peer = await s.peer()
        victim = await stranger(s)
        stream_id = peer.next_id()
        peer.put(stream_id, headers(GET), end=True)
        stolen = peer.quic.datagrams_to_send(now=trio.current_time())
        victim.socket.send_nowait(stolen)
        found = await victim.answers(seconds=2)
        octets = sum(len(payload) for payload, _ in stolen)
        assert sum(map(len, found)) <= 3 * octets
        assert await peer.response(stream_id) == (200, b"x" * 1_000_000)
        await peer.close()


# The port


class Answers:
    """What the ``alt-svc`` field of responses says."""

    @staticmethod
    def of(response) -> list[bytes]:
        return [value for name, value in response.headers if name == b"alt-svc"]


async def plain_or_own(stream: HTTPStream) -> None:
    own = [(b"alt-svc", b"clear")] if stream.path == b"/own" else []
    await stream.send_response(200, own)


@pytest.mark.parametrize(
    ("version", "path", "expected"),
    [
        ("1.1", "/", [b'h3=":443"; ma=86400']),
        ("2", "/", [b'h3=":443"; ma=86400']),
        ("3", "/", []),
        ("1.1", "/own", [b"clear"]),
        ("2", "/own", [b"clear"]),
        ("3", "/own", [b"clear"]),
    ],
)
async def test_http3_is_advertised_on_the_port_it_shares(
    autojump_clock: Clock, version: str, path: str, expected: list[bytes]
) -> None:
    async with serving3(plain_or_own) as s, s.client(http_versions=[version]) as client:
        response = await client.get(f"https://localhost:443{path}")
        assert response.http_version == version
        assert Answers.of(response) == expected


async def test_http3_is_not_advertised_where_it_is_not_spoken(autojump_clock: Clock) -> None:
    async with serving3(plain_or_own, http_versions=["2", "1.1"]) as s, s.client(http_versions=["2"]) as client:
        assert Answers.of(await client.get("https://localhost:443/")) == []


async def test_http3_is_not_advertised_in_the_clear(autojump_clock: Clock) -> None:
    network = hface_trio.testing.MemoryNetworking()
    async with trio.open_nursery() as nursery:
        serve = functools.partial(hface_trio.serve, networking=network, tls_config=server_tls())
        server = await nursery.start(serve, plain_or_own, ["http://localhost:80", "https://localhost:443"])
        async with hface_trio.open_client(networking=network, http_versions=["1.1"]) as client:
            assert Answers.of(await client.get("http://localhost:80/")) == []
        await server.shutdown(5)


async def test_a_port_of_zero_is_one_port_for_both(autojump_clock: Clock) -> None:
    network = hface_trio.testing.MemoryNetworking()
    async with trio.open_nursery() as nursery:
        serve = functools.partial(hface_trio.serve, networking=network, tls_config=server_tls())
        server = await nursery.start(serve, plain_or_own, "https://localhost:0")
        (endpoint,) = server.endpoints
        assert ("localhost", endpoint.port) in network._links.sockets
        assert ("localhost", endpoint.port) in network._listeners
        await server.shutdown(5)
        assert network._links.sockets == {}


async def test_a_port_that_is_taken_on_udp_leaves_nothing_bound(autojump_clock: Clock) -> None:
    network = hface_trio.testing.MemoryNetworking()
    (taken,) = await network.listen_udp(ADDRESS)
    with pytest.raises(OSError, match="in use"):
        await hface_trio.serve(hello, "https://localhost:443", networking=network, tls_config=server_tls())
    assert network._listeners == {}
    await taken.aclose()


async def test_a_flood_of_datagrams_to_a_busy_connection_is_dropped_and_counted(autojump_clock: Clock) -> None:
    async with serving_quic(echo_size) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.alive()
        (connection,) = s.server._context.connections
        link = connection._transport
        sample = bytes([0x40]) + peer.quic._peer_cid.cid + bytes(1000)
        for _ in range(1000):
            link.keep((sample, peer.socket.local_address))
        assert link.dropped >= 744
        assert len(link.waiting) <= 256
        assert link._waiting_octets <= 512 * 1024
        await peer.read_for(1)
        await peer.send(stream_id, data(b"x"), end=True)
        assert await peer.response(stream_id) == (200, b"1")
        await peer.close(Code.NO_ERROR)
