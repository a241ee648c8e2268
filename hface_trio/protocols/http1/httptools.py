"""Both ends of an HTTP/1.1 connection on httptools; importing it needs the extra ``httptools``.

The registry knows them as ``httptools``: ``HTTP1ServerFactory("httptools")`` is the usual way to them.
"""

from __future__ import annotations

from ...limits import Limits, Timeouts
from ._client import HTTP1Client
from ._httptools import HttpToolsCodec
from ._server import HTTP1Server

__all__ = ["HttpToolsClientProtocol", "HttpToolsServerProtocol"]


class HttpToolsServerProtocol(HTTP1Server):
    """The server's end of an HTTP/1.1 connection, on httptools.

    Args:
        secure: whether the transport is TLS, which makes the scheme of requests.
        limits: bounds on what the client sends.
        timeouts: bounds on how long it takes.

    Source: RFC 9110, RFC 9112.
    """

    def __init__(self, *, secure: bool, limits: Limits = Limits(), timeouts: Timeouts = Timeouts()) -> None:  # noqa: B008
        super().__init__(HttpToolsCodec(), secure=secure, limits=limits, timeouts=timeouts)


class HttpToolsClientProtocol(HTTP1Client):
    """The client's end of an HTTP/1.1 connection, on httptools.

    Args:
        secure: whether the transport is TLS; for symmetry with other engines and versions, it changes nothing.
        limits: bounds on what the server sends.
        timeouts: for symmetry as well: a client's deadlines are its callers'.

    Source: RFC 9110, RFC 9112.
    """

    def __init__(
        self,
        *,
        secure: bool,
        limits: Limits = Limits(),  # noqa: B008
        timeouts: Timeouts = Timeouts(),  # noqa: B008
    ) -> None:
        super().__init__(HttpToolsCodec(), limits=limits)
