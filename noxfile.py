"""What a developer runs: ``nox -l`` lists the sessions."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import nox

nox.options.sessions = ["tests", "lint", "types", "docs"]
nox.options.reuse_existing_virtualenvs = True

PACKAGE = "hface_trio"


def interpreters() -> list[str]:
    """Return every supported Python on this machine: those on the path, and those of pyenv."""
    found: list[str] = []
    for version in ("3.11", "3.12", "3.13", "3.14"):
        candidates = [shutil.which(f"python{version}")]
        candidates += [str(path) for path in Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}")]
        path = next((path for path in candidates if path is not None), None)
        if path is not None:
            found.append(path)
    return found


@nox.session(python=interpreters())
def tests(session: nox.Session) -> None:
    """Run the whole test suite."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def interop(session: nox.Session) -> None:
    """Run the tests against other people's clients and servers."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", "tests/interop", *session.posargs)


@nox.session(python=False)
def engines(session: nox.Session) -> None:
    """Run the tests that name no HTTP/1.1 engine with httptools, in the environment of nox itself."""
    # The sans-IO tests run every engine anyhow.
    paths = [
        f"tests/{name}" for name in ("cli", "client", "connections", "engines", "faults", "interop", "memory", "server")
    ]
    other_versions = "not http2 and not http3 and not neighbour"
    session.run(
        sys.executable, "-m", "pytest", "--http1-engine", "httptools", "-k", other_versions, *paths, *session.posargs
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting and the import contracts."""
    session.install("-e", ".[lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Check types strictly with mypy and pyright, and that the public interface is typed completely."""
    session.install("-e", ".[cli,types,bench]", "nox")
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--ignoreexternal", "--verifytypes", PACKAGE)


@nox.session
def trio_typing(session: nox.Session) -> None:
    """Run code written with the names of trio-typing; its stubs hide trio's own types, so it lives here alone."""
    session.install("-e", ".[test,trio-typing]")
    session.run("python", "-m", "pytest", "tests/trio_typing", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    session.install("-e", ".[cli,docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure this server beside others; fails when a figure is above its limit. Wants wrk, h2load and curl."""
    session.install(".[bench]")
    session.run("python", "benchmarks/run.py", *session.posargs)


@nox.session
def bench_layers(session: nox.Session) -> None:
    """Measure each layer by itself: trio, sockets, engines, and the server in memory."""
    session.install(".[bench]")
    session.run("python", "benchmarks/layers.py", *session.posargs)


@nox.session
def bench_report(session: nox.Session) -> None:
    """Write the tables and charts of the documentation from the last results."""
    session.install(".[bench]")
    session.run("python", "benchmarks/report.py", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Make two hundred thousand HTTP/3 requests over one connection: none may fail, and nothing may grow."""
    session.install(".[bench]")
    session.run("python", "benchmarks/soak.py", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Serve and fetch once over every HTTP version there is."""
    session.install(".[cli]")
    session.run("hface-trio", "demo", "--once")
