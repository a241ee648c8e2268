"""How every byte stream of this package ends, whatever carries it: closed, aborted, or left by its peer."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio.networking import ByteStream

from ._pairs import ALL, NATIVE, RESETTING, Outcome, open_pair, receive_all


@ALL
@pytest.mark.parametrize("how", ["aclose", "abort"])
async def test_closing_wakes_who_receives(kind, how, authority):
    async with open_pair(kind, authority) as (near, _), trio.open_nursery() as nursery:
        outcome = Outcome()
        nursery.start_soon(outcome.run, near.receive_some)
        await trio.testing.wait_all_tasks_blocked(0.01)
        await _close(near, how)
        await outcome.ended.wait()
        assert isinstance(outcome.exception, trio.ClosedResourceError)


@ALL
@pytest.mark.parametrize("how", ["aclose", "abort"])
async def test_closing_wakes_who_sends(kind, how, authority):
    async with open_pair(kind, authority) as (near, _), trio.open_nursery() as nursery:
        outcome = Outcome()
        nursery.start_soon(outcome.run, near.send_all, bytes(32 << 20))
        await trio.testing.wait_all_tasks_blocked(0.01)
        await _close(near, how)
        await outcome.ended.wait()
        assert isinstance(outcome.exception, trio.ClosedResourceError)


@ALL
@pytest.mark.parametrize("how", ["aclose", "abort"])
async def test_a_closed_stream_refuses_everything(kind, how, authority):
    async with open_pair(kind, authority) as (near, _):
        await _close(near, how)
        with pytest.raises(trio.ClosedResourceError):
            await near.receive_some()
        with pytest.raises(trio.ClosedResourceError):
            await near.send_all(b"x")
        with pytest.raises(trio.ClosedResourceError):
            near.send_nowait([b"x"])
        with pytest.raises(trio.ClosedResourceError):
            await near.wait_writable()
        with pytest.raises(trio.ClosedResourceError):
            await near.flush()
        with pytest.raises(trio.ClosedResourceError):
            await near.send_eof()


@ALL
async def test_closing_is_harmless_when_repeated(kind, authority):
    async with open_pair(kind, authority) as (near, _):
        await near.aclose()
        await near.aclose()
        near.abort()
        near.unwatch_departure()


@ALL
async def test_closing_delivers_what_was_sent(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        await near.send_all(b"last words")
        await near.aclose()
        assert await receive_all(far) == b"last words"


@NATIVE
async def test_a_cancelled_close_closes(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        with trio.CancelScope() as scope:
            scope.cancel()
            await near.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await near.receive_some()
        assert await far.receive_some() == b""


@RESETTING
async def test_the_peer_of_an_aborted_stream_sees_no_clean_end(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        near.abort()
        with pytest.raises(trio.BrokenResourceError):
            await far.receive_some()


@RESETTING
async def test_an_abort_wakes_a_peer_that_receives(kind, authority):
    async with open_pair(kind, authority) as (near, far), trio.open_nursery() as nursery:
        outcome = Outcome()
        nursery.start_soon(outcome.run, far.receive_some)
        await trio.testing.wait_all_tasks_blocked(0.01)
        near.abort()
        await outcome.ended.wait()
        assert isinstance(outcome.exception, trio.BrokenResourceError)


@RESETTING
async def test_an_abort_wakes_a_peer_that_sends(kind, authority):
    async with open_pair(kind, authority) as (near, far), trio.open_nursery() as nursery:
        outcome = Outcome()
        nursery.start_soon(outcome.run, far.send_all, bytes(32 << 20))
        await trio.testing.wait_all_tasks_blocked(0.01)
        near.abort()
        await outcome.ended.wait()
        assert isinstance(outcome.exception, trio.BrokenResourceError)


@ALL
async def test_sending_to_a_peer_that_is_gone_fails(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        await far.aclose()
        with pytest.raises(trio.BrokenResourceError):
            for _ in range(1000):
                await near.send_all(bytes(65536))


async def _close(stream: ByteStream, how: str) -> None:
    if how == "abort":
        stream.abort()
    else:
        await stream.aclose()
