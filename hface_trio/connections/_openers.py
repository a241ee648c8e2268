"""Openers: from an address to a client's HTTP connection."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import trio

from ..errors import ConnectError
from ..models import AddressType, ClientTLSConfig
from ..networking import ByteStream, SystemNetworking, TCPClientNetworking
from ..protocols import HTTPOverTCPFactory
from ._connection import HTTPConnection
from ._context import ConnectionContext, logger
from ._h2c import ask_for_h2c

__all__ = ["HTTPFallbackOpener", "HTTPOpener", "HTTPOverTCPOpener"]


_MOST_REMEMBERED = 256


class HTTPOpener(ABC):
    """Opens HTTP connections."""

    needs_tls: bool = False
    """Whether it opens none without a TLS configuration."""

    @abstractmethod
    async def __call__(
        self, address: AddressType, *, tls_config: ClientTLSConfig | None = None, server_name: str | None = None
    ) -> HTTPConnection:
        """Connect, and make the handshake; the connection's tasks do not run yet.

        Args:
            address: host and port.
            tls_config: speak TLS with this configuration; cleartext without one.
            server_name: name for SNI and verification, when it is not the host of ``address``.

        Raises:
            ConnectError: no connection could be made.
            TLSHandshakeError: TLS failed.
            ConfigurationError: the TLS configuration cannot be used.

        Cancellation: nothing is left open.
        """


class HTTPFallbackOpener(HTTPOpener):
    """Opens with the first opener that succeeds.

    All but the last have a few seconds only. What an opener could not do at an address it is not asked for again for a while.

    Args:
        openers: in the order in which they are tried; at least one.
        attempt_seconds: how long each but the last may take.
        retry_seconds: for how long it is remembered that one has failed.
    """

    def __init__(
        self, openers: Sequence[HTTPOpener], *, attempt_seconds: float = 2, retry_seconds: float = 300
    ) -> None:
        self._openers = tuple(openers)
        self._attempt_seconds = attempt_seconds
        self._retry_seconds = retry_seconds
        self._failed: dict[tuple[HTTPOpener, AddressType], float] = {}

    async def __call__(
        self, address: AddressType, *, tls_config: ClientTLSConfig | None = None, server_name: str | None = None
    ) -> HTTPConnection:
        """Connect; see :meth:`HTTPOpener.__call__`. When all fail, what the last one raised is raised."""
        usable = [opener for opener in self._openers if tls_config is not None or not opener.needs_tls]
        *first, last = usable or self._openers
        for opener in first:
            if self._failed.get((opener, address), -math.inf) + self._retry_seconds > trio.current_time():
                continue
            why: object = "no answer in time"
            with trio.move_on_after(self._attempt_seconds):
                try:
                    return await opener(address, tls_config=tls_config, server_name=server_name)
                except ConnectError as exc:
                    why = exc
            logger.debug("trying the next way to %s: %s", address[0], why)
            if len(self._failed) >= _MOST_REMEMBERED:
                self._failed.clear()
            self._failed[opener, address] = trio.current_time()
        return await last(address, tls_config=tls_config, server_name=server_name)


class HTTPOverTCPOpener(HTTPOpener):
    """Opens HTTP/1.1 connections over TCP, with or without TLS.

    Args:
        protocol_factory: makes the protocols of connections.
        networking: the system's unless given.
        context: limits and accounts; those of this opener alone unless given.
        upgrade_h2c: ask cleartext servers to upgrade from HTTP/1.1 to HTTP/2; those that do not are spoken to in HTTP/1.1.
    """

    def __init__(
        self,
        protocol_factory: HTTPOverTCPFactory,
        *,
        networking: TCPClientNetworking | None = None,
        context: ConnectionContext | None = None,
        upgrade_h2c: bool = False,
    ) -> None:
        self._upgrade_h2c = upgrade_h2c
        self._protocol_factory = protocol_factory
        self._networking = networking or SystemNetworking()
        self._context = context or ConnectionContext()

    async def __call__(
        self, address: AddressType, *, tls_config: ClientTLSConfig | None = None, server_name: str | None = None
    ) -> HTTPConnection:
        """Connect; see :meth:`HTTPOpener.__call__`."""
        if tls_config is None:
            stream = await self._networking.connect_tcp(address)
        else:
            stream = await self._networking.connect_tcp_tls(
                address,
                tls_config=tls_config,
                alpn_protocols=self._protocol_factory.alpn_protocols,
                server_name=server_name,
            )
        attributes = stream.extra_attributes
        if tls_config is None and self._upgrade_h2c:
            return await self._open_upgraded(stream, address)
        protocol = self._protocol_factory(attributes.tls_version, attributes.alpn_protocol)
        return HTTPConnection(protocol, stream, client_side=True, context=self._context)

    async def _open_upgraded(self, stream: ByteStream, address: AddressType) -> HTTPConnection:
        host, port = address
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        context = self._context
        try:
            protocol, initial = await ask_for_h2c(stream, authority.encode(), context.limits, context.timeouts)
        except trio.BrokenResourceError as exc:
            stream.abort()
            raise ConnectError(f"the connection broke while upgrading: {exc}") from exc
        except BaseException:
            stream.abort()
            raise
        return HTTPConnection(protocol, stream, client_side=True, context=context, initial=initial)
