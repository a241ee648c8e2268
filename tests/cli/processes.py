"""The command line in processes of their own, each under a deadline."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TypeAlias

HERE = Path(__file__).parent
CLI = [sys.executable, "-m", "hface_trio.cli"]
SECONDS = 30.0

# What changes how Python or a terminal behaves would change what is tested.
_CHANGES_BEHAVIOUR = {"FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES", "SSLKEYLOGFILE", "SSL_CERT_FILE", "SSL_CERT_DIR"}
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in _CHANGES_BEHAVIOUR and (name == "PYTHONPATH" or not name.startswith("PYTHON"))
}


@contextlib.contextmanager
def interruptible() -> Generator[None]:
    """Let processes be interrupted even where the tests themselves run in the background, which ignores SIGINT."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Finished:
    """What a command left behind."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code = code
        self.out = out
        self.err = err.decode()

    def __repr__(self) -> str:
        return f"exit code {self.code}\n--- stdout\n{self.out[:2000]!r}\n--- stderr\n{self.err}"

    def complaint(self) -> str:
        """Return the one line on standard error, without the command's name in front."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self
        assert lines[0].startswith("hface-trio: "), self
        return lines[0].removeprefix("hface-trio: ")


Command: TypeAlias = Callable[..., Finished]


def cli(*arguments: str, stdin: bytes = b"", cwd: Path = HERE, environment: dict[str, str] | None = None) -> Finished:
    """Run a command to its end."""
    completed = subprocess.run(
        [*CLI, *arguments],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env=ENVIRONMENT | (environment or {}),
        timeout=SECONDS,
        check=False,
    )
    return Finished(completed.returncode, completed.stdout, completed.stderr)


class Running:
    """A command that runs; what it prints is collected while it does."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._seen: list[bytes] = []
        self._errors: list[bytes] = []
        self._error_lines: queue.Queue[bytes] = queue.Queue()
        self._threads = [
            threading.Thread(target=self._collect_lines, daemon=True),
            threading.Thread(target=self._collect_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _collect_lines(self) -> None:
        if self.process.stdout is None:
            return
        with self.process.stdout as output:
            for line in output:
                self._lines.put(line)
        self._lines.put(None)

    def _collect_errors(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as errors:
            for line in errors:
                self._errors.append(line)
                self._error_lines.put(line)

    def line(self) -> str:
        """Return the next line of standard output."""
        line = self._lines.get(timeout=SECONDS)
        assert line is not None, f"no further line; {self.errors()}"
        self._seen.append(line)
        return line.decode().rstrip("\n")

    def line_with(self, text: str) -> str:
        """Return the next line of standard output that contains ``text``."""
        while text not in (line := self.line()):
            pass
        return line

    def rest(self) -> list[str]:
        """Return the lines that follow, up to the end."""
        return [line.decode().rstrip("\n") for line in iter(lambda: self._lines.get(timeout=SECONDS), None)]

    def url(self) -> str:
        """Return the next endpoint that is announced."""
        return self.line_with("listening on ").removeprefix("listening on ")

    def send_signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Return the exit code, when there is one."""
        code = self.process.wait(SECONDS)
        for thread in self._threads:
            thread.join(SECONDS)
        return code

    def error_line(self) -> str:
        """Return the next line of standard error."""
        return self._error_lines.get(timeout=SECONDS).decode()

    def errors(self) -> str:
        """Return what was printed on standard error so far."""
        return b"".join(self._errors).decode()


@contextlib.contextmanager
def running(
    command: Sequence[str], *, cwd: Path = HERE, stdin: int = subprocess.DEVNULL, own_stdout: int | None = None
) -> Generator[Running]:
    """Run a command for the length of a block; it is killed if it outlives it.

    Args:
        own_stdout: descriptor for its standard output, which is then not collected.
    """
    process = subprocess.Popen(
        command,
        stdin=stdin,
        stdout=subprocess.PIPE if own_stdout is None else own_stdout,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=ENVIRONMENT,
    )
    run = Running(process)
    try:
        yield run
    finally:
        if process.poll() is None:
            process.kill()
        run.wait()
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()


@contextlib.contextmanager
def running_cli(*arguments: str, cwd: Path = HERE, stdin: int = subprocess.DEVNULL) -> Generator[Running]:
    """Run a command of the command line for the length of a block."""
    with running([*CLI, *arguments], cwd=cwd, stdin=stdin) as run:
        yield run
