"""Connecting with TLS, over any network that connects byte streams."""

from __future__ import annotations

import ssl

import trio

from ..errors import ConfigurationError, ConnectError, TLSHandshakeError
from ..models import AddressType
from ._addresses import format_address, tls_server_name, unix_path
from ._interfaces import TCPClientNetworking
from ._tls import TLSByteStream

__all__ = ["connect_tls"]


async def connect_tls(
    networking: TCPClientNetworking, address: AddressType, context: ssl.SSLContext, server_name: str | None
) -> TLSByteStream:
    """Connect by ``networking.connect_tcp`` and make the handshake.

    Args:
        networking: connects the transport.
        address: where to.
        context: a client's TLS context.
        server_name: name for SNI and verification, when it is not the host of ``address``.

    Raises:
        ConnectError: the transport could not be connected.
        TLSHandshakeError: the handshake failed; the message names the address.
        ConfigurationError: there can be no such server name, or it takes one and there is none.

    Cancellation: the connection is reset.
    """
    verified_name = _choose_name(address, context, server_name)
    transport = await networking.connect_tcp(address)
    where = format_address(address)
    try:
        stream = TLSByteStream(transport, context, server_side=False, server_name=verified_name)
        await stream.handshake()
    except TLSHandshakeError as exc:
        await transport.aclose()  # not abort: a reset could overtake the alert
        raise TLSHandshakeError(f"{where}: {exc.message}") from exc.__cause__
    except trio.BrokenResourceError as exc:
        transport.abort()
        raise TLSHandshakeError(f"{where}: TLS handshake failed: {exc}") from exc
    except BaseException:
        transport.abort()
        raise
    return stream


def _choose_name(address: AddressType, context: ssl.SSLContext, server_name: str | None) -> str | None:
    if server_name is not None:
        return tls_server_name(server_name)
    if unix_path(address) is not None:
        if context.check_hostname:
            raise ConfigurationError(f"TLS to {address[0]!r} needs a server_name to verify the certificate against")
        return None
    try:
        return tls_server_name(address[0])
    except ConfigurationError as exc:
        raise ConnectError(exc.message) from exc
