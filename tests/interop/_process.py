"""The server process, as tests see it. All calls wait, each under a deadline."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

from hface_trio.testing import Authority

__all__ = ["EXIT_SECONDS", "ROOT", "ServerProcess", "ended", "running_server"]

ROOT = Path(__file__).resolve().parents[2]
_CONTROL_SECONDS = 30.0
EXIT_SECONDS = 10.0


class ServerProcess:
    """A server with the handlers of :mod:`tests.interop._handlers` in a process of its own; made by :func:`running_server`."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        control: socket.socket,
        cafile: str,
        socket_path: str,
        certfile: str,
    ) -> None:
        control.settimeout(_CONTROL_SECONDS)
        self._control = control.makefile("rwb")
        self._keys = itertools.count(1)
        self.pid = process.pid
        self.cafile = cafile
        self.certfile = certfile
        self.socket_path = socket_path
        urls: list[str] = self._read()
        self.http_url, self.https_url, *_ = urls

    def url(self, scheme: str) -> str:
        return self.https_url if scheme == "https" else self.http_url

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the cleartext endpoint."""
        host, _, port = self.http_url.removeprefix("http://").rpartition(":")
        return host, int(port)

    def new_key(self) -> str:
        """Return an ``id`` for a request that no other has."""
        return f"request-{next(self._keys)}"

    def connect(
        self, scheme: str = "http", *, timeout: float = 20.0, receive_octets: int | None = None
    ) -> socket.socket:
        """Return a blocking socket to the server, its TLS handshake made.

        ``receive_octets`` bounds what the kernel receives ahead of this process.
        """
        host, _, port = self.url(scheme).partition("://")[2].rpartition(":")
        sock = socket.socket()
        try:
            sock.settimeout(timeout)
            if receive_octets is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_octets)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect((host, int(port)))
            if scheme == "https":
                context = ssl.create_default_context(cafile=self.cafile)
                return context.wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise
        return sock

    def statistics(self) -> dict[str, int]:
        counts: dict[str, int] = self._ask(do="statistics")
        return counts

    def wait_idle(self, seconds: float = 5.0) -> None:
        """Wait until the server holds no connection, handler or octet.

        Raises:
            AssertionError: it still does after ``seconds``.
        """
        left = self._ask(do="idle", seconds=seconds)
        busy = {name: left[name] for name in ("connections", "handlers", "buffered_octets") if left[name]}
        assert not busy, f"left behind: {busy}"

    def wait(self, key: str, event: str, seconds: float = 5.0) -> float:
        """Wait for an entry of the journal; return its time.

        Raises:
            AssertionError: it did not come within ``seconds``.
        """
        entry = self._ask(do="wait", key=key, event=event, seconds=seconds)
        assert entry is not None, f"no {event!r} of {key!r} within {seconds} s, but {self.events(key)}"
        at: float = entry["at"]
        return at

    def wait_stalled(self, key: str, seconds: float = 10.0, still_seconds: float = 0.2) -> int:
        """Wait until the request's body has been at a standstill for ``still_seconds``; return its octets so far.

        Raises:
            AssertionError: it was not within ``seconds``.
        """
        octets: int | None = self._ask(do="stalled", key=key, seconds=seconds, still_seconds=still_seconds)
        assert octets is not None, f"{key!r} never came to a standstill"
        return octets

    def events(self, key: str) -> list[str]:
        """Return the names of a request's entries so far."""
        return [entry["event"] for entry in self._ask(do="entries", key=key)]

    def release(self, key: str) -> None:
        """Open the gate that a handler waits at."""
        self._ask(do="release", key=key)

    def take_errors(self) -> list[str]:
        """Return what the server logged as an error since the last call."""
        messages: list[str] = self._ask(do="errors")
        return messages

    def collect(self) -> int:
        """Make the server collect its garbage; return how many objects its collector tracks."""
        n_objects: int = self._ask(do="collect")
        return n_objects

    def trace(self) -> None:
        """Make the server trace its allocations."""
        self._ask(do="trace")

    def traced_peak(self) -> int:
        """Return the most octets that the server had allocated at once since it began to trace; it ends that."""
        peak: int = self._ask(do="traced_peak")
        return peak

    def _ask(self, **command: object) -> Any:
        self._control.write(json.dumps(command).encode() + b"\n")
        self._control.flush()
        return self._read()

    def _read(self) -> Any:
        line = self._control.readline()
        assert line, "the server process has ended"
        return json.loads(line)


@contextlib.contextmanager
def running_server(authority: Authority) -> Generator[ServerProcess]:
    """Run a server process for the length of the block; it must end cleanly."""
    certfile, keyfile = authority.issue("localhost", "127.0.0.1")
    ours, theirs = socket.socketpair()
    with ours, tempfile.TemporaryDirectory() as directory:
        with theirs:
            socket_path = f"{directory}/socket"
            arguments = [str(theirs.fileno()), certfile, keyfile, socket_path]
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.interop._app", *arguments],
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
            )
        try:
            server = ServerProcess(process, ours, authority.cafile, socket_path, certfile)
            yield server
            server._control.close()
            ours.close()
            code = process.wait(EXIT_SECONDS)
            assert code == 0, f"the server process ended with {code}"
        finally:
            process.kill()  # harmless when it has ended
            process.wait()


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Generator[None]:
    """End somebody else's process with the block: first it is asked to."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
