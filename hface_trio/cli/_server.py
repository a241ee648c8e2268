"""``hface-trio server``: a stream handler, served until a signal ends it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import os
import sys
from collections.abc import Sequence

from ..models import AddressType, ServerTLSConfig
from ..networking import SocketListener, SystemNetworking, UDPSocket
from ..server import Endpoint, Server, serve
from ._access_log import AccessLog, configure_logging
from ._border import CommandError
from ._handler import import_handler
from ._stop import ServerRun
from ._text import describe_address

__all__ = ["NamingNetworking", "ServerOptions", "run_server"]


@dataclasses.dataclass(frozen=True)
class ServerOptions:
    """What the command line said.

    Args:
        handler: ``MODULE:HANDLER``.
        endpoints: where to listen.
        certfile: PEM file with the certificate chain, for ``https`` endpoints.
        keyfile: PEM file with its private key; ``None`` when ``certfile`` holds it too.
        grace_seconds: how long requests may go on after the first signal.
        access_log: print a line for every request.
    """

    handler: str
    endpoints: Sequence[str]
    certfile: str | None = None
    keyfile: str | None = None
    grace_seconds: float = 10
    access_log: bool = False


class NamingNetworking(SystemNetworking):
    """The system's network, with the address in what it says of an address that cannot be bound."""

    async def listen_tcp(self, address: AddressType) -> Sequence[SocketListener]:
        """Bind and listen.

        Raises:
            CommandError: the address cannot be bound.
        """
        try:
            return await super().listen_tcp(address)
        except OSError as exc:
            raise _cannot_listen(address, "", exc) from exc

    async def listen_udp(self, address: AddressType) -> Sequence[UDPSocket]:
        """Bind for datagrams.

        Raises:
            CommandError: the address cannot be bound.
        """
        try:
            return await super().listen_udp(address)
        except OSError as exc:
            raise _cannot_listen(address, " for HTTP/3 (UDP)", exc) from exc


def _cannot_listen(address: AddressType, what: str, exc: OSError) -> CommandError:
    where = describe_address((address[0] or "*", address[1]))
    return CommandError(f"cannot listen on {where}{what}: {exc.strerror or exc}")


async def run_server(options: ServerOptions) -> int:
    """Serve until SIGINT or SIGTERM and return the exit code.

    Raises:
        CommandError: an argument cannot be used, or an endpoint not be bound.
        ConfigurationError: the same.
    """
    endpoints = [Endpoint.parse(text) for text in options.endpoints]
    tls_config = _tls_config(options, endpoints)
    handler = import_handler(options.handler)
    configure_logging(access_log=options.access_log)
    serve_handler = functools.partial(
        serve,
        handler,
        endpoints,
        tls_config=tls_config,
        networking=NamingNetworking(),
        observer=AccessLog() if options.access_log else None,
    )
    return await ServerRun(serve_handler, _announce, options.grace_seconds).run()


def _tls_config(options: ServerOptions, endpoints: Sequence[Endpoint]) -> ServerTLSConfig | None:
    if options.certfile is None:
        if options.keyfile is not None:
            raise CommandError("--key goes with --cert")
        secure = next((endpoint for endpoint in endpoints if endpoint.secure), None)
        if secure is not None:
            raise CommandError(f"{secure} needs a certificate: --cert FILE, and --key FILE unless it holds the key too")
        return None
    if not any(endpoint.secure for endpoint in endpoints):
        raise CommandError("--cert is for https endpoints, and there is none")
    keylog = os.environ.get("SSLKEYLOGFILE") or None
    return ServerTLSConfig(certfile=options.certfile, keyfile=options.keyfile, keylog_filename=keylog)


async def _announce(server: Server) -> None:
    # What there is now stays: a collector that looked at it again and again would hold up requests for tens of milliseconds.
    gc.collect()
    gc.freeze()
    with contextlib.suppress(OSError):  # nobody may read it; as with the access log, that ends no server
        for endpoint in server.endpoints:
            sys.stdout.write(f"listening on {endpoint}\n")
            sys.stdout.flush()
