"""Clients: processor time of a small request on the side that makes it, requests per second and latencies.

The server is always this package's. Every round runs every client once, each in a process of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

from _client_programs import CLIENTS, ClientJob, ClientReport
from _figures import Figure, Measurement, Sample
from _load import percentiles, run_pinned
from _servers import ServerProcess, running_server
from _setting import Setting

__all__ = ["measure_clients", "read_report"]

_PROGRAM = Path(__file__).with_name("_client_programs.py")
_SERVER = "hface-trio"
_FLOOR = "bare-trio"
_CLIENTS = {
    "1.1": ("bare-trio", "hface-trio", "hface-trio-httptools", "httpx", "niquests"),
    "2": ("bare-trio", "hface-trio", "httpx", "niquests"),
    "3": ("bare-trio", "hface-trio", "niquests"),
}
_ESSENTIAL = ("bare-trio", "hface-trio", "hface-trio-httptools")
_TASKS = 8
_FIGURES = (
    Figure("processor_us", "µs/request"),
    Figure("requests_per_second", "requests/s", 0),
    Figure("p50_ms", "p50 ms", 2),
    Figure("p99_ms", "p99 ms", 2),
)


@dataclasses.dataclass(frozen=True)
class _Client:
    """A client to be measured, and where it sends its requests."""

    name: str
    label: str
    http_version: str
    server: ServerProcess

    def measure(self, setting: Setting) -> Sample:
        job = ClientJob(self.server.url, self.http_version, setting.cafile, _TASKS, setting.seconds)
        command = [sys.executable, str(_PROGRAM), self.name, json.dumps(dataclasses.asdict(job))]
        report = read_report(run_pinned(command, job.seconds, setting.load_core))
        p50, _, p99 = (1000 * each for each in percentiles(report.latencies))
        return {
            "processor_us": report.processor_seconds / report.requests * 1e6,
            "requests_per_second": report.requests / report.seconds,
            "p50_ms": p50,
            "p99_ms": p99,
        }


def read_report(output: str) -> ClientReport:
    """Read the last line that a client has printed.

    Raises:
        RuntimeError: it is no report, or one of no requests.
    """
    try:
        report = ClientReport(**json.loads(output.splitlines()[-1]))
        figures = (report.requests, report.seconds, report.processor_seconds, len(report.latencies))
        usable = all(0 < figure < math.inf for figure in figures)
    except (ValueError, TypeError, IndexError) as exc:
        raise RuntimeError(f"the client's report cannot be read: {exc}") from exc
    if not usable:
        raise RuntimeError("the client completed no request, or does not say how long it took")
    return report


def measure_clients(setting: Setting) -> Iterator[Measurement]:
    """Measure every version."""
    for http_version in setting.http_versions:
        transport = "HTTP/1.1, cleartext" if http_version == "1.1" else f"HTTP/{http_version}, TLS"
        measurement = Measurement(
            f"clients-{http_version}",
            f"Clients, HTTP/{http_version}",
            f"Processor time of the client for small GETs over {transport}; {_TASKS} at once, answered by this package. "
            "Bare trio sends and receives the same octets again and again, over HTTP/1.1 in cleartext.",
            _FIGURES,
            "processor_us",
            _FLOOR,
        )
        names = setting.choose(_CLIENTS[http_version], essential=_ESSENTIAL, programs=CLIENTS)
        with contextlib.ExitStack() as stack:
            plain = stack.enter_context(running_server(_SERVER, setting.server_core, None))
            server = plain
            if http_version != "1.1":
                server = stack.enter_context(running_server(_SERVER, setting.server_core, setting.certificate))
            clients = [
                _Client(name, CLIENTS[name].label, *(("1.1", plain) if name == _FLOOR else (http_version, server)))
                for name in names
            ]
            for number in range(setting.few_rounds):
                for client in reversed(clients) if number % 2 else clients:
                    sample: Sample = {}  # of a round that fails, so that those after it still stand beside each other
                    with setting.watching(client, http_version):
                        sample = client.measure(setting)
                    measurement.add(client.name, client.label, sample)
        measurement.rounds = {name: measurement.rounds[name] for name in names if name in measurement.rounds}
        yield measurement
