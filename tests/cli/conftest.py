from __future__ import annotations

import dataclasses
import signal
import sys
from collections.abc import Callable, Iterator

import pytest

from hface_trio.cli import main
from hface_trio.testing import Authority

from .processes import Finished, interruptible, running_cli


@pytest.fixture(scope="package", autouse=True)
def interrupts() -> Iterator[None]:
    with interruptible():
        yield


@dataclasses.dataclass(frozen=True)
class Site:
    """A running server with the routes of ``routes.py``; origins without a final slash."""

    http: str
    https: str
    cafile: str


@pytest.fixture(scope="package")
def site(authority: Authority) -> Iterator[Site]:
    certfile, keyfile = authority.issue("127.0.0.1", "localhost")
    endpoints = ["http://127.0.0.1:0", "https://127.0.0.1:0"]
    with running_cli("server", "routes:handler", *endpoints, "--cert", certfile, "--key", keyfile) as server:
        yield Site(server.url(), server.url(), authority.cafile)
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 0


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Finished]:
    """Run a command in this process, which takes a tenth of the time: for what does not depend on a process."""
    monkeypatch.setattr(sys, "path", sys.path.copy())

    def run(*arguments: str) -> Finished:
        code = main(arguments)
        return Finished(code, *capfdbinary.readouterr())

    return run
