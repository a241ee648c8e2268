"""Processor time per request, in paired runs, and what follows from them.

A round gives one run of each server. Within it the servers take turns, a slice of about a second each, so that what else
the machine has to do falls on all of them alike.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

from _load import Concurrency, LoadGenerator
from _servers import ServerProcess

__all__ = ["Method", "Run", "Summary", "pair_ratios"]

_SLICE_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class Run:
    """One server under load, once.

    Args:
        server: its name.
        requests: completed requests.
        seconds: how long the load took.
        processor_seconds: processor time of the server meanwhile.
    """

    server: str
    requests: int
    seconds: float
    processor_seconds: float

    @property
    def microseconds_per_request(self) -> float:
        """Processor time per completed request."""
        return self.processor_seconds / self.requests * 1e6

    @property
    def requests_per_second(self) -> float:
        """Completed requests, by the wall clock."""
        return self.requests / self.seconds


@dataclasses.dataclass(frozen=True)
class Summary:
    """The runs of one server together, in microseconds per request."""

    median: float
    lowest: float
    highest: float
    requests_per_second: float

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Summary:
        """Summarise runs, of which there must be one at least."""
        times = [run.microseconds_per_request for run in runs]
        return cls(
            statistics.median(times),
            min(times),
            max(times),
            statistics.median(run.requests_per_second for run in runs),
        )


@dataclasses.dataclass(frozen=True)
class Method:
    """How servers are loaded.

    Args:
        generator: makes the load.
        concurrency: how many requests are under way at once.
        core: what the generator is pinned to.
        rates: requests per second of the servers that :meth:`warm_up` had, by name.
    """

    generator: LoadGenerator
    concurrency: Concurrency
    core: int | None
    rates: dict[str, float] = dataclasses.field(default_factory=dict)

    def warm_up(self, server: ServerProcess, seconds: float) -> None:
        """Load a server once before it is measured.

        Raises:
            RuntimeError: as for :meth:`measure`.
        """
        self.rates[server.name] = self.measure(server, seconds).requests_per_second

    def measure(self, server: ServerProcess, seconds: float) -> Run:
        """Load a server once and take its processor time.

        Raises:
            RuntimeError: a request failed, or none was completed.
        """
        before = server.processor_seconds()
        load = self.generator(server, self.concurrency, seconds, self.rates.get(server.name), self.core)
        processor_seconds = server.processor_seconds() - before
        if load.failures or not load.requests:
            raise RuntimeError(f"{server.name}: {load.failures} requests failed, {load.requests} did not")
        return Run(server.name, load.requests, load.seconds, processor_seconds)

    def measure_in_turns(self, servers: Sequence[ServerProcess], seconds: float) -> list[Run]:
        """Measure each server for ``seconds``, in slices; return a run for each.

        Raises:
            RuntimeError: as for :meth:`measure`.
        """
        n_slices = max(1, round(seconds / _SLICE_SECONDS))
        slices = [[self.measure(server, seconds / n_slices) for server in servers] for _ in range(n_slices)]
        return [_join(parts) for parts in zip(*slices, strict=True)]


def _join(runs: Sequence[Run]) -> Run:
    return Run(
        runs[0].server,
        sum(run.requests for run in runs),
        sum(run.seconds for run in runs),
        sum(run.processor_seconds for run in runs),
    )


def pair_ratios(subject: Sequence[Run], baseline: Sequence[Run]) -> list[float]:
    """Return the time of the subject's runs as a share of the baseline's, pair by pair."""
    return [
        ours.microseconds_per_request / theirs.microseconds_per_request
        for ours, theirs in zip(subject, baseline, strict=True)
    ]
