"""Make very many HTTP/3 requests over one connection, and see that the server stays as it was.

No request may fail. The server may end a connection with GOAWAY; then the next one takes over, and requests that it had not
looked at are made again. Once the first thousand are done, what the server's garbage collector tracks, and its resident
memory, must not grow. The exit code is 1 when one of these is not so.

    python benchmarks/soak.py                     # 200,000 requests
    python benchmarks/soak.py --requests 20000
"""

from __future__ import annotations

import argparse
import dataclasses
import http.client
import ssl
import statistics
import sys
import time
from collections.abc import Sequence

from _load_http3 import HTTP3Job, HTTP3Load, HTTP3Report
from _servers import ServerProcess, choose_cores, end_in_order, running_server

from hface_trio.testing import throwaway_authority

_REQUESTS = 200_000
_FIRST = 1000
_SAMPLES = 20
_STREAMS = 16
_LAST = 5
_SECONDS_PER_REQUEST = 0.02
_MEMORY_SECONDS = 30.0
ALLOWED_OBJECTS = 1000
ALLOWED_OCTETS = 6 * 1024 * 1024
"""What allocators take while they find their level; two hundred thousand of anything would be far more."""


@dataclasses.dataclass(frozen=True)
class Memory:
    """A server's memory at one moment.

    Args:
        requests: answered so far.
        objects: tracked by its garbage collector.
        octets: resident.
    """

    requests: int
    objects: int
    octets: int


class Soak:
    """Watches a server's memory while it is loaded.

    Args:
        server: which.
        cafile: what its certificate is held against.
        requests: how many are made.
    """

    def __init__(self, server: ServerProcess, cafile: str, requests: int) -> None:
        self._server = server
        self._context = ssl.create_default_context(cafile=cafile)
        self._job = HTTP3Job(
            *server.address, cafile, streams=_STREAMS, requests=requests, seconds=60 + requests * _SECONDS_PER_REQUEST
        )
        self._interval = max(1, (requests - _FIRST) // _SAMPLES)
        self._next = _FIRST
        self.samples: list[Memory] = []

    def run(self) -> HTTP3Report:
        """Make the requests.

        Raises:
            RuntimeError: nothing came for too long.
        """
        return HTTP3Load(self._job, self._look).run()

    def _look(self, requests: int) -> None:
        if requests < self._next:
            return
        self._next += self._interval
        connection = http.client.HTTPSConnection(*self._server.address, context=self._context, timeout=_MEMORY_SECONDS)
        try:
            connection.request("GET", "/memory")
            objects, octets = map(int, connection.getresponse().read().split())
        finally:
            connection.close()
        self.samples.append(Memory(requests, objects, octets))
        print(f"{requests:>9,} requests  {objects:>9,} objects  {octets / 2**20:7.1f} MiB", flush=True)


def growth(samples: Sequence[Memory]) -> tuple[float, float]:
    """Return by how many objects and octets the last samples are above the first one; both by their median."""
    first, last = samples[0], samples[-_LAST:]
    objects = statistics.median(sample.objects for sample in last) - first.objects
    octets = statistics.median(sample.octets for sample in last) - first.octets
    return objects, octets


def judge(requests: int, report: HTTP3Report, samples: Sequence[Memory]) -> list[str]:
    """Return what is wrong, a line each."""
    faults: list[str] = []
    if report.requests != requests or report.failures:
        faults.append(f"{report.requests:,} of {requests:,} requests were answered, {report.failures:,} failed")
    if len(samples) <= 1:
        return [*faults, "the server was not looked at often enough"]
    objects, octets = growth(samples)
    if objects > ALLOWED_OBJECTS:
        faults.append(
            f"{objects:,.0f} objects more than after the first {_FIRST:,} requests; {ALLOWED_OBJECTS:,} are allowed"
        )
    if octets > ALLOWED_OCTETS:
        faults.append(
            f"{octets:,.0f} octets more than after the first {_FIRST:,} requests; {ALLOWED_OCTETS:,} are allowed"
        )
    return faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, print and judge; return the exit code."""
    parser = argparse.ArgumentParser(description="Make very many HTTP/3 requests over one connection.")
    parser.add_argument("--requests", type=int, default=_REQUESTS, help=f"how many (default: {_REQUESTS:,})")
    requests: int = parser.parse_args(arguments).requests
    if requests < 2 * _FIRST:
        parser.error(f"--requests must be {2 * _FIRST} at least")
    end_in_order()
    server_core, _ = choose_cores()
    with throwaway_authority() as authority:
        certificate = authority.issue("localhost", "127.0.0.1")
        with running_server("hface-trio", server_core, certificate) as server:
            soak = Soak(server, authority.cafile, requests)
            began = time.monotonic()
            report = soak.run()
    print(
        f"{report.requests:,} requests over {report.connections} connection(s) in {time.monotonic() - began:.0f} s, "
        f"{report.retries} made again"
    )
    faults = judge(requests, report, soak.samples)
    for fault in faults:
        print(f"FAILED  {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
