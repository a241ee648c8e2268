"""Load on a server: small GETs, one after the other on each of a number of kept connections, or on each stream of them.

``wrk`` makes it over HTTP/1.1 where it is installed. Otherwise a generator of our own does, ``python benchmarks/_load.py
HOST PORT CONNECTIONS SECONDS``: slower, but the same for every server, and what is measured is the server's time. ``h2load``
makes it over HTTP/2.
"""

from __future__ import annotations

import dataclasses
import json
import re
import selectors
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from _servers import ServerProcess, pinned

__all__ = ["GENERATORS", "Concurrency", "Load", "LoadGenerator", "choose_generator"]

_EXTRA_SECONDS = 20.0
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclasses.dataclass(frozen=True)
class Concurrency:
    """How many requests are under way at once.

    Args:
        connections: kept open.
        streams: requests on each of them.
    """

    connections: int
    streams: int = 1


@dataclasses.dataclass(frozen=True)
class Load:
    """What a load generator did.

    Args:
        requests: completed requests.
        failures: other answers than 200, and broken connections.
        seconds: how long it took.
    """

    requests: int
    failures: int
    seconds: float


LoadGenerator: TypeAlias = Callable[[ServerProcess, Concurrency, float, "float | None", "int | None"], Load]
"""Called with a server, the concurrency, seconds, how many requests a second the server is known to complete, and the core
to run on."""


def load_with_wrk(
    server: ServerProcess, concurrency: Concurrency, seconds: float, rate: float | None, core: int | None
) -> Load:
    """Load a server with wrk."""
    del rate  # wrk takes whole seconds
    command = ["wrk", "--threads", "1", "--connections", str(concurrency.connections)]
    output = _run([*command, "--duration", f"{max(1, round(seconds))}s", server.url], seconds, core)
    done = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m),", output)
    if done is None:
        raise RuntimeError(f"wrk said something unexpected: {output}")
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    failures = sum(int(number) for match in (other, broken) if match is not None for number in match.groups())
    return Load(int(done[1]), failures, float(done[2]) * _UNITS[done[3]])


def load_with_python(
    server: ServerProcess, concurrency: Concurrency, seconds: float, rate: float | None, core: int | None
) -> Load:
    """Load a server with the generator of this module."""
    del rate
    host, port = server.address
    arguments = [host, str(port), str(concurrency.connections), str(seconds)]
    return Load(**json.loads(_run([sys.executable, str(Path(__file__)), *arguments], seconds, core)))


def load_with_h2load(
    server: ServerProcess, concurrency: Concurrency, seconds: float, rate: float | None, core: int | None
) -> Load:
    """Load a server with h2load, over HTTP/2 and nothing else.

    Where the rate is known, the load is so many requests as make up the seconds: what is under way when a duration is over
    would cost the server time, and not count; the slower the server, the larger a share that is.
    """
    command = ["h2load", "--clients", str(concurrency.connections), "--threads", "1", "--npn-list", "h2"]
    command += ["--max-concurrent-streams", str(concurrency.streams)]
    if rate is None:
        command += ["--duration", str(max(1, round(seconds)))]
    else:
        requests = max(round(rate * seconds), concurrency.connections * concurrency.streams)
        command += ["--requests", str(requests)]
    output = _run([*command, server.url], seconds, core)
    took = re.search(r"^finished in ([\d.]+)(us|ms|s|m),", output, re.MULTILINE)
    done = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    if took is None or done is None:
        raise RuntimeError(f"h2load said something unexpected: {output}")
    succeeded, *failures = map(int, done.groups())
    return Load(succeeded, sum(failures), float(took[1]) * _UNITS[took[2]])


GENERATORS: dict[str, LoadGenerator] = {"wrk": load_with_wrk, "python": load_with_python, "h2load": load_with_h2load}


def choose_generator(wanted: str, able: Sequence[str]) -> str | None:
    """Return a key of ``GENERATORS``.

    Args:
        wanted: taken if it is able; ``"auto"``, or one that is not, takes the first that is installed.
        able: those that can make the load, the best first.

    Returns:
        ``None`` if none is installed.
    """
    if wanted in able:
        able = [wanted]
    return next((name for name in able if name == "python" or shutil.which(name)), None)


def _run(command: list[str], seconds: float, core: int | None) -> str:
    with pinned(core):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            output, _ = process.communicate(timeout=seconds + _EXTRA_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise RuntimeError(f"{command[0]} did not end") from None
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return output


class _Client:
    """One connection of the generator: sends a request, and the next one as soon as the answer is complete."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._request = b"GET / HTTP/1.1\r\nHost: %b:%d\r\n\r\n" % (address[0].encode(), address[1])
        self._received = b""
        self.completed = 0
        self.failures = 0
        self.socket = socket.create_connection(address, timeout=_EXTRA_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(self._request)

    def receive(self) -> bool:
        """Receive what has come; return whether the connection can go on."""
        data = self.socket.recv(65536)
        self._received += data
        if not data:
            self.failures += 1
            return False
        if self._is_complete():
            self.completed += 1
            self.failures += not self._received.startswith(b"HTTP/1.1 200 ")
            self._received = b""
            self.socket.sendall(self._request)
        return True

    def _is_complete(self) -> bool:
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return False
        found = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if found is None:
            raise RuntimeError("an answer has no content-length")
        return len(body) >= int(found[1])


def generate(address: tuple[str, int], connections: int, seconds: float) -> Load:
    """Load whatever listens at ``address`` from this thread."""
    with selectors.DefaultSelector() as selector:
        clients = [_Client(address) for _ in range(connections)]
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        began_at = time.monotonic()
        while selector.get_map() and time.monotonic() - began_at < seconds:
            for key, _ in selector.select(1.0):
                client = key.data
                if not client.receive():
                    selector.unregister(client.socket)
        took = time.monotonic() - began_at
        for client in clients:
            client.socket.close()
    return Load(sum(client.completed for client in clients), sum(client.failures for client in clients), took)


if __name__ == "__main__":
    _host, _port, _connections, _seconds = sys.argv[1:]
    print(json.dumps(dataclasses.asdict(generate((_host, int(_port)), int(_connections), float(_seconds)))))
