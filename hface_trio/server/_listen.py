"""From an endpoint to its listeners: which versions are spoken there, and over what."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..connections import ConnectionContext, HTTPListener, HTTPMultiListener, HTTPOverTCPListener
from ..errors import ConfigurationError
from ..models import AddressType, ServerTLSConfig
from ..networking import ServerNetworking
from ..protocols import ALPNHTTPFactory, HTTP1ServerFactory, HTTP2ServerFactory, HTTPOverTCPFactory, check_engines
from ..protocols.http2 import HTTP2Settings
from ._endpoint import Endpoint

if TYPE_CHECKING:
    from ..protocols.http3 import HTTP3ServerFactory, HTTP3Settings
    from ..protocols.quic import QUICRouterSettings

__all__ = ["ListeningOptions", "listen"]

HTTP_VERSIONS = ("3", "2", "1.1")
_MAX_AGE_SECONDS = 86_400
_PORT_ATTEMPTS = 16


@dataclasses.dataclass(frozen=True)
class ListeningOptions:
    """What all endpoints of a server have in common.

    Args:
        http_versions: versions to speak, most preferred first; all that an endpoint can unless given.
        tls_config: for ``https`` endpoints.
        http2_settings: options of HTTP/2.
        http3_settings: options of HTTP/3.
        quic_router_settings: how strangers are met on QUIC.
        engines: names of engines by HTTP version, where it is not to be the usual one.

    Raises:
        ConfigurationError: a version is not known, or none was given.
    """

    http_versions: Sequence[str] | None = None
    tls_config: ServerTLSConfig | None = None
    http2_settings: HTTP2Settings | None = None
    http3_settings: HTTP3Settings | None = None
    quic_router_settings: QUICRouterSettings | None = None
    engines: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        check_engines(self.engines)
        if self.http_versions is None:
            return
        if not self.http_versions:
            raise ConfigurationError("http_versions must name a version")
        for version in self.http_versions:
            if version not in HTTP_VERSIONS:
                known = ", ".join(HTTP_VERSIONS)
                raise ConfigurationError(f"HTTP version {version!r} is not supported; there is {known}")

    def versions_at(self, endpoint: Endpoint) -> list[str]:
        """Return the versions that are spoken at an endpoint.

        Raises:
            ConfigurationError: there are none.
        """
        over_udp = endpoint.secure and not endpoint.is_unix
        versions = self.http_versions
        if versions is None:
            # What QUIC cannot do is no reason to fail for who did not ask for it by name.
            tls = self.tls_config
            over_udp = over_udp and tls is not None and tls.certfile is not None and tls.client_cafile is None
            versions = HTTP_VERSIONS
        found = [version for version in versions if version != "3" or over_udp]
        if not found:
            raise ConfigurationError(f"{endpoint} cannot speak HTTP/3: that takes https and a network")
        return found


async def listen(
    endpoint: Endpoint, options: ListeningOptions, networking: ServerNetworking, context: ConnectionContext
) -> tuple[HTTPListener, Sequence[AddressType]]:
    """Listen at an endpoint, over TCP and UDP at one port, as its versions ask for.

    Returns:
        What accepts its connections, and its addresses.

    Raises:
        OSError: it cannot be bound; nothing stays bound.
        ConfigurationError: the TLS configuration cannot be used, or there is none.
    """
    if endpoint.secure and options.tls_config is None:
        raise ConfigurationError(f"{endpoint} needs a tls_config with a certificate")
    versions = options.versions_at(endpoint)
    factory = _tcp_factory(versions, options, context)
    if "3" not in versions:
        listener = await _listen_tcp(endpoint, factory, options, networking, context)
        return listener, listener.addresses
    quic_factory = _quic_factory(options, context)
    if factory is None:
        return await _listen_quic(endpoint.address, quic_factory, options, networking, context)
    for attempt in range(1, _PORT_ATTEMPTS + 1):
        listener = await _listen_tcp(endpoint, factory, options, networking, context)
        addresses = listener.addresses
        port = addresses[0][1]
        try:
            over_quic, _ = await _listen_quic((endpoint.host, port), quic_factory, options, networking, context)
        except BaseException as exc:
            await listener.aclose()
            # A port that is free on TCP may be taken on UDP: where any will do, look for another.
            reason = exc if isinstance(exc, OSError) else exc.__cause__
            taken = isinstance(reason, OSError) and reason.errno == errno.EADDRINUSE
            if taken and endpoint.port == 0 and attempt < _PORT_ATTEMPTS:
                continue
            raise
        listener.alternative_services = b'h3=":%d"; ma=%d' % (port, _MAX_AGE_SECONDS)
        return HTTPMultiListener([listener, over_quic]), addresses
    raise AssertionError("the last attempt returns or raises")


async def _listen_tcp(
    endpoint: Endpoint,
    factory: HTTPOverTCPFactory | None,
    options: ListeningOptions,
    networking: ServerNetworking,
    context: ConnectionContext,
) -> HTTPOverTCPListener:
    if factory is None:
        raise ConfigurationError(f"{endpoint} has no version to speak over TCP")
    return await HTTPOverTCPListener.create(
        factory,
        endpoint.address,
        tls_config=options.tls_config if endpoint.secure else None,
        networking=networking,
        context=context,
    )


async def _listen_quic(
    address: AddressType,
    factory: HTTP3ServerFactory,
    options: ListeningOptions,
    networking: ServerNetworking,
    context: ConnectionContext,
) -> tuple[HTTPListener, Sequence[AddressType]]:
    from ..connections import HTTPOverQUICListener  # noqa: PLC0415  # imports QUIC, which takes its time

    listener = await HTTPOverQUICListener.create(
        factory, address, networking=networking, router_settings=options.quic_router_settings, context=context
    )
    return listener, listener.addresses


def _tcp_factory(
    versions: Sequence[str], options: ListeningOptions, context: ConnectionContext
) -> HTTPOverTCPFactory | None:
    common: dict[str, Any] = {"limits": context.limits, "timeouts": context.timeouts}
    engines = options.engines
    makers: dict[str, Callable[[], HTTPOverTCPFactory]] = {
        "2": lambda: HTTP2ServerFactory(engines.get("2", "h2"), **common, settings=options.http2_settings),
        "1.1": lambda: HTTP1ServerFactory(engines.get("1.1", "h11"), **common),
    }
    factories = [makers[version]() for version in versions if version in makers]
    return ALPNHTTPFactory(factories) if factories else None


def _quic_factory(options: ListeningOptions, context: ConnectionContext) -> HTTP3ServerFactory:
    from ..protocols.http3 import HTTP3ServerFactory, SessionTicketStore  # noqa: PLC0415

    if options.tls_config is None:
        raise ConfigurationError("HTTP/3 needs a tls_config with a certificate")
    return HTTP3ServerFactory(
        options.tls_config,
        context.limits,
        context.timeouts,
        options.http3_settings,
        session_tickets=SessionTicketStore(),
    )
