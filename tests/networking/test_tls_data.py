"""Data over TLS: how records are cut, read and refused, and what a cancelled send leaves."""

from __future__ import annotations

import ssl

import pytest
import trio
import trio.testing

from hface_trio.networking._tls_engine import slices
from hface_trio.testing import memory_stream_pair

from ._pairs import make_tls_pair, receive_exactly
from ._tls_pairs import VERSIONS
from ._tls_records import count_records

# Without a deadline, a test in virtual time in which everybody waits would wait for ever.
pytestmark = pytest.mark.timeout(20, method="signal")


# Receiving


@pytest.mark.parametrize("version", VERSIONS)
async def test_several_records_come_in_one_piece(version, authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(buffer_octets=1 << 20), authority, version=version)
    await client.send_all(bytes(64 * 1024))
    assert len(await server.receive_some()) == 64 * 1024
    await client.send_all(bytes(64 * 1024))
    assert len(await server.receive_some(40_000)) == 40_000
    assert len(await server.receive_some(40_000)) == 64 * 1024 - 40_000


async def test_what_is_decrypted_is_received_without_the_transport(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(), authority)
    await client.send_all(b"abcdef")
    assert await server.receive_some(1) == b"a"
    client._transport.abort()
    assert await server.receive_some(1) == b"b"
    assert await server.receive_some() == b"cdef"
    with pytest.raises(trio.BrokenResourceError):
        await server.receive_some()


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_end_without_close_notify_is_an_error(version, authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(), authority, version=version)
    await client.send_all(b"all of it?")
    await client._transport.send_eof()
    assert await server.receive_some() == b"all of it?"
    for _ in range(2):
        with pytest.raises(trio.BrokenResourceError, match="the peer cut the connection off") as info:
            await server.receive_some()
        assert isinstance(info.value.__cause__, ssl.SSLError)


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_end_within_a_record_is_an_error(version, authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(), authority, version=version)
    client._engine.encrypt(b"half of a record")
    record = client._engine.take_output()
    await client._transport.send_all(record[:-3])
    await client._transport.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await server.receive_some()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_record_that_was_tampered_with(version, authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(), authority, version=version)
    client._engine.encrypt(b"genuine")
    await client._transport.send_all(client._engine.take_output())
    client._engine.encrypt(b"forged")
    record = bytearray(client._engine.take_output())
    record[-1] ^= 1
    await client._transport.send_all(record)
    assert await server.receive_some() == b"genuine"
    with pytest.raises(trio.BrokenResourceError, match="bad record mac"):
        await server.receive_some()
    with pytest.raises(trio.BrokenResourceError, match="the peer refused: bad record mac"):
        await client.receive_some()


@pytest.mark.parametrize("version", VERSIONS)
async def test_records_of_a_transport_that_brings_single_octets(version, authority, virtual_time):
    transports = memory_stream_pair(receive_limit_octets=1)
    client, server = await make_tls_pair(*transports, authority, version=version)
    await client.send_all(b"abc")
    assert await server.receive_some() == b"abc"


# Sending


def test_slices_join_what_is_small_and_cut_what_is_large():
    buffers = [b"head", b"", b"x" * 100, bytes(200_000), b"tail", memoryview(b"end")]
    pieces = [bytes(piece) for piece in slices(buffers)]
    assert b"".join(pieces) == b"".join(buffers)
    assert [len(piece) for piece in pieces] == [104, 65536, 65536, 65536, 3392, 7]


def test_slices_of_nothing():
    assert list(slices([b"", b""])) == []


async def test_a_head_and_a_small_body_are_one_record(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(), authority)
    assert client.send_nowait([b"head", b"body"]) == 8
    assert count_records(await server._transport.receive_some()) == 1


async def test_one_call_encrypts_a_bounded_amount(authority, virtual_time):
    client, _ = await make_tls_pair(*memory_stream_pair(buffer_octets=16 << 20), authority)
    assert client.send_nowait([bytes(8 << 20)]) == 256 * 1024


async def test_nothing_is_encrypted_while_ciphertext_waits(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(buffer_octets=1000), authority)
    assert client.send_nowait([bytes(1 << 20)]) == 64 * 1024
    waiting = client.unsent_octets
    assert client.send_nowait([bytes(1 << 20)]) == 0
    assert client.unsent_octets == waiting
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.wait_writable)
        assert len(await receive_exactly(server, 64 * 1024)) == 64 * 1024
    assert client.unsent_octets == 0


async def test_receiving_goes_on_while_a_send_waits(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(buffer_octets=1000), authority)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send_all, bytes(1 << 20))
        await trio.testing.wait_all_tasks_blocked()
        await server.send_all(b"hello")
        assert await client.receive_some() == b"hello"
        nursery.cancel_scope.cancel()


async def test_a_send_that_is_cancelled_many_times_over(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(buffer_octets=700), authority)
    received = bytearray()

    async def receive() -> None:
        while data := await server.receive_some(333):
            received.extend(data)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        for number in range(100):
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as inner:
                    inner.start_soon(client.send_all, bytes([number]) * 3000)
                    for _ in range(number % 13):
                        await trio.lowlevel.checkpoint()
                    scope.cancel()
        await client.send_eof()
    # Each send arrived in whole, in its beginning, or not at all, and all in order.
    assert list(received) == sorted(received)
    assert received
