"""HTTP/2 without I/O, on ``h2`` (RFC 9113).

What a peer sends passes a front that parses and counts frames, then a receiver that knows what they mean. ``h2`` keeps
the states of streams and compresses what is sent; receive credit, limits, budgets and the graceful end are kept here.
"""

from __future__ import annotations

from .._priority import Priority, StreamDependency
from ._client import H2ClientProtocol
from ._codes import HTTP2ErrorCode, HTTP2Setting
from ._factories import HTTP2ClientFactory, HTTP2ServerFactory
from ._frames import PREFACE, is_preface_prefix
from ._protocol import H2Protocol
from ._server import H2ServerProtocol
from ._settings import HTTP2Settings

__all__ = [
    "PREFACE",
    "H2ClientProtocol",
    "H2Protocol",
    "H2ServerProtocol",
    "HTTP2ClientFactory",
    "HTTP2ErrorCode",
    "HTTP2ServerFactory",
    "HTTP2Setting",
    "HTTP2Settings",
    "Priority",
    "StreamDependency",
    "is_preface_prefix",
]
