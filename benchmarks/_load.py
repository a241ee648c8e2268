"""Load on a server: small GETs, one after the other on each of a number of kept connections, or on each stream of them.

``wrk`` makes it over HTTP/1.1, ``h2load`` over HTTP/2, and :mod:`_load_http3` over HTTP/3.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from _load_http3 import HTTP3Job
from _servers import ServerProcess, pinned

__all__ = [
    "Concurrency",
    "Load",
    "LoadGenerator",
    "load_with_h2load",
    "load_with_http3",
    "load_with_wrk",
    "percentiles",
    "run_all_pinned",
    "run_http3",
    "run_pinned",
]

_EXTRA_SECONDS = 20.0
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
_VARIED_SCRIPT = Path(__file__).with_name("varied.lua")
_MOST_REQUESTS = 20_000
"""More than one connection over HTTP/2 completes in the time it takes to see how fast a server is."""
_HTTP3 = Path(__file__).with_name("_load_http3.py")


@dataclasses.dataclass(frozen=True)
class Concurrency:
    """How many requests are under way at once.

    Args:
        connections: kept open.
        streams: requests on each of them.
        varied: whether requests differ from each other; else they are all the same.
    """

    connections: int
    streams: int = 1
    varied: bool = False


@dataclasses.dataclass(frozen=True)
class Load:
    """What a load generator did.

    Args:
        requests: completed requests.
        failures: other answers than 200, and broken connections.
        seconds: how long it took.
        latencies: in seconds: median, 90th and 99th percentile.
    """

    requests: int
    failures: int
    seconds: float
    latencies: tuple[float, float, float]


LoadGenerator: TypeAlias = Callable[[ServerProcess, Concurrency, float, "float | None", "int | None", str], Load]
"""Called with a server, the concurrency, seconds, how many requests a second the server is known to complete, the core to run
on, and what certificates are held against."""


def load_with_wrk(
    server: ServerProcess, concurrency: Concurrency, seconds: float, rate: float | None, core: int | None, cafile: str
) -> Load:
    """Load a server with wrk."""
    del rate, cafile  # wrk takes whole seconds, and any certificate
    command = ["wrk", "--threads", "1", "--connections", str(concurrency.connections), "--latency"]
    command += ["--script", str(_VARIED_SCRIPT)] if concurrency.varied else []
    output = run_pinned([*command, "--duration", f"{max(1, round(seconds))}s", server.url], seconds, core)
    done = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m),", output)
    found = [re.search(rf"^ +{percentile}% +([\d.]+)(us|ms|s|m)", output, re.MULTILINE) for percentile in (50, 90, 99)]
    latencies = [_seconds(each[1], each[2]) for each in found if each is not None]
    if done is None or len(latencies) != 3:
        raise RuntimeError(f"wrk said something unexpected: {output}")
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    failures = sum(int(number) for match in (other, broken) if match is not None for number in match.groups())
    return Load(int(done[1]), failures, _seconds(done[2], done[3]), (latencies[0], latencies[1], latencies[2]))


def load_with_h2load(
    server: ServerProcess, concurrency: Concurrency, seconds: float, rate: float | None, core: int | None, cafile: str
) -> Load:
    """Load a server with h2load, over HTTP/2 and nothing else.

    Where the rate is known, the load is so many requests as make up the seconds: what is under way when a duration is over
    would cost the server time, and not count; the slower the server, the larger a share that is.

    Requests that differ come from a list, and all connections of one h2load take the same one from its head. So each
    connection has an h2load of its own then, and a list that no other one has.
    """
    del cafile  # h2load takes any certificate
    processes = concurrency.connections if concurrency.varied else 1
    clients = concurrency.connections // processes
    command = ["h2load", "--clients", str(clients), "--threads", "1", "--npn-list", "h2"]
    command += ["--max-concurrent-streams", str(concurrency.streams)]
    requests = _MOST_REQUESTS
    if rate is None:
        command += ["--duration", str(max(1, round(seconds)))]
    else:
        requests = max(round(rate * seconds / processes), clients * concurrency.streams)
        command += ["--requests", str(requests)]
    with tempfile.TemporaryDirectory(prefix="hface-trio-") as directory:
        logs = [Path(directory) / f"log-{number}" for number in range(processes)]
        commands: list[list[str]] = []
        for log in logs:
            targets = [server.url]
            if concurrency.varied:
                uris = log.with_name(f"uris-{log.name}")
                uris.write_text("".join(_different_urls(server, requests)), encoding="ascii")
                targets = ["--input-file", str(uris)]
            commands.append([*command, "--log-file", str(log), *targets])
        outputs = run_all_pinned(commands, seconds, core)
        # Each line is of one request: when it began, the status, and the microseconds it took.
        lines = [line for log in logs for line in log.read_text(encoding="ascii").splitlines()]
        microseconds = [int(line.split("\t")[2]) for line in lines if line.count("\t") == 2]
    succeeded, failures, longest = 0, 0, 0.0
    for output in outputs:
        took = re.search(r"^finished in ([\d.]+)(us|ms|s|m),", output, re.MULTILINE)
        done = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
        if took is None or done is None:
            raise RuntimeError(f"h2load said something unexpected: {output}")
        succeeded += int(done[1])
        failures += sum(map(int, done.groups()[1:]))
        longest = max(longest, _seconds(took[1], took[2]))
    return Load(succeeded, failures, longest, percentiles([each * 1e-6 for each in microseconds]))


def _different_urls(server: ServerProcess, count: int) -> Iterator[str]:
    """Return lines with URLs that nobody has asked for before."""
    beginning = f"{server.url}?n={secrets.token_hex(4)}"
    return (f"{beginning}{number:08x}\n" for number in range(count))


def load_with_http3(
    server: ServerProcess, concurrency: Concurrency, seconds: float, rate: float | None, core: int | None, cafile: str
) -> Load:
    """Load a server over HTTP/3; by a number of requests where the rate is known, as for HTTP/2."""
    report = run_http3(
        HTTP3Job(
            *server.address,
            cafile,
            connections=concurrency.connections,
            streams=concurrency.streams,
            varied=concurrency.varied,
            seconds=seconds if rate is None else seconds + _EXTRA_SECONDS / 2,
            requests=0 if rate is None else max(round(rate * seconds), concurrency.connections * concurrency.streams),
        ),
        core,
    )
    latencies = percentiles(report["latencies"])
    return Load(report["requests"], report["failures"], report["seconds"], latencies)


def run_http3(job: HTTP3Job, core: int | None) -> dict[str, Any]:
    """Make an HTTP/3 load in a process of its own; return its report.

    Raises:
        RuntimeError: it failed.
    """
    command = [sys.executable, str(_HTTP3), json.dumps(dataclasses.asdict(job))]
    report: dict[str, Any] = json.loads(run_pinned(command, job.seconds, core))
    return report


def run_pinned(command: Sequence[str], seconds: float, core: int | None) -> str:
    """Run a command that should take so many seconds, and return what it printed.

    Raises:
        RuntimeError: it failed, or took too long.
    """
    (output,) = run_all_pinned([command], seconds, core)
    return output


def run_all_pinned(commands: Sequence[Sequence[str]], seconds: float, core: int | None) -> list[str]:
    """Run commands at once that should take so many seconds, and return what they printed, which must not be much.

    Raises:
        RuntimeError: one of them failed, or took too long.
    """
    deadline = time.monotonic() + seconds + _EXTRA_SECONDS
    with contextlib.ExitStack() as stack:
        processes: list[subprocess.Popen[str]] = []
        outputs: list[str] = []
        try:
            with pinned(core):
                for command in commands:
                    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
                    processes.append(stack.enter_context(process))
            for command, process in zip(commands, processes, strict=True):
                output, _ = process.communicate(timeout=max(0.0, deadline - time.monotonic()))
                outputs.append(output)
                if process.returncode:
                    raise RuntimeError(f"{command[0]} ended with {process.returncode}")
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{commands[0][0]} did not end") from None
        finally:
            for process in processes:
                process.kill()  # nothing happens to those that have ended
    return outputs


def _seconds(number: str, unit: str) -> float:
    return float(number) * _UNITS[unit]


def percentiles(seconds: Sequence[float]) -> tuple[float, float, float]:
    """Return the 50th, 90th and 99th."""
    if len(seconds) < 2:
        value = seconds[0] if seconds else 0.0
        return value, value, value
    cuts = statistics.quantiles(seconds, n=100)
    return cuts[49], cuts[89], cuts[98]
