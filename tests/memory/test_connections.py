"""What a thousand idle connections take, and that it is given back."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Iterator

import pytest

from ..interop._payload import MIB
from ..interop._process import ServerProcess
from ._resident import resident_octets

CONNECTIONS = 1000
ALLOWED_OCTETS_PER_CONNECTION = 32 * 1024
ALLOWED_GROWTH_OCTETS = 4 * MIB
REQUEST = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(autouse=True)
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def exchange(sock: socket.socket) -> None:
    sock.sendall(REQUEST)
    received = b""
    while not received.endswith(b"hello\n"):
        received += sock.recv(4096)


def resident_with_idle_connections(server: ServerProcess) -> int:
    """Open the connections, use each once, and let them go; return what was resident while they were idle."""
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS):
            exchange(stack.enter_context(server.connect()))
        assert server.statistics()["connections"] == CONNECTIONS
        server.collect()
        resident = resident_octets(server.pid)
    server.wait_idle()
    return resident


def test_idle_connections_are_cheap_and_released(server: ServerProcess) -> None:
    with server.connect() as sock:
        exchange(sock)
    server.wait_idle()
    tracked = server.collect()
    before = resident_octets(server.pid)
    # The allocator needs two rounds to find its level, and goes up and down a little around it.
    first, second, *later = [resident_with_idle_connections(server) for _ in range(5)]
    assert (first - before) / CONNECTIONS < ALLOWED_OCTETS_PER_CONNECTION
    assert max(later) - second < ALLOWED_GROWTH_OCTETS
    wait_for_objects(server, tracked + CONNECTIONS // 10)


def wait_for_objects(server: ServerProcess, most: int, seconds: float = 5.0) -> None:
    """Wait until the server tracks at most so many objects: its last tasks may still be ending when it is idle."""
    deadline = time.monotonic() + seconds
    while (objects := server.collect()) > most:
        assert time.monotonic() < deadline, f"{objects} objects, {objects - most} too many"
