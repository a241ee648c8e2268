"""The sender of a UDP socket: order, fairness and bounds."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio.networking import DatagramSender, DatagramSocket, DatagramStatistics

pytestmark = pytest.mark.timeout(20, method="signal")

TARGET = ("192.0.2.1", 443)


class FakeSocket(DatagramSocket):
    """Takes as many datagrams as it is allowed to."""

    def __init__(self, allowed=0):
        self.allowed = allowed
        self.sent: list[bytes] = []
        self.calls = 0
        self.closed = False
        self.writable = trio.Event()

    @property
    def local_address(self):
        return ("192.0.2.2", 443)

    def allow(self, count):
        self.allowed += count
        self.writable.set()

    def send_nowait(self, datagrams):
        if self.closed:
            raise trio.ClosedResourceError("closed")
        self.calls += 1
        count = min(self.allowed, len(datagrams))
        self.allowed -= count
        self.sent += [data for data, _ in datagrams[:count]]
        return count

    async def wait_writable(self):
        while not self.allowed:
            if self.closed:
                raise trio.ClosedResourceError("closed")
            self.writable = trio.Event()
            await self.writable.wait()
        await trio.lowlevel.checkpoint()

    async def receive(self):
        raise NotImplementedError

    def statistics(self):
        return DatagramStatistics()

    async def aclose(self):
        self.closed = True
        self.writable.set()
        await trio.lowlevel.checkpoint()


def datagrams(name: bytes, count: int, octets: int = 10):
    return [((name + b"%d" % number).ljust(octets), TARGET) for number in range(count)]


def names(sent):
    return [data.strip() for data in sent]


@pytest.fixture
async def running(nursery, autojump_clock):
    socket = FakeSocket()
    sender = DatagramSender(socket, room_octets=100, queue_octets=400)
    nursery.start_soon(sender.run)
    await trio.testing.wait_all_tasks_blocked()
    return socket, sender


async def settle():
    await trio.testing.wait_all_tasks_blocked()


async def test_what_can_leave_at_once_leaves_within_submit(autojump_clock):
    socket = FakeSocket(allowed=10)
    sender = DatagramSender(socket)
    assert sender.submit("a", datagrams(b"a", 3))
    assert names(socket.sent) == [b"a0", b"a1", b"a2"]
    assert socket.calls == 1
    assert sender.statistics().queued_connections == 0


async def test_the_rest_leaves_when_the_socket_is_writable(running):
    socket, sender = running
    socket.allowed = 1
    sender.submit("a", datagrams(b"a", 3))
    assert names(socket.sent) == [b"a0"]
    socket.allow(10)
    await settle()
    assert names(socket.sent) == [b"a0", b"a1", b"a2"]


async def test_nothing_overtakes_what_waits(running):
    socket, sender = running
    sender.submit("a", datagrams(b"a", 1))
    socket.allowed = 10
    sender.submit("a", datagrams(b"x", 1))
    sender.submit("b", datagrams(b"b", 1))
    assert socket.sent == []
    socket.allow(0)
    await settle()
    assert names(socket.sent) == [b"a0", b"b0", b"x0"] or names(socket.sent) == [b"a0", b"x0", b"b0"]


async def test_connections_take_turns(autojump_clock, nursery):
    socket = FakeSocket()
    sender = DatagramSender(socket, room_octets=10_000, queue_octets=10_000)
    nursery.start_soon(sender.run)
    sender.submit("a", datagrams(b"a", 200))
    sender.submit("b", datagrams(b"b", 2))
    socket.allow(40)
    await settle()
    assert {b"b0", b"b1"} <= set(names(socket.sent))
    socket.allow(1000)
    await settle()
    assert len(socket.sent) == 202
    assert [data for data in names(socket.sent) if data[:1] == b"a"] == [b"a%d" % number for number in range(200)]


async def test_one_octet_of_progress_at_a_time_still_takes_turns(running):
    socket, sender = running
    for name in (b"a", b"b", b"c"):
        sender.submit(name, datagrams(name, 3))
    for _ in range(9):
        socket.allow(1)
        await settle()
    assert names(socket.sent) == [b"a0", b"b0", b"c0", b"a1", b"b1", b"c1", b"a2", b"b2", b"c2"]


async def test_a_connection_over_its_room_is_told_to_wait(running):
    socket, sender = running
    assert sender.submit("a", datagrams(b"a", 9))
    assert not sender.submit("a", datagrams(b"a", 1))
    assert not sender.has_room("a")
    assert sender.has_room("b")
    room = trio.Event()

    async def wait() -> None:
        await sender.wait_room("a")
        room.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await settle()
        assert not room.is_set()
        socket.allow(1)
        await settle()
        assert room.is_set()


async def test_waiting_for_room_that_is_there_is_a_checkpoint(running):
    _, sender = running
    with trio.testing.assert_checkpoints():
        await sender.wait_room("a")
    with trio.testing.assert_checkpoints():
        await sender.flush()


async def test_what_goes_beyond_the_bound_is_dropped_and_counted(running):
    socket, sender = running
    assert not sender.submit("a", datagrams(b"a", 50))
    assert not sender.submit("a", datagrams(b"x", 1))
    statistics = sender.statistics()
    assert (statistics.queued_datagrams, statistics.queued_octets, statistics.dropped) == (40, 400, 11)
    socket.allow(100)
    await settle()
    assert len(socket.sent) == 40
    assert sender.statistics().queued_octets == 0


async def test_one_datagram_may_always_wait(autojump_clock):
    sender = DatagramSender(FakeSocket(), room_octets=100, queue_octets=100)
    sender.submit("a", datagrams(b"a", 1, octets=1000))
    assert sender.statistics().queued_datagrams == 1


async def test_what_is_forgotten_is_not_sent(running):
    socket, sender = running
    sender.submit("a", datagrams(b"a", 10))
    sender.submit("b", datagrams(b"b", 1))
    sender.forget("a")
    sender.forget("a")
    assert sender.has_room("a")
    socket.allow(10)
    await settle()
    assert names(socket.sent) == [b"b0"]
    assert sender.statistics().dropped == 10


async def test_forgetting_wakes_who_waits(running):
    _, sender = running
    sender.submit("a", datagrams(b"a", 10))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender.wait_room, "a")
        nursery.start_soon(sender.flush)
        await settle()
        sender.forget("a")


async def test_flush_waits_for_all(running):
    socket, sender = running
    sender.submit("a", datagrams(b"a", 5))
    flushed = trio.Event()

    async def flush() -> None:
        await sender.flush()
        flushed.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(flush)
        await settle()
        socket.allow(4)
        await settle()
        assert not flushed.is_set()
        socket.allow(1)
        await settle()
        assert flushed.is_set()


async def test_a_closed_socket_ends_the_sender_and_tells_who_waits(autojump_clock):
    socket = FakeSocket()
    sender = DatagramSender(socket, room_octets=100)

    async def wait(function, *args) -> None:
        with pytest.raises(trio.ClosedResourceError):
            await function(*args)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender.run)
        sender.submit("a", datagrams(b"a", 10))
        nursery.start_soon(wait, sender.wait_room, "a")
        nursery.start_soon(wait, sender.flush)
        await settle()
        await socket.aclose()
    assert sender.submit("a", datagrams(b"a", 1))
    assert sender.statistics().dropped == 11
    await wait(sender.wait_room, "a")
    await wait(sender.flush)


async def test_a_socket_closed_before_submit(autojump_clock):
    socket = FakeSocket()
    sender = DatagramSender(socket)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender.run)
        await socket.aclose()
        assert sender.submit("a", datagrams(b"a", 1))
    assert sender.statistics().dropped == 1


async def test_cancelling_the_sender_tells_who_waits(autojump_clock):
    sender = DatagramSender(FakeSocket(), room_octets=10)

    async def wait() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await sender.wait_room("a")

    async with trio.open_nursery() as nursery, trio.open_nursery() as inner:
        inner.start_soon(sender.run)
        sender.submit("a", datagrams(b"a", 10))
        nursery.start_soon(wait)
        await settle()
        inner.cancel_scope.cancel()


async def test_real_sockets_that_are_full():
    from hface_trio.networking import SystemNetworking

    networking = SystemNetworking()
    with trio.fail_after(10):
        (server,) = await networking.listen_udp(("127.0.0.1", 0))
        client = await networking.bind_udp(server.local_address)
        sender = DatagramSender(client)
        assert sender.socket is client
        received = 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sender.run)
            for number in range(50):
                sender.submit(number, [(bytes(1200), server.local_address)] * 10)
                received += len(await server.receive())
            await sender.flush()
            while received < 500:
                received += len(await server.receive())
            nursery.cancel_scope.cancel()
        await client.aclose()
        await server.aclose()
