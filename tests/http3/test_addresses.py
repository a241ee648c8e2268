"""Addresses that change in the middle of transfers, and those that are somebody else's."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream

from .raw import GET, POST, data, headers
from .strangers import serving_quic, stranger

Clock = trio.testing.MockClock


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
