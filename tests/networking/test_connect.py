"""Connecting: the race of addresses, and what is said when all fail."""

from __future__ import annotations

import errno
import gc
import os
import socket

import pytest
import trio
import trio.testing

from hface_trio.errors import ConnectError
from hface_trio.networking import _connect
from hface_trio.networking._connect import _take_turns, connect_socket

from ._names import free_port, resolving
from ._pairs import DEADLINE_SECONDS


@pytest.fixture
async def resolver():
    names = {
        "both.example": ["::1", "127.0.0.1"],
        "many.example": ["2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2"],
        "nowhere.example": [],
    }
    with resolving(names):
        yield


class Network:
    """Stands in for attempts to connect: what each address does, and when it was tried."""

    def __init__(self, monkeypatch) -> None:
        self.behaviours: dict[str, tuple[float, OSError | None]] = {}
        self.tried: list[tuple[str, float]] = []
        self.cancelled: list[str] = []
        self.sockets: list[socket.socket] = []
        self._started = trio.current_time()
        monkeypatch.setattr(_connect, "_connect", self._attempt)

    async def _attempt(self, target):
        host = target[1][0]
        self.tried.append((host, round(trio.current_time() - self._started, 3)))
        delay, exc = self.behaviours.get(host, (0, None))
        try:
            await trio.sleep(delay)
        except trio.Cancelled:
            self.cancelled.append(host)
            raise
        if exc is not None:
            raise exc
        sock = socket.socket()
        self.sockets.append(sock)
        return sock


def failure(code: int) -> OSError:
    return OSError(code, os.strerror(code))


REFUSED = failure(errno.ECONNREFUSED)
UNREACHABLE = failure(errno.ENETUNREACH)


def test_the_families_take_turns():
    v6, v4 = socket.AF_INET6, socket.AF_INET
    targets = [(v6, 1), (v6, 2), (v6, 3), (v4, 4), (v4, 5)]
    assert _take_turns(targets) == [(v6, 1), (v4, 4), (v6, 2), (v4, 5), (v6, 3)]
    assert _take_turns([(v4, 1), (v6, 2)]) == [(v4, 1), (v6, 2)]
    assert _take_turns([]) == []


async def test_attempts_start_one_delay_after_another(monkeypatch, resolver, autojump_clock):
    network = Network(monkeypatch)
    network.behaviours = dict.fromkeys(("2001:db8::1", "192.0.2.1", "2001:db8::2"), (100, None))
    (await connect_socket(("many.example", 80))).close()
    assert network.tried == [("2001:db8::1", 0), ("192.0.2.1", 0.25), ("2001:db8::2", 0.5), ("192.0.2.2", 0.75)]
    assert sorted(network.cancelled) == ["192.0.2.1", "2001:db8::1", "2001:db8::2"]


async def test_a_failure_starts_the_next_attempt_at_once(monkeypatch, resolver, autojump_clock):
    network = Network(monkeypatch)
    network.behaviours = {"2001:db8::1": (0.1, UNREACHABLE), "192.0.2.1": (0, None)}
    (await connect_socket(("many.example", 80))).close()
    assert network.tried == [("2001:db8::1", 0), ("192.0.2.1", 0.1)]


async def test_the_first_connection_wins(monkeypatch, resolver, autojump_clock):
    network = Network(monkeypatch)
    network.behaviours = {"2001:db8::1": (0.3, None), "192.0.2.1": (10, None)}
    (await connect_socket(("many.example", 80))).close()
    assert network.cancelled == ["192.0.2.1"]


async def test_a_second_connection_at_the_same_moment_is_closed(monkeypatch, resolver, autojump_clock):
    network = Network(monkeypatch)
    network.behaviours = {"2001:db8::1": (0.45, None), "192.0.2.1": (0.2, None)}

    def uncancellable(target):
        async def attempt():
            with trio.CancelScope(shield=True):
                return await network._attempt(target)

        return attempt()

    monkeypatch.setattr(_connect, "_connect", uncancellable)
    winner = await connect_socket(("many.example", 80))
    assert len(network.sockets) == 2
    assert [sock.fileno() >= 0 for sock in network.sockets].count(True) == 1
    winner.close()


async def test_cancelling_closes_all_attempts(monkeypatch, resolver, autojump_clock):
    network = Network(monkeypatch)
    network.behaviours = dict.fromkeys(("2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2"), (100, None))
    with trio.move_on_after(10) as scope:
        await connect_socket(("many.example", 80))
    assert scope.cancelled_caught
    assert len(network.cancelled) == 4


async def test_a_connection_that_comes_with_the_cancellation_is_closed(monkeypatch, resolver, autojump_clock):
    network = Network(monkeypatch)
    with trio.CancelScope() as scope:

        async def connect_and_cancel(target):
            sock = await network._attempt(target)
            scope.cancel()
            return sock

        monkeypatch.setattr(_connect, "_connect", connect_and_cancel)
        await connect_socket(("many.example", 80))
    assert scope.cancelled_caught
    assert [sock.fileno() for sock in network.sockets] == [-1]


async def test_all_failures_are_told(monkeypatch, resolver, autojump_clock):
    network = Network(monkeypatch)
    network.behaviours = {
        "2001:db8::1": (0, UNREACHABLE),
        "2001:db8::2": (0, UNREACHABLE),
        "192.0.2.1": (0, REFUSED),
        "192.0.2.2": (0, REFUSED),
    }
    with pytest.raises(ConnectError) as info:
        await connect_socket(("many.example", 80))
    assert str(info.value) == (
        "cannot connect to many.example:80: 2001:db8::1: Network is unreachable; 192.0.2.1: Connection refused; "
        "2001:db8::2: Network is unreachable; 192.0.2.2: Connection refused"
    )
    assert isinstance(info.value.__cause__, ExceptionGroup)
    assert len(info.value.__cause__.exceptions) == 4
    assert info.value.retryable


async def test_failures_that_are_all_alike_are_told_once(monkeypatch, resolver, autojump_clock):
    network = Network(monkeypatch)
    network.behaviours = dict.fromkeys(("2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2"), (0, REFUSED))
    with pytest.raises(ConnectError) as info:
        await connect_socket(("many.example", 80))
    assert str(info.value) == "cannot connect to many.example:80: Connection refused"


async def test_an_unknown_host(resolver):
    with pytest.raises(ConnectError) as info:
        await connect_socket(("unknown.example", 80))
    assert str(info.value) == "cannot resolve 'unknown.example': Name or service not known"
    assert isinstance(info.value.__cause__, socket.gaierror)


async def test_a_host_without_addresses(resolver):
    with pytest.raises(ConnectError, match=r"cannot connect to nowhere.example:80: the host has no address"):
        await connect_socket(("nowhere.example", 80))


async def test_an_empty_host_is_not_this_machine():
    with pytest.raises(ConnectError, match="cannot connect to an empty host name"):
        await connect_socket(("", 80))


@pytest.mark.parametrize("host", ["ü" * 70, "a\0b"])
async def test_what_cannot_be_a_host(host):
    with pytest.raises(ConnectError, match="cannot resolve"):
        await connect_socket((host, 80))


# Real sockets


async def test_a_refused_connection():
    port = free_port()
    with trio.fail_after(DEADLINE_SECONDS), pytest.raises(ConnectError) as info:
        await connect_socket(("127.0.0.1", port))
    assert str(info.value) == f"cannot connect to 127.0.0.1:{port}: Connection refused"
    assert isinstance(info.value.__cause__, ConnectionRefusedError)


async def test_the_address_that_answers_is_taken(resolver):
    with trio.fail_after(DEADLINE_SECONDS), socket.create_server(("127.0.0.1", 0)) as server:
        sock = await connect_socket(("both.example", server.getsockname()[1]))
        assert sock.getpeername() == server.getsockname()
        assert not sock.getblocking()
        sock.close()


async def test_failed_and_cancelled_attempts_leave_no_descriptor():
    port = free_port()
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    with trio.fail_after(DEADLINE_SECONDS):
        for _ in range(20):
            with pytest.raises(ConnectError):
                await connect_socket(("127.0.0.1", port))
            with trio.CancelScope() as scope:
                scope.cancel()
                await connect_socket(("127.0.0.1", port))
            assert scope.cancelled_caught
    assert len(os.listdir("/proc/self/fd")) <= before


async def test_a_unix_socket(tmp_path):
    path = str(tmp_path / "socket")
    with trio.fail_after(DEADLINE_SECONDS), socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        sock = await connect_socket((f"unix:{path}", 0))
        assert sock.getpeername() == path
        sock.close()


async def test_a_unix_socket_whose_backlog_is_full_is_waited_for(tmp_path):
    path = str(tmp_path / "socket")
    with trio.fail_after(DEADLINE_SECONDS), socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(0)
        first = await connect_socket((f"unix:{path}", 0))
        connected: list[socket.socket] = []

        async def connect() -> None:
            connected.append(await connect_socket((f"unix:{path}", 0)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(connect)
            await trio.sleep(0.05)
            assert not connected
            server.accept()[0].close()
        connected[0].close()
        first.close()


@pytest.mark.parametrize("name", ["missing", "x" * 200, "a\0b"])
async def test_a_unix_socket_that_is_not_there(name, tmp_path):
    with pytest.raises(ConnectError) as info:
        await connect_socket((f"unix:{tmp_path}/{name}", 0))
    assert str(info.value).startswith(f"cannot connect to unix:{tmp_path}/{name}: ")
