"""The loads that other programs make: what these are told, and what becomes of them."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import _load
import pytest
from _load import Concurrency, load_with_h2load, run_all_pinned
from _servers import ServerProcess, running_server

REPORT = """
finished in 2.00s, 50.00 req/s, 1.00KB/s
requests: 100 total, 100 started, 100 done, 99 succeeded, 1 failed, 0 errored, 0 timeout
"""


@pytest.fixture
def h2load(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Make no load; collect the lines of each list that one would be made from."""
    lists: list[list[str]] = []

    def run(commands: Sequence[Sequence[str]], seconds: float, core: int | None) -> list[str]:
        for command in commands:
            options = dict(itertools.pairwise(command))
            Path(options["--log-file"]).write_text("1\t200\t1000\n1\t200\t3000\n", encoding="ascii")
            if "--input-file" in options:
                lists.append(Path(options["--input-file"]).read_text(encoding="ascii").splitlines())
        return [REPORT] * len(commands)

    monkeypatch.setattr(_load, "run_all_pinned", run)
    return lists


@pytest.fixture(scope="module")
def server() -> ServerProcess:
    with running_server("bare-trio", None, None) as server:
        return server  # it need not run on


def test_no_two_requests_of_any_round_are_alike(server: ServerProcess, h2load: list[list[str]]) -> None:
    for _ in range(2):
        load_with_h2load(server, Concurrency(8, 16, varied=True), 1.0, 1000.0, None, "")
    assert [len(lines) for lines in h2load] == [125] * 16
    assert len({line for lines in h2load for line in lines}) == 16 * 125


def test_the_reports_of_all_connections_are_counted(server: ServerProcess, h2load: list[list[str]]) -> None:
    load = load_with_h2load(server, Concurrency(8, 16, varied=True), 1.0, 1000.0, None, "")
    assert (load.requests, load.failures, load.seconds) == (8 * 99, 8, 2.0)
    assert load.latencies[0] == pytest.approx(0.002)


def test_requests_that_are_alike_need_no_list(server: ServerProcess, h2load: list[list[str]]) -> None:
    assert load_with_h2load(server, Concurrency(8, 16), 1.0, 1000.0, None, "").requests == 99
    assert h2load == []


def run_python(*programs: str) -> list[str]:
    return run_all_pinned([[sys.executable, "-c", program] for program in programs], 0.0, None)


def test_programs_run_at_once() -> None:
    assert run_python("print(1)", "print(2)") == ["1\n", "2\n"]


def test_a_program_that_fails_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="ended with 3"):
        run_python("raise SystemExit(3)", "import time; time.sleep(60)")


def test_a_program_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_load, "_EXTRA_SECONDS", 0.3)
    with pytest.raises(RuntimeError, match="did not end"):
        run_python("import time; time.sleep(60)")
