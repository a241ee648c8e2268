"""The sans-IO layer: what HTTP means, on every version, without a socket, a task or a clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._factory_interfaces import (
    ALPNHTTPFactory,
    HTTPOverQUICClientFactory,
    HTTPOverQUICServerFactory,
    HTTPOverTCPFactory,
    HTTPOverTCPUpgrade,
)
from ._interfaces import Buffer, HTTPOverQUICProtocol, HTTPOverTCPProtocol, HTTPProtocol, OutputEnd, StreamCodes
from ._registry import EngineGroup, ProtocolRegistry, check_engines, protocol_registry
from .http1 import HTTP1ClientFactory, HTTP1ServerFactory
from .http2 import HTTP2ClientFactory, HTTP2ServerFactory

if TYPE_CHECKING:
    from .http3 import HTTP3ClientFactory, HTTP3ServerFactory

__all__ = [
    "ALPNHTTPFactory",
    "Buffer",
    "EngineGroup",
    "HTTP1ClientFactory",
    "HTTP1ServerFactory",
    "HTTP2ClientFactory",
    "HTTP2ServerFactory",
    "HTTP3ClientFactory",
    "HTTP3ServerFactory",
    "HTTPOverQUICClientFactory",
    "HTTPOverQUICProtocol",
    "HTTPOverQUICServerFactory",
    "HTTPOverTCPFactory",
    "HTTPOverTCPProtocol",
    "HTTPOverTCPUpgrade",
    "HTTPProtocol",
    "OutputEnd",
    "ProtocolRegistry",
    "StreamCodes",
    "check_engines",
    "protocol_registry",
]

_HTTP3_NAMES = frozenset({"HTTP3ClientFactory", "HTTP3ServerFactory"})


def __getattr__(name: str) -> Any:
    """Import HTTP/3 when it is asked for: QUIC and its cryptography take as long to import as all the rest."""
    if name not in _HTTP3_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import http3  # noqa: PLC0415

    return getattr(http3, name)
