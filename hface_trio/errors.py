"""Exceptions, one tree.

::

    HfaceError
    ├── ConfigurationError           a setting cannot be used: endpoint, certificate, engine    (also a ValueError)
    ├── ProtocolError                HTTP was broken …
    │   ├── LocalProtocolError       … by the caller: nothing was sent
    │   │   ├── SectionTooLargeError … by a field section that the peer does not take
    │   │   ├── SendCapacityError    … by submitting more than the stream may hold
    │   │   └── NoTunnelError        … by answering CONNECT like another request
    │   └── RemoteProtocolError      … by the peer
    ├── StreamError                  one exchange is over, its connection may live on
    │   ├── StreamResetError         the stream was reset, by either side
    │   ├── SendingStoppedError      the peer takes no more; receiving goes on
    │   ├── RequestNotProcessedError the peer did nothing with the request         (retryable)
    │   └── BodyTooLargeError        a body went past the bound that was asked for
    └── HTTPConnectionError          a connection is over, and all its streams
        ├── ConnectError             it could not be opened                        (retryable)
        │   └── TLSHandshakeError    … because TLS failed
        └── ConnectionLostError      it ended before its streams did

Misuse of a resource raises trio's own ``ClosedResourceError`` and ``BusyResourceError``. ``retryable`` says that the
same request may be sent again without harm, whatever its method.
"""

from __future__ import annotations

__all__ = [
    "BodyTooLargeError",
    "ConfigurationError",
    "ConnectError",
    "ConnectionLostError",
    "HTTPConnectionError",
    "HfaceError",
    "LocalProtocolError",
    "NoTunnelError",
    "ProtocolError",
    "RemoteProtocolError",
    "RequestNotProcessedError",
    "SectionTooLargeError",
    "SendCapacityError",
    "SendingStoppedError",
    "StreamError",
    "StreamResetError",
    "TLSHandshakeError",
]


class HfaceError(Exception):
    """Root of all exceptions of this package.

    Args:
        message: one line for a person.
        error_code: the code on the wire (a status code on HTTP/1.1), where there is one.
        stream_id: the stream, where there is one.
    """

    retryable: bool = False

    def __init__(self, message: str = "", *, error_code: int | None = None, stream_id: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = error_code
        self.stream_id = stream_id


class ConfigurationError(HfaceError, ValueError):
    """A setting cannot be used; the message names it and says why."""


class ProtocolError(HfaceError):
    """HTTP was broken."""


class LocalProtocolError(ProtocolError):
    """The caller asked for what HTTP, or the state of the stream, does not allow. Nothing was sent."""


class SectionTooLargeError(LocalProtocolError):
    """A field section is longer than the peer said it takes (HTTP/3, RFC 9114 §4.2.2). Nothing was sent."""


class SendCapacityError(LocalProtocolError):
    """More was submitted than ``send_capacity`` allows. Nothing was taken."""


class NoTunnelError(LocalProtocolError):
    """A CONNECT request was answered by a whole 2xx response, or one with a length, where only a tunnel can follow.

    Nothing was sent. One that leaves the handler becomes a 501. Source: RFC 9110 §9.3.6.
    """


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol. ``error_code`` is what it is told."""


class StreamError(HfaceError):
    """One exchange is over; other streams of its connection may go on."""


class StreamResetError(StreamError):
    """The stream was reset. What arrived before the reset has been delivered."""


class SendingStoppedError(StreamError):
    """The peer reads no more of this stream; receiving goes on."""


class RequestNotProcessedError(StreamError):
    """The peer did not process the request: it may be sent again on another connection."""

    retryable = True


class BodyTooLargeError(StreamError):
    """A body is longer than the bound that the caller gave."""


class HTTPConnectionError(HfaceError):
    """A connection is over, and with it all its streams."""


class ConnectError(HTTPConnectionError):
    """A connection could not be opened; nothing of any request was sent."""

    retryable = True


class TLSHandshakeError(ConnectError):
    """The TLS handshake failed; the message says why."""


class ConnectionLostError(HTTPConnectionError):
    """The connection ended before the exchange did.

    Args:
        retryable: the request cannot have been processed.
    """

    def __init__(
        self,
        message: str = "",
        *,
        error_code: int | None = None,
        stream_id: int | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message, error_code=error_code, stream_id=stream_id)
        self.retryable = retryable
