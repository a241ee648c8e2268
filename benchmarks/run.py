"""Measure this package's server and client beside their peers and beside bare loops, in one run.

Servers and loads run on a core each. Every round measures every server once, in turns, so that what slows the machine down
for a while slows all of them. What is printed are the medians, and ratios taken round by round. The exit code is 1 when a
figure is above its limit in ``gates.toml`` or could not be measured, and 2 when a program is missing that makes the load.

What the documentation shows are the results of a run of everything, as long as it is by default, that kept all limits: only
such a run writes ``results/latest.json`` without being told to. One that kept not all of them writes ``results/failed.json``.

    python benchmarks/run.py                      # everything; some minutes
    python benchmarks/run.py --quick              # what has limits, briefly: about 90 seconds
    python benchmarks/run.py --measure requests transfers --http 2 --rounds 9
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import importlib.metadata
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from _attacks import measure_attacks
from _cancel import measure_cancel
from _client_programs import SUBJECTS
from _clients import measure_clients
from _crosstalk import measure_crosstalk
from _drain import measure_drain
from _figures import Measurement
from _gates import Verdict, judge, load_gates
from _idle import measure_idle
from _profile import measure_profile
from _requests import measure_requests
from _servers import choose_cores, end_in_order
from _setting import Setting
from _table import rows_of, text_table
from _transfers import measure_transfers

from hface_trio.testing import throwaway_authority

_HERE = Path(__file__).parent
_RESULTS = _HERE / "results" / "latest.json"
_FAILED_RESULTS = _HERE / "results" / "failed.json"
_GIT_SECONDS = 10.0
_GATES = _HERE / "gates.toml"
_VERSIONS = ("1.1", "2", "3")
_ROUNDS, _QUICK_ROUNDS = 7, 2
_SECONDS, _QUICK_SECONDS = 1.0, 0.5
_MEASUREMENTS: dict[str, Callable[[Setting], Iterator[Measurement]]] = {
    "requests": measure_requests,
    "clients": measure_clients,
    "profile": measure_profile,
    "transfers": measure_transfers,
    "idle": measure_idle,
    "crosstalk": measure_crosstalk,
    "attacks": measure_attacks,
    "drain": measure_drain,
    "cancel": measure_cancel,
}
_PROGRAMS = {"wrk": "wrk", "h2load": "nghttp2-client", "curl": "curl"}
"""What makes loads, and the Debian packages that it is in."""
_PACKAGES = (
    "hface-trio",
    "trio",
    "h11",
    "httptools",
    "h2",
    "hpack",
    "aioquic",
    "pylsqpack",
    "hypercorn",
    "uvicorn",
    "qh3",
    "httpx",
    "niquests",
)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure a server beside others.")
    parser.add_argument(
        "--measure", choices=_MEASUREMENTS, nargs="+", default=list(_MEASUREMENTS), help="what (default: everything)"
    )
    parser.add_argument("--http", choices=_VERSIONS, nargs="+", default=list(_VERSIONS), help="HTTP versions")
    parser.add_argument("--quick", action="store_true", help="only what has limits, and briefly: about 90 seconds")
    parser.add_argument(
        "--rounds", type=int, help=f"rounds of small requests (default: {_ROUNDS}, quick: {_QUICK_ROUNDS})"
    )
    parser.add_argument(
        "--seconds", type=float, help=f"length of each load (default: {_SECONDS}, quick: {_QUICK_SECONDS})"
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="file for the results (default: results/latest.json, of a run of everything by its defaults that keeps all "
        "limits; if it does not, results/failed.json)",
    )
    options = parser.parse_args(arguments)
    if options.rounds is None:
        options.rounds = _QUICK_ROUNDS if options.quick else _ROUNDS
    if options.seconds is None:
        options.seconds = _QUICK_SECONDS if options.quick else _SECONDS
    if options.rounds < 1 or not 0 < options.seconds < math.inf:
        parser.error("--rounds and --seconds must be positive")
    return options


def choose_output(options: argparse.Namespace, *, kept: bool) -> Path | None:
    """Return the file for the results; ``None`` for none.

    Args:
        options: of the run.
        kept: whether it kept all limits, and everything could be measured.
    """
    if options.output is not None:
        output: Path = options.output
        return output
    everything = set(options.measure) == set(_MEASUREMENTS) and set(options.http) == set(_VERSIONS)
    by_default = (options.rounds, options.seconds, options.quick) == (_ROUNDS, _SECONDS, False)
    if not (everything and by_default):
        return None
    return _RESULTS if kept else _FAILED_RESULTS


def missing_programs() -> list[str]:
    """Return what is not installed, and what it is in."""
    return [f"{name} (package {package})" for name, package in _PROGRAMS.items() if shutil.which(name) is None]


def measure(options: argparse.Namespace) -> tuple[dict[str, Measurement], list[str]]:
    """Measure and print all that was asked for; return it, and what could not be measured."""
    measurements: dict[str, Measurement] = {}
    server_core, load_core = choose_cores()
    if server_core is not None and server_core == load_core:
        print("There is one core: servers share it with what loads them, and times by the clock say little.")
    with throwaway_authority() as authority:
        setting = Setting(
            authority.issue("localhost", "127.0.0.1"),
            authority.cafile,
            server_core,
            load_core,
            options.rounds,
            options.seconds,
            options.quick,
            options.http,
        )
        for name in options.measure:
            began = time.monotonic()
            for http_version in options.http if name != "idle" else ["1.1"]:
                try:
                    for measurement in _MEASUREMENTS[name](dataclasses.replace(setting, http_versions=[http_version])):
                        measurements[measurement.key] = measurement
                        print_measurement(measurement)
                except (RuntimeError, OSError) as exc:
                    setting.failures.append(f"{name}, HTTP/{http_version}: {exc}")
            print(f"\n[{name}: {time.monotonic() - began:.0f} s]", flush=True)
    return measurements, setting.failures


def print_measurement(measurement: Measurement) -> None:
    """Show one table."""
    print(f"\n{measurement.title}\n{measurement.note}\n")
    print(text_table(rows_of(measurement)) if measurement.rounds else "nothing to measure", flush=True)


def describe_run(options: argparse.Namespace, others: float, commit: str) -> dict[str, Any]:
    """Return what a reader of the results has to know of the run; nothing that names a machine.

    Args:
        options: of the run.
        others: processes that the machine was busy with before.
        commit: of the tree when the run began; empty if nobody knows.
    """
    packages: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        **({"commit": commit} if commit else {}),
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
        "python": platform.python_version(),
        "system": platform.system(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_before": round(others, 1),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "packages": packages,
    }


def tree_commit() -> str:
    """Return the commit of the tree, marked if the tree is another one by now; empty where git does not tell."""
    command = ["git", "-C", str(_HERE), "describe", "--always", "--exclude=*", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def write_results(
    output: Path, run: dict[str, Any], measurements: dict[str, Measurement], verdicts: Sequence[Verdict]
) -> None:
    """Write everything as JSON."""
    document = {
        "run": run,
        "measurements": {key: measurement.to_json() for key, measurement in measurements.items()},
        "gates": [verdict.to_json() for verdict in verdicts],
    }
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print and judge; return the exit code."""
    options = parse_arguments(arguments)
    if missing := missing_programs():
        print(f"not installed: {', '.join(missing)}", file=sys.stderr)
        return 2
    end_in_order()
    began = time.monotonic()
    others = os.getloadavg()[0]
    commit = tree_commit()
    measurements, failures = measure(options)
    installed = {name: program.is_installed() for name, program in SUBJECTS.items()}
    verdicts = judge(load_gates(_GATES), measurements, installed)
    print("\nLimits\n")
    for verdict in verdicts:
        print(verdict.describe())
    for failure in failures:
        print(f"FAILED  {failure}")
    kept = not failures and all(verdict.kept for verdict in verdicts)
    output = choose_output(options, kept=kept)
    if output is not None:
        write_results(output, describe_run(options, others, commit), measurements, verdicts)
        print(f"\nresults: {output}")
    print(f"took {time.monotonic() - began:.0f} s")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
