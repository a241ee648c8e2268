"""HTTP/1.1, sans-IO: a strict front, exchangeable engines, and one connection logic around them."""

from __future__ import annotations

from ._client import H11ClientProtocol
from ._factories import HTTP1ClientFactory, HTTP1ServerFactory
from ._handler import (
    BodyReceived,
    ConnectionClosed,
    H1HttpToolsProtocol,
    H1Protocol,
    ProtocolEvent,
    ProtocolHandler,
    RequestReceived,
    Upgraded,
)
from ._server import H11ServerProtocol, HTTP1Server

__all__ = [
    "BodyReceived",
    "ConnectionClosed",
    "H1HttpToolsProtocol",
    "H1Protocol",
    "H11ClientProtocol",
    "H11ServerProtocol",
    "HTTP1ClientFactory",
    "HTTP1Server",
    "HTTP1ServerFactory",
    "ProtocolEvent",
    "ProtocolHandler",
    "RequestReceived",
    "Upgraded",
]
