"""The sans-IO layer: what HTTP means, on every version, without a socket, a task or a clock."""

from __future__ import annotations

from ._interfaces import (
    ALPNHTTPFactory,
    Buffer,
    HTTPOverQUICClientFactory,
    HTTPOverQUICProtocol,
    HTTPOverQUICServerFactory,
    HTTPOverTCPFactory,
    HTTPOverTCPProtocol,
    HTTPOverTCPUpgrade,
    HTTPProtocol,
    OutputEnd,
)
from ._registry import EngineGroup, ProtocolRegistry, protocol_registry
from .http1 import HTTP1ClientFactory, HTTP1ServerFactory
from .http2 import HTTP2ClientFactory, HTTP2ServerFactory

__all__ = [
    "ALPNHTTPFactory",
    "Buffer",
    "EngineGroup",
    "HTTP1ClientFactory",
    "HTTP1ServerFactory",
    "HTTP2ClientFactory",
    "HTTP2ServerFactory",
    "HTTPOverQUICClientFactory",
    "HTTPOverQUICProtocol",
    "HTTPOverQUICServerFactory",
    "HTTPOverTCPFactory",
    "HTTPOverTCPProtocol",
    "HTTPOverTCPUpgrade",
    "HTTPProtocol",
    "OutputEnd",
    "ProtocolRegistry",
    "protocol_registry",
]
