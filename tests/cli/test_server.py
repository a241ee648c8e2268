"""``hface-trio server``: what it serves, announces and logs, and how it ends."""

from __future__ import annotations

import contextlib
import http.client
import math
import os
import re
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from hface_trio.testing import Authority

from .processes import CLI, SECONDS, Command, Running, cli, running, running_cli

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"


@pytest.fixture
def server() -> Iterator[Running]:
    with running_cli("server", "routes:handler", "http://127.0.0.1:0", "--access-log") as server:
        yield server


def connect(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(url.removeprefix("http://"), timeout=SECONDS)


def get(url: str, path: str) -> bytes:
    connection = connect(url)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body


@contextlib.contextmanager
def waiting(url: str, path: str) -> Iterator[http.client.HTTPResponse]:
    """Send a request whose handler says that it is waiting, and receive that."""
    connection = connect(url)
    connection.request("GET", path)
    with contextlib.closing(connection), connection.getresponse() as response:
        assert response.read1() == b"waiting\n"
        yield response


def test_handler_is_served_at_the_announced_endpoint(server: Running) -> None:
    assert get(server.url(), "/hello/you") == b"Hello you\n"


def test_every_endpoint_is_served_and_announced(tmp_path: Path) -> None:
    endpoints = ["http://127.0.0.1:0", "http://127.0.0.1:0"]
    with running_cli("server", "routes:handler", *endpoints) as server:
        first, second = server.url(), server.url()
        assert first != second
        assert get(first, "/hello/1") == b"Hello 1\n"
        assert get(second, "/hello/2") == b"Hello 2\n"


def test_unix_socket_is_served(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with running_cli("server", "routes:handler", f"http://unix:{path}") as server:
        assert server.url() == f"http://unix:{path}"
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(SECONDS)
            sock.connect(str(path))
            sock.sendall(b"GET /hello/you HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert b"".join(iter(lambda: sock.recv(1000), b"")).endswith(b"Hello you\n")


def test_https_is_served_with_the_given_certificate(authority: Authority) -> None:
    certfile, keyfile = authority.issue("127.0.0.1")
    arguments = ["routes:handler", "https://127.0.0.1:0", "--cert", certfile, "--key", keyfile]
    with running_cli("server", *arguments) as server:
        context = ssl.create_default_context(cafile=authority.cafile)
        address = server.url().removeprefix("https://")
        connection = http.client.HTTPSConnection(address, timeout=SECONDS, context=context)
        connection.request("GET", "/hello/you")
        assert connection.getresponse().read() == b"Hello you\n"
        connection.close()


def test_key_may_be_in_the_file_of_the_certificate(authority: Authority, tmp_path: Path) -> None:
    certfile, keyfile = authority.issue("127.0.0.1")
    both = tmp_path / "both.pem"
    both.write_bytes(Path(certfile).read_bytes() + Path(keyfile).read_bytes())
    with running_cli("server", "routes:handler", "https://127.0.0.1:0", "--cert", str(both)) as server:
        assert server.url().startswith("https://")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_an_idle_server_in_silence(server: Running, number: int) -> None:
    server.url()
    server.send_signal(number)
    assert server.wait() == 0
    assert server.errors() == ""


def test_signal_closes_a_connection_that_is_kept_alive(server: Running) -> None:
    connection = connect(server.url())
    with contextlib.closing(connection):
        connection.request("GET", "/hello/you")
        connection.getresponse().read()
        server.send_signal(signal.SIGTERM)
        assert connection.sock.recv(1) == b""
    assert server.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_lets_a_request_finish(server: Running, number: int) -> None:
    with waiting(server.url(), "/drain") as response:
        server.send_signal(number)
        assert response.read() == b"drained\n"
    assert server.wait() == 0
    assert server.errors().startswith("hface-trio: finishing what is under way, at most 10 s")


def test_grace_bounds_how_long_a_request_goes_on() -> None:
    with running_cli("server", "routes:handler", "http://127.0.0.1:0", "--grace", "0.2") as server:
        with waiting(server.url(), "/forever") as response:
            server.send_signal(signal.SIGTERM)
            with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
                response.read()
        assert server.wait() == 0


def test_second_signal_ends_the_server_at_once() -> None:
    with (
        running_cli("server", "routes:handler", "http://127.0.0.1:0", "--grace", "inf") as server,
        waiting(server.url(), "/forever"),
    ):
        server.send_signal(signal.SIGINT)
        assert "once more" in server.error_line()
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 128 + signal.SIGTERM


def test_access_log_has_a_line_for_every_request(server: Running) -> None:
    url = server.url()
    get(url, "/hello/you")
    get(url, "/status/404")
    address = r"127\.0\.0\.1:\d+"
    assert re.fullmatch(rf'{STAMP} {address} "GET /hello/you HTTP/1\.1" 200 10 \d+\.\d+ms', server.line())
    assert re.fullmatch(rf'{STAMP} {address} "GET /status/404 HTTP/1\.1" 404 12 \d+\.\d+ms', server.line())


def test_access_log_tells_of_aborted_requests(server: Running) -> None:
    with waiting(server.url(), "/forever"):
        pass
    assert server.line().endswith(" aborted")


def test_access_log_is_quiet_unless_asked_for() -> None:
    with running_cli("server", "routes:handler", "http://127.0.0.1:0") as server:
        get(server.url(), "/hello/you")
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        assert server.rest() == []


def test_failing_handler_is_logged_and_served_on(server: Running) -> None:
    url = server.url()
    connection = connect(url)
    connection.request("GET", "/fail")
    assert connection.getresponse().status == 500
    connection.close()
    assert get(url, "/hello/you") == b"Hello you\n"
    server.send_signal(signal.SIGTERM)
    assert server.wait() == 0
    assert "fails on purpose" in server.errors()


def test_server_serves_on_when_nobody_reads_its_log() -> None:
    reading, writing = os.pipe()
    arguments = ["server", "routes:handler", "http://127.0.0.1:0", "--access-log"]
    with running([*CLI, *arguments], own_stdout=writing) as server:
        os.close(writing)
        url = os.read(reading, 100).decode().split()[-1]
        os.close(reading)
        assert get(url, "/hello/1") == b"Hello 1\n"
        assert get(url, "/hello/2") == b"Hello 2\n"
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        assert server.errors() == ""


def test_handler_is_found_in_the_working_directory(tmp_path: Path) -> None:
    package = tmp_path / "site_of_mine"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "parts.py").write_text(
        "class App:\n"
        "    async def serve(self, stream):\n"
        "        await stream.send_response(200, [], b'found')\n"
        "    async def __call__(self, stream):\n"
        "        await self.serve(stream)\n"
        "app = App()\n"
    )
    for reference in ("site_of_mine.parts:app", "site_of_mine.parts:app.serve"):
        with running_cli("server", reference, "http://127.0.0.1:0", cwd=tmp_path) as server:
            assert get(server.url(), "/") == b"found"


BROKEN = {
    "not_async": ("def handler(stream): pass", "'app:handler' is not asynchronous"),
    "generator": ("async def handler(stream): yield", "is an asynchronous generator"),
    "class": ("class handler: pass", "'app:handler' is a class"),
    "value": ("handler = 1", "'app:handler' is not a function, but of type 'int'"),
    "no argument": ("async def handler(): pass", "'app:handler' must take one argument"),
    "two arguments": ("async def handler(a, b): pass", "'app:handler' must take one argument"),
    "absent": ("", "module 'app' has no 'handler'"),
    "raises": ("\n\nraise ValueError('not today')", "ValueError: not today (app.py, line 3)"),
    "syntax": ("async def handler(stream):", "(app.py, line 1)"),
    "import inside": ("import nothing_like_this", "No module named 'nothing_like_this' (app.py, line 1)"),
    "exits": ("raise SystemExit(0)", "cannot import module 'app': SystemExit: 0"),
    "null": ("\0", "cannot import module 'app'"),
}


@pytest.fixture
def site_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    import sys

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    sys.modules.pop("app", None)


@pytest.mark.parametrize("kind", BROKEN)
def test_handler_that_cannot_be_used_costs_one_line(command: Command, site_directory: Path, kind: str) -> None:
    source, reason = BROKEN[kind]
    (site_directory / "app.py").write_text(source)
    done = command("server", "app:handler", "http://127.0.0.1:0")
    assert done.code == 2
    assert reason in done.complaint()


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("app", "must have the form MODULE:HANDLER"),
        (":handler", "must have the form MODULE:HANDLER"),
        ("app:", "must have the form MODULE:HANDLER"),
        ("app.py:handler", "there is no module"),
        ("dir/app:handler", "is not the name of a module"),
        (".app:handler", "is not the name of a module"),
        ("nowhere.app:handler", "there is no module 'nowhere', neither in"),
    ],
)
def test_reference_that_cannot_be_used_costs_one_line(
    command: Command, site_directory: Path, reference: str, reason: str
) -> None:
    done = command("server", reference, "http://127.0.0.1:0")
    assert done.code == 2
    assert reason in done.complaint()


MISTAKES = {
    "no arguments": ([], "missing argument 'MODULE:HANDLER'"),
    "no endpoint": (["app:handler"], "missing argument 'ENDPOINT...'"),
    "scheme": (["app:handler", "ftp://localhost:0"], "must begin with http:// or https://"),
    "no scheme": (["app:handler", "localhost:8080"], "must begin with http:// or https://"),
    "port": (["app:handler", "http://localhost:99999"], "malformed: Port out of range"),
    "path": (["app:handler", "http://localhost:80/path"], "must hold a host and a port only"),
    "https without certificate": (["app:handler", "https://127.0.0.1:0"], "needs a certificate: --cert FILE"),
    "certificate without https": (["app:handler", "http://127.0.0.1:0", "--cert", __file__], "there is none"),
    "key alone": (["app:handler", "http://127.0.0.1:0", "--key", __file__], "--key goes with --cert"),
    "certificate missing": (["app:handler", "https://127.0.0.1:0", "--cert", "missing"], "'missing' does not exist"),
    "certificate malformed": (["app:handler", "https://127.0.0.1:0", "--cert", __file__], "holds no PEM certificate"),
    "host": (["app:handler", "http://no-such-host.invalid:0"], "cannot listen on no-such-host.invalid:0: "),
    "foreign address": (["app:handler", "http://192.0.2.1:0"], "cannot listen on 192.0.2.1:0: "),
    "unix path": (["app:handler", "http://unix:/missing/socket"], "cannot listen on unix:/missing/socket: No such"),
    "grace": (["app:handler", "http://127.0.0.1:0", "--grace", "nan"], "nan is not a span of time"),
    "negative grace": (["app:handler", "http://127.0.0.1:0", "--grace", "-1"], "-1 is not a span of time"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_costs_one_line_and_exit_code_2(command: Command, site_directory: Path, mistake: str) -> None:
    (site_directory / "app.py").write_text("async def handler(stream): ...")
    arguments, reason = MISTAKES[mistake]
    done = command("server", *arguments)
    assert done.code == 2, done
    assert reason in done.complaint(), done


def test_port_in_use_costs_one_line_that_names_it(command: Command, site_directory: Path) -> None:
    (site_directory / "app.py").write_text("async def handler(stream): ...")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = command("server", "app:handler", "http://127.0.0.1:0", f"http://127.0.0.1:{port}")
    assert done.code == 2
    assert done.complaint() == f"cannot listen on 127.0.0.1:{port}: Address already in use"


def test_key_of_another_certificate_costs_one_line(command: Command, authority: Authority) -> None:
    certfile, _ = authority.issue("localhost")
    _, keyfile = authority.issue("localhost")
    done = command("server", "trio:sleep", "https://127.0.0.1:0", "--cert", certfile, "--key", keyfile)
    assert done.code == 2
    assert "is not that of" in done.complaint()


def test_process_ends_with_exit_code_2_after_a_mistake() -> None:
    assert cli("server", "routes:nothing", "http://127.0.0.1:0").code == 2


def test_grace_may_be_infinite() -> None:
    with running_cli("server", "routes:handler", "http://127.0.0.1:0", "--grace", str(math.inf)) as server:
        server.url()
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0


def test_signal_before_the_server_serves_ends_it(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    with running_cli("server", "app:handler", "http://127.0.0.1:0", cwd=tmp_path) as server:
        server.line_with("importing")
        server.send_signal(signal.SIGINT)
        assert server.wait() == 128 + signal.SIGINT
        assert server.errors() == ""
