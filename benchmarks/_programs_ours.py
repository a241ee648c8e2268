"""The server of this package, as it is measured."""

from __future__ import annotations

import functools

import trio
from _application import handler
from _ports import HOST, announce
from _programs import Certificate

import hface_trio

__all__ = ["serve_by_command", "serve_h11", "serve_httptools"]

_MANY = 20_000
"""Connections of one address: all of a measurement come from one."""


def serve_h11(certificate: Certificate | None) -> None:
    """Serve HTTP/1.1 with h11."""
    _serve("h11", certificate)


def serve_httptools(certificate: Certificate | None) -> None:
    """Serve HTTP/1.1 with httptools."""
    _serve("httptools", certificate)


def _serve(http1_engine: str, certificate: Certificate | None) -> None:
    async def main() -> None:
        tls = hface_trio.ServerTLSConfig(*certificate) if certificate else None
        limits = hface_trio.Limits(connections_per_address=_MANY)
        engines = {"1.1": http1_engine}
        serve = functools.partial(hface_trio.serve, tls_config=tls, limits=limits, engines=engines)
        async with trio.open_nursery() as nursery:
            endpoint = f"{'https' if tls else 'http'}://{HOST}:0"
            server: hface_trio.Server = await nursery.start(serve, handler, endpoint)
            announce(server.endpoints[0].port)

    trio.run(main)


def serve_by_command(certificate: Certificate | None) -> None:
    """Serve as the command ``hface-trio server`` does: a SIGTERM ends it in order."""
    from hface_trio.cli import main  # noqa: PLC0415  # not a part of the other servers

    endpoint, options = f"http://{HOST}:0", []
    if certificate:
        endpoint, options = f"https://{HOST}:0", ["--cert", certificate[0], "--key", certificate[1]]
    main(["server", "_application:handler", endpoint, *options])
