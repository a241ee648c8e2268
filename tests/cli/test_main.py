"""The command itself: help, version, mistakes, and what it needs."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from hface_trio import __version__

from .conftest import Site
from .processes import CLI, ENVIRONMENT, SECONDS, Command, Finished, cli


def test_console_script_is_installed() -> None:
    script = Path(sysconfig.get_path("scripts"), "hface-trio")
    done = subprocess.run([script, "--version"], capture_output=True, timeout=SECONDS, check=True)
    assert done.stdout == f"hface-trio {__version__}\n".encode()


def test_module_runs_as_the_command_does() -> None:
    assert cli("--version").out == f"hface-trio {__version__}\n".encode()


@pytest.mark.parametrize("arguments", [[], ["demo"], ["server"], ["client"]])
def test_help_fits_a_terminal(command: Command, arguments: list[str]) -> None:
    done = command(*arguments, "--help")
    assert (done.code, done.err) == (0, "")
    assert max(map(len, done.out.decode().splitlines())) <= 80


def test_missing_command_costs_one_line(command: Command) -> None:
    done = command()
    assert done.code == 2
    assert done.complaint() == "missing command (see 'hface-trio --help')"


def test_unknown_command_costs_one_line(command: Command) -> None:
    done = command("serve")
    assert done.code == 2
    assert "'serve'" in done.complaint()


def test_help_into_a_closed_pipe_ends_in_silence() -> None:
    with subprocess.Popen(
        [*CLI, "client", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(SECONDS) != 0


@pytest.mark.parametrize(
    ("redirection", "code", "complaint"),
    [
        (">&-", 1, "cannot write to standard output: Bad file descriptor"),
        ("<&-", 1, "cannot read standard input: Bad file descriptor"),
        (">&- 2>&-", 1, None),
    ],
)
def test_closed_standard_streams_are_no_sockets(site: Site, redirection: str, code: int, complaint: str | None) -> None:
    command = [*CLI, "client", f"{site.http}/request", "-d", "@-" if "<" in redirection else "x"]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=ENVIRONMENT,
        timeout=SECONDS,
        check=False,
    )
    finished = Finished(done.returncode, done.stdout, done.stderr)
    assert finished.code == code
    assert finished.err == ("" if complaint is None else f"hface-trio: {complaint}\n")


@pytest.mark.parametrize("name", ["click", "rich", "trustme"])
def test_missing_extra_costs_one_line(name: str) -> None:
    program = (
        f"import sys; sys.modules[{name!r}] = None; from hface_trio.cli import main; sys.exit(main(['--version']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=SECONDS, check=False)
    finished = Finished(done.returncode, done.stdout, done.stderr)
    assert finished.code == 2
    assert finished.complaint() == f"the command line needs {name}: pip install 'hface-trio[cli]'"


def test_import_needs_no_extra() -> None:
    program = "import sys; sys.modules |= dict.fromkeys(['click', 'rich', 'trustme'], None); import hface_trio.cli, hface_trio"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
