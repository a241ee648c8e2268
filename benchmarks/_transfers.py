"""Large bodies over TLS: processor time of the server, and time by the clock, of one transfer by curl.

Every round makes each transfer once with each server, in turns. What is uploaded is a file of zeros; the octets that
arrived are counted at both ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path

from _programs import DOWNLOAD, TRANSFER_OCTETS, UPLOAD
from _scenarios import Transfer
from _servers import ServerProcess, pinned

__all__ = ["TransferMethod", "TransferResult", "Transferred", "transferring"]

_LONGEST_SECONDS = 15.0
_HTTP_OPTIONS = {"1.1": "--http1.1", "2": "--http2"}
_REPORT = "\n%{http_code} %{http_version} %{size_download} %{time_total}"


@dataclasses.dataclass(frozen=True)
class Transferred:
    """One transfer.

    Args:
        server: its name.
        seconds: how long it took by the clock, connecting included.
        processor_seconds: processor time of the server meanwhile.
    """

    server: str
    seconds: float
    processor_seconds: float


@dataclasses.dataclass(frozen=True)
class TransferResult:
    """All rounds of a transfer: those of the subject and of the baseline, pair by pair."""

    transfer: Transfer
    subject: Sequence[Transferred]
    baseline: Sequence[Transferred]

    @property
    def ratios(self) -> list[float]:
        """Processor time of the subject as a share of the baseline's, pair by pair."""
        pairs = zip(self.subject, self.baseline, strict=True)
        return [ours.processor_seconds / theirs.processor_seconds for ours, theirs in pairs]

    @property
    def median_ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)


@dataclasses.dataclass(frozen=True)
class TransferMethod:
    """How transfers are made.

    Args:
        cafile: what curl trusts.
        upload: the file that is uploaded, of ``TRANSFER_OCTETS``.
        core: what curl is pinned to.
    """

    cafile: str
    upload: Path
    core: int | None

    def measure(self, server: ServerProcess, transfer: Transfer) -> Transferred:
        """Make a transfer once, and take the server's processor time.

        Raises:
            RuntimeError: it failed, took too long, or something is missing at its end.
        """
        down = transfer.direction == "down"
        command = ["curl", "--silent", "--show-error", "--max-time", str(_LONGEST_SECONDS), "--noproxy", "*"]
        # Expect would add a round trip, and curl's wait of a second where a server does not answer it.
        command += ["--cacert", self.cafile, _HTTP_OPTIONS[transfer.http_version], "--header", "Expect:"]
        command += ["--write-out", _REPORT]
        command += ["--output", "/dev/null"] if down else ["--upload-file", str(self.upload)]
        path = DOWNLOAD if down else UPLOAD
        before = server.processor_seconds()
        with pinned(self.core):
            curl = subprocess.run(
                [*command, server.url.rstrip("/") + path],
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
        processor_seconds = server.processor_seconds() - before
        body, _, report = curl.stdout.rpartition("\n")
        if curl.returncode:
            raise RuntimeError(f"{server.name}, {transfer.title}: {curl.stderr.strip() or curl.returncode}; {report}")
        status, http_version, received, seconds = report.split()
        arrived = received if down else body
        if (status, http_version, arrived) != ("200", transfer.http_version, str(TRANSFER_OCTETS)):
            raise RuntimeError(
                f"{server.name}, {transfer.title}: status {status} by HTTP/{http_version}, {arrived} octets arrived"
            )
        return Transferred(server.name, float(seconds), processor_seconds)

    def measure_rounds(self, transfer: Transfer, servers: Sequence[ServerProcess], rounds: int) -> TransferResult:
        """Make a transfer ``rounds`` times with the subject and the baseline, in turns.

        Raises:
            RuntimeError: as for :meth:`measure`.
        """
        ours, theirs = servers
        pairs = [(self.measure(ours, transfer), self.measure(theirs, transfer)) for _ in range(rounds)]
        return TransferResult(transfer, [pair[0] for pair in pairs], [pair[1] for pair in pairs])


@contextlib.contextmanager
def transferring(cafile: str, core: int | None) -> Generator[TransferMethod]:
    """Provide a method, and the file that it uploads for the length of the block."""
    with tempfile.NamedTemporaryFile(prefix="hface-trio-") as file:
        file.truncate(TRANSFER_OCTETS)
        yield TransferMethod(cafile, Path(file.name), core)
