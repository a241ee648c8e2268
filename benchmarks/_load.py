"""Load on a server: small GETs, one after the other on each of a number of kept connections.

``wrk`` makes it where it is installed. Otherwise a generator of our own does, ``python benchmarks/_load.py HOST PORT
CONNECTIONS SECONDS``: slower, but the same for every server, and what is measured is the server's time.
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
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from _servers import ServerProcess, pinned

__all__ = ["GENERATORS", "Load", "LoadGenerator", "choose_generator"]

_EXTRA_SECONDS = 20.0


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


LoadGenerator: TypeAlias = Callable[[ServerProcess, int, float, "int | None"], Load]
"""Called with a server, the number of connections, seconds and the core to run on."""


def load_with_wrk(server: ServerProcess, connections: int, seconds: float, core: int | None) -> Load:
    """Load a server with wrk."""
    # wrk takes whole seconds
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{max(1, round(seconds))}s"]
    output = _run([*command, server.url], seconds, core)
    done = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m),", output)
    if done is None:
        raise RuntimeError(f"wrk said something unexpected: {output}")
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    failures = sum(int(number) for match in (other, broken) if match is not None for number in match.groups())
    unit = {"ms": 0.001, "s": 1.0, "m": 60.0}[done[3]]
    return Load(int(done[1]), failures, float(done[2]) * unit)


def load_with_python(server: ServerProcess, connections: int, seconds: float, core: int | None) -> Load:
    """Load a server with the generator of this module."""
    host, port = server.address
    arguments = [host, str(port), str(connections), str(seconds)]
    return Load(**json.loads(_run([sys.executable, str(Path(__file__)), *arguments], seconds, core)))


GENERATORS: dict[str, LoadGenerator] = {"wrk": load_with_wrk, "python": load_with_python}


def choose_generator(name: str) -> str:
    """Return a key of ``GENERATORS``; ``"auto"`` takes wrk where it is installed."""
    if name == "auto":
        return "wrk" if shutil.which("wrk") else "python"
    return name


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
