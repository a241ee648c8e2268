"""The socket stream, where it differs from other byte streams."""

from __future__ import annotations

import gc
import os
import socket

import pytest
import trio
import trio.testing

from hface_trio.networking import SocketByteStream

from ._pairs import DEADLINE_SECONDS, fill, open_pair, receive_all, tcp_pair


class CountingSocket:
    """A socket that notes each call."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.calls: list[str] = []

    def __getattr__(self, name: str):
        attribute = getattr(self._socket, name)
        if not callable(attribute):
            return attribute

        def call(*args):
            self.calls.append(name)
            return attribute(*args)

        return call


@pytest.fixture
async def tcp(authority):
    async with open_pair("tcp", authority) as pair:
        yield pair


async def test_nagles_algorithm_is_off():
    near, far = tcp_pair()
    stream = SocketByteStream(near)
    assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await stream.aclose()
    far.close()


async def test_one_call_to_the_system_receives():
    near, far = tcp_pair()
    with trio.fail_after(DEADLINE_SECONDS), far:
        counting = CountingSocket(near)
        stream = SocketByteStream(counting)
        counting.calls.clear()
        far.sendall(b"abc")
        assert await stream.receive_some() == b"abc"
        assert counting.calls == ["recv"]
        await stream.aclose()


async def test_one_call_to_the_system_sends_all_buffers():
    near, far = tcp_pair()
    with far:
        counting = CountingSocket(near)
        stream = SocketByteStream(counting)
        counting.calls.clear()
        assert stream.send_nowait([b"head", b"body"]) == 8
        assert counting.calls == ["sendmsg"]
        counting.calls.clear()
        assert stream.send_nowait([b"body"]) == 4
        assert counting.calls == ["send"]
        await stream.aclose()


async def test_after_a_full_buffer_it_receives_without_waiting(tcp):
    near, far = tcp
    await near.send_all(b"abcdef")
    assert await far.receive_some(3) == b"abc"
    with trio.testing.assert_checkpoints():
        assert await far.receive_some(3) == b"def"
    # Now it tries at once, in vain, and has to wait after all.
    async with trio.open_nursery() as nursery:

        async def send_later() -> None:
            await trio.testing.wait_all_tasks_blocked(0.01)
            await near.send_all(b"ghi")

        nursery.start_soon(send_later)
        assert await far.receive_some(3) == b"ghi"


async def test_the_addresses_of_both_sides(tcp):
    near, far = tcp
    assert near.extra_attributes.local_address == far.extra_attributes.remote_address
    assert near.extra_attributes.remote_address == far.extra_attributes.local_address
    assert near.extra_attributes.local_address[0] == "127.0.0.1"
    assert near.extra_attributes.tls_version is None


async def test_a_connection_that_was_reset_before_it_is_used():
    near, far = tcp_pair()
    SocketByteStream(far).abort()
    with trio.fail_after(DEADLINE_SECONDS):
        await trio.lowlevel.wait_readable(near)
        stream = SocketByteStream(near)
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()
        stream.abort()


async def test_an_error_names_its_cause(tcp):
    near, far = tcp
    far.abort()
    with pytest.raises(trio.BrokenResourceError, match="the connection broke: Connection reset by peer") as info:
        await near.receive_some()
    assert isinstance(info.value.__cause__, ConnectionResetError)


async def test_data_that_nobody_received_make_a_close_a_reset(tcp):
    near, far = tcp
    await near.send_all(b"never read")
    await trio.lowlevel.wait_readable(far._fd)
    await far.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await near.receive_some()


async def test_a_half_close_that_is_read_to_its_end_keeps_the_last_answer(tcp):
    near, far = tcp
    await near.send_all(b"too much")
    await far.send_all(b"413")
    await far.send_eof()
    assert await receive_all(near) == b"413"
    await near.send_eof()
    assert await receive_all(far) == b"too much"
    await far.aclose()


async def test_ending_the_output_of_a_reset_connection_fails(tcp):
    near, far = tcp
    far.abort()
    with pytest.raises(trio.BrokenResourceError):
        await near.receive_some()
    with pytest.raises(trio.BrokenResourceError):
        await near.send_eof()


async def test_a_wait_for_writability_ends_when_the_peer_resets(tcp):
    near, far = tcp
    await fill(near)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.wait_writable)
        await trio.testing.wait_all_tasks_blocked(0.01)
        far.abort()
    with pytest.raises(trio.BrokenResourceError):
        near.send_nowait([b"x"])


async def test_closing_wakes_who_waits_for_writability(tcp):
    near, _ = tcp
    await fill(near)
    async with trio.open_nursery() as nursery:

        async def close_soon() -> None:
            await trio.testing.wait_all_tasks_blocked(0.01)
            await near.aclose()

        nursery.start_soon(close_soon)
        with pytest.raises(trio.ClosedResourceError):
            await near.wait_writable()


async def test_a_stream_closed_between_readiness_and_receiving(tcp):
    near, far = tcp
    await near.send_all(b"x")
    await trio.lowlevel.wait_readable(far._fd)
    async with trio.open_nursery() as nursery:

        async def receive() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await far.receive_some()

        nursery.start_soon(receive)
        await trio.lowlevel.checkpoint()
        await far.aclose()


async def test_a_receiver_may_close_from_within_a_cancelled_scope(tcp):
    near, far = tcp
    with trio.CancelScope() as scope:
        scope.cancel()
        await far.aclose()
    assert await near.receive_some() == b""


async def test_two_hundred_connections_leave_no_descriptor():
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    with trio.fail_after(DEADLINE_SECONDS):
        for number in range(200):
            near, far = (SocketByteStream(sock) for sock in tcp_pair())
            await near.send_all(b"x")
            await far.receive_some()
            if number % 2:
                near.abort()
                far.abort()
            else:
                await near.aclose()
                await far.aclose()
    assert len(os.listdir("/proc/self/fd")) <= before
