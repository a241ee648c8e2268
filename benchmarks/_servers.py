"""Server processes: started on one core, stopped at the end, asked for their processor time and memory."""

from __future__ import annotations

import contextlib
import os
import platform
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from pathlib import Path

import psutil  # type: ignore[import-untyped, unused-ignore]  # has types only with a package of its own
from _programs import PROGRAMS, Certificate

__all__ = ["ServerProcess", "choose_cores", "end_in_order", "pinned", "running_server"]

_PROGRAM = Path(__file__).with_name("_programs.py")
_START_SECONDS = 20.0
_EXIT_SECONDS = 3.0
_ERROR_CHARACTERS = 4000


class ServerProcess:
    """A server that runs; made by :func:`running_server`.

    Args:
        name: a key of ``PROGRAMS``.
        process: what was started; its standard output is read from now on.
        tls: whether it serves over TLS.

    Raises:
        RuntimeError: it did not start.
    """

    def __init__(self, name: str, process: subprocess.Popen[str], *, tls: bool) -> None:
        self.name = name
        self.label = PROGRAMS[name].label
        self.tls = tls
        self.pid = process.pid
        self._popen = process
        self._process = psutil.Process(process.pid)
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read_lines, daemon=True)
        self._reader.start()
        self.address = ("127.0.0.1", self._read_port())
        self.authority = f"localhost:{self.address[1]}"
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.address[1]}/"

    def _read_lines(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as stdout:
            for line in stdout:
                self._lines.put(line)
        self._lines.put("")

    def read_line(self, seconds: float) -> str | None:
        """Return what the server printed next; ``None`` if it printed nothing within ``seconds``, ``""`` at its end."""
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            return None

    def _read_port(self) -> int:
        line = self.read_line(_START_SECONDS)
        if line is None:
            raise RuntimeError(f"{self.name} did not start within {_START_SECONDS:.0f} s")
        found = re.search(r"(\d+)$", line.strip())
        if found is None:
            raise RuntimeError(f"{self.name} ended when it was started")
        return int(found[1])

    def processor_seconds(self) -> float:
        """Return the processor time that the process, and the processes it started, have used so far.

        Raises:
            RuntimeError: it has ended.
        """
        try:
            return sum(map(_processor_seconds, (self._process, *self._process.children(recursive=True))))
        except (psutil.Error, OSError) as exc:
            raise RuntimeError(f"{self.name} has ended") from exc

    def resident_octets(self) -> int:
        """Return the memory that is resident now.

        Raises:
            RuntimeError: it has ended.
        """
        return self._read_status("VmRSS")

    def peak_octets(self) -> int:
        """Return the most memory that was resident since the start, or since :meth:`reset_peak`.

        Raises:
            RuntimeError: it has ended.
        """
        return self._read_status("VmHWM")

    def reset_peak(self) -> None:
        """Begin anew to look for the peak."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5", encoding="ascii")

    def _read_status(self, name: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii", errors="replace")
        found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
        if found is None:  # a process that has ended, and not been waited for, has no memory
            raise RuntimeError(f"{self.name} has ended")
        return int(found[1]) * 1024

    def join(self) -> None:
        """Wait for the end of what it prints; the process must have ended."""
        self._reader.join(_EXIT_SECONDS)

    def interrupt(self) -> None:
        """Send SIGTERM."""
        self._popen.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> float | None:
        """Wait for the end; return how long that took, or ``None`` if it was too long."""
        began = time.monotonic()
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return time.monotonic() - began


def end_in_order() -> None:
    """Let a SIGTERM end this process like an exception does, so that it leaves no server behind."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)


def choose_cores() -> tuple[int | None, int | None]:
    """Return the core of the server and that of the load: two where there are two."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


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
    """Run a server, one of ``PROGRAMS``, for the length of the block.

    Args:
        name: which.
        core: what it is pinned to.
        certificate: what it shows; without one it serves in cleartext.

    Raises:
        RuntimeError: it did not start.
    """
    with tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace") as errors:
        with pinned(core):
            process = subprocess.Popen(
                [sys.executable, str(_PROGRAM), name, *(certificate or ())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        server: ServerProcess | None = None
        try:
            server = ServerProcess(name, process, tls=certificate is not None)
            yield server
        except RuntimeError:
            errors.seek(0)
            print(errors.read()[-_ERROR_CHARACTERS:], file=sys.stderr)
            raise
        finally:
            _stop(process)
            if server is not None:
                server.join()


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _processor_seconds(process: psutil.Process) -> float:
    if platform.system() == "Linux":
        # What clock_getcpuclockid(3) gives: exact to the nanosecond, where /proc counts hundredths of a second.
        return time.clock_gettime((~process.pid << 3) | 2)
    times = process.cpu_times()
    return float(times.user + times.system)
