"""What every byte stream of this package keeps to, whatever carries it."""

from __future__ import annotations

import os

import pytest
import trio
import trio.testing

from hface_trio.networking import ByteStream

from ._pairs import ALL, NATIVE, Outcome, fill, make_pair, open_pair, receive_all, receive_exactly

RANDOM = os.urandom(1 << 20)


@ALL
async def test_passes_the_stream_check_of_trio(kind, authority):
    async def make():
        return await make_pair(kind, authority)

    async def make_clogged():
        near, far = await make_pair(kind, authority)
        await fill(near)
        await fill(far)
        return near, far

    with trio.fail_after(60):
        # TCP takes single octets long after it seemed to be full, and to clog an adapter ends its output.
        can_be_clogged = kind.endswith(("unix", "memory"))
        await trio.testing.check_half_closeable_stream(make, make_clogged if can_be_clogged else None)


@ALL
async def test_data_arrive_in_order(kind, authority):
    async with open_pair(kind, authority) as (near, far), trio.open_nursery() as nursery:
        nursery.start_soon(near.send_all, RANDOM)
        assert await receive_exactly(far, len(RANDOM)) == RANDOM


@ALL
async def test_received_one_octet_at_a_time(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        await near.send_all(b"abcdef")
        assert [await far.receive_some(1) for _ in range(6)] == [b"a", b"b", b"c", b"d", b"e", b"f"]


@ALL
async def test_received_data_are_bytes(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        await near.send_all(bytearray(b"abc"))
        assert type(await far.receive_some()) is bytes


@NATIVE
async def test_a_zero_sized_receive_is_refused(kind, authority):
    async with open_pair(kind, authority) as (near, _):
        with pytest.raises(ValueError):
            await near.receive_some(0)


@ALL
async def test_receiving_goes_on_after_this_sides_end(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        await near.send_all(b"request")
        await near.send_eof()
        assert await receive_all(far) == b"request"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(far.send_all, RANDOM)
            assert await receive_exactly(near, len(RANDOM)) == RANDOM
        await far.send_eof()
        assert await near.receive_some() == b""


@ALL
async def test_the_end_is_received_again_and_again(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        await near.send_eof()
        assert [await far.receive_some() for _ in range(3)] == [b"", b"", b""]


@ALL
async def test_the_end_may_be_sent_twice(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        await near.send_eof()
        await near.send_eof()
        assert await far.receive_some() == b""


@ALL
async def test_nothing_is_sent_after_the_end(kind, authority):
    async with open_pair(kind, authority) as (near, _):
        await near.send_eof()
        with pytest.raises(trio.ClosedResourceError):
            near.send_nowait([b"x"])
        with pytest.raises(trio.ClosedResourceError):
            await near.send_all(b"x")


@NATIVE
async def test_the_end_of_an_output_that_lies_behind_unread_input(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        await far.send_all(b"not read yet")
        await near.send_eof()
        assert await far.receive_some() == b""
        assert await near.receive_some() == b"not read yet"
        await far.send_all(b"more")
        assert await near.receive_some() == b"more"


@NATIVE
async def test_a_cancelled_receive_takes_nothing(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        for _ in range(3):
            with trio.move_on_after(0.001):
                await far.receive_some()
        await near.send_all(b"abc")
        with trio.CancelScope() as scope:
            scope.cancel()
            await far.receive_some()
        assert await far.receive_some() == b"abc"


@NATIVE
async def test_both_directions_live_on_after_a_cancelled_send(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        data = RANDOM * 16
        with trio.move_on_after(0.05) as scope:
            await near.send_all(data)
        assert scope.cancelled_caught
        await far.send_all(b"other direction")
        assert await near.receive_some() == b"other direction"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.send_all, b"tail")
            received = b""
            while not received.endswith(b"tail"):
                received += await far.receive_some()
        assert data.startswith(received[:-4])


@NATIVE
async def test_a_cancelled_wait_for_writability_can_be_repeated(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        total = await fill(near)
        for _ in range(3):
            with trio.move_on_after(0.001) as scope:
                await near.wait_writable()
            assert scope.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.wait_writable)
            await receive_exactly(far, total)
        assert near.send_nowait([b"more"]) == 4


@ALL
async def test_large_sends_both_ways_at_once(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        received: list[bytes] = []

        async def receive(stream: ByteStream) -> None:
            received.append(await receive_exactly(stream, 4 * len(RANDOM)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.send_all, RANDOM * 4)
            nursery.start_soon(far.send_all, RANDOM * 4)
            nursery.start_soon(receive, near)
            nursery.start_soon(receive, far)
        assert received == [RANDOM * 4] * 2


@ALL
async def test_buffers_of_all_sizes_are_joined_in_order(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        sizes = [1, 0, 100, 16384, 16385, 3, 70_000, 0, 16000, 500]
        buffers: list[bytes | bytearray | memoryview] = []
        for index, size in enumerate(sizes):
            chunk = os.urandom(size)
            buffers.append([bytes, bytearray, memoryview][index % 3](chunk))
        expected = b"".join(buffers)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send_buffers, near, buffers)
            assert await receive_exactly(far, len(expected)) == expected


@ALL
async def test_more_buffers_than_one_call_to_the_system_takes(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        buffers = [b"%04d" % number for number in range(2000)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send_buffers, near, buffers)
            assert await receive_exactly(far, 8000) == b"".join(buffers)


async def _send_buffers(stream: ByteStream, buffers) -> None:
    rest = list(buffers)
    while rest:
        taken = stream.send_nowait(rest)
        while rest and taken >= len(rest[0]):
            taken -= len(rest.pop(0))
        if rest and taken:
            rest[0] = rest[0][taken:]
        if rest:
            await stream.wait_writable()
    await stream.flush()


@ALL
async def test_no_buffers_are_no_octets(kind, authority):
    async with open_pair(kind, authority) as (near, _):
        assert near.send_nowait([]) == 0
        assert near.send_nowait([b""]) == 0


@NATIVE
async def test_a_peer_that_does_not_read_holds_up_the_sender(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        total = await fill(near)
        assert near.send_nowait([b"x"]) == 0
        async with trio.open_nursery() as nursery:
            outcome = Outcome()
            nursery.start_soon(outcome.run, near.wait_writable)
            await receive_exactly(far, total)
            await outcome.ended.wait()
        assert outcome.exception is None
        assert near.send_nowait([b"x"]) == 1


@ALL
async def test_what_waits_here_is_bounded(kind, authority):
    async with open_pair(kind, authority) as (near, _):
        for _ in range(300):
            near.send_nowait([bytes(1 << 20)])
        assert near.unsent_octets <= 256 * 1024


@NATIVE
async def test_flush_leaves_nothing_unsent(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        total = await fill(near)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive_exactly, far, total)
            await near.flush()
            assert near.unsent_octets == 0


@NATIVE
async def test_two_receivers_are_one_too_many(kind, authority):
    async with open_pair(kind, authority) as (near, _), trio.open_nursery() as nursery:
        nursery.start_soon(near.receive_some)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await near.receive_some()
        nursery.cancel_scope.cancel()


@NATIVE
async def test_two_who_wait_for_writability_are_one_too_many(kind, authority):
    async with open_pair(kind, authority) as (near, _), trio.open_nursery() as nursery:
        await fill(near)
        nursery.start_soon(near.wait_writable)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await near.wait_writable()
        nursery.cancel_scope.cancel()


@ALL
async def test_two_senders_are_one_too_many(kind, authority):
    async with open_pair(kind, authority) as (near, _), trio.open_nursery() as nursery:
        nursery.start_soon(near.send_all, bytes(32 << 20))
        await trio.testing.wait_all_tasks_blocked(0.01)
        with pytest.raises(trio.BusyResourceError):
            await near.send_all(b"x")
        with pytest.raises(trio.BusyResourceError):
            near.send_nowait([b"x"])
        with pytest.raises(trio.BusyResourceError):
            await near.send_eof()
        nursery.cancel_scope.cancel()


@ALL
async def test_a_handshake_that_has_been_made_is_not_made_again(kind, authority):
    async with open_pair(kind, authority) as (near, _):
        with trio.testing.assert_checkpoints():
            await near.handshake()


@ALL
async def test_every_call_is_a_checkpoint(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        with trio.testing.assert_checkpoints():
            await near.send_all(b"x")
        with trio.testing.assert_checkpoints():
            await far.receive_some()
        with trio.testing.assert_checkpoints():
            await near.wait_writable()
        with trio.testing.assert_checkpoints():
            await near.flush()
        with trio.testing.assert_checkpoints():
            await near.send_eof()
        with trio.testing.assert_checkpoints():
            await near.aclose()


async def _await_input(stream: ByteStream) -> None:
    with trio.fail_after(20):
        while not stream.may_have_input:
            await trio.sleep(0.001)


@ALL
async def test_says_that_there_is_no_input_only_where_there_is_none(kind, authority):
    async with open_pair(kind, authority) as (near, far):
        await far.send_all(b"abcdef")
        for octet in b"abcdef":  # a stream may have received more than it has handed out
            await _await_input(near)
            assert await near.receive_some(1) == bytes([octet])
        if "tcp" in kind or "unix" in kind:
            assert not near.may_have_input
        await far.send_eof()
        await _await_input(near)
        assert await near.receive_some() == b""
        await near.aclose()
        assert near.may_have_input
