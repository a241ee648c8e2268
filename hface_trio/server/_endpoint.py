"""Endpoints: what a server listens on, as a URL."""

from __future__ import annotations

import dataclasses
import urllib.parse
from typing import Self

from ..errors import ConfigurationError
from ..models import AddressType

__all__ = ["Endpoint"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens.

    Args:
        scheme: ``"http"`` or ``"https"``.
        host: name or address; ``""`` for all interfaces; ``"unix:PATH"`` for a unix socket.
        port: 0 takes a free one; not looked at for a unix socket.
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an endpoint such as ``https://localhost:8443``, ``http://*:80``, ``http://[::1]:0`` or ``http://unix:/run/a.sock``.

        Raises:
            ConfigurationError: it is not one; the message says why.
        """
        scheme, separator, rest = text.partition("://")
        scheme = scheme.lower()
        if not separator or scheme not in _DEFAULT_PORTS:
            raise ConfigurationError(f"endpoint {text!r} must begin with http:// or https://")
        if rest.startswith("unix:"):
            if rest == "unix:":
                raise ConfigurationError(f"endpoint {text!r} names no path")
            return cls(scheme, rest, 0)
        try:
            parts = urllib.parse.urlsplit(f"{scheme}://{rest}")
            host, port = parts.hostname or "", parts.port
        except ValueError as exc:
            raise ConfigurationError(f"endpoint {text!r} is malformed: {exc}") from None
        if parts.path not in {"", "/"} or parts.query or parts.fragment or "@" in parts.netloc:
            raise ConfigurationError(f"endpoint {text!r} must hold a host and a port only")
        if not host:
            raise ConfigurationError(f"endpoint {text!r} names no host; use * for all interfaces")
        return cls(scheme, "" if host == "*" else host, _DEFAULT_PORTS[scheme] if port is None else port)

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.scheme == "https"

    @property
    def address(self) -> AddressType:
        """Host and port."""
        return (self.host, self.port)

    @property
    def is_unix(self) -> bool:
        """Whether it is a unix socket."""
        return self.host.startswith("unix:")

    def __str__(self) -> str:
        if self.is_unix:
            return f"{self.scheme}://{self.host}"
        host = f"[{self.host}]" if ":" in self.host else self.host or "*"
        return f"{self.scheme}://{host}:{self.port}"
