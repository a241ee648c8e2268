"""HTTP for trio: one model of connections, streams and events, for servers and clients.

The names most programs need are here; :mod:`hface_trio.connections`, :mod:`hface_trio.protocols` and
:mod:`hface_trio.networking` hold the levels below, :mod:`hface_trio.testing` what tests need.
"""

from ._version import __version__
from .client import Client, Response, connect, open_client
from .connections import HTTPConnection, HTTPStream, Observer
from .errors import (
    BodyTooLargeError,
    ConfigurationError,
    ConnectError,
    ConnectionLostError,
    HfaceError,
    HTTPConnectionError,
    LocalProtocolError,
    NoTunnelError,
    ProtocolError,
    RemoteProtocolError,
    RequestNotProcessedError,
    SectionTooLargeError,
    SendCapacityError,
    SendingStoppedError,
    StreamError,
    StreamResetError,
    TLSHandshakeError,
)
from .limits import Limits, Timeouts
from .models import (
    AddressType,
    ClientTLSConfig,
    DatagramType,
    HeadersType,
    HeaderType,
    HTTPErrorCodes,
    ServerTLSConfig,
)
from .server import Endpoint, Server, serve

__all__ = [
    "AddressType",
    "BodyTooLargeError",
    "Client",
    "ClientTLSConfig",
    "ConfigurationError",
    "ConnectError",
    "ConnectionLostError",
    "DatagramType",
    "Endpoint",
    "HTTPConnection",
    "HTTPConnectionError",
    "HTTPErrorCodes",
    "HTTPStream",
    "HeaderType",
    "HeadersType",
    "HfaceError",
    "Limits",
    "LocalProtocolError",
    "NoTunnelError",
    "Observer",
    "ProtocolError",
    "RemoteProtocolError",
    "RequestNotProcessedError",
    "Response",
    "SectionTooLargeError",
    "SendCapacityError",
    "SendingStoppedError",
    "Server",
    "ServerTLSConfig",
    "StreamError",
    "StreamResetError",
    "TLSHandshakeError",
    "Timeouts",
    "__version__",
    "connect",
    "open_client",
    "serve",
]
