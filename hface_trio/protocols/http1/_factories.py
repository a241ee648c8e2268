"""Factories of HTTP/1.1 protocols, on any registered engine."""

from __future__ import annotations

from collections.abc import Sequence

from ...limits import Limits, Timeouts
from .._factory_interfaces import HTTPOverTCPFactory
from .._interfaces import HTTPOverTCPProtocol
from .._registry import EngineGroup, protocol_registry

__all__ = ["HTTP1ClientFactory", "HTTP1ServerFactory"]


class _HTTP1Factory(HTTPOverTCPFactory):
    def __init__(self, engines: EngineGroup, engine: str, limits: Limits, timeouts: Timeouts) -> None:
        self._protocol = engines.load(engine)
        self._limits = limits
        self._timeouts = timeouts

    @property
    def alpn_protocols(self) -> Sequence[str]:
        return ("http/1.1",)

    def __call__(self, tls_version: str | None, alpn_protocol: str | None) -> HTTPOverTCPProtocol:
        """Make the protocol of a new connection."""
        protocol: HTTPOverTCPProtocol = self._protocol(
            secure=tls_version is not None, limits=self._limits, timeouts=self._timeouts
        )
        return protocol


class HTTP1ServerFactory(_HTTP1Factory):
    """Makes the server's protocol of HTTP/1.1 connections.

    Args:
        engine: name of the engine, as ``protocol_registry.http1_servers`` lists it.
        limits: bounds on what clients send.
        timeouts: bounds on how long they take.

    Raises:
        ConfigurationError: there is no such engine, or it cannot be loaded.
    """

    def __init__(
        self,
        engine: str = "h11",
        *,
        limits: Limits = Limits(),  # noqa: B008
        timeouts: Timeouts = Timeouts(),  # noqa: B008
    ) -> None:
        super().__init__(protocol_registry.http1_servers, engine, limits, timeouts)


class HTTP1ClientFactory(_HTTP1Factory):
    """Makes the client's protocol of HTTP/1.1 connections.

    Args:
        engine: name of the engine, as ``protocol_registry.http1_clients`` lists it.
        limits: bounds on what servers send.
        timeouts: bounds on how long they take.

    Raises:
        ConfigurationError: there is no such engine, or it cannot be loaded.
    """

    def __init__(
        self,
        engine: str = "h11",
        *,
        limits: Limits = Limits(),  # noqa: B008
        timeouts: Timeouts = Timeouts(),  # noqa: B008
    ) -> None:
        super().__init__(protocol_registry.http1_clients, engine, limits, timeouts)
