"""Addresses: from what people write to what the system takes, and back.

An address is a host and a port. A unix socket is written ``unix:PATH``, with port 0, wherever an address goes in or
comes out, so that what a listener shows as its address can be connected to.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, TypeAlias, cast

import trio

from ..errors import ConfigurationError
from ..models import AddressType

__all__ = [
    "UNIX_PREFIX",
    "SocketAddress",
    "address_from_system",
    "check_port",
    "format_address",
    "is_ip_address",
    "tls_server_name",
    "unix_path",
]

SocketAddress: TypeAlias = Any
"""What the socket module calls an address: its shape differs from family to family."""

UNIX_PREFIX = "unix:"
_MAPPED_PREFIX = "::ffff:"
_PRINTABLE = re.compile(r"[!-~]+")


def unix_path(address: AddressType) -> str | None:
    """Return the path of a unix socket's address, ``None`` for other addresses."""
    host = address[0]
    return host[len(UNIX_PREFIX) :] if host.startswith(UNIX_PREFIX) else None


def check_port(address: AddressType) -> None:
    """Refuse a port that does not exist.

    Raises:
        ConfigurationError: the port is not in 0 … 65535.
    """
    if not 0 <= address[1] <= 0xFFFF:
        raise ConfigurationError(f"port {address[1]} of {address[0]!r} is not in the range 0 to 65535")


def address_from_system(address: SocketAddress) -> AddressType:
    """Turn what ``getsockname`` and the like return into an address.

    An IPv4 client of a socket that listens for both families shows as IPv4. A unix socket without a name, such as
    that of most clients, has an empty path.
    """
    if isinstance(address, tuple):
        host, port = cast("tuple[str, int]", address[:2])
        if host.startswith(_MAPPED_PREFIX) and "." in host:
            host = host[len(_MAPPED_PREFIX) :]
        return host, port
    if isinstance(address, bytes):  # the abstract namespace of Linux
        address = "@" + address[1:].decode("utf-8", "replace") if address else ""
    return UNIX_PREFIX + address, 0


def format_address(address: AddressType) -> str:
    """Write an address as in a URL."""
    host, port = address
    if host.startswith(UNIX_PREFIX):
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_ip_address(host: str) -> bool:
    """Say whether a host is an IP address, with or without a zone."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def tls_server_name(host: str) -> str:
    """Return the name that a certificate must show for ``host``, and that SNI carries.

    Names are IDNA A-labels without a final dot; addresses are without their zone (RFC 6066 §3, RFC 9525 §6).

    Raises:
        ConfigurationError: there can be no such host.
    """
    if is_ip_address(host):
        return host.partition("%")[0]
    try:
        name = trio.lowlevel.encode_hostname(host).decode("ascii").removesuffix(".")
    except UnicodeError as exc:
        raise ConfigurationError(f"{host!r} is not a host name: {exc}") from exc
    if len(name) > 253 or not all(0 < len(label) < 64 for label in name.split(".")) or not _PRINTABLE.fullmatch(name):
        raise ConfigurationError(f"{host!r} is not a host name")
    return name
