"""``hface-trio client``: requests one after the other over one client, bodies to one place.

What a person got wrong (a URL, a file, a field) ends the command before anything is sent. A failed exchange costs a line
and the exit code, and the next URL has its turn.
"""

from __future__ import annotations

import dataclasses
import os
import ssl
from collections.abc import Sequence

from .._version import __version__
from ..client import Client, RequestURL, Response, open_client
from ..errors import ConfigurationError, HfaceError, LocalProtocolError, TLSHandshakeError
from ..models import ClientTLSConfig, HeaderType
from ._border import EXIT_FAILED, CommandError, complain
from ._progress import TransferBars
from ._sink import Sink
from ._text import describe_status, response_head
from ._trace import Trace
from ._upload import Upload, reads_standard_input

__all__ = ["ClientOptions", "parse_field", "run_client"]

_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")


@dataclasses.dataclass(frozen=True)
class ClientOptions:
    """What the command line said.

    Args:
        urls: what to fetch, in order.
        method: of all requests; ``None`` for GET, or POST with data.
        data: see :class:`~hface_trio.cli._upload.Upload`.
        fields: added to every request.
        insecure: trust anyone.
        cafile: PEM file with the authorities to trust instead of the system's.
        version: HTTP version to speak; ``None`` for what the server prefers.
        output: file for the bodies; ``None`` for standard output.
        include: put heads in front of bodies.
        verbose: print heads on standard error.
        fail: take statuses from 400 for failures, and drop their bodies.
    """

    urls: Sequence[str]
    method: str | None = None
    data: str | None = None
    fields: Sequence[HeaderType] = ()
    insecure: bool = False
    cafile: str | None = None
    version: str | None = None
    output: str | None = None
    include: bool = False
    verbose: bool = False
    fail: bool = False


def parse_field(text: str) -> HeaderType:
    """Read a field such as ``Accept: text/plain``.

    Raises:
        CommandError: it is not one, or not for the user to set.
    """
    name, separator, value = os.fsencode(text).partition(b":")
    name, value = name.lower(), value.strip(b" \t")
    if not separator:
        raise CommandError(f"field {text!r} must have the form 'Name: value'")
    if not name or not _TOKEN.issuperset(name):
        raise CommandError(f"field {text!r} has a name that is not a token")
    if any(octet < 0x20 and octet != 0x09 for octet in value) or b"\x7f" in value:
        raise CommandError(f"field {text!r} has a value with control characters")
    if name == b"host":
        raise CommandError(f"field {text!r} cannot be set: it follows from the URL")
    return name, value


async def run_client(options: ClientOptions) -> int:
    """Fetch all URLs and return the exit code.

    Raises:
        CommandError: an argument cannot be used.
        ConfigurationError: the same.
    """
    for url in options.urls:
        _check_url(url)
    if len(options.urls) > 1 and reads_standard_input(options.data):
        raise CommandError("standard input can be sent to one URL only")
    trace = Trace() if options.verbose else None
    tls_config = ClientTLSConfig(
        insecure=options.insecure, cafile=options.cafile, keylog_filename=os.environ.get("SSLKEYLOGFILE") or None
    )
    exit_code = 0
    with Sink(options.output) as sink:
        versions = None if options.version is None else [options.version]
        async with open_client(http_versions=versions, tls_config=tls_config, observer=trace) as client:
            for url in options.urls:
                try:
                    await _Fetch(client, url, options, sink, trace).run()
                except (ConfigurationError, LocalProtocolError):
                    raise
                except HfaceError as exc:
                    complain(f"{url}: {_explain(exc)}")
                    exit_code = EXIT_FAILED
    return exit_code


def _check_url(url: str) -> None:
    try:
        url.encode()
    except UnicodeEncodeError:
        raise CommandError(f"URL {url!r} is not UTF-8") from None
    RequestURL.parse(url)


def _explain(exc: HfaceError) -> str:
    message = exc.message or type(exc).__name__
    if isinstance(exc, TLSHandshakeError) and isinstance(exc.__cause__, ssl.SSLCertVerificationError):
        message += " (--cacert FILE says whom to trust, --insecure trusts anyone)"
    return message


class _FetchError(HfaceError):
    """An exchange failed, in words that hold all there is to say."""


class _Fetch:
    """One exchange."""

    def __init__(self, client: Client, url: str, options: ClientOptions, sink: Sink, trace: Trace | None) -> None:
        self._client = client
        self._url = url
        self._options = options
        self._sink = sink
        self._trace = trace

    async def run(self) -> None:
        options = self._options
        wanted = not self._sink.is_terminal()  # a bar would run through what is written
        with TransferBars(wanted=wanted) as bars, Upload(options.data) as upload:
            if upload.streamed:
                upload.tell(bars.add("sent", upload.length))
            fields = self._fields(upload)
            if self._trace is not None:
                self._trace.begin(fields, bars.print_line)
            method = options.method
            if method is None:
                method = "GET" if options.data is None else "POST"
            exchange = self._client.stream(method, self._url, headers=fields, content=upload.content)
            async with exchange as response:
                await self._receive(response, bars)

    def _fields(self, upload: Upload) -> list[HeaderType]:
        fields = list(self._options.fields)
        given = {name for name, _ in fields}
        if b"user-agent" not in given:
            fields.append((b"user-agent", f"hface-trio/{__version__}".encode()))
        if b"accept" not in given:
            fields.append((b"accept", b"*/*"))
        if upload.length and b"content-length" not in given:
            fields.append((b"content-length", b"%d" % upload.length))
        return fields

    async def _receive(self, response: Response, bars: TransferBars) -> None:
        if self._trace is not None:
            self._trace.response_received(response)
        if self._options.fail and response.status >= 400:
            raise _FetchError(describe_status(response.status))
        self._sink.begin()
        if self._options.include:
            await self._sink.write(response_head(response.http_version, response.status, response.headers))
        declared = response.header(b"content-length")
        length = int(declared) if declared is not None and declared.isdigit() else None
        advance = bars.add("received", length)
        received = 0
        try:
            async for octets in response:
                await self._sink.write(octets)
                received += len(octets)
                advance(len(octets))
        except HfaceError as exc:
            of_all = "" if length is None else f" of {length}"
            raise _FetchError(f"{_explain(exc)}, after {received}{of_all} octets of the body") from exc
        if self._trace is not None and response.trailers:
            self._trace.trailers_received(response.trailers)
