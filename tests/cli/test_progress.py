"""The progress bar, on terminals made for the test."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from .conftest import Site
from .processes import CLI, ENVIRONMENT, SECONDS

COLUMNS = 80
TOTAL_OCTETS = 12 * 6  # what /drip/12 sends, in 1.2 seconds


def run_on_terminal(*arguments: str, output: Path | None, cwd: Path) -> str:
    """Run a client whose standard error (and output, without a file) is a terminal; return what it shows."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    shown = bytearray()
    with contextlib.ExitStack() as stack:
        stdout = follower if output is None else stack.enter_context(output.open("wb"))
        process = subprocess.Popen(
            [*CLI, "client", *arguments],
            stdin=follower,
            stdout=stdout,
            stderr=follower,
            cwd=cwd,
            env=ENVIRONMENT | {"TERM": "xterm-256color"},
        )
        os.close(follower)
        stack.callback(os.close, leader)
        stack.callback(process.wait, SECONDS)
        with contextlib.suppress(OSError):  # which is how a terminal says that its last process is gone
            while octets := os.read(leader, 65536):
                shown += octets
        assert process.wait(SECONDS) == 0, shown
    return shown.decode()


def bars(shown: str) -> list[str]:
    """Return every state that the lines of a terminal had, without colours and movements."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    return [line for line in re.split(r"[\r\n]+", plain) if line.strip()]


@pytest.fixture(scope="module")
def long_download(site: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a terminal shows of a download to a file that takes more than a second."""
    directory = tmp_path_factory.mktemp("download")
    return run_on_terminal(f"{site.http}/drip/12", "-o", "fetched", output=None, cwd=directory)


def test_long_transfer_to_a_file_shows_a_bar(long_download: str) -> None:
    assert re.search(r"received .* 100% +72/72 bytes", bars(long_download)[-1])


def test_bar_grows(long_download: str) -> None:
    shares = [int(share) for share in re.findall(r"(\d+)%", long_download)]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 100


def test_bar_fits_the_terminal(long_download: str) -> None:
    assert max(map(len, bars(long_download))) <= COLUMNS


def test_cursor_is_shown_again(long_download: str) -> None:
    assert long_download.rfind("\x1b[?25h") > long_download.rfind("\x1b[?25l") >= 0


def test_bar_does_not_touch_a_redirected_body(site: Site, tmp_path: Path) -> None:
    output = tmp_path / "output"
    shown = run_on_terminal(f"{site.http}/drip/12", output=output, cwd=tmp_path)
    assert output.read_bytes() == b"".join(b"%05d\n" % number for number in range(12))
    assert "received" in shown


def test_short_transfer_shows_no_bar(site: Site, tmp_path: Path) -> None:
    assert run_on_terminal(f"{site.http}/hello/you", "-o", "fetched", output=None, cwd=tmp_path) == ""


def test_body_on_the_terminal_is_alone_there(site: Site, tmp_path: Path) -> None:
    shown = run_on_terminal(f"{site.http}/drip/12", output=None, cwd=tmp_path)
    assert shown == "".join(f"{number:05d}\r\n" for number in range(12))


def test_long_upload_shows_a_bar(site: Site, tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(bytes(16 * 1024 * 1024))
    output = tmp_path / "output"
    shown = run_on_terminal(f"{site.http}/sip", "-d", "@upload", output=output, cwd=tmp_path)
    assert output.read_bytes() == b"16777216\n"
    assert re.search(r"sent .* 100% +16.0/16.0 MiB", bars(shown)[-1])


def test_verbose_lines_stand_above_the_bar(site: Site, tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(bytes(16 * 1024 * 1024))
    shown = run_on_terminal(f"{site.http}/sip", "-v", "-d", "@upload", "-o", "fetched", output=None, cwd=tmp_path)
    lines = bars(shown)
    assert "> POST /sip HTTP/1.1" in lines
    assert "< HTTP/1.1 200 OK" in lines
    assert lines[-1].startswith("sent ")
