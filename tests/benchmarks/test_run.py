"""The run: what it takes, where its results go, and what it says of itself."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from run import choose_output, describe_run, parse_arguments, tree_commit

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--rounds", "-1"], ["--seconds", "0"], ["--seconds", "nan"]])
def test_nothing_is_measured_no_times_or_for_no_time(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(arguments)
    assert "must be positive" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "rounds", "seconds"),
    [([], 7, 1.0), (["--quick"], 2, 0.5), (["--quick", "--rounds", "3", "--seconds", "2"], 3, 2.0)],
    ids=["default", "quick", "told"],
)
def test_rounds_and_seconds_are_the_default_unless_told(arguments: list[str], rounds: int, seconds: float) -> None:
    options = parse_arguments(arguments)
    assert (options.rounds, options.seconds) == (rounds, seconds)


def test_a_whole_run_that_keeps_all_limits_is_published() -> None:
    assert choose_output(parse_arguments([]), kept=True) == RESULTS / "latest.json"


def test_a_whole_run_that_does_not_is_kept_elsewhere() -> None:
    output = choose_output(parse_arguments([]), kept=False)
    assert output is not None
    assert output.parent == RESULTS
    assert output.name != "latest.json"


@pytest.mark.parametrize(
    "arguments",
    [["--quick"], ["--rounds", "1"], ["--seconds", "0.1"], ["--measure", "idle"], ["--http", "2"]],
    ids=["quick", "rounds", "seconds", "measurements", "versions"],
)
def test_a_lesser_run_writes_no_results(arguments: list[str]) -> None:
    assert choose_output(parse_arguments(arguments), kept=True) is None


@pytest.mark.parametrize("kept", [True, False])
def test_results_go_where_they_are_told_to(tmp_path: Path, kept: bool) -> None:
    options = parse_arguments(["--rounds", "1", "--output", str(tmp_path / "results.json")])
    assert choose_output(options, kept=kept) == tmp_path / "results.json"


def test_a_run_says_which_commit_it_measured() -> None:
    assert describe_run(parse_arguments([]), 0.0, "1234567-dirty")["commit"] == "1234567-dirty"


def test_without_git_a_run_names_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **__: Any) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "run", run)
    assert tree_commit() == ""
    assert "commit" not in describe_run(parse_arguments([]), 0.0, "")
