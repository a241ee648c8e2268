"""HTTP connections and streams on trio: where nurseries and queues live.

::

    connection task                            one per connection
    ├─ reader    network → protocol → streams  never waits for an application, a full queue or a send
    └─ serves the streams in turn (HTTP/1.1)   a cancel scope around the handler's calls

A listener makes connections of accepted byte streams, an opener makes them of addresses. :class:`HTTPConnection` is the level
of tools and proxies, :class:`HTTPStream` that of handlers and clients.
"""

from ._connection import ConnectionStatistics, HTTPConnection
from ._context import ConnectionContext, PeerGonePolicy
from ._failures import renew
from ._http2 import HTTP2Features
from ._ledger import Ledger, LedgerHolder
from ._listeners import ConnectionHandler, HTTPListener, HTTPMultiListener, HTTPOverTCPListener
from ._observer import ConnectionRecord, Observer, StreamRecord
from ._openers import HTTPOpener, HTTPOverTCPOpener
from ._opening import OpenStream
from ._own_nursery import OwnNursery
from ._ring import ConnectionEvents
from ._serial_server import StreamHandler
from ._stream import HTTPStream
from ._stream_parts import DataIterator, StreamStatistics

__all__ = [
    "ConnectionContext",
    "ConnectionEvents",
    "ConnectionHandler",
    "ConnectionRecord",
    "ConnectionStatistics",
    "DataIterator",
    "HTTP2Features",
    "HTTPConnection",
    "HTTPListener",
    "HTTPMultiListener",
    "HTTPOpener",
    "HTTPOverTCPListener",
    "HTTPOverTCPOpener",
    "HTTPStream",
    "Ledger",
    "LedgerHolder",
    "Observer",
    "OpenStream",
    "OwnNursery",
    "PeerGonePolicy",
    "StreamHandler",
    "StreamRecord",
    "StreamStatistics",
    "renew",
]
