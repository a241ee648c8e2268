"""How TLS streams end: by halves, cleanly, or cut."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio.testing import memory_stream_pair

from ._pairs import TLS_KINDS, Outcome, fill, make_tls_pair, open_pair, receive_all

# Without a deadline, a test in virtual time in which everybody waits would wait for ever.
pytestmark = pytest.mark.timeout(20, method="signal")


@pytest.mark.parametrize("kind", TLS_KINDS)
async def test_a_half_close_keeps_what_was_decrypted_ahead(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        await far.send_all(b"abcdef")
        assert await near.receive_some(2) == b"ab"
        await near.send_eof()
        assert await far.receive_some() == b""
        await far.send_all(b"ghi")
        await far.send_eof()
        assert await near.receive_some(3) == b"cde"
        assert await receive_all(near) == b"fghi"


@pytest.mark.parametrize("kind", TLS_KINDS)
async def test_a_half_close_behind_the_peers(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        await far.send_all(b"abc")
        await far.send_eof()
        await near.send_all(b"def")
        await near.send_eof()
        assert await receive_all(near) == b"abc"
        assert await receive_all(far) == b"def"


@pytest.mark.parametrize("kind", TLS_KINDS)
async def test_the_end_of_the_transport_follows_close_notify(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        await near.send_eof()
        assert await far.receive_some() == b""
        assert await far._transport.receive_some() == b""


async def test_a_cancelled_end_is_finished_when_called_again(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(buffer_octets=1000), authority)
    await fill(client)
    with trio.move_on_after(1) as scope:
        await client.send_eof()
    assert scope.cancelled_caught
    with pytest.raises(trio.ClosedResourceError):
        client.send_nowait([b"x"])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send_eof)
        assert len(await receive_all(server)) == 64 * 1024


async def test_an_output_that_was_cut_has_no_clean_end(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(buffer_octets=1000), authority)
    await fill(client)
    await client.aclose()
    with pytest.raises(trio.BrokenResourceError, match="the peer cut the connection off"):
        await receive_all(server)


async def test_closing_while_another_task_sends_is_no_clean_end(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(buffer_octets=1000), authority)
    async with trio.open_nursery() as nursery:
        outcome = Outcome()
        nursery.start_soon(outcome.run, client.send_all, bytes(100_000))
        await trio.testing.wait_all_tasks_blocked()
        await client.aclose()
    assert isinstance(outcome.exception, trio.ClosedResourceError)
    with pytest.raises(trio.BrokenResourceError):
        await receive_all(server)


async def test_closing_with_data_decrypted_and_unread_still_ends_cleanly(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(), authority)
    await server.send_all(b"abc")
    assert await client.receive_some(1) == b"a"
    await client.aclose()
    assert await server.receive_some() == b""


async def test_closing_a_stream_whose_transport_broke(authority, virtual_time):
    client, server = await make_tls_pair(*memory_stream_pair(), authority)
    server.abort()
    await client.aclose()
