"""Headless Chromium, driven by its DevTools protocol over two pipes.

Chromium trusts no authority of ours, and over QUIC takes no other: so the server's key is named to it by the digest of its public key
(``--ignore-certificate-errors-spki-list``).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

__all__ = ["Page", "browser_page"]

_SECONDS = 30.0
_EXIT_SECONDS = 5.0
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-features=MediaRouter,OptimizationHints,HttpsUpgrades",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--host-resolver-rules=MAP localhost 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing leaves the machine
    "--enable-quic",
    "--remote-debugging-pipe",
)


class Page:
    """A page of a browser."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._received = b""
        self._ids = itertools.count(1)
        self._session: dict[str, str] = {}
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._session = {"sessionId": session}
        self._ask("Page.enable")

    def load(self, url: str) -> None:
        """Load a page to its end."""
        answer = self._ask("Page.navigate", url=url)
        assert "errorText" not in answer, answer
        assert self.evaluate(
            "new Promise(done => document.readyState == 'complete' ? done(1) : onload = () => done(1))"
        )

    def evaluate(self, expression: str) -> Any:
        """Return what a JavaScript expression comes to; a promise is awaited."""
        answer = self._ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def protocol(self) -> str:
        """Return the protocol that the page came over, as it was negotiated."""
        protocol: str = self.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol")
        return protocol

    def close_browser(self) -> None:
        """Let the browser end by itself, and tell its peers."""
        self._session = {}
        self._ask("Browser.close")

    def _ask(self, method: str, **parameters: object) -> Any:
        number = next(self._ids)
        command = {"id": number, "method": method, "params": parameters, **self._session}
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        deadline = time.monotonic() + _SECONDS
        while True:
            message = json.loads(self._receive(deadline))
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                return message["result"]

    def _receive(self, deadline: float) -> bytes:
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            data = os.read(self._answers, 65536)
            assert data, "the browser has ended"
            self._received += data
        message, _, self._received = self._received.partition(b"\0")
        return message


def _public_key_digest(certfile: str) -> str:
    certificate = x509.load_pem_x509_certificate(Path(certfile).read_bytes())
    key = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


@contextlib.contextmanager
def browser_page(certfile: str, *options: str) -> Generator[Page]:
    """Run a browser for the length of the block, with a profile to throw away.

    Args:
        certfile: the certificate of the server that is to be trusted.
        options: more of the command line.
    """
    command = ["chromium", *_OPTIONS, f"--ignore-certificate-errors-spki-list={_public_key_digest(certfile)}", *options]
    with contextlib.ExitStack() as stack:
        profile = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        stack.callback(os.close, ours_in)
        stack.callback(os.close, ours_out)
        # The browser reads commands from descriptor 3 and answers on 4, whatever the numbers of the pipes are here.
        script = f'exec 3<&{theirs_in} 4>&{theirs_out}; exec "$@"'
        process = subprocess.Popen(
            ["bash", "-c", script, "bash", *command, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=[theirs_in, theirs_out],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "HOME": profile},
        )
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            page = Page(ours_out, ours_in)
            yield page
            page.close_browser()
            process.wait(_EXIT_SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(_EXIT_SECONDS)
