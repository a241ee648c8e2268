"""The models every layer shares: TLS configuration, error codes, and the types of addresses and headers.

Configuration is immutable and checked where it is used: a path that cannot be read is reported when a listener or an
opener builds its TLS context, not when the configuration is written down.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self, TypeAlias

if TYPE_CHECKING:
    import ssl

__all__ = [
    "AddressType",
    "ClientTLSConfig",
    "DatagramType",
    "HTTPErrorCodes",
    "HeaderType",
    "HeadersType",
    "ServerTLSConfig",
]

AddressType: TypeAlias = tuple[str, int]
"""Host and port. A unix socket is ``"unix:PATH"`` with port 0."""

DatagramType: TypeAlias = tuple[bytes, AddressType]
"""Payload and the address it came from or goes to."""

HeaderType: TypeAlias = tuple[bytes, bytes]
"""One field: lower-case name and value."""

HeadersType: TypeAlias = Sequence[HeaderType]
"""A section of fields in the form of HTTP/2: pseudo-header fields first, lower-case names, bytes."""


@dataclasses.dataclass(frozen=True)
class ServerTLSConfig:
    """TLS of a server.

    Args:
        certfile: PEM file with the certificate chain, leaf first.
        keyfile: PEM file with the private key; ``None`` when ``certfile`` holds it too.
        password: passphrase of the private key.
        minimum_version: the oldest TLS version that is spoken; TLS 1.2 unless raised.
        client_cafile: PEM file with the authorities that client certificates must come from. Clients without a
            certificate are refused when it is given.
        keylog_filename: file that TLS secrets are appended to, for protocol analysers.
        ssl_context: a context of your own for TCP listeners; the other fields are then not looked at, and ALPN is
            set on it.
    """

    certfile: str | None = None
    keyfile: str | None = None
    password: str | None = dataclasses.field(default=None, repr=False)
    minimum_version: ssl.TLSVersion | None = None
    client_cafile: str | None = None
    keylog_filename: str | None = None
    ssl_context: ssl.SSLContext | None = None

    def clone(self) -> Self:
        """Return a copy of this configuration."""
        return dataclasses.replace(self)


@dataclasses.dataclass(frozen=True)
class ClientTLSConfig:
    """TLS of a client.

    Args:
        insecure: do not verify the server's certificate and name.
        cafile: PEM file with the authorities to trust instead of the system's.
        capath: directory with the authorities to trust instead of the system's.
        cadata: PEM or DER blob with the authorities to trust instead of the system's.
        certfile: PEM file with a client certificate chain.
        keyfile: PEM file with its private key; ``None`` when ``certfile`` holds it too.
        password: passphrase of the private key.
        minimum_version: the oldest TLS version that is spoken; TLS 1.2 unless raised.
        keylog_filename: file that TLS secrets are appended to, for protocol analysers.
        ssl_context: a context of your own for TCP connections; the other fields are then not looked at, and ALPN is
            set on it.
    """

    insecure: bool = False
    cafile: str | None = None
    capath: str | None = None
    cadata: bytes | None = None
    certfile: str | None = None
    keyfile: str | None = None
    password: str | None = dataclasses.field(default=None, repr=False)
    minimum_version: ssl.TLSVersion | None = None
    keylog_filename: str | None = None
    ssl_context: ssl.SSLContext | None = None

    def clone(self) -> Self:
        """Return a copy of this configuration."""
        return dataclasses.replace(self)


@dataclasses.dataclass(frozen=True)
class HTTPErrorCodes:
    """The codes that one version of HTTP uses for common failures.

    HTTP/2 and HTTP/3 use their own error codes; HTTP/1.1 has none, so its connections speak in status codes.

    Args:
        protocol_error: the peer broke the protocol.
        internal_error: this side failed.
        connect_error: a tunnel could not be opened, or broke.
    """

    protocol_error: int
    internal_error: int
    connect_error: int
