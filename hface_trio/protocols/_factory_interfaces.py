"""What makes the protocols of connections, once it is known what was negotiated for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ..models import HeadersType
from ._interfaces import HTTPOverQUICProtocol, HTTPOverTCPProtocol

__all__ = [
    "ALPNHTTPFactory",
    "HTTPOverQUICClientFactory",
    "HTTPOverQUICServerFactory",
    "HTTPOverTCPFactory",
    "HTTPOverTCPUpgrade",
]


class HTTPOverTCPFactory(ABC):
    """Makes protocols for connections over TCP, with or without TLS."""

    @property
    @abstractmethod
    def alpn_protocols(self) -> Sequence[str]:
        """ALPN names to offer, most preferred first."""

    @abstractmethod
    def __call__(self, tls_version: str | None, alpn_protocol: str | None) -> HTTPOverTCPProtocol:
        """Make the protocol of a new connection.

        Args:
            tls_version: negotiated TLS version such as ``"TLSv1.3"``; ``None`` on cleartext connections.
            alpn_protocol: negotiated ALPN name, or ``None``.
        """


class HTTPOverTCPUpgrade(ABC):
    """What a factory can do besides, when its protocol can take over a connection from HTTP/1.1 (RFC 7540 §3.2)."""

    @abstractmethod
    def upgraded_from(self, headers: HeadersType, settings_field: bytes) -> HTTPOverTCPProtocol:
        """Make the protocol of a connection whose HTTP/1.1 request asked for it; that request becomes its first stream.

        Args:
            headers: the request, without what concerns the upgrade.
            settings_field: value of ``HTTP2-Settings``.

        Raises:
            RemoteProtocolError: ``settings_field`` is malformed: the request is to be served without the upgrade.
        """


class HTTPOverQUICClientFactory(ABC):
    """Makes protocols for client connections over QUIC."""

    @property
    @abstractmethod
    def alpn_protocols(self) -> Sequence[str]:
        """ALPN names to offer, most preferred first."""

    @abstractmethod
    def __call__(self, *, remote_address: tuple[str, int], server_name: str) -> HTTPOverQUICProtocol:
        """Make the protocol of a new connection."""


class HTTPOverQUICServerFactory(ABC):
    """Makes protocols for server connections over QUIC."""

    @property
    @abstractmethod
    def alpn_protocols(self) -> Sequence[str]:
        """ALPN names to accept, most preferred first."""

    @abstractmethod
    def __call__(
        self,
        *,
        original_destination_connection_id: bytes | None = None,
        retry_source_connection_id: bytes | None = None,
    ) -> HTTPOverQUICProtocol:
        """Make the protocol of a new connection.

        Args:
            original_destination_connection_id: the id that the client first sent to, where a Retry packet was sent;
                otherwise it is taken from the first datagram that is fed.
            retry_source_connection_id: the id in the Retry packet.
        """


class ALPNHTTPFactory(HTTPOverTCPFactory):
    """Chooses among factories by what ALPN negotiated.

    Args:
        factories: factories, most preferred first. Without ALPN (cleartext, or a peer that has none) the last one
            is used, so HTTP/1.1 belongs there.

    Raises:
        ValueError: no factory was given.
    """

    def __init__(self, factories: Sequence[HTTPOverTCPFactory]) -> None:
        if not factories:
            raise ValueError("ALPNHTTPFactory needs at least one factory")
        self._factories = tuple(factories)

    @property
    def alpn_protocols(self) -> Sequence[str]:
        """The names of all factories, in their order."""
        return tuple(dict.fromkeys(name for factory in self._factories for name in factory.alpn_protocols))

    @property
    def upgrade(self) -> HTTPOverTCPUpgrade | None:
        """The first factory whose protocol can take over a connection from HTTP/1.1, if there is one."""
        return next((factory for factory in self._factories if isinstance(factory, HTTPOverTCPUpgrade)), None)

    def __call__(self, tls_version: str | None, alpn_protocol: str | None) -> HTTPOverTCPProtocol:
        """Make a protocol with the first factory that has the negotiated name."""
        for factory in self._factories:
            if alpn_protocol in factory.alpn_protocols:
                return factory(tls_version, alpn_protocol)
        return self._factories[-1](tls_version, alpn_protocol)
