"""Server processes: started on one core, stopped at the end, asked for their processor time."""

from __future__ import annotations

import contextlib
import os
import platform
import queue
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Generator
from pathlib import Path

import psutil  # type: ignore[import-untyped, unused-ignore]  # has types only with a package of its own
from _programs import BODY, Certificate

__all__ = ["ServerProcess", "pinned", "running_server"]

_PROGRAM = Path(__file__).with_name("_programs.py")
_START_SECONDS = 20.0
_EXIT_SECONDS = 5.0


class ServerProcess:
    """A server that runs; made by :func:`running_server`."""

    def __init__(self, name: str, pid: int, port: int, *, tls: bool) -> None:
        self.name = name
        self.address = ("127.0.0.1", port)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/"
        self._process = psutil.Process(pid)

    def processor_seconds(self) -> float:
        """Return the processor time that the process, and the processes it started, have used so far."""
        return sum(map(_processor_seconds, (self._process, *self._process.children(recursive=True))))

    def check(self) -> None:
        """Make one request.

        Raises:
            RuntimeError: the answer is not the one that is measured.
        """
        trusting = ssl.create_default_context()
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusting)
        opener = urllib.request.build_opener(*handlers)
        with opener.open(self.url, timeout=_START_SECONDS) as response:
            if response.status != 200 or response.read() != BODY:
                raise RuntimeError(f"{self.name} gives another answer")


@contextlib.contextmanager
def pinned(core: int | None) -> Generator[None]:
    """Pin the processes that the block starts to one core; ``None``, or a system without the means, pins nothing."""
    if core is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def running_server(name: str, core: int | None, certificate: Certificate | None) -> Generator[ServerProcess]:
    """Run a server, one of ``_programs.PROGRAMS``, for the length of the block.

    Args:
        name: which.
        core: what it is pinned to.
        certificate: what it shows; without one it serves in cleartext.

    Raises:
        RuntimeError: it did not start, or gives a wrong answer.
    """
    with pinned(core):
        process = subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM), name, *(certificate or ())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
    try:
        server = ServerProcess(name, process.pid, _read_port(name, process), tls=certificate is not None)
        server.check()
        yield server
    finally:
        process.terminate()
        try:
            process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _processor_seconds(process: psutil.Process) -> float:
    if platform.system() == "Linux":
        # What clock_getcpuclockid(3) gives: exact to the nanosecond, where /proc counts hundredths of a second.
        return time.clock_gettime((~process.pid << 3) | 2)
    times = process.cpu_times()
    return float(times.user + times.system)


def _read_port(name: str, process: subprocess.Popen[str]) -> int:
    lines: queue.Queue[str] = queue.Queue()
    stdout = process.stdout
    if stdout is None:
        raise RuntimeError(f"{name} was started without a pipe")
    threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True).start()
    try:
        line = lines.get(timeout=_START_SECONDS)
    except queue.Empty:
        raise RuntimeError(f"{name} did not start within {_START_SECONDS:.0f} s") from None
    if not line.strip().isdigit():
        raise RuntimeError(f"{name} ended when it was started")
    return int(line)
