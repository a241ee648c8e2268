"""UDP sockets of the system, on the loopback interface."""

from __future__ import annotations

import errno
import socket

import pytest
import trio
import trio.testing

from hface_trio.networking import SystemNetworking, UDPSocket
from hface_trio.networking import _udp_segments as segments

pytestmark = pytest.mark.timeout(30, method="signal")

DEADLINE_SECONDS = 10


class FakeSocket:
    """A UDP socket that fails as told; counts what went out and how."""

    family = socket.AF_INET

    def __init__(self, *, fail=(), fail_runs=None):
        self.failures = dict(fail)
        self.fail_runs = fail_runs
        self.singles: list[bytes] = []
        self.runs: list[list[bytes]] = []

    def setblocking(self, flag):
        pass

    def getsockname(self):
        return ("127.0.0.1", 9)

    def getsockopt(self, level, option):
        return 0

    def sendto(self, data, target):
        number = len(self.singles)
        failure = self.failures.pop(number, None)
        if failure is not None:
            if failure != errno.EAGAIN:
                self.singles.append(b"")
            raise OSError(failure, "failed") if failure != errno.EAGAIN else BlockingIOError()
        self.singles.append(data)

    def sendmsg(self, buffers, ancillary, flags, target):
        if self.fail_runs is not None:
            raise OSError(self.fail_runs, "failed") if self.fail_runs != errno.EAGAIN else BlockingIOError()
        self.runs.append(list(buffers))


def runs_of(sizes, targets=None):
    targets = targets or [("127.0.0.1", 9)] * len(sizes)
    return [(bytes(size), target) for size, target in zip(sizes, targets, strict=True)]


@pytest.fixture
async def pair():
    networking = SystemNetworking()
    (server,) = await networking.listen_udp(("127.0.0.1", 0))
    client = await networking.bind_udp(server.local_address)
    with trio.fail_after(DEADLINE_SECONDS):
        yield client, server
    await client.aclose()
    await server.aclose()


def as_loopback(udp: UDPSocket):
    return ("127.0.0.1", udp.local_address[1])


async def receive_count(udp, count):
    received = []
    while len(received) < count:
        received += await udp.receive()
    return received


async def test_a_datagram_arrives_with_its_origin(pair):
    client, server = pair
    assert client.send_nowait([(b"hello", server.local_address)]) == 1
    assert await server.receive() == [(b"hello", as_loopback(client))]


async def test_the_answer_arrives_at_an_unconnected_socket(pair):
    client, server = pair
    server.send_nowait([(b"hello", as_loopback(client))])
    assert await client.receive() == [(b"hello", server.local_address)]


@pytest.mark.parametrize("segmentation", [True, False])
async def test_datagrams_keep_their_order_and_their_borders(segmentation, pair):
    _, server = pair
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    client = UDPSocket(sock, segmentation=segmentation)
    sizes = [100, 100, 100, 7, 100, 0, 1200, 1200, 1, 1, 300]
    datagrams = [(bytes([number]) * size, server.local_address) for number, size in enumerate(sizes)]
    assert client.send_nowait(datagrams) == len(datagrams)
    assert [data for data, _ in await receive_count(server, len(sizes))] == [data for data, _ in datagrams]
    await client.aclose()


async def test_more_than_one_call_can_carry_is_sent_by_several(pair):
    client, server = pair
    datagrams = [(number.to_bytes(2, "big") * 600, server.local_address) for number in range(150)]
    taken = 0
    received = []
    while len(received) < len(datagrams):
        taken += client.send_nowait(datagrams[taken:])
        received += await server.receive()
    assert [data for data, _ in received] == [data for data, _ in datagrams]


async def test_a_batch_is_bounded(pair):
    client, server = pair
    client.send_nowait([(b"x", server.local_address)] * 100)
    assert len(await server.receive()) == 64
    assert len(await server.receive()) == 36


async def test_a_cancelled_receive_takes_nothing(pair):
    client, server = pair
    with trio.move_on_after(0.01) as scope:
        await server.receive()
    assert scope.cancelled_caught
    client.send_nowait([(b"x", server.local_address)])
    with trio.CancelScope() as scope:
        scope.cancel()
        await server.receive()
    assert scope.cancelled_caught
    assert await server.receive() == [(b"x", as_loopback(client))]


async def test_one_task_receives_at_a_time(pair):
    _, server = pair
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.receive)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await server.receive()
        nursery.cancel_scope.cancel()


async def test_closing_wakes_who_receives_and_ends_all_use(pair):
    client, server = pair

    async def receive() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await server.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        await server.aclose()
    await server.aclose()
    with pytest.raises(trio.ClosedResourceError):
        server.send_nowait([(b"x", client.local_address)])
    with pytest.raises(trio.ClosedResourceError):
        await server.wait_writable()
    with pytest.raises(trio.ClosedResourceError):
        await server.receive()


async def test_an_idle_socket_is_writable(pair):
    client, _ = pair
    await client.wait_writable()


async def test_what_the_network_says_of_a_closed_port_is_not_listened_to(pair):
    client, server = pair
    (gone,) = await SystemNetworking().listen_udp(("127.0.0.1", 0))
    await gone.aclose()
    for _ in range(3):
        assert client.send_nowait([(b"x", gone.local_address)]) == 1
    server.send_nowait([(b"alive", as_loopback(client))])
    assert await client.receive() == [(b"alive", server.local_address)]


async def test_errors_told_on_receipt_are_counted_and_passed_over(pair, monkeypatch):
    client, server = pair
    client.send_nowait([(b"x", server.local_address)])
    real = server._socket

    class Refused:
        failures = 2

        def fileno(self):
            return real.fileno()

        def close(self):
            real.close()

        def recvfrom_into(self, buffer):
            if self.failures:
                self.failures -= 1
                raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
            return real.recvfrom_into(buffer)

    server._socket = Refused()
    assert await server.receive() == [(b"x", as_loopback(client))]
    assert server.statistics().receive_errors == 2


async def test_a_broken_socket_is_told(pair):
    client, server = pair
    client.send_nowait([(b"x", server.local_address)])
    real = server._socket

    class Broken:
        def fileno(self):
            return real.fileno()

        def close(self):
            real.close()

        def recvfrom_into(self, buffer):
            raise OSError(errno.ENOTSOCK, "not a socket")

    server._socket = Broken()
    with pytest.raises(trio.BrokenResourceError, match="not a socket"):
        await server.receive()


async def test_a_datagram_that_is_too_long_is_dropped_and_counted(pair):
    client, server = pair
    datagrams = [(bytes(65_530), server.local_address), (b"x", server.local_address)]
    assert client.send_nowait(datagrams) == 2
    assert await server.receive() == [(b"x", as_loopback(client))]
    assert client.statistics().too_long == 1


@pytest.mark.parametrize(
    "address",
    [
        ("::1", 443),
        ("127.0.0.1", 0),
        ("127.0.0.1", 70_000),
        ("localhost", 443),
        ("", 443),
        ("127.0.0.1%lo", 443),
        ("a\0", 1),
    ],
)
async def test_where_nothing_can_be_sent_it_is_dropped_and_counted(address, pair):
    client, _ = pair
    assert client.send_nowait([(b"x", address), (b"x", address)]) == 2
    assert client.statistics().unsendable == 2


async def test_what_was_moved_is_counted(pair):
    client, server = pair
    client.send_nowait([(b"x", server.local_address)] * 3)
    await receive_count(server, 3)
    assert client.statistics().sent == 3
    assert server.statistics().received == 3


async def test_a_server_answers_from_the_address_that_was_asked():
    networking = SystemNetworking()
    with trio.fail_after(DEADLINE_SECONDS):
        sockets = await networking.listen_udp(("", 0))
        server = next(udp for udp in sockets if udp.local_address[0] == "0.0.0.0")
        client = await networking.bind_udp(("127.0.0.1", 9))
        for host in ("127.0.0.2", "127.0.0.1", "127.0.0.3"):
            asked = (host, server.local_address[1])
            client.send_nowait([(b"question", asked)])
            ((_, origin),) = await server.receive()
            server.send_nowait([(b"answer", origin)])
            server.send_nowait([(b"answer", origin), (b"answer", origin)])
            assert await receive_count(client, 3) == [(b"answer", asked)] * 3
        for udp in (*sockets, client):
            await udp.aclose()


async def test_ipv6_where_there_is_some():
    networking = SystemNetworking()
    with trio.fail_after(DEADLINE_SECONDS):
        try:
            sockets = await networking.listen_udp(("::", 0))
        except OSError:
            return  # turned off on this machine; what is said of addresses is tested below
        server = sockets[0]
        client = await networking.bind_udp(("::1", 9))
        client.send_nowait([(b"question", ("::1", server.local_address[1]))] * 2)
        received = await receive_count(server, 2)
        assert received[0][1][0] == "::1"
        server.send_nowait([(b"answer", received[0][1])] * 2)
        assert await receive_count(client, 2) == [(b"answer", ("::1", server.local_address[1]))] * 2
        await server.aclose()
        await client.aclose()


# Segmentation


@pytest.mark.parametrize(
    ("sizes", "end"),
    [
        ([5], 1),
        ([5, 5, 5], 3),
        ([5, 5, 3], 3),
        ([5, 5, 3, 5], 3),
        ([5, 3, 3], 2),
        ([5, 6], 1),
        ([5, 0, 5], 1),
        ([0, 0], 1),
        ([1] * 100, 64),
        ([1200] * 100, 54),
        ([60_000, 60_000], 1),
    ],
)
def test_where_a_run_ends(sizes, end):
    assert segments.run_end(runs_of(sizes), 0) == end


def test_a_run_has_one_target():
    targets = [("127.0.0.1", 9), ("127.0.0.1", 9), ("127.0.0.1", 10)]
    assert segments.run_end(runs_of([5, 5, 5], targets), 0) == 2
    assert segments.run_end(runs_of([5, 5, 5], targets), 2) == 3


def test_a_run_leaves_in_one_call():
    fake = FakeSocket()
    udp = UDPSocket(fake)
    assert udp.send_nowait(runs_of([9] * 10)) == 10
    assert (len(fake.runs), fake.singles) == (1, [])


def test_a_refusal_turns_segmentation_off_and_loses_nothing():
    fake = FakeSocket(fail_runs=errno.EIO)
    udp = UDPSocket(fake)
    assert udp.send_nowait(runs_of([9] * 3)) == 3
    assert len(fake.singles) == 3
    assert not udp.segmentation


def test_a_run_that_fails_otherwise_is_sent_one_by_one_and_the_next_is_tried_again():
    fake = FakeSocket(fail_runs=errno.EINVAL)
    udp = UDPSocket(fake)
    assert udp.send_nowait(runs_of([9] * 3)) == 3
    assert len(fake.singles) == 3
    assert udp.segmentation


def test_a_full_kernel_takes_no_run():
    udp = UDPSocket(FakeSocket(fail_runs=errno.EAGAIN))
    assert udp.send_nowait(runs_of([9, 9, 9])) == 0
    assert udp.segmentation


def test_what_was_taken_before_the_kernel_was_full_is_told():
    udp = UDPSocket(FakeSocket(fail={2: errno.EAGAIN}), segmentation=False)
    assert udp.send_nowait(runs_of([9] * 5)) == 2


def test_what_was_taken_of_a_run_sent_one_by_one_is_told():
    udp = UDPSocket(FakeSocket(fail_runs=errno.EIO, fail={2: errno.EAGAIN}))
    assert udp.send_nowait(runs_of([1, *[9] * 5])) == 2


def test_datagrams_that_fail_are_dropped_one_by_one():
    fake = FakeSocket(fail={0: errno.EPERM, 2: errno.EMSGSIZE})
    udp = UDPSocket(fake, segmentation=False)
    assert udp.send_nowait(runs_of([9] * 4)) == 4
    statistics = udp.statistics()
    assert (statistics.sent, statistics.unsendable, statistics.too_long) == (2, 1, 1)


def test_a_kernel_without_segmentation_is_not_asked_for_it():
    class Old(FakeSocket):
        def getsockopt(self, level, option):
            raise OSError(errno.ENOPROTOOPT, "Protocol not available")

    fake = Old()
    udp = UDPSocket(fake)
    assert not udp.segmentation
    udp.send_nowait(runs_of([9, 9]))
    assert len(fake.singles) == 2
