"""Small requests: processor time, requests per second, latencies, and the most memory it took."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

from _figures import Figure, Measurement, Sample
from _load import Concurrency, LoadGenerator, load_with_h2load, load_with_http3, load_with_wrk
from _servers import ServerProcess, running_server
from _setting import Setting

__all__ = ["measure_requests"]

_MIB = 1024 * 1024
_FIGURES = (
    Figure("processor_us", "µs/request"),
    Figure("requests_per_second", "requests/s", 0),
    Figure("p50_ms", "p50 ms", 2),
    Figure("p90_ms", "p90 ms", 2),
    Figure("p99_ms", "p99 ms", 2),
    Figure("peak_mib", "peak MiB"),
)


@dataclasses.dataclass(frozen=True)
class _Scenario:
    title: str
    servers: tuple[str, ...]
    essential: tuple[str, ...]
    generator: LoadGenerator
    program: str
    concurrency: Concurrency
    tls: bool
    remark: str


_COMMAND = "What hface-trio server has when it has started is not looked at by the garbage collector."
_SCENARIOS = {
    "1.1": _Scenario(
        "Small GETs over HTTP/1.1, cleartext",
        (
            "bare-trio",
            "hface-trio",
            "hface-trio-httptools",
            "hypercorn",
            "uvicorn",
            "uvicorn-httptools",
            "bare-h11",
            "bare-httptools",
        ),
        ("bare-trio", "hface-trio", "hface-trio-httptools"),
        load_with_wrk,
        "wrk",
        Concurrency(16),
        tls=False,
        remark="Bare h11 and bare httptools do no more than parse every request by that codec.",
    ),
    "2": _Scenario(
        "Small GETs over HTTP/2, TLS",
        ("bare-trio", "hface-trio", "hface-trio-command", "hypercorn", "bare-h2"),
        ("bare-trio", "hface-trio"),
        load_with_h2load,
        "h2load",
        Concurrency(8, 16),
        tls=True,
        remark=f"Bare h2 is h2 as it comes. {_COMMAND}",
    ),
    "3": _Scenario(
        "Small GETs over HTTP/3",
        ("bare-trio", "hface-trio", "hface-trio-command", "hypercorn", "bare-aioquic"),
        ("bare-trio", "hface-trio"),
        load_with_http3,
        "a generator of our own on qh3",
        Concurrency(4, 8),
        tls=True,
        remark=f"Bare aioquic is aioquic as it comes. {_COMMAND}",
    ),
}
_FLOOR = "bare-trio"
_FLOOR_LOAD = _Scenario("", (), (), load_with_wrk, "wrk", Concurrency(16), tls=False, remark="")
"""The floor answers HTTP/1.1 in cleartext, whatever the others do: it is the measure of the machine."""
_SHORTEST_WARM_UP_SECONDS = 0.4


class _Subject:
    """A server under load, and what is known of it."""

    def __init__(self, server: ServerProcess, scenario: _Scenario, setting: Setting) -> None:
        self.server = server
        self._scenario = scenario
        self._setting = setting
        self._rate: float | None = None

    def warm_up(self) -> None:
        """Load it once, to see how fast it is."""
        seconds = max(_SHORTEST_WARM_UP_SECONDS, self._setting.seconds / 2)
        rate = self.measure(seconds)["requests_per_second"]
        self._rate = rate

    def measure(self, seconds: float) -> Sample:
        """Load it.

        Raises:
            RuntimeError: a request failed, none was completed, or the server has ended.
        """
        scenario, server = self._scenario, self.server
        before = server.processor_seconds()
        load = scenario.generator(
            server, scenario.concurrency, seconds, self._rate, self._setting.load_core, self._setting.cafile
        )
        processor_seconds = server.processor_seconds() - before
        if load.failures or not load.requests:
            raise RuntimeError(f"{server.name}: {load.failures} requests failed, {load.requests} did not")
        p50, p90, p99 = (1000 * each for each in load.latencies)
        return {
            "processor_us": processor_seconds / load.requests * 1e6,
            "requests_per_second": load.requests / load.seconds,
            "p50_ms": p50,
            "p90_ms": p90,
            "p99_ms": p99,
            "peak_mib": server.peak_octets() / _MIB,
        }


def measure_requests(setting: Setting) -> Iterator[Measurement]:
    """Measure every version."""
    for http_version in setting.http_versions:
        yield _measure(http_version, _SCENARIOS[http_version], setting)
        if not setting.quick:
            yield _measure(http_version, _varied(_SCENARIOS[http_version]), setting)


def _varied(scenario: _Scenario) -> _Scenario:
    """Return the same with requests that differ: what servers remember of one does not help them with the next."""
    concurrency = dataclasses.replace(scenario.concurrency, varied=True)
    return dataclasses.replace(scenario, title=f"{scenario.title}, no two of them alike", concurrency=concurrency)


def _measure(http_version: str, scenario: _Scenario, setting: Setting) -> Measurement:
    concurrency = scenario.concurrency
    varied = concurrency.varied
    streams = f" of {concurrency.streams} streams" if concurrency.streams > 1 else ""
    measurement = Measurement(
        f"requests-{http_version}{'-varied' if varied else ''}",
        f"Small requests{' that differ' if varied else ''}, HTTP/{http_version}",
        f"{scenario.title}; {concurrency.connections} connections{streams}; load by {scenario.program}. "
        f"Bare trio answers HTTP/1.1 in cleartext, loaded by wrk. {scenario.remark}",
        _FIGURES,
        "processor_us",
        _FLOOR,
    )
    with contextlib.ExitStack() as stack:
        subjects: list[_Subject] = []
        for name in setting.choose(scenario.servers, essential=scenario.essential):
            played = _FLOOR_LOAD if name == _FLOOR else scenario
            certificate = setting.certificate if played.tls else None
            server = stack.enter_context(running_server(name, setting.server_core, certificate))
            if setting.serves(server, "1.1" if name == _FLOOR else http_version):
                subjects.append(_Subject(server, played, setting))
        for subject in list(subjects):
            try:
                subject.warm_up()
            except (RuntimeError, OSError) as exc:
                setting.fail(subject.server, http_version, exc)
                subjects.remove(subject)
        for number in range(setting.rounds):
            # There and back again: nobody always follows the same one.
            for subject in reversed(subjects) if number % 2 else list(subjects):
                sample: Sample = {}  # of a round that fails, so that those after it still stand beside each other
                with setting.watching(subject.server, http_version):
                    sample = subject.measure(setting.seconds)
                measurement.add(subject.server.name, subject.server.label, sample)
        order = [subject.server.name for subject in subjects]
        measurement.rounds = {name: measurement.rounds[name] for name in order if name in measurement.rounds}
    return measurement
