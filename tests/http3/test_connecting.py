"""Connecting over QUIC, and how a caller hears of the end of a connection."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import (
    ConnectError,
    ConnectionLostError,
    LocalProtocolError,
    Timeouts,
    TLSHandshakeError,
)
from hface_trio.protocols.http3 import HTTP3Settings
from hface_trio.protocols.quic import QUICSettings
from hface_trio.testing import MemoryNetworking

from ..protocols.quic.network import client_tls
from .harness import URL, connected, hello, serving3
from .raw import GET, Code, RawPeer

Clock = trio.testing.MockClock
IDLE = HTTP3Settings(quic=QUICSettings(idle_timeout_seconds=10))


async def request_of(peer: RawPeer, stream_id: int) -> list[tuple[bytes, bytes]]:
    await peer.until(lambda: peer.sections(stream_id))
    return peer.sections(stream_id)[0]


async def test_an_idle_connection_is_lost_in_silence_and_says_so_to_the_next_request(autojump_clock: Clock) -> None:
    async with connected(http3_settings=IDLE) as (connection, _):
        await trio.sleep(20)
        assert connection.has_expired()
        with pytest.raises(ConnectionLostError) as caught:
            async with connection.open_stream(GET, end_stream=True):
                pass
        assert caught.value.retryable


async def test_a_section_longer_than_the_server_takes_is_refused_with_nothing_sent(autojump_clock: Clock) -> None:
    async with connected(settings={0x6: 1000}) as (connection, peer):
        with pytest.raises(LocalProtocolError):
            async with connection.open_stream([*GET, (b"x", b"y" * 1000)], end_stream=True):
                pass
        await peer.alive()
        assert peer.requests() == []


# Connecting


async def test_nobody_there(autojump_clock: Clock) -> None:
    async with trio.open_nursery() as nursery:
        with pytest.raises(ConnectError):
            await hface_trio.connect(
                nursery, URL, http_versions=["3"], tls_config=client_tls(), networking=MemoryNetworking()
            )
        assert trio.current_time() == pytest.approx(10)


async def test_a_certificate_that_is_not_trusted(autojump_clock: Clock) -> None:
    async with serving3(hello) as s, trio.open_nursery() as nursery:
        with pytest.raises(TLSHandshakeError):
            await s.connect(nursery, tls_config=None)
        await trio.sleep(5)
        assert s.server.statistics().connections == 0


async def test_a_cancelled_connect_leaves_nothing(autojump_clock: Clock) -> None:
    network = MemoryNetworking()
    with trio.move_on_after(1) as scope:
        async with trio.open_nursery() as nursery:
            await hface_trio.connect(nursery, URL, http_versions=["3"], tls_config=client_tls(), networking=network)
    assert scope.cancelled_caught
    assert network._links.sockets == {}


async def test_http3_is_asked_for_first_and_tcp_taken_where_there_is_none(autojump_clock: Clock) -> None:
    async with serving3(hello, http_versions=["2", "1.1"]) as s, trio.open_nursery() as nursery:
        connection = await s.connect(nursery, http_versions=["3", "2"], timeouts=Timeouts(handshake_seconds=3))
        async with connection:
            assert connection.http_version == "2"


async def test_the_reason_of_a_lost_connection_reaches_its_streams(autojump_clock: Clock) -> None:
    async with connected(http3_settings=IDLE) as (connection, peer):
        async with connection.open_stream(GET, end_stream=True) as stream:
            await request_of(peer, 0)
            await peer.vanish()
            with pytest.raises(ConnectionLostError, match="silent") as caught:
                await stream.receive_response()
            assert isinstance(caught.value.__cause__, ConnectionLostError)
    async with connected() as (connection, peer):
        async with connection.open_stream(GET, end_stream=True) as stream:
            await request_of(peer, 0)
            peer.quic.close(Code.INTERNAL_ERROR, reason_phrase="out of order")
            peer.flush()
            with pytest.raises(ConnectionLostError, match="out of order") as caught:
                await stream.receive_response()
            assert caught.value.error_code == Code.INTERNAL_ERROR
