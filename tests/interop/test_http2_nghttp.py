"""nghttp and h2load against the server: many streams on one connection."""

from __future__ import annotations

import functools
import os
import re
import subprocess

import pytest
import trio

import hface_trio
from hface_trio import HTTPStream, Limits

from ._payload import MIB
from ._process import ServerProcess

_SECONDS = 50


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    return done.stdout


def summary(output: str) -> dict[str, int]:
    """The counts of h2load's line of requests."""
    line = re.search(r"^requests: (.*)$", output, re.MULTILINE)
    assert line is not None, output
    return {name: int(count) for count, name in re.findall(r"(\d+) (\w+)", line.group(1))}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nghttp_gets_several_resources_at_once(server: ServerProcess, scheme: str) -> None:
    url = server.url(scheme)
    output = run("nghttp", "--no-verify-peer", "-v", f"{url}/hello", f"{url}/trailers", f"{url}/hints")
    assert output.count("recv (stream_id=") > 10
    assert re.search(r":status: 103", output)
    assert re.search(r"x-sha256: [0-9a-f]{64}", output)
    assert "hinted" in output
    assert "error_code=PROTOCOL_ERROR" not in output


def test_nghttp_uploads_with_padding_and_trailers(server: ServerProcess, tmp_path) -> None:
    (tmp_path / "body").write_bytes(b"x" * 300_000)
    output = run(
        *("nghttp", "--data", str(tmp_path / "body"), "--padding=256", "--trailer", "x-end: 1"),
        *("--no-verify-peer", f"{server.https_url}/digest"),
    )
    assert '"octets": 300000' in output
    assert '["x-end", "1"]' in output


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_thousand_streams_a_hundred_at_once(server: ServerProcess, scheme: str) -> None:
    output = run("h2load", "-n", "1000", "-c", "1", "-m", "100", f"{server.url(scheme)}/bytes?n=2000")
    counts = summary(output)
    assert (counts["succeeded"], counts["failed"], counts["errored"]) == (1000, 0, 0)
    assert f"{1000 * 2000} data" in re.sub(r"\((\d+)\) data", r"\1 data", output) or "1.91MB (2000000) data" in output


def test_several_connections_of_many_uploads(server: ServerProcess, tmp_path) -> None:
    (tmp_path / "body").write_bytes(b"x" * 100_000)
    output = run(
        *("h2load", "-n", "200", "-c", "4", "-m", "20", "-d", str(tmp_path / "body"), f"{server.https_url}/digest")
    )
    assert summary(output)["succeeded"] == 200


def test_a_small_window(server: ServerProcess) -> None:
    """Windows of 2^10 - 1 octets for a stream and for the connection."""
    output = run(
        "h2load", "-n", "20", "-c", "1", "-m", "20", "-w", "10", "-W", "10", f"{server.http_url}/bytes?n=50000"
    )
    assert summary(output)["succeeded"] == 20


async def test_a_thousand_streams_all_at_once() -> None:
    """With the limit raised: all of them are in their handlers before the first is answered."""
    waiting = 0
    all_there = trio.Event()

    async def handler(stream: HTTPStream) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == 1000:
            all_there.set()
        await all_there.wait()
        await stream.send_response(200, body=b"x" * 1000)

    async with trio.open_nursery() as nursery:
        serve = functools.partial(hface_trio.serve, limits=Limits(concurrent_streams=1000))
        server: hface_trio.Server = await nursery.start(serve, handler, "http://127.0.0.1:0")
        with trio.fail_after(_SECONDS):
            command = ["h2load", "-n", "1000", "-c", "1", "-m", "1000", str(server.endpoints[0])]
            done = await trio.run_process(command, capture_stdout=True)
            assert summary(done.stdout.decode())["succeeded"] == 1000
            await server.shutdown(2)
    assert server.statistics().peak_buffered_octets <= 2 * MIB
