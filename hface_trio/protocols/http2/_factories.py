"""Factories: they make the protocol of each new connection."""

from __future__ import annotations

from collections.abc import Sequence

from ...limits import Limits, Timeouts
from ...models import HeadersType
from .._interfaces import HTTPOverTCPFactory, HTTPOverTCPUpgrade
from ._client import H2ClientProtocol
from ._server import H2ServerProtocol
from ._settings import HTTP2Settings

__all__ = ["HTTP2ClientFactory", "HTTP2ServerFactory"]


class HTTP2ServerFactory(HTTPOverTCPFactory, HTTPOverTCPUpgrade):
    """Makes HTTP/2 protocols for servers.

    Args:
        limits: bounds on what clients may use.
        timeouts: bounds on what they may stretch.
        settings: options of HTTP/2.
    """

    def __init__(
        self, limits: Limits | None = None, timeouts: Timeouts | None = None, settings: HTTP2Settings | None = None
    ) -> None:
        self._limits = limits
        self._timeouts = timeouts
        self._settings = settings

    @property
    def alpn_protocols(self) -> Sequence[str]:
        """``h2``."""
        return ("h2",)

    def __call__(self, tls_version: str | None, alpn_protocol: str | None) -> H2ServerProtocol:
        """Make the protocol of a new connection; without TLS it expects prior knowledge."""
        return H2ServerProtocol(
            secure=tls_version is not None, limits=self._limits, timeouts=self._timeouts, settings=self._settings
        )

    def upgraded_from(self, headers: HeadersType, settings_field: bytes) -> H2ServerProtocol:
        """Make the protocol of a connection that a request over HTTP/1.1 upgrades.

        Raises:
            RemoteProtocolError: ``settings_field`` is malformed.
        """
        return H2ServerProtocol.upgraded_from(
            headers, settings_field, limits=self._limits, timeouts=self._timeouts, settings=self._settings
        )


class HTTP2ClientFactory(HTTPOverTCPFactory):
    """Makes HTTP/2 protocols for clients.

    Args:
        limits: bounds on what servers may use.
        timeouts: bounds on what they may stretch.
        settings: options of HTTP/2.
    """

    def __init__(
        self, limits: Limits | None = None, timeouts: Timeouts | None = None, settings: HTTP2Settings | None = None
    ) -> None:
        self._limits = limits
        self._timeouts = timeouts
        self._settings = settings

    @property
    def alpn_protocols(self) -> Sequence[str]:
        """``h2``."""
        return ("h2",)

    def __call__(self, tls_version: str | None, alpn_protocol: str | None) -> H2ClientProtocol:
        """Make the protocol of a new connection; without TLS it uses prior knowledge."""
        return H2ClientProtocol(
            secure=tls_version is not None, limits=self._limits, timeouts=self._timeouts, settings=self._settings
        )
