"""Measure processor time per request and per large body, beside other servers and in one run.

Server and load run on a core each. Every round measures each server once, in turns, so that what slows the machine down
for a while slows all of them; the ratio is taken pair by pair. The exit code is 1 when the median of the ratios of small
requests is above the limit, or when a request or a transfer failed, and 2 when a program is missing that makes the load.

    python benchmarks/run.py --http 1.1 2 --measure requests transfers --rounds 5 --seconds 3
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime as dt
import json
import os
import platform
import shutil
import statistics
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from _load import GENERATORS, Concurrency, choose_generator
from _measure import Method, Run, Summary, pair_ratios
from _programs import TRANSFER_OCTETS, Certificate
from _scenarios import SCENARIOS, TRANSFERS, Scenario
from _servers import ServerProcess, running_server
from _transfers import TransferResult, transferring

from hface_trio.testing import Authority, throwaway_authority

_RESULTS = Path(__file__).with_name("results")
_WARM_UP_SECONDS = 1.0
_INFORMATIVE_SECONDS = 1.0
_MEASUREMENTS = ("requests", "transfers")
_PACKAGES = ("hface-trio", "trio", "h11", "h2", "hypercorn", "uvicorn")
_DEBIAN = {"h2load": "nghttp2-client"}
"""Debian packages whose names are not their program's."""


class MissingProgramError(Exception):
    """What makes a load is not installed."""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure processor time per request beside other servers.")
    parser.add_argument("--http", choices=SCENARIOS, nargs="+", default=list(SCENARIOS), help="HTTP versions")
    parser.add_argument(
        "--measure", choices=_MEASUREMENTS, nargs="+", default=_MEASUREMENTS, help="what (default: both)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="paired runs (default: 5)")
    parser.add_argument("--transfer-rounds", type=int, default=3, help="paired large bodies (default: 3)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a run (default: 3)")
    parser.add_argument("--connections", type=int, help="kept connections (default: the scenario's)")
    parser.add_argument("--load", choices=["auto", *GENERATORS], default="auto", help="load generator of HTTP/1.1")
    parser.add_argument("--output", type=Path, help="file for the results as JSON (default: in benchmarks/results)")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.transfer_rounds < 1 or options.seconds <= 0:
        parser.error("--rounds, --transfer-rounds and --seconds must be positive")
    return options


def choose_loads(options: argparse.Namespace) -> dict[str, str]:
    """Return what makes the small requests of each HTTP version.

    Raises:
        MissingProgramError: nothing that can is installed, or curl is not, which makes the transfers.
    """
    loads: dict[str, str] = {}
    for http_version in options.http if "requests" in options.measure else ():
        scenario = SCENARIOS[http_version]
        load = choose_generator(options.load, scenario.generators)
        if load is None:
            program = options.load if options.load in scenario.generators else scenario.generators[0]
            raise MissingProgramError(_say_missing(scenario.title, program))
        loads[http_version] = load
    if "transfers" in options.measure and shutil.which("curl") is None:
        raise MissingProgramError(_say_missing("large bodies", "curl"))
    return loads


def _say_missing(title: str, program: str) -> str:
    return f"{title}: needs {program}, of Debian's package {_DEBIAN.get(program, program)}, which is not installed"


def choose_cores() -> tuple[int | None, int | None]:
    """Return the core of the server and that of the load: two where there are two."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


def run_scenario(
    scenario: Scenario, options: argparse.Namespace, load: str, certificate: Certificate
) -> dict[str, list[Run]]:
    """Measure all servers of a scenario, in rounds."""
    server_core, load_core = choose_cores()
    concurrency = Concurrency(options.connections or scenario.connections, scenario.streams)
    method = Method(GENERATORS[load], concurrency, load_core)
    runs: dict[str, list[Run]] = {}
    with contextlib.ExitStack() as stack:

        def start(name: str) -> ServerProcess:
            server = stack.enter_context(running_server(name, server_core, certificate if scenario.tls else None))
            method.warm_up(server, _WARM_UP_SECONDS)
            runs[name] = []
            return server

        pair = [start(scenario.subject), start(scenario.baseline)]
        informative = [start(name) for name in scenario.informative]
        for number in range(1, options.rounds + 1):
            measured = method.measure_in_turns(pair, options.seconds)
            measured += method.measure_in_turns(informative, _INFORMATIVE_SECONDS)
            for run in measured:
                runs[run.server].append(run)
            times = "  ".join(f"{run.server} {run.microseconds_per_request:.1f}" for run in measured)
            print(f"round {number}: {times} µs", flush=True)
    return runs


def run_transfers(
    http_version: str, options: argparse.Namespace, authority: Authority, certificate: Certificate
) -> list[TransferResult]:
    """Measure large bodies, one direction after the other, with new servers that have served each once before."""
    server_core, load_core = choose_cores()
    transfers = TRANSFERS[http_version]
    with contextlib.ExitStack() as stack:
        method = stack.enter_context(transferring(authority.cafile, load_core))
        names = (transfers[0].subject, transfers[0].baseline)
        servers = [stack.enter_context(running_server(name, server_core, certificate)) for name in names]
        for transfer in transfers:
            for server in servers:
                method.measure(server, transfer)
        return [method.measure_rounds(transfer, servers, options.transfer_rounds) for transfer in transfers]


def print_table(runs: dict[str, list[Run]], ratios: list[float]) -> None:
    """Show what was measured."""
    rounds = len(ratios)
    header = "".join(f"{f'run {number}':>9}" for number in range(1, rounds + 1))
    print("\nserver processor time per request, µs\n")
    print(f"{'':<12}{header}{'median':>10}{'min-max':>16}{'requests/s':>13}")
    for name, measured in runs.items():
        summary = Summary.of(measured)
        cells = "".join(f"{run.microseconds_per_request:>9.1f}" for run in measured)
        spread = f"{summary.lowest:.1f}-{summary.highest:.1f}"
        print(f"{name:<12}{cells}{summary.median:>10.1f}{spread:>16}{summary.requests_per_second:>13.0f}")
    cells = "".join(f"{ratio:>9.3f}" for ratio in ratios)
    print(f"{'ratio':<12}{cells}{statistics.median(ratios):>10.3f}{f'{min(ratios):.3f}-{max(ratios):.3f}':>16}")


def print_transfers(results: Sequence[TransferResult]) -> None:
    """Show what large bodies took."""
    ours, theirs = results[0].subject[0].server, results[0].baseline[0].server
    print(f"\n{TRANSFER_OCTETS >> 20} MiB over TLS with curl, {len(results[0].ratios)} rounds")
    print("server processor time in seconds, median and min-max; by the clock in brackets, median\n")
    print(f"{'':<15}{ours:>30}{theirs:>30}{'ratio':>21}")
    for result in results:
        cells = ""
        for measured in (result.subject, result.baseline):
            times = [transferred.processor_seconds for transferred in measured]
            wall = statistics.median(transferred.seconds for transferred in measured)
            spread = f"{min(times):.3f}-{max(times):.3f}"
            cells += f"{f'{statistics.median(times):.3f}  {spread} ({wall:.2f})':>30}"
        ratios = f"{result.median_ratio:.3f}  {min(result.ratios):.3f}-{max(result.ratios):.3f}"
        print(f"{result.transfer.title:<15}{cells}{ratios:>21}")


def describe_transfer(result: TransferResult) -> dict[str, Any]:
    """Return a transfer's results as JSON has them."""
    return {
        "http_version": result.transfer.http_version,
        "direction": result.transfer.direction,
        "octets": TRANSFER_OCTETS,
        "subject": result.transfer.subject,
        "baseline": result.transfer.baseline,
        "ratios": result.ratios,
        "median_ratio": result.median_ratio,
        "runs": [dataclasses.asdict(transferred) for transferred in (*result.subject, *result.baseline)],
    }


def describe(
    scenario: Scenario, runs: dict[str, list[Run]], ratios: list[float], options: argparse.Namespace, load: str
) -> dict[str, Any]:
    """Return a scenario's results as JSON has them."""
    return {
        "title": scenario.title,
        "subject": scenario.subject,
        "baseline": scenario.baseline,
        "connections": options.connections or scenario.connections,
        "streams": scenario.streams,
        "load": load,
        "highest_ratio": scenario.highest_ratio,
        "ratios": ratios,
        "median_ratio": statistics.median(ratios),
        "runs": [dataclasses.asdict(run) for measured in runs.values() for run in measured],
        "summaries": {name: dataclasses.asdict(Summary.of(measured)) for name, measured in runs.items()},
    }


def write_results(results: dict[str, Any], output: Path | None) -> Path:
    """Write the results, and return where they are."""
    now = dt.datetime.now(dt.UTC)
    if output is None:
        _RESULTS.mkdir(exist_ok=True)
        output = _RESULTS / f"{now:%Y%m%dT%H%M%SZ}.json"
    document = {
        "time": now.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        **results,
    }
    output.write_text(json.dumps(document, indent=2) + "\n")
    return output


def measure(options: argparse.Namespace, loads: dict[str, str], authority: Authority) -> bool:
    """Measure, print and write all that was asked for; return whether every limit was kept.

    Raises:
        RuntimeError: a server did not start, or a request or a transfer failed.
    """
    certificate = authority.issue("localhost", "127.0.0.1")
    described: dict[str, dict[str, Any]] = {}
    verdicts: list[str] = []
    kept = True
    for http_version, load in loads.items():
        scenario = SCENARIOS[http_version]
        print(f"\n{scenario.title}; load: {load}", flush=True)
        runs = run_scenario(scenario, options, load, certificate)
        ratios = pair_ratios(runs[scenario.subject], runs[scenario.baseline])
        print_table(runs, ratios)
        described[http_version] = describe(scenario, runs, ratios, options, load)
        median, limit = statistics.median(ratios), scenario.highest_ratio
        verdict = "within" if median <= limit else "ABOVE"
        verdicts.append(
            f"HTTP/{http_version}: {scenario.subject} takes {median:.3f} of {scenario.baseline}, "
            f"{verdict} the limit of {limit}"
        )
        kept = kept and median <= limit
    transferred: list[TransferResult] = []
    for http_version in options.http if "transfers" in options.measure else ():
        transferred += run_transfers(http_version, options, authority, certificate)
    if transferred:
        print_transfers(transferred)
    print("", *verdicts, sep="\n")
    results = {"scenarios": described, "transfers": [describe_transfer(result) for result in transferred]}
    print(f"results: {write_results(results, options.output)}")
    return kept


def main() -> int:
    """Run, print and judge; return the exit code."""
    options = parse_arguments()
    try:
        loads = choose_loads(options)
        with throwaway_authority() as authority:
            return 0 if measure(options, loads, authority) else 1
    except (MissingProgramError, RuntimeError) as exc:
        print(exc, file=sys.stderr)
        return 2 if isinstance(exc, MissingProgramError) else 1


if __name__ == "__main__":
    sys.exit(main())
