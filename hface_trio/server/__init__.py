"""The server: endpoints in, handlers called, an orderly end."""

from ..connections import ConnectionRecord, Observer, StreamHandler, StreamRecord
from ..limits import Limits, Timeouts
from ._endpoint import Endpoint
from ._serve import Server, ServerStatistics, serve

__all__ = [
    "ConnectionRecord",
    "Endpoint",
    "Limits",
    "Observer",
    "Server",
    "ServerStatistics",
    "StreamHandler",
    "StreamRecord",
    "Timeouts",
    "serve",
]
