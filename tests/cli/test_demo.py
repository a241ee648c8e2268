"""``hface-trio demo``: the first thing that people run."""

from __future__ import annotations

import re
import shlex
import signal
import socket
import ssl
import urllib.request
from pathlib import Path

import pytest

from hface_trio import ConnectError
from hface_trio.cli._demo import HTTP_VERSIONS, _Fetched, _greeting

from .processes import SECONDS, Command, Finished, cli, running_cli


@pytest.fixture(scope="module")
def once() -> Finished:
    return cli("demo", "--once", environment={"COLUMNS": "80"})


def test_once_fetches_over_every_version_and_ends(once: Finished) -> None:
    assert (once.code, once.err) == (0, "")
    text = once.out.decode()
    for version in HTTP_VERSIONS:
        assert re.search(rf"https +{re.escape(version)} +TLSv1\.3 +200 OK +\d+ +\d+\.\d ms +It works: HTTP/", text)
    assert re.search(r"http +1\.1 +none +200 OK +\d+ +\d+\.\d ms +It works: HTTP/1\.1, no TLS", text)


def test_table_fits_a_terminal(once: Finished) -> None:
    assert max(map(len, once.out.decode().splitlines())) <= 80


def test_table_is_readable_in_ascii() -> None:
    done = cli("demo", "--once", environment={"PYTHONIOENCODING": "ascii"})
    assert done.code == 0
    assert done.out.isascii()


def test_demo_serves_on_at_the_printed_urls_until_interrupted() -> None:
    with running_cli("demo") as demo:
        demo.line_with("Open one of these")
        https_url, http_url = demo.line().strip(), demo.line().strip()
        command = shlex.split(demo.line())
        assert command[0] == "curl"
        assert command[-1] == https_url
        cafile = command[command.index("--cacert") + 1]
        context = ssl.create_default_context(cafile=cafile)
        with urllib.request.urlopen(https_url, timeout=SECONDS, context=context) as response:
            assert response.read().startswith(b"It works: HTTP/1.1, TLSv1.3\n")
        with urllib.request.urlopen(http_url, timeout=SECONDS) as response:
            assert response.read().startswith(b"It works: HTTP/1.1, no TLS\n")
        demo.send_signal(signal.SIGINT)
        assert demo.wait() == 0
        assert demo.errors() == ""
    assert not Path(cafile).exists()


def two_free_ports() -> int:
    """Return a port that is free, and the next one is too."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def test_port_can_be_chosen() -> None:
    port = two_free_ports()
    with running_cli("demo", "--port", str(port)) as demo:
        demo.line_with("Open one of these")
        assert demo.line().strip() == f"https://localhost:{port}/"
        assert demo.line().strip() == f"http://localhost:{port + 1}/"
        demo.send_signal(signal.SIGTERM)
        assert demo.wait() == 0


def test_port_in_use_costs_one_line(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = command("demo", "--once", "--port", str(port))
    assert done.code == 2
    assert done.complaint() == f"cannot listen on localhost:{port}: Address already in use"


def test_port_that_does_not_exist_costs_one_line(command: Command) -> None:
    done = command("demo", "--port", "65535")
    assert done.code == 2
    assert "65535 is not in the range" in done.complaint()


def test_missing_trustme_costs_one_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "trustme", None)
    done = command("demo", "--once")
    assert done.code == 2
    assert "pip install 'hface-trio[cli]'" in done.complaint()


def test_failed_fetch_is_shown_and_gives_exit_code_1(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Fetched, "failure", property(lambda fetched: "wrong" if fetched.tls_version else None))
    done = command("demo", "--once")
    assert done.code == 1
    assert done.out.decode().count("[wrong]") == len(HTTP_VERSIONS)


def test_fetch_without_an_answer_is_shown_and_gives_exit_code_1(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> _Fetched:
        raise ConnectError("refused")

    monkeypatch.setattr("hface_trio.cli._demo._fetch", refuse)
    done = command("demo", "--once")
    assert done.code == 1
    assert done.out.decode().count("refused") == len(HTTP_VERSIONS) + 1


def fetched(**changes: object) -> _Fetched:
    values: dict[str, object] = {
        "scheme": "https",
        "asked_version": "1.1",
        "status": 200,
        "version": "1.1",
        "tls_version": "TLSv1.3",
        "body": _greeting("1.1", "TLSv1.3"),
        "seconds": 0.001,
    }
    return _Fetched(**(values | changes))  # type: ignore[arg-type]


def test_what_was_asked_for_is_no_failure() -> None:
    assert fetched().failure is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": 500}, "500 Internal Server Error"),
        ({"version": "2"}, "it came over HTTP/2"),
        ({"tls_version": None}, "without TLS"),
        ({"body": b""}, "not what was sent"),
        ({"body": _greeting("1.1", "TLSv1.2")}, "not what was sent"),
    ],
)
def test_anything_else_is_a_failure(changes: dict[str, object], reason: str) -> None:
    failure = fetched(**changes).failure
    assert failure is not None
    assert reason in failure
