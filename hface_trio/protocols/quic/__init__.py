"""QUIC without I/O and without HTTP, on ``aioquic`` (RFC 9000, RFC 9001, RFC 9002, RFC 9221, RFC 9369).

``aioquic`` does packets, encryption and recovery; receive credit, send capacity, the number of streams and what is known
of them are kept here.
"""

from __future__ import annotations

from ._codes import QUIC_VERSION_1, QUIC_VERSION_2, QUICErrorCode, is_client_initiated, is_unidirectional
from ._connection import QUICConnection
from ._ids import ConnectionIdSource, IssuedConnectionId, RandomConnectionIdSource
from ._receiver import CloseReason, HandshakeCompleted, QUICReceiver, StreamsAllowed, TransportDatagramReceived
from ._router import QUICRouter
from ._router_actions import Accept, Deliver, Drop, DropReason, QUICRouterStatistics, Reply, RouterAction
from ._router_ids import KeyedConnectionIdSource
from ._router_settings import QUICRouterSettings
from ._settings import QUICSettings
from ._tls import client_configuration, server_configuration

__all__ = [
    "QUIC_VERSION_1",
    "QUIC_VERSION_2",
    "Accept",
    "CloseReason",
    "ConnectionIdSource",
    "Deliver",
    "Drop",
    "DropReason",
    "HandshakeCompleted",
    "IssuedConnectionId",
    "KeyedConnectionIdSource",
    "QUICConnection",
    "QUICErrorCode",
    "QUICReceiver",
    "QUICRouter",
    "QUICRouterSettings",
    "QUICRouterStatistics",
    "QUICSettings",
    "RandomConnectionIdSource",
    "Reply",
    "RouterAction",
    "StreamsAllowed",
    "TransportDatagramReceived",
    "client_configuration",
    "is_client_initiated",
    "is_unidirectional",
    "server_configuration",
]
