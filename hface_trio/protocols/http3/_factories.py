"""Factories: they make the protocol of each new connection, and read certificates and keys once for all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...limits import Limits, Timeouts
from ...models import AddressType, ClientTLSConfig, ServerTLSConfig
from .._factory_interfaces import HTTPOverQUICClientFactory, HTTPOverQUICServerFactory
from .._registry import protocol_registry
from ..quic import ConnectionIdSource, RandomConnectionIdSource, client_configuration, server_configuration
from ..quic._tickets import SessionTicketStore
from ._settings import HTTP3Settings, quic_settings

if TYPE_CHECKING:
    from ._client import H3ClientProtocol
    from ._server import H3ServerProtocol

__all__ = ["HTTP3ClientFactory", "HTTP3ServerFactory"]

_ALPN = ("h3",)


class HTTP3ServerFactory(HTTPOverQUICServerFactory):
    """Makes HTTP/3 protocols for servers.

    Args:
        tls_config: certificate and key.
        limits: bounds on what clients may use.
        timeouts: bounds on what they may stretch.
        settings: options of HTTP/3, those of QUIC with them.
        connection_id_source: makes connection ids; random ones by default.
        session_tickets: where tickets are kept; without it nothing is resumed.
        engine: name of the engine, as ``protocol_registry.http3_servers`` lists it.

    Raises:
        ConfigurationError: there is no such engine, or something that ``tls_config`` or ``settings`` name cannot be used.
    """

    def __init__(
        self,
        tls_config: ServerTLSConfig,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        settings: HTTP3Settings | None = None,
        *,
        connection_id_source: ConnectionIdSource | None = None,
        session_tickets: SessionTicketStore | None = None,
        engine: str = "aioquic",
    ) -> None:
        self._protocol: Callable[..., H3ServerProtocol] = protocol_registry.http3_servers.load(engine)
        self._limits = limits or Limits()
        self._timeouts = timeouts
        self._settings = settings or HTTP3Settings()
        self._source = connection_id_source or RandomConnectionIdSource()
        self._session_tickets = session_tickets
        quic = quic_settings(self._limits, self._settings, client_side=False)
        self._configuration = server_configuration(tls_config, quic, _ALPN, self._source.length)

    @property
    def alpn_protocols(self) -> Sequence[str]:
        """``h3``."""
        return _ALPN

    @property
    def connection_id_source(self) -> ConnectionIdSource:
        """Where connection ids come from: whoever routes datagrams has to know their length."""
        return self._source

    @property
    def versions(self) -> Sequence[int]:
        """The QUIC versions that are spoken, most preferred first."""
        return self._settings.quic.versions

    def __call__(
        self,
        *,
        original_destination_connection_id: bytes | None = None,
        retry_source_connection_id: bytes | None = None,
    ) -> H3ServerProtocol:
        """Make the protocol of a new connection."""
        return self._protocol(
            configuration=self._configuration,
            connection_id_source=self._source,
            limits=self._limits,
            timeouts=self._timeouts,
            settings=self._settings,
            original_destination_connection_id=original_destination_connection_id,
            retry_source_connection_id=retry_source_connection_id,
            session_tickets=self._session_tickets,
        )


class HTTP3ClientFactory(HTTPOverQUICClientFactory):
    """Makes HTTP/3 protocols for clients.

    Args:
        tls_config: authorities to trust; those of certifi if it names none.
        limits: bounds on what servers may use.
        settings: options of HTTP/3, those of QUIC with them.
        connection_id_source: makes connection ids; random ones by default.
        session_tickets: where tickets are kept; without it nothing is resumed.
        engine: name of the engine, as ``protocol_registry.http3_clients`` lists it.

    Raises:
        ConfigurationError: there is no such engine, or something that ``tls_config`` or ``settings`` name cannot be used.
    """

    def __init__(
        self,
        tls_config: ClientTLSConfig | None = None,
        limits: Limits | None = None,
        settings: HTTP3Settings | None = None,
        *,
        connection_id_source: ConnectionIdSource | None = None,
        session_tickets: SessionTicketStore | None = None,
        engine: str = "aioquic",
    ) -> None:
        self._protocol: Callable[..., H3ClientProtocol] = protocol_registry.http3_clients.load(engine)
        self._limits = limits or Limits()
        self._settings = settings or HTTP3Settings()
        self._source = connection_id_source or RandomConnectionIdSource()
        self._session_tickets = session_tickets
        quic = quic_settings(self._limits, self._settings, client_side=True)
        self._configuration = client_configuration(tls_config or ClientTLSConfig(), quic, _ALPN, self._source.length)

    @property
    def alpn_protocols(self) -> Sequence[str]:
        """``h3``."""
        return _ALPN

    @property
    def connection_id_source(self) -> ConnectionIdSource:
        """Where connection ids come from."""
        return self._source

    def __call__(self, *, remote_address: AddressType, server_name: str) -> H3ClientProtocol:
        """Make the protocol of a new connection.

        Args:
            remote_address: where the server is, in the form in which datagrams will say where they come from.
            server_name: host name or IP address that its certificate has to be valid for.
        """
        ticket = None if self._session_tickets is None else self._session_tickets.take_for(server_name)
        if ticket is not None and not self._settings.quic.early_data:
            ticket = dataclasses.replace(ticket, max_early_data_size=None)
        return self._protocol(
            configuration=dataclasses.replace(self._configuration, server_name=server_name, session_ticket=ticket),
            connection_id_source=self._source,
            remote_address=remote_address,
            limits=self._limits,
            settings=self._settings,
            session_tickets=self._session_tickets,
        )
