"""Every example runs as it is, in a process of its own, and does what its text says."""

from __future__ import annotations

import contextlib
import http.client
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hface_trio.testing import throwaway_authority

from .cli.processes import CLI, ENVIRONMENT, SECONDS, Finished, Running, interruptible, running

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module", autouse=True)
def interrupts() -> Iterator[None]:
    with interruptible():
        yield


def example(name: str, *arguments: str) -> Finished:
    completed = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments],
        capture_output=True,
        env=ENVIRONMENT,
        timeout=SECONDS,
        check=False,
    )
    return Finished(completed.returncode, completed.stdout, completed.stderr)


@contextlib.contextmanager
def running_example(name: str, *arguments: str) -> Iterator[Running]:
    with running([sys.executable, str(EXAMPLES / name), *arguments], cwd=EXAMPLES) as run:
        yield run


@pytest.fixture(scope="module")
def stream_server() -> Iterator[str]:
    """Where ``stream_server.py`` listens."""
    with running_example("stream_server.py", "0") as server:
        yield server.url()
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        assert server.errors() == ""


@contextlib.contextmanager
def request(url: str, method: str, path: str, body: bytes | None = None) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=SECONDS)
    with contextlib.closing(connection):
        connection.request(method, path, body)
        with connection.getresponse() as response:
            yield response


def test_every_example_is_tested() -> None:
    tested = {"custom_client.py", "custom_server.py", "hello.py", "sansio_client.py", "stream_server.py"}
    tested |= {"three_versions.py"}
    assert {path.name for path in EXAMPLES.glob("*.py")} == tested


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 200), ("HEAD", "/", 200), ("GET", "/none", 404), ("GET", "/echo", 405), ("DELETE", "/", 405)],
)
def test_stream_server_has_routes(stream_server: str, method: str, path: str, status: int) -> None:
    with request(stream_server, method, path) as response:
        assert response.status == status


def test_stream_server_echoes(stream_server: str) -> None:
    body = bytes(range(256)) * 100
    with request(stream_server, "POST", "/echo", body) as response:
        assert response.read() == body


def test_stream_server_counts(stream_server: str) -> None:
    with request(stream_server, "GET", "/count?3") as response:
        assert response.read() == b"1\n2\n3\n"


def test_stream_server_counts_on_a_little_when_it_shuts_down() -> None:
    with running_example("stream_server.py", "0") as server:
        with request(server.url(), "GET", "/count?999999") as response:
            assert response.read1() == b"1\n"
            server.send_signal(signal.SIGINT)
            assert response.read().endswith(b"The server is about to end.\n")
        assert server.wait() == 0


def test_custom_server_answers_requests_on_one_connection() -> None:
    with running_example("custom_server.py", "0") as server:
        url = server.url()
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=SECONDS)
        with contextlib.closing(connection):
            for method, body in [("GET", b"It works!\n"), ("HEAD", b""), ("POST", b"It works!\n")]:
                connection.request(method, "/", b"request body" if method == "POST" else None)
                assert connection.getresponse().read() == body
        assert [server.line_with("/") for _ in range(3)] == ["GET /", "HEAD /", "POST /"]
        server.send_signal(signal.SIGINT)
        assert server.wait() == 0
        assert server.rest() == ["ended"]
        assert server.errors() == ""


def test_custom_server_and_custom_client_understand_each_other() -> None:
    with running_example("custom_server.py", "0") as server:
        done = example("custom_client.py", f"{server.url()}/")
    assert (done.code, done.err) == (0, "")
    lines = done.out.decode().splitlines()
    assert lines[0].endswith("HTTP/1.1")
    assert lines[1] == ":status: 200"
    assert lines[-1] == "It works!"


def test_custom_client_takes_a_streamed_body(stream_server: str) -> None:
    assert example("custom_client.py", f"{stream_server}/count?2").out.endswith(b"\n\n1\n2\n")


def test_sansio_client_fetches(stream_server: str) -> None:
    done = example("sansio_client.py", f"{stream_server}/count?2")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(b"HeadersReceived 200\nDataReceived 2 octets\nDataReceived 2 octets\n")
    assert done.out.endswith(b"\n1\n2\n")


def test_hello_is_a_handler_for_the_command_line() -> None:
    with running([*CLI, "server", "hello:handler", "http://127.0.0.1:0"], cwd=EXAMPLES) as server:
        with request(server.url(), "GET", "/you") as response:
            assert response.read() == b"Hello from /you\n"
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0


def test_custom_client_speaks_tls_to_whom_it_is_told_to_trust() -> None:
    with throwaway_authority() as authority:
        certfile, keyfile = authority.issue("127.0.0.1")
        command = [*CLI, "server", "hello:handler", "https://127.0.0.1:0", "--cert", certfile, "--key", keyfile]
        with running(command, cwd=EXAMPLES) as server:
            done = example("custom_client.py", f"{server.url()}/you", authority.cafile)
    assert done.code == 0, done
    assert done.out.endswith(b"\n\nHello from /you\n")


def test_three_versions_are_served_by_one_handler() -> None:
    done = example("three_versions.py")
    assert (done.code, done.err) == (0, "")
    assert done.out.decode().splitlines() == [
        "hello over HTTP/1.1",
        "hello over HTTP/2",
        "hello over HTTP/3",
        "a datagram came back: MAY BE LOST",
    ]
