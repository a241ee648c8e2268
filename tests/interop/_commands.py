"""Running other people's programs. A program that is missing is an error, never a reason to skip."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import IO

__all__ = ["curl", "netcat", "start_curl"]

_SECONDS = 60


def _environment() -> dict[str, str]:
    """Return the environment without proxies: curl would go through them."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def _curl_command(arguments: tuple[str | Path, ...]) -> list[str]:
    # -q: without the user's own configuration. Of several versions the last one counts, so arguments may name another.
    options = ["-q", "--silent", "--show-error", "--max-time", str(_SECONDS), "--http1.1"]
    return ["curl", *options, *map(str, arguments)]


def curl(*arguments: str | Path, stdin: IO[bytes] | None = None) -> tuple[bytes, str]:
    """Run curl to its end; return its standard output, and its standard error as lines of text.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    done = subprocess.run(
        _curl_command(arguments),
        stdin=stdin or subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=_SECONDS + 5,
        env=_environment(),
    )
    errors = done.stderr.decode("latin-1").replace("\r\n", "\n")
    assert done.returncode == 0, f"curl ended with {done.returncode}: {errors[-2000:]}"
    return done.stdout, errors


def start_curl(*arguments: str | Path) -> subprocess.Popen[bytes]:
    """Start curl; its standard output is a pipe. Use it as a context manager."""
    return subprocess.Popen(
        _curl_command(arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=_environment()
    )


def netcat(address: tuple[str, int], data: bytes) -> bytes:
    """Send ``data`` with a FIN right behind it; return everything that came back: ``printf … | nc -N``."""
    done = subprocess.run(
        ["nc", "-N", address[0], str(address[1])], input=data, stdout=subprocess.PIPE, check=True, timeout=_SECONDS
    )
    return done.stdout
