"""The border of the command line: every failure becomes one line on standard error and an exit code.

No traceback passes it; a bug of this package shows where it is in its line, and with its traceback under ``python -X dev``.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import cast

import trio

from ..errors import ConfigurationError, HfaceError, LocalProtocolError
from ._text import printable

__all__ = [
    "EXIT_FAILED",
    "EXIT_UNUSABLE",
    "CommandError",
    "OutputClosedError",
    "complain",
    "describe_place",
    "end_line_of_interrupt",
    "exit_code_of_signal",
    "print_error_line",
    "report",
    "run",
]

EXIT_FAILED = 1
"""An exchange failed."""

EXIT_UNUSABLE = 2
"""An argument, or something that it names, cannot be used."""


class CommandError(Exception):
    """The command cannot do what was asked for.

    Args:
        message: one line for a person.
        exit_code: that of the command.
    """

    def __init__(self, message: str, exit_code: int = EXIT_UNUSABLE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class OutputClosedError(Exception):
    """Nobody reads the standard output any more: no failure, and not worth a word."""


def run(command: Callable[[], Awaitable[int]]) -> int:
    """Run a command in trio and return its exit code; what it raises is reported."""
    try:
        return trio.run(command)
    except BaseException as exc:  # noqa: BLE001 - this is the border
        return report(exc)


def report(exc: BaseException) -> int:
    """Print a line for each thing that went wrong and return the exit code."""
    failures = list(_leaves(exc))
    for failure in failures:
        if isinstance(failure, SystemExit):
            raise failure
    if any(isinstance(failure, KeyboardInterrupt) for failure in failures):
        end_line_of_interrupt()
        return exit_code_of_signal(signal.SIGINT)
    failures = [failure for failure in failures if not isinstance(failure, OutputClosedError | BrokenPipeError)]
    if not failures:
        return exit_code_of_signal(getattr(signal, "SIGPIPE", signal.SIGINT))
    described = [_describe(failure) for failure in failures]
    for line in dict.fromkeys(line for line, _ in described):
        complain(line)
    return max(exit_code for _, exit_code in described)


def complain(line: str) -> None:
    """Print one line on standard error, in the name of the command."""
    print_error_line(f"hface-trio: {printable(line)}")


def print_error_line(line: str) -> None:
    """Print one line on standard error; where nobody reads it the exit code has to do."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def end_line_of_interrupt() -> None:
    """End the line in which the terminal shows a Ctrl-C."""
    if sys.stderr.isatty():
        print_error_line("")


def exit_code_of_signal(number: int) -> int:
    """Return the code that shells show for a process ended by a signal."""
    return 128 + number


def describe_place(exc: BaseException) -> str:
    """Return file and line that an exception comes from."""
    if isinstance(exc, SyntaxError) and exc.filename is not None:
        return f"{Path(exc.filename).name}, line {exc.lineno}"
    frames = traceback.extract_tb(exc.__traceback__)
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else "nowhere"


def _leaves(exc: BaseException) -> Iterator[BaseException]:
    if isinstance(exc, BaseExceptionGroup):
        for inner in cast("BaseExceptionGroup[BaseException]", exc).exceptions:
            yield from _leaves(inner)
    else:
        yield exc


def _describe(exc: BaseException) -> tuple[str, int]:
    match exc:
        case CommandError():
            return str(exc), exc.exit_code
        case ConfigurationError() | LocalProtocolError():
            return exc.message, EXIT_UNUSABLE
        case HfaceError():
            return exc.message or type(exc).__name__, EXIT_FAILED
        case OSError() if exc.strerror:
            named = "" if exc.filename is None else f"{exc.filename}: "
            return f"{named}{exc.strerror}", EXIT_FAILED
        case _:
            if sys.flags.dev_mode:
                traceback.print_exception(exc)
            return f"internal error: {type(exc).__name__}: {exc} ({describe_place(exc)})", EXIT_FAILED
