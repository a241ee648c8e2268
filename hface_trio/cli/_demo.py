"""``hface-trio demo``: a server and a client in one process, over real sockets and TLS.

The certificate is made for the occasion, by an authority whose file is there as long as the demo runs.
"""

from __future__ import annotations

import dataclasses
import functools

import trio
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..client import open_client
from ..connections import HTTPStream
from ..errors import HfaceError
from ..models import ClientTLSConfig
from ..server import Server, serve
from ..testing import Authority, throwaway_authority
from ._border import EXIT_FAILED
from ._server import NamingNetworking
from ._stop import ServerRun
from ._text import describe_status, printable_bytes

__all__ = ["HTTP_VERSIONS", "run_demo"]

HTTP_VERSIONS = ("1.1", "2", "3")
"""The versions that are fetched over TLS: all that server and client speak."""

_HOST = "localhost"
_FETCH_SECONDS = 10
_GRACE_SECONDS = 5


async def _handle(stream: HTTPStream) -> None:
    body = _greeting(stream.http_version, stream.extra_attributes.tls_version)
    body += b"\nThis is what you sent:\n\n"
    body += b"".join(b"%b: %b\n" % (name, value) for name, value in stream.headers)
    await stream.send_response(200, [(b"content-type", b"text/plain; charset=utf-8")], body)


def _greeting(http_version: str, tls_version: str | None) -> bytes:
    return f"It works: HTTP/{http_version}, {tls_version or 'no TLS'}\n".encode()


@dataclasses.dataclass(frozen=True)
class _Fetched:
    """What came back of one request."""

    scheme: str
    asked_version: str
    status: int
    version: str
    tls_version: str | None
    body: bytes
    seconds: float

    @property
    def failure(self) -> str | None:
        """Why this is not what was asked for, or ``None``."""
        if self.status != 200:
            return f"the status is {describe_status(self.status)}"
        if self.version != self.asked_version:
            return f"it came over HTTP/{self.version}"
        if self.scheme == "https" and self.tls_version is None:
            return "it came without TLS"
        if not self.body.startswith(_greeting(self.version, self.tls_version)):
            return "the body is not what was sent"
        return None


async def run_demo(*, once: bool, port: int) -> int:
    """Serve, fetch over every version, print what came back, and serve on until a signal, unless ``once``.

    Args:
        once: end when everything was fetched; the exit code is then 0 only if all of it came back right.
        port: of the https endpoint; that of http is the next one. 0 takes free ones.

    Raises:
        CommandError: the ports cannot be bound.
    """
    with throwaway_authority() as authority:
        endpoints = [f"https://{_HOST}:{port}", f"http://{_HOST}:{port + 1 if port else 0}"]
        serve_demo = functools.partial(
            serve,
            _handle,
            endpoints,
            tls_config=authority.server_config(_HOST, "127.0.0.1", "::1"),
            networking=NamingNetworking(),
        )
        prepare = functools.partial(_show, authority, once=once)
        return await ServerRun(serve_demo, prepare, _GRACE_SECONDS).run()


async def _show(authority: Authority, server: Server, *, once: bool) -> int | None:
    ports = {endpoint.scheme: endpoint.port for endpoint in server.endpoints}
    urls = {scheme: f"{scheme}://{_HOST}:{port}/" for scheme, port in ports.items()}
    table = _new_table()
    complete = True
    for version in HTTP_VERSIONS:
        complete &= await _add_row(table, "https", version, urls["https"], authority.client_config())
    complete &= await _add_row(table, "http", "1.1", urls["http"], None)
    console = Console()
    console.print("What the server in this process answered:", highlight=False)
    console.print()
    console.print(table)
    console.print()
    if once:
        return 0 if complete else EXIT_FAILED
    console.print("Open one of these, or press Ctrl-C to end:", highlight=False)
    command = f"curl --cacert {authority.cafile} {urls['https']}"
    for line in (urls["https"], urls["http"], command):
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    console.print("A browser will warn: nobody knows who issued the certificate.", highlight=False)
    return None


def _new_table() -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("scheme", "HTTP", "TLS", "status"):
        table.add_column(heading, no_wrap=True)
    table.add_column("octets", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("first line", overflow="fold")
    return table


async def _add_row(table: Table, scheme: str, version: str, url: str, tls_config: ClientTLSConfig | None) -> bool:
    try:
        fetched = await _fetch(scheme, version, url, tls_config)
    except (HfaceError, trio.TooSlowError) as exc:
        reason = f"no answer in {_FETCH_SECONDS} s" if isinstance(exc, trio.TooSlowError) else str(exc)
        table.add_row(scheme, version, "-", "failed", "-", "-", Text(reason, style="red"))
        return False
    first_line = Text(printable_bytes(fetched.body.partition(b"\n")[0]))
    failure = fetched.failure
    if failure is not None:
        first_line.append(f" [{failure}]", style="red")
    table.add_row(
        scheme,
        fetched.version,
        fetched.tls_version or "none",
        describe_status(fetched.status),
        str(len(fetched.body)),
        f"{fetched.seconds * 1000:.1f} ms",
        first_line,
    )
    return failure is None


async def _fetch(scheme: str, version: str, url: str, tls_config: ClientTLSConfig | None) -> _Fetched:
    """Fetch with a new client, so that the time includes connecting."""
    started_at = trio.current_time()
    with trio.fail_after(_FETCH_SECONDS):
        async with (
            open_client(http_versions=[version], tls_config=tls_config) as client,
            client.stream("GET", url) as response,
        ):
            body = await response.read()
            attributes = response.stream.extra_attributes
    seconds = trio.current_time() - started_at
    return _Fetched(scheme, version, response.status, response.http_version, attributes.tls_version, body, seconds)
