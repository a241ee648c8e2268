"""HTTP/3 without I/O, on the QUIC of this package (RFC 9114, RFC 9204, RFC 9218, RFC 9220, RFC 9297).

Frames, streams, settings, limits, budgets and the graceful end are kept here; ``pylsqpack`` compresses fields.
"""

from __future__ import annotations

from ..quic._tickets import SessionTicketStore
from ._client import H3ClientProtocol
from ._codes import HTTP3ErrorCode, HTTP3Setting, HTTP3StreamType
from ._control import ExtensionStreams
from ._factories import HTTP3ClientFactory, HTTP3ServerFactory
from ._protocol import H3Protocol
from ._server import H3ServerProtocol
from ._settings import HTTP3Settings

__all__ = [
    "ExtensionStreams",
    "H3ClientProtocol",
    "H3Protocol",
    "H3ServerProtocol",
    "HTTP3ClientFactory",
    "HTTP3ErrorCode",
    "HTTP3ServerFactory",
    "HTTP3Setting",
    "HTTP3Settings",
    "HTTP3StreamType",
    "SessionTicketStore",
]
