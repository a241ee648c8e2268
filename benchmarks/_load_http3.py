"""The HTTP/3 load: ``python benchmarks/_load_http3.py JSON`` makes it, and prints what came of it as JSON.

One thread around a plain loop: it waits for any of its UDP sockets, takes all the datagrams there are, lets QUIC take them
together, and sends what that gives. Each connection keeps its number of requests under way; when the server ends it with
GOAWAY, another one takes its place. The load ends after a number of requests or after a time, whichever comes first.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import secrets
import selectors
import socket
import sys
import time
from collections.abc import Callable

from _client import Exchange, Outcome
from _client_http3 import HTTP3Client

__all__ = ["HTTP3Job", "HTTP3Load", "HTTP3Report"]

_READ_OCTETS = 65536
_BATCH = 64
_BUFFER_OCTETS = 4 * 1024 * 1024
_PATIENCE_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class HTTP3Job:
    """What load is to be made.

    Args:
        host: the server's address.
        port: its port.
        cafile: what its certificate is held against.
        path: what is asked for.
        connections: how many are kept open.
        streams: requests under way on each of them.
        seconds: after so long no further request is made.
        requests: nor after so many; 0 for no such bound.
        upload_octets: zeros that each request brings along.
        varied: whether every request has another query.
    """

    host: str
    port: int
    cafile: str
    path: str = "/"
    connections: int = 1
    streams: int = 1
    seconds: float = 60.0
    requests: int = 0
    upload_octets: int = 0
    varied: bool = False


@dataclasses.dataclass
class HTTP3Report:
    """What came of it.

    Args:
        requests: completed, with status 200.
        failures: all others but those below.
        retries: requests that the server had not looked at; made again, and counted when they complete.
        seconds: from the first request to the last answer, handshakes not included.
        octets: of bodies received.
        last_body: of the last answer, its last piece.
        connections: how many there were.
        latencies: of all requests, in seconds.
    """

    requests: int = 0
    failures: int = 0
    retries: int = 0
    seconds: float = 0.0
    octets: int = 0
    last_body: str = ""
    connections: int = 0
    latencies: list[float] = dataclasses.field(default_factory=list[float])


class _Connection:
    """One connection of the load, and its socket."""

    def __init__(self, load: HTTP3Load, job: HTTP3Job) -> None:
        self._load = load
        self._job = job
        self.client = HTTP3Client(f"localhost:{job.port}", job.cafile, (job.host, job.port))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self.socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER_OCTETS)
        self.socket.connect((job.host, job.port))
        self.socket.setblocking(False)
        self.running = 0
        self._unsent: list[bytes] = []

    @property
    def over(self) -> bool:
        """Whether it has nothing more to do."""
        return self.client.lost or (self.client.ready and not self.running)

    def fill(self) -> None:
        """Keep as many requests under way as there shall be."""
        while self.running < self._job.streams and not self.client.closing and self._load.take_turn():
            self.running += 1
            began = time.perf_counter()
            method = "POST" if self._job.upload_octets else "GET"
            path = f"{self._job.path}?n={secrets.token_hex(8)}" if self._job.varied else self._job.path
            self.client.open(method, path, self._job.upload_octets, self._end(began))

    def _end(self, began: float) -> Callable[[Exchange], None]:
        def end(exchange: Exchange) -> None:
            self.running -= 1
            self._load.end(exchange, time.perf_counter() - began)

        return end

    def receive(self) -> None:
        """Take the datagrams there are."""
        datagrams: list[bytes] = []
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            while len(datagrams) < _BATCH:
                datagrams.append(self.socket.recv(_READ_OCTETS))
        if datagrams:
            self.client.receive_many(datagrams)

    def send(self) -> None:
        """Send what there is; what the socket does not take waits for the next time."""
        datagrams = self._unsent + self.client.take_output()
        sent = 0
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            for datagram in datagrams:
                self.socket.send(datagram)
                sent += 1
        self._unsent = datagrams[sent:]


class HTTP3Load:
    """Makes a load.

    Args:
        job: which.
        on_progress: called after every answer with how many there were.
    """

    def __init__(self, job: HTTP3Job, on_progress: Callable[[int], None] | None = None) -> None:
        self._job = job
        self._on_progress = on_progress
        self._report = HTTP3Report()
        self._begun = 0
        self._deadline = float("inf")
        self._last_sign = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._connections: list[_Connection] = []

    def take_turn(self) -> bool:
        """Return whether one more request shall be made, and count it."""
        if (self._job.requests and self._begun >= self._job.requests) or time.monotonic() >= self._deadline:
            return False
        self._begun += 1
        return True

    def end(self, exchange: Exchange, seconds: float) -> None:
        """Count what came of a request."""
        report = self._report
        if exchange.outcome is Outcome.COMPLETE and exchange.status == 200:
            report.requests += 1
            report.octets += exchange.octets
            report.last_body = exchange.body[:32].decode("latin-1")
            report.latencies.append(seconds)
        elif exchange.outcome is Outcome.RETRYABLE:
            report.retries += 1
            self._begun -= 1
        else:
            report.failures += 1
        if self._on_progress is not None:
            self._on_progress(report.requests)

    def run(self) -> HTTP3Report:
        """Make the load.

        Raises:
            RuntimeError: nothing came for too long.
        """
        with self._selector:
            for _ in range(self._job.connections):
                self._connect()
            self._run_until(lambda: all(each.client.ready or each.client.lost for each in self._connections))
            began = time.monotonic()
            self._deadline = began + self._job.seconds
            for connection in self._connections:
                connection.fill()
                connection.send()
            self._run_until(lambda: not self._connections)
            self._report.seconds = time.monotonic() - began
        return self._report

    def _connect(self) -> None:
        connection = _Connection(self, self._job)
        self._report.connections += 1
        self._connections.append(connection)
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send()

    def _run_until(self, done: Callable[[], bool]) -> None:
        while not done():
            now = time.monotonic()
            if now - self._last_sign > _PATIENCE_SECONDS:
                raise RuntimeError("nothing came any more")
            timers = [timer for each in self._connections if (timer := each.client.get_timer()) is not None]
            ready = self._selector.select(max(0.0, min([*timers, now + 1]) - now))
            for key, _ in ready:
                key.data.receive()
            now = time.monotonic()
            if ready:
                self._last_sign = now
            for connection in list(self._connections):
                timer = connection.client.get_timer()
                if timer is not None and timer <= now:
                    connection.client.handle_timer()
                if self._deadline < float("inf"):
                    connection.fill()
                connection.send()
                if self._deadline < float("inf") and connection.over:
                    self._retire(connection)

    def _retire(self, connection: _Connection) -> None:
        self._selector.unregister(connection.socket)
        self._connections.remove(connection)
        connection.client.close()
        connection.send()
        connection.socket.close()
        if self._report.failures == 0 and self.take_turn():
            self._begun -= 1
            self._connect()


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(HTTP3Load(HTTP3Job(**json.loads(sys.argv[1]))).run())))
