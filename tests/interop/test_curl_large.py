"""curl against the server: 128 MiB in both directions, and transfers that end before their time."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from ._commands import curl, start_curl
from ._payload import MIB, digest
from ._process import ServerProcess

LARGE = 128 * MIB
NOTICED_SECONDS = 0.5
SCHEMES = pytest.mark.parametrize("scheme", ["http", "https"])


def assert_whole(answer: bytes) -> None:
    shown: dict[str, Any] = json.loads(answer)
    assert (shown["octets"], shown["sha256"]) == (LARGE, digest(LARGE))


@SCHEMES
def test_upload_that_waits_for_100_continue(server: ServerProcess, large_file: Path, scheme: str) -> None:
    output, log = curl(
        *("-v", "--cacert", server.cafile, "-X", "POST", "-H", "Expect: 100-continue", "-T", large_file),
        # curl sends the body by itself after this time: so a transfer in time was let go by the server
        *("--expect100-timeout", "30"),
        f"{server.url(scheme)}/digest",
    )
    assert_whole(output)
    assert "< HTTP/1.1 100 Continue" in log
    assert f"> Content-Length: {LARGE}\n" in log


@SCHEMES
def test_chunked_upload(server: ServerProcess, large_file: Path, scheme: str) -> None:
    with large_file.open("rb") as file:
        output, log = curl(
            *("-v", "--cacert", server.cafile, "-X", "POST", "-H", "Transfer-Encoding: chunked", "-T", "-"),
            f"{server.url(scheme)}/digest",
            stdin=file,
        )
    assert_whole(output)
    assert "> Transfer-Encoding: chunked\n" in log


@pytest.mark.parametrize("length", ["yes", "no"])
@SCHEMES
def test_download(server: ServerProcess, scheme: str, length: str) -> None:
    sha = hashlib.sha256()
    url = f"{server.url(scheme)}/bytes?n={LARGE}&length={length}"
    with start_curl("--cacert", server.cafile, url) as process:
        assert process.stdout is not None
        while data := process.stdout.read(MIB):
            sha.update(data)
        assert process.wait() == 0
    assert sha.hexdigest() == digest(LARGE)


def test_http10_download_that_ends_with_the_connection(server: ServerProcess) -> None:
    output, _ = curl("--http1.0", f"{server.http_url}/bytes?n={32 * MIB}&length=no")
    assert hashlib.sha256(output).hexdigest() == digest(32 * MIB)


def test_echo_of_a_large_body_while_it_is_sent(server: ServerProcess, large_file: Path) -> None:
    sha = hashlib.sha256()
    with start_curl("-X", "POST", "-T", large_file, f"{server.http_url}/echo") as process:
        assert process.stdout is not None
        while data := process.stdout.read(MIB):
            sha.update(data)
        assert process.wait() == 0
    assert sha.hexdigest() == digest(LARGE)


def test_an_expected_body_that_is_refused_is_never_sent(server: ServerProcess, large_file: Path) -> None:
    output, log = curl(
        *("-v", "-X", "POST", "-H", "Expect: 100-continue", "-T", large_file, "--expect100-timeout", "30"),
        *("-w", "\n%{http_code} %{size_upload}"),
        f"{server.http_url}/refuse",
    )
    assert output == b"no\n\n403 0"
    assert "100 Continue" not in log


def test_a_body_on_its_way_that_nobody_reads_does_not_cost_the_answer(server: ServerProcess, large_file: Path) -> None:
    """The server answers at once and closes; curl must find the answer, not a reset in its place."""
    output, _ = curl(
        *("-X", "POST", "-H", "Expect:", "-T", large_file, "-w", "\n%{http_code}"), f"{server.http_url}/refuse"
    )
    assert output == b"no\n\n403"


@SCHEMES
def test_a_download_whose_curl_is_killed_ends_at_once(server: ServerProcess, scheme: str) -> None:
    key = server.new_key()
    arguments = ("--cacert", server.cafile, "--limit-rate", "2M", "-o", "/dev/null")
    with start_curl(*arguments, f"{server.url(scheme)}/bytes?n={LARGE}&id={key}") as process:
        server.wait(key, "flowing")
        server.wait_stalled(key, still_seconds=0.05)
        killed_at = time.monotonic()
        process.kill()
    assert server.wait(key, "gone") - killed_at < NOTICED_SECONDS
    server.wait_idle()
    assert server.events(key) == ["begin", "flowing", "gone"]


@SCHEMES
def test_an_upload_whose_curl_is_killed_ends_at_once(server: ServerProcess, large_file: Path, scheme: str) -> None:
    key = server.new_key()
    arguments = ("--cacert", server.cafile, "--limit-rate", "2M", "-X", "POST", "-T", large_file)
    with start_curl(*arguments, f"{server.url(scheme)}/digest?id={key}") as process:
        server.wait(key, "flowing")
        killed_at = time.monotonic()
        process.kill()
    assert server.wait(key, "gone") - killed_at < NOTICED_SECONDS
    server.wait_idle()
    assert server.events(key) == ["begin", "flowing", "gone"]
