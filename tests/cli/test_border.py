"""From exceptions to one line each, and an exit code."""

from __future__ import annotations

import signal

import pytest

from hface_trio.cli._border import CommandError, OutputClosedError, report, run
from hface_trio.errors import ConfigurationError, ConnectError, ConnectionLostError, LocalProtocolError


@pytest.mark.parametrize(
    ("exc", "code", "line"),
    [
        (CommandError("no"), 2, "no"),
        (CommandError("no", 1), 1, "no"),
        (ConfigurationError("no"), 2, "no"),
        (LocalProtocolError("no"), 2, "no"),
        (ConnectError("no"), 1, "no"),
        (ConnectionLostError(), 1, "ConnectionLostError"),
        (PermissionError(13, "Permission denied", "file"), 1, "file: Permission denied"),
        (ExceptionGroup("", [ExceptionGroup("", [CommandError("deep")])]), 2, "deep"),
        (ExceptionGroup("", [CommandError("same"), CommandError("same")]), 2, "same"),
        (CommandError("two\nlines\x1b[0m"), 2, r"two\nlines\x1b[0m"),
    ],
)
def test_failure_is_one_line(capsys: pytest.CaptureFixture[str], exc: BaseException, code: int, line: str) -> None:
    assert report(exc) == code
    assert capsys.readouterr().err == f"hface-trio: {line}\n"


def test_different_failures_get_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(ExceptionGroup("", [ConnectError("first"), CommandError("second")])) == 2
    assert capsys.readouterr().err == "hface-trio: first\nhface-trio: second\n"


def test_interrupt_outweighs_what_it_causes(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(BaseExceptionGroup("", [ConnectError("cut"), KeyboardInterrupt()])) == 128 + signal.SIGINT
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("exc", [OutputClosedError(), BrokenPipeError(32, "Broken pipe")])
def test_closed_output_is_not_worth_a_word(capsys: pytest.CaptureFixture[str], exc: Exception) -> None:
    assert report(exc) == 128 + signal.SIGPIPE
    assert capsys.readouterr().err == ""


def test_failure_beside_a_closed_output_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(ExceptionGroup("", [OutputClosedError(), CommandError("no")])) == 2
    assert capsys.readouterr().err == "hface-trio: no\n"


def test_exit_goes_up() -> None:
    with pytest.raises(SystemExit) as caught:
        report(BaseExceptionGroup("", [SystemExit(7)]))
    assert caught.value.code == 7


def test_bug_is_one_line_that_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    async def stumble() -> int:
        raise KeyError("key")

    assert run(stumble) == 1
    line = capsys.readouterr().err
    assert line.startswith("hface-trio: internal error: KeyError: 'key' (test_border.py, line ")
    assert line.count("\n") == 1


def test_command_returns_its_exit_code() -> None:
    async def succeed() -> int:
        return 0

    assert run(succeed) == 0
