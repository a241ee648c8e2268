"""What an idle connection takes: resident memory of the server with many of them, less what it was without."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Generator, Iterator

from _application import BODY
from _figures import Figure, Measurement, Sample
from _servers import ServerProcess, running_server
from _setting import Setting

__all__ = ["measure_idle"]

_SERVERS = (
    "bare-trio",
    "hface-trio",
    "hface-trio-httptools",
    "hypercorn",
    "uvicorn",
    "uvicorn-httptools",
    "bare-h11",
)
_ESSENTIAL = ("bare-trio", "hface-trio", "hface-trio-httptools")
_CONNECTIONS = 10_000
_QUICK_CONNECTIONS = 2_000
_WARM_UP = 50
_SECONDS = 10.0
_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
_FIGURES = (
    Figure("kib_per_connection", "KiB/connection"),
    Figure("before_mib", "without, MiB"),
    Figure("with_mib", "with, MiB"),
)


def measure_idle(setting: Setting) -> Iterator[Measurement]:
    """Measure each server in a process of its own."""
    count = _count(setting)
    measurement = Measurement(
        "idle",
        "Idle connections",
        f"{count:,} HTTP/1.1 connections in cleartext, each kept after one request; growth of resident memory.",
        _FIGURES,
        "kib_per_connection",
        "bare-trio",
    )
    for name in setting.choose(_SERVERS, essential=_ESSENTIAL):
        with running_server(name, setting.server_core, None) as server, setting.watching(server, "1.1"):
            measurement.add(name, server.label, _measure(server, count))
    yield measurement


def _measure(server: ServerProcess, count: int) -> Sample:
    with _connections(server, _WARM_UP):
        pass  # what the first ones take is not theirs
    before = server.resident_octets()
    with _connections(server, count):
        after = server.resident_octets()
    return {
        "kib_per_connection": (after - before) / count / 1024,
        "before_mib": before / 2**20,
        "with_mib": after / 2**20,
    }


def _count(setting: Setting) -> int:
    """Return how many there can be, and allow this process that many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(_QUICK_CONNECTIONS if setting.quick else _CONNECTIONS, hard - 500)


@contextlib.contextmanager
def _connections(server: ServerProcess, count: int) -> Generator[None]:
    connections: list[socket.socket] = []
    try:
        for _ in range(count):
            connection = socket.create_connection(server.address, timeout=_SECONDS)
            connections.append(connection)
            connection.sendall(_REQUEST)
            received = b""
            while not received.endswith(BODY):
                data = connection.recv(4096)
                if not data:
                    raise RuntimeError(f"{server.name} closed connection {len(connections)}")
                received += data
        yield
    finally:
        for connection in connections:
            connection.close()
