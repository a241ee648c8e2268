"""Where the processor time of a small request goes: to the system, the event loop, the server, the protocol, the application.

A sampling profiler, py-spy, looks at the server's stack from outside while it is under load. What counts is the innermost
Python function of a sample, whose file says which part it belongs to; functions that make system calls count as the system.
A codec written in C counts where it is called. Shares are turned into microseconds with the server's processor time, which is
taken without the profiler.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from _figures import Figure, Measurement, Sample
from _load import Concurrency, LoadGenerator, load_with_h2load, load_with_http3, load_with_wrk
from _servers import ServerProcess, running_server
from _setting import Setting

__all__ = ["measure_profile", "shares"]

_RATE = 250
_EXTRA_SECONDS = 20.0
_SETTLING_SECONDS = 1.0
_PARTS = {
    "system": "system calls",
    "loop": "event loop",
    "server": "server",
    "protocol": "protocol",
    "application": "application",
}
_FIGURES = (Figure("processor_us", "µs/request"), *(Figure(f"{part}_us", title) for part, title in _PARTS.items()))
_SERVERS = {
    "1.1": ("hface-trio", "hface-trio-httptools", "uvicorn", "uvicorn-httptools"),
    "2": ("hface-trio",),
    "3": ("hface-trio",),
}
_LOADS: dict[str, tuple[LoadGenerator, Concurrency]] = {
    "1.1": (load_with_wrk, Concurrency(16)),
    "2": (load_with_h2load, Concurrency(8, 16)),
    "3": (load_with_http3, Concurrency(4, 8)),
}
# The innermost Python function when the system is at work.
_SYSTEM_CALLS = re.compile(
    r"\b((send_nowait|receive_some) \(hface_trio/networking/_socket\.py"
    r"|_receive \(hface_trio/networking/_delivery\.py"
    r"|fire \(hface_trio/networking/_socket_watch\.py"
    r"|\w+ \(hface_trio/networking/_udp_(socket|segments)\.py"
    r"|(get_events|_epoll_wait) \(trio/_core/_io_epoll\.py"
    r"|select \(selectors\.py"
    r"|(write|_read_ready__data_received) \(asyncio/selector_events\.py)"
)
_FILES = (
    ("application", re.compile(r"\((_application|_programs)\w*\.py")),
    ("protocol", re.compile(r"\((hface_trio/(protocols|events)|h11|h2|hpack|hyperframe|aioquic|cryptography)\b")),
    ("server", re.compile(r"\((hface_trio|uvicorn)\b")),
    (
        "loop",
        re.compile(
            r"\((trio|outcome|sortedcontainers|asyncio|selectors|contextlib|collections|attr)\b|<attrs generated"
        ),
    ),
)


def shares(lines: Iterable[str]) -> dict[str, float]:
    """Return the share of each part in samples.

    Args:
        lines: a stack each, outermost function first, divided by semicolons, and how often it was met.

    Raises:
        RuntimeError: there are none.
    """
    parts: Counter[str] = Counter()
    for line in lines:
        stack, _, number = line.strip().rpartition(" ")
        if stack:
            parts[_part_of(stack)] += int(number)
    total = parts.total()
    if not total:
        raise RuntimeError("the profiler met nothing")
    return {part: parts[part] / total for part in _PARTS}


def _part_of(stack: str) -> str:
    """Return what the innermost function belongs to, or else the one that called it, and so on."""
    functions = stack.split(";")
    if _SYSTEM_CALLS.search(functions[-1]):
        return "system"
    for function in reversed(functions):
        for part, pattern in _FILES:
            if pattern.search(function):
                return part
    return "loop"


def measure_profile(setting: Setting) -> Iterator[Measurement]:
    """Measure every version; nothing where py-spy may not look into processes."""
    if setting.quick:
        return
    for http_version in setting.http_versions:
        measurement = Measurement(
            f"profile-{http_version}",
            f"Where the time goes, HTTP/{http_version}",
            "Processor time of a small request in microseconds, by what the innermost Python function belongs to. "
            "A codec written in C counts where it is called.",
            _FIGURES,
        )
        for name in setting.choose(_SERVERS[http_version], essential=("hface-trio",)):
            certificate = None if http_version == "1.1" else setting.certificate
            with running_server(name, setting.server_core, certificate) as server:
                if setting.serves(server, http_version):
                    with setting.watching(server, http_version):
                        measurement.add(server.name, server.label, _measure(server, setting, http_version))
        yield measurement


def _measure(server: ServerProcess, setting: Setting, http_version: str) -> Sample:
    generate, concurrency = _LOADS[http_version]
    seconds = 4 * setting.seconds

    def load(seconds: float, rate: float | None) -> float:
        before = server.processor_seconds()
        done = generate(server, concurrency, seconds, rate, setting.load_core, setting.cafile)
        if done.failures or not done.requests:
            raise RuntimeError(f"{server.name}: {done.failures} requests failed, {done.requests} did not")
        rates.append(done.requests / done.seconds)
        return (server.processor_seconds() - before) / done.requests * 1e6

    rates: list[float] = []
    load(_SETTLING_SECONDS, None)
    processor_us = load(seconds, rates[-1])
    with tempfile.TemporaryDirectory(prefix="hface-trio-") as directory:
        stacks = Path(directory) / "stacks"
        options = ["--rate", str(_RATE), "--duration", f"{seconds:.0f}", "--format", "raw"]
        profiler = subprocess.Popen(
            [_py_spy(), "record", "--pid", str(server.pid), "--output", str(stacks), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            load(seconds + _SETTLING_SECONDS, rates[-1])
            _, complaint = profiler.communicate(timeout=_EXTRA_SECONDS)
        except subprocess.TimeoutExpired:
            raise RuntimeError("py-spy does not end") from None
        finally:
            profiler.kill()
            profiler.wait()
        if profiler.returncode:
            raise RuntimeError(f"py-spy cannot look into the server: {complaint.strip()}")
        found = shares(stacks.read_text(encoding="utf-8").splitlines())
    return {"processor_us": processor_us, **{f"{part}_us": processor_us * share for part, share in found.items()}}


def _py_spy() -> str:
    """Return the path of the command, which comes with the extra ``bench``."""
    found = shutil.which("py-spy", path=sysconfig.get_path("scripts")) or shutil.which("py-spy")
    if found is None:
        raise RuntimeError(f"py-spy is not installed for {sys.executable}")
    return found
