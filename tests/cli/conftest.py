from __future__ import annotations

import dataclasses
import signal
import sys
from collections.abc import Callable, Iterator

import pytest

from hface_trio.cli import main
from hface_trio.testing import Authority, throwaway_authority

from .processes import Finished, running_cli


@pytest.fixture(scope="package", autouse=True)
def interruptible() -> Iterator[None]:
    """Let processes be interrupted even where the tests themselves run in the background, which ignores SIGINT."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="package")
def authority() -> Iterator[Authority]:
    with throwaway_authority() as authority:
        yield authority


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
