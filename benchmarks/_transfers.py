"""Large bodies: processor time of the server, octets for a second of it, and time by the clock.

Over HTTP/1.1 and HTTP/2 curl makes them, over HTTP/3 the generator of the load. What is uploaded are zeros; the octets that
arrived are counted at both ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from _figures import Figure, Measurement, Sample
from _load import run_http3, run_pinned
from _load_http3 import HTTP3Job
from _servers import ServerProcess, running_server
from _setting import Setting

__all__ = ["measure_transfers"]

Direction = Literal["down", "up"]

_MIB = 1024 * 1024
_LONGEST_SECONDS = 20.0
_HTTP_OPTIONS = {"1.1": "--http1.1", "2": "--http2"}
_REPORT = "\n%{http_code} %{http_version} %{size_download} %{time_total}"
_FIGURES = (
    Figure("down_processor_s", "down, processor s", 3),
    Figure("down_mib_per_s", "down, MiB/processor s", 0),
    Figure("down_wall_s", "down, s", 3),
    Figure("up_processor_s", "up, processor s", 3),
    Figure("up_mib_per_s", "up, MiB/processor s", 0),
    Figure("up_wall_s", "up, s", 3),
    Figure("peak_mib", "peak MiB"),
)
_SERVERS = {
    "1.1": ("bare-trio", "hface-trio", "hface-trio-httptools", "hypercorn", "uvicorn", "uvicorn-httptools"),
    "2": ("bare-trio", "hface-trio", "hypercorn"),
    "3": ("bare-trio", "hface-trio", "hypercorn", "bare-aioquic"),
}
_ESSENTIAL = ("bare-trio", "hface-trio")
_FLOOR = "bare-trio"
_LEAST_ROUNDS = 3
"""One transfer is over so soon that anything else which runs meanwhile makes a large part of it."""
_FLOOR_OCTETS = 128 * _MIB
_OCTETS = {"1.1": 128 * _MIB, "2": 128 * _MIB, "3": 16 * _MIB}


@dataclasses.dataclass(frozen=True)
class _Transfers:
    """Makes transfers of one version.

    Args:
        http_version: which.
        octets: how large they are.
        uploads: files of zeros, by size.
        setting: of the run.
    """

    http_version: str
    octets: int
    uploads: dict[int, Path]
    setting: Setting

    def measure(self, server: ServerProcess) -> Sample:
        """Make one in each direction."""
        sample: Sample = {}
        directions: tuple[Direction, Direction] = ("down", "up")
        for direction in directions:
            before = server.processor_seconds()
            # The floor knows no other version; for those it is a measure of the machine and of TLS.
            by_curl = self.http_version != "3" or server.name == _FLOOR
            try:
                seconds = self._by_curl(server, direction) if by_curl else self._by_http3(server, direction)
            except RuntimeError as exc:
                raise RuntimeError(f"{direction}: {exc}") from exc
            processor_seconds = server.processor_seconds() - before
            share = self.octets / self._octets_of(server)
            sample[f"{direction}_processor_s"] = processor_seconds * share
            sample[f"{direction}_mib_per_s"] = self.octets / _MIB / (processor_seconds * share)
            sample[f"{direction}_wall_s"] = seconds * share
        sample["peak_mib"] = server.peak_octets() / _MIB
        return sample

    def _octets_of(self, server: ServerProcess) -> int:
        """Return how large bodies are: for the floor as large as can be, so that its figure is a steady one."""
        return _FLOOR_OCTETS if server.name == _FLOOR else self.octets

    def _by_curl(self, server: ServerProcess, direction: Direction) -> float:
        down = direction == "down"
        http_version = "1.1" if server.name == _FLOOR else self.http_version
        command = ["curl", "--silent", "--show-error", "--max-time", str(_LONGEST_SECONDS), "--noproxy", "*"]
        # Expect would add a round trip, and curl's wait of a second where a server does not answer it.
        command += ["--cacert", self.setting.cafile, _HTTP_OPTIONS[http_version], "--header", "Expect:"]
        command += ["--write-out", _REPORT]
        command += ["--output", "/dev/null"] if down else ["--upload-file", str(self.uploads[self._octets_of(server)])]
        octets = self._octets_of(server)
        path = f"download/{octets}" if down else "upload"
        output = run_pinned([*command, server.url + path], _LONGEST_SECONDS, self.setting.load_core)
        body, _, report = output.rpartition("\n")
        status, seen_version, received, seconds = report.split()
        self._check(int(status), int(received if down else body or 0), octets)
        if seen_version != http_version:
            raise RuntimeError(f"it answered by HTTP/{seen_version}")
        return float(seconds)

    def _by_http3(self, server: ServerProcess, direction: Direction) -> float:
        down = direction == "down"
        job = HTTP3Job(
            *server.address,
            self.setting.cafile,
            path=f"/download/{self.octets}" if down else "/upload",
            requests=1,
            upload_octets=0 if down else self.octets,
            seconds=_LONGEST_SECONDS,
        )
        report = run_http3(job, self.setting.load_core)
        arrived = report["octets"] if down else int(report["last_body"] or 0)
        self._check(200 if report["requests"] == 1 else 0, arrived, self.octets)
        return float(report["seconds"])

    @staticmethod
    def _check(status: int, arrived: int, octets: int) -> None:
        if status != 200 or arrived != octets:
            raise RuntimeError(f"status {status}, {arrived} octets arrived")


def measure_transfers(setting: Setting) -> Iterator[Measurement]:
    """Measure every version."""
    for http_version in setting.http_versions:
        yield _measure(http_version, setting)


def _measure(http_version: str, setting: Setting) -> Measurement:
    octets = _OCTETS[http_version]
    maker = "the generator of the load" if http_version == "3" else "curl"
    measurement = Measurement(
        f"transfers-{http_version}",
        f"Large bodies, HTTP/{http_version}",
        f"{octets // _MIB} MiB over TLS, one at a time, by {maker}. Bare trio is HTTP/1.1 on trio's SSLStream"
        f"{', with 128 MiB, in proportion' if octets != _FLOOR_OCTETS else ''}. The multiples are of the processor time that "
        "downloads take.",
        _FIGURES,
        "down_processor_s",
        _FLOOR,
    )
    with contextlib.ExitStack() as stack:
        uploads: dict[int, Path] = {}
        for size in {octets, _FLOOR_OCTETS}:
            file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="hface-trio-"))
            file.truncate(size)
            uploads[size] = Path(file.name)
        transfers = _Transfers(http_version, octets, uploads, setting)
        servers: list[ServerProcess] = []
        for name in setting.choose(_SERVERS[http_version], essential=_ESSENTIAL):
            server = stack.enter_context(running_server(name, setting.server_core, setting.certificate))
            if setting.serves(server, "1.1" if name == _FLOOR else http_version):
                servers.append(server)
        for number in range(max(_LEAST_ROUNDS, setting.few_rounds) + 1):
            for server in list(servers):
                try:
                    sample = transfers.measure(server)
                except (RuntimeError, OSError) as exc:
                    setting.fail(server, http_version, exc)
                    servers.remove(server)
                    sample = {}
                if number:  # the first one is to warm up
                    measurement.add(server.name, server.label, sample)
    return measurement
