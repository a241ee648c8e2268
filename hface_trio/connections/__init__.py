"""HTTP connections and streams on trio: where nurseries and queues live.

::

    connection task                            one per connection
    ├─ reader    network → protocol → streams  never waits for an application, a full queue or a send
    ├─ writer    protocol → network            fair between streams (HTTP/2 and 3)
    └─ serves the streams, each in a cancel scope: in turn (HTTP/1.1), or in a task each

A listener makes connections of what comes to a socket, an opener makes them of addresses. :class:`HTTPConnection` is the level
of tools and proxies, :class:`HTTPStream` that of handlers and clients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._connection import ConnectionStatistics, HTTPConnection
from ._context import ConnectionContext, PeerGonePolicy
from ._failures import renew
from ._http2 import HTTP2Features
from ._ledger import Ledger, LedgerHolder
from ._listeners import ConnectionHandler, HTTPListener, HTTPMultiListener, HTTPOverTCPListener
from ._observer import ConnectionRecord, Observer, StreamRecord
from ._openers import HTTPFallbackOpener, HTTPOpener, HTTPOverTCPOpener
from ._opening import OpenStream
from ._own_nursery import OwnNursery
from ._quic_link import QUICLink
from ._ring import ConnectionEvents
from ._serial_server import StreamHandler
from ._stream import HTTPStream
from ._stream_parts import DataIterator, StreamStatistics

if TYPE_CHECKING:
    from ._http3 import HTTP3Features
    from ._quic_listener import HTTPOverQUICListener
    from ._quic_opener import HTTPOverQUICOpener

__all__ = [
    "ConnectionContext",
    "ConnectionEvents",
    "ConnectionHandler",
    "ConnectionRecord",
    "ConnectionStatistics",
    "DataIterator",
    "HTTP2Features",
    "HTTP3Features",
    "HTTPConnection",
    "HTTPFallbackOpener",
    "HTTPListener",
    "HTTPMultiListener",
    "HTTPOpener",
    "HTTPOverQUICListener",
    "HTTPOverQUICOpener",
    "HTTPOverTCPListener",
    "HTTPOverTCPOpener",
    "HTTPStream",
    "Ledger",
    "LedgerHolder",
    "Observer",
    "OpenStream",
    "OwnNursery",
    "PeerGonePolicy",
    "QUICLink",
    "StreamHandler",
    "StreamRecord",
    "StreamStatistics",
    "renew",
]


def __getattr__(name: str) -> Any:
    """Import what is on QUIC when it is asked for: its cryptography takes as long to import as all the rest."""
    if name == "HTTP3Features":
        from . import _http3  # noqa: PLC0415

        return _http3.HTTP3Features
    if name == "HTTPOverQUICListener":
        from . import _quic_listener  # noqa: PLC0415

        return _quic_listener.HTTPOverQUICListener
    if name == "HTTPOverQUICOpener":
        from . import _quic_opener  # noqa: PLC0415

        return _quic_opener.HTTPOverQUICOpener
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
