"""Factories of HTTP/2 protocols, on any registered engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from ...limits import Limits, Timeouts
from ...models import HeadersType
from .._factory_interfaces import HTTPOverTCPFactory, HTTPOverTCPUpgrade
from .._interfaces import HTTPOverTCPProtocol
from .._registry import EngineGroup, protocol_registry
from ._settings import HTTP2Settings

__all__ = ["HTTP2ClientFactory", "HTTP2ServerFactory"]


class _HTTP2Factory(HTTPOverTCPFactory):
    def __init__(
        self,
        engines: EngineGroup,
        engine: str,
        limits: Limits | None,
        timeouts: Timeouts | None,
        settings: HTTP2Settings | None,
    ) -> None:
        self._protocol = engines.load(engine)
        self._options = {"limits": limits, "timeouts": timeouts, "settings": settings}

    @property
    def alpn_protocols(self) -> Sequence[str]:
        return ("h2",)

    def __call__(self, tls_version: str | None, alpn_protocol: str | None) -> HTTPOverTCPProtocol:
        """Make the protocol of a new connection; without TLS the peer has prior knowledge."""
        protocol: HTTPOverTCPProtocol = self._protocol(secure=tls_version is not None, **self._options)
        return protocol


class HTTP2ServerFactory(_HTTP2Factory, HTTPOverTCPUpgrade):
    """Makes the server's protocol of HTTP/2 connections.

    Args:
        engine: name of the engine, as ``protocol_registry.http2_servers`` lists it.
        limits: bounds on what clients may use.
        timeouts: bounds on what they may stretch.
        settings: options of HTTP/2.

    Raises:
        ConfigurationError: there is no such engine, or it cannot be loaded.
    """

    def __init__(
        self,
        engine: str = "h2",
        *,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        settings: HTTP2Settings | None = None,
    ) -> None:
        super().__init__(protocol_registry.http2_servers, engine, limits, timeouts, settings)

    def upgraded_from(self, headers: HeadersType, settings_field: bytes) -> HTTPOverTCPProtocol:
        """Make the protocol of a connection that a request over HTTP/1.1 upgrades.

        Raises:
            RemoteProtocolError: ``settings_field`` is malformed.
        """
        upgraded_from = cast("Callable[..., HTTPOverTCPProtocol]", cast("Any", self._protocol).upgraded_from)
        return upgraded_from(headers, settings_field, **self._options)


class HTTP2ClientFactory(_HTTP2Factory):
    """Makes the client's protocol of HTTP/2 connections.

    Args:
        engine: name of the engine, as ``protocol_registry.http2_clients`` lists it.
        limits: bounds on what servers may use.
        timeouts: bounds on what they may stretch.
        settings: options of HTTP/2.

    Raises:
        ConfigurationError: there is no such engine, or it cannot be loaded.
    """

    def __init__(
        self,
        engine: str = "h2",
        *,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        settings: HTTP2Settings | None = None,
    ) -> None:
        super().__init__(protocol_registry.http2_clients, engine, limits, timeouts, settings)
