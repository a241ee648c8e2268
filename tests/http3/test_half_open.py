"""Connections half open: they have no task, a deadline and a bound, and are told how they end."""

from __future__ import annotations

import functools

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import ConnectionLostError, Timeouts
from hface_trio.connections import HTTPOverQUICListener
from hface_trio.connections._quic_endpoint import QUICEndpoint
from hface_trio.protocols.http3 import HTTP3ServerFactory
from hface_trio.protocols.quic import DropReason, KeyedConnectionIdSource, QUICRouterSettings
from hface_trio.testing import DatagramConditions

from ..protocols.quic.network import client_tls, server_tls
from .harness import ADDRESS, hello
from .raw import GET, Code
from .strangers import router, serving_quic, stranger, tasks

Clock = trio.testing.MockClock


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
