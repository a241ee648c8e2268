"""One client connection, as a single child of the caller's nursery."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import trio

from ..connections import (
    ConnectionContext,
    HTTPConnection,
    HTTPFallbackOpener,
    HTTPOpener,
    HTTPOverTCPOpener,
    Observer,
)
from ..errors import ConfigurationError
from ..limits import Limits, Timeouts
from ..models import ClientTLSConfig
from ..networking import ClientNetworking
from ..protocols import ALPNHTTPFactory, HTTP1ClientFactory, HTTP2ClientFactory, HTTPOverTCPFactory, check_engines
from ..protocols.http2 import HTTP2Settings
from ._url import RequestURL

if TYPE_CHECKING:
    from ..protocols.http3 import HTTP3Settings

__all__ = ["connect"]

_SUPPORTED_VERSIONS = ("3", "2", "1.1")
_DEFAULT_VERSIONS = ("2", "1.1")


def make_opener(
    http_versions: Sequence[str] | None,
    networking: ClientNetworking | None,
    context: ConnectionContext,
    *,
    http2_settings: HTTP2Settings | None = None,
    http3_settings: HTTP3Settings | None = None,
    upgrade_h2c: bool = False,
    engines: Mapping[str, str] | None = None,
) -> HTTPOpener:
    """Return an opener for the given HTTP versions.

    Raises:
        ConfigurationError: a version is not known, or none was given.
    """
    versions = _DEFAULT_VERSIONS if http_versions is None else tuple(http_versions)
    if not versions:
        raise ConfigurationError("http_versions must name a version")
    for version in versions:
        if version not in _SUPPORTED_VERSIONS:
            known = ", ".join(_SUPPORTED_VERSIONS)
            raise ConfigurationError(f"HTTP version {version!r} is not supported; there is {known}")
    engines = engines or {}
    check_engines(engines)
    factories: dict[str, HTTPOverTCPFactory] = {
        "2": HTTP2ClientFactory(
            engines.get("2", "h2"), limits=context.limits, timeouts=context.timeouts, settings=http2_settings
        ),
        "1.1": HTTP1ClientFactory(engines.get("1.1", "h11"), limits=context.limits, timeouts=context.timeouts),
    }
    over_tcp = [factories[version] for version in versions if version in factories]
    openers: list[HTTPOpener] = []
    if over_tcp:
        factory = ALPNHTTPFactory(over_tcp)
        openers.append(HTTPOverTCPOpener(factory, networking=networking, context=context, upgrade_h2c=upgrade_h2c))
    if "3" in versions:
        opener = _quic_opener(networking, context, http3_settings)
        openers.insert(0 if versions[0] == "3" else 1, opener)
    return openers[0] if len(openers) == 1 else HTTPFallbackOpener(openers)


def _quic_opener(
    networking: ClientNetworking | None, context: ConnectionContext, settings: HTTP3Settings | None
) -> HTTPOpener:
    from ..connections import HTTPOverQUICOpener  # noqa: PLC0415  # imports QUIC, which takes its time
    from ..protocols.http3 import HTTP3ClientFactory, SessionTicketStore  # noqa: PLC0415

    tickets = SessionTicketStore()

    def make_factory(tls_config: ClientTLSConfig) -> HTTP3ClientFactory:
        return HTTP3ClientFactory(tls_config, context.limits, settings, session_tickets=tickets)

    return HTTPOverQUICOpener(make_factory, networking=networking, context=context)


async def connect(
    nursery: trio.Nursery,
    url: str,
    *,
    http_versions: Sequence[str] | None = None,
    tls_config: ClientTLSConfig | None = None,
    networking: ClientNetworking | None = None,
    limits: Limits | None = None,
    timeouts: Timeouts | None = None,
    observer: Observer | None = None,
    http2_settings: HTTP2Settings | None = None,
    http3_settings: HTTP3Settings | None = None,
    upgrade_h2c: bool = False,
    engines: Mapping[str, str] | None = None,
) -> HTTPConnection:
    """Open one connection in a nursery of the caller's.

    The connection is one child of ``nursery`` and raises no ``Exception`` into it: what goes wrong is raised by the calls on
    the connection and its streams. ``async with connection:`` closes it at the end of a block.

    Args:
        nursery: where the connection lives.
        url: whose origin to connect to; its path is not looked at.
        http_versions: versions to speak, most preferred first; ``["2", "1.1"]`` unless given. Without TLS the last one is
            spoken, so ``["2"]`` speaks HTTP/2 with prior knowledge. HTTP/3 takes https; named beside others it is tried
            before them, or after them when it does not come first.
        tls_config: whom to trust, for ``https``; the system's authorities unless given.
        networking: the system's unless given.
        limits: bounds on counts and sizes.
        timeouts: bounds on what a peer may stretch.
        observer: is told of openings and closings.
        http2_settings: options of HTTP/2.
        http3_settings: options of HTTP/3, those of QUIC with them.
        upgrade_h2c: ask a cleartext server to upgrade from HTTP/1.1 to HTTP/2 (RFC 7540 §3.2).
        engines: names of engines by HTTP version, such as ``{"1.1": "httptools"}``; the usual ones unless given.

    Raises:
        ConnectError: no connection could be made.
        TLSHandshakeError: TLS failed.
        ConfigurationError: the URL or a setting cannot be used.

    Cancellation: nothing is left open.
    """
    context = ConnectionContext(limits or Limits(), timeouts or Timeouts(), observer=observer)
    opener = make_opener(
        http_versions,
        networking,
        context,
        http2_settings=http2_settings,
        http3_settings=http3_settings,
        upgrade_h2c=upgrade_h2c,
        engines=engines,
    )
    return await open_connection(nursery, opener, RequestURL.parse(url), tls_config)


async def open_connection(
    nursery: trio.Nursery,
    opener: HTTPOpener,
    url: RequestURL,
    tls_config: ClientTLSConfig | None,
    *,
    when_over: Callable[[HTTPConnection], None] | None = None,
) -> HTTPConnection:
    """Open a connection with ``opener`` as one child of ``nursery``; ``when_over`` is told when that child ends."""
    tls_config = (tls_config or ClientTLSConfig()) if url.secure else None
    connection: HTTPConnection = await nursery.start(functools.partial(_run, opener, url, tls_config, when_over))
    return connection


async def _run(
    opener: HTTPOpener,
    url: RequestURL,
    tls_config: ClientTLSConfig | None,
    when_over: Callable[[HTTPConnection], None] | None,
    *,
    task_status: trio.TaskStatus[HTTPConnection],
) -> None:
    connection = await opener(url.address, tls_config=tls_config)
    try:
        await connection.run(task_status=task_status)
    finally:
        if when_over is not None:
            when_over(connection)
