"""What a router says is to be done with a datagram, and what it tells of itself."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from ...models import DatagramType
from .._interfaces import HTTPOverQUICProtocol

__all__ = [
    "Accept",
    "Deliver",
    "Drop",
    "DropReason",
    "QUICRouterStatistics",
    "Reply",
    "RouterAction",
]


class DropReason(enum.Enum):
    """Why a datagram is for nobody."""

    MALFORMED = "malformed"
    """No QUIC packet can look like this."""

    VERSION_NEGOTIATION = "version negotiation"
    """Version 0. Servers do not take it, and to answer it would be a loop."""

    UNKNOWN_VERSION = "unknown version"
    """A version that is not spoken, in a datagram too small to be answered, or on a connection that has one."""

    NEGOTIATION_LIMIT = "negotiation limit"
    """A version that is not spoken, while too many were answered already."""

    UNKNOWN_CONNECTION = "unknown connection"
    """A packet of a connection that there is not, or not any more."""

    SMALL_INITIAL = "small initial"
    """An Initial packet in a datagram under 1200 octets."""

    INVALID_TOKEN = "invalid token"  # noqa: S105 - not a password
    """A token made here, for another address, another id or another time."""

    HALF_OPEN_LIMIT = "half-open limit"
    """Too many connections have not completed their handshakes."""

    CONNECTION_LIMIT = "connection limit"
    """Too many connections."""

    DRAINING = "draining"
    """No connections are accepted any more."""


class Deliver(NamedTuple):
    """Feed the datagram to a connection that there is."""

    connection: HTTPOverQUICProtocol


class Accept(NamedTuple):
    """Begin with a new connection, and feed the datagram to it.

    Args:
        connection: the connection, which was told nothing yet.
        address_validated: whether the client has proven its address by a token.
    """

    connection: HTTPOverQUICProtocol
    address_validated: bool


class Reply(NamedTuple):
    """Send a datagram, once and without any connection."""

    datagram: DatagramType


class Drop(NamedTuple):
    """Do nothing."""

    reason: DropReason


RouterAction: TypeAlias = Deliver | Accept | Reply | Drop
"""What is to be done with a datagram."""


@dataclasses.dataclass(frozen=True)
class QUICRouterStatistics:
    """What a router holds, and what it has done.

    Args:
        connections: connections that there are.
        half_open: those among them whose handshakes are not complete.
        connection_ids: ids that route to them.
        accepted: connections accepted so far.
        delivered: datagrams delivered so far, the first ones of connections not counted.
        retries: Retry packets sent.
        negotiations: version negotiation packets sent.
        refusals: packets sent that tell a client that it is refused; what they answer counts as dropped too.
        resets: stateless resets sent.
        drops: datagrams dropped so far, by reason; all reasons are there.
    """

    connections: int
    half_open: int
    connection_ids: int
    accepted: int
    delivered: int
    retries: int
    negotiations: int
    refusals: int
    resets: int
    drops: Mapping[DropReason, int]
