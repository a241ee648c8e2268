"""Measure processor time per request, beside other servers and in one run.

Server and load run on a core each. Every round measures each server once, in turns, so that what slows the machine down
for a while slows all of them; the ratio is taken pair by pair. The exit code is 1 when the median of the ratios is above
the limit, or when a request failed.

    python benchmarks/run.py --rounds 5 --seconds 3
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime as dt
import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from _load import GENERATORS, choose_generator
from _measure import Method, Run, Summary, pair_ratios
from _scenarios import SCENARIOS, Scenario
from _servers import ServerProcess, running_server

_RESULTS = Path(__file__).with_name("results")
_WARM_UP_SECONDS = 1.0
_INFORMATIVE_SECONDS = 1.0
_PACKAGES = ("hface-trio", "trio", "h11", "hypercorn", "uvicorn")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure processor time per request beside other servers.")
    parser.add_argument("--http", choices=SCENARIOS, nargs="+", default=list(SCENARIOS), help="HTTP versions")
    parser.add_argument("--rounds", type=int, default=5, help="paired runs (default: 5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a run (default: 3)")
    parser.add_argument("--connections", type=int, help="kept connections (default: the scenario's)")
    parser.add_argument("--load", choices=["auto", *GENERATORS], default="auto", help="load generator (default: auto)")
    parser.add_argument("--output", type=Path, help="file for the results as JSON (default: in benchmarks/results)")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds must be positive")
    return options


def choose_cores() -> tuple[int | None, int | None]:
    """Return the core of the server and that of the load: two where there are two."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


def run_scenario(scenario: Scenario, options: argparse.Namespace, load: str) -> dict[str, list[Run]]:
    """Measure all servers of a scenario, in rounds."""
    server_core, load_core = choose_cores()
    method = Method(GENERATORS[load], options.connections or scenario.connections, load_core)
    runs: dict[str, list[Run]] = {}
    with contextlib.ExitStack() as stack:

        def start(name: str) -> ServerProcess:
            server = stack.enter_context(running_server(name, server_core))
            method.measure(server, _WARM_UP_SECONDS)
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


def print_table(scenario: Scenario, runs: dict[str, list[Run]], ratios: list[float]) -> None:
    """Show what was measured."""
    rounds = len(ratios)
    header = "".join(f"{f'run {number}':>9}" for number in range(1, rounds + 1))
    print(f"\n{scenario.title}\nserver processor time per request, µs\n")
    print(f"{'':<12}{header}{'median':>10}{'min-max':>16}{'requests/s':>13}")
    for name, measured in runs.items():
        summary = Summary.of(measured)
        cells = "".join(f"{run.microseconds_per_request:>9.1f}" for run in measured)
        spread = f"{summary.lowest:.1f}-{summary.highest:.1f}"
        print(f"{name:<12}{cells}{summary.median:>10.1f}{spread:>16}{summary.requests_per_second:>13.0f}")
    cells = "".join(f"{ratio:>9.3f}" for ratio in ratios)
    print(f"{'ratio':<12}{cells}{statistics.median(ratios):>10.3f}{f'{min(ratios):.3f}-{max(ratios):.3f}':>16}")


def describe(
    scenario: Scenario, runs: dict[str, list[Run]], ratios: list[float], options: argparse.Namespace, load: str
) -> dict[str, Any]:
    """Return a scenario's results as JSON has them."""
    return {
        "title": scenario.title,
        "subject": scenario.subject,
        "baseline": scenario.baseline,
        "connections": options.connections or scenario.connections,
        "load": load,
        "highest_ratio": scenario.highest_ratio,
        "ratios": ratios,
        "median_ratio": statistics.median(ratios),
        "runs": [dataclasses.asdict(run) for measured in runs.values() for run in measured],
        "summaries": {name: dataclasses.asdict(Summary.of(measured)) for name, measured in runs.items()},
    }


def write_results(scenarios: dict[str, dict[str, Any]], output: Path | None) -> Path:
    """Write the results, and return where they are."""
    now = dt.datetime.now(dt.UTC)
    if output is None:
        _RESULTS.mkdir(exist_ok=True)
        output = _RESULTS / f"{now:%Y%m%dT%H%M%SZ}.json"
    results = {
        "time": now.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "scenarios": scenarios,
    }
    output.write_text(json.dumps(results, indent=2) + "\n")
    return output


def main() -> int:
    """Run, print and judge; return the exit code."""
    options = parse_arguments()
    load = choose_generator(options.load)
    print(f"load: {load}")
    described: dict[str, dict[str, Any]] = {}
    failed = False
    for http_version in options.http:
        scenario = SCENARIOS[http_version]
        try:
            runs = run_scenario(scenario, options, load)
        except RuntimeError as exc:
            print(f"{scenario.title}: {exc}", file=sys.stderr)
            return 1
        ratios = pair_ratios(runs[scenario.subject], runs[scenario.baseline])
        print_table(scenario, runs, ratios)
        described[http_version] = describe(scenario, runs, ratios, options, load)
        median, limit = statistics.median(ratios), scenario.highest_ratio
        verdict = "within" if median <= limit else "ABOVE"
        print(f"\n{scenario.subject} takes {median:.3f} of {scenario.baseline}: {verdict} the limit of {limit}")
        failed = failed or median > limit
    print(f"results: {write_results(described, options.output)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
