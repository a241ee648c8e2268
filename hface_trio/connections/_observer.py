"""The observer: one call each for the opening and closing of connections and streams.

Access logs and metrics stand on it. The calls are plain functions, made by the tasks they tell of: they must be quick, and
whatever they raise is logged and goes no further.
"""

from __future__ import annotations

import dataclasses

from ..models import AddressType

__all__ = ["ConnectionRecord", "Observer", "StreamRecord"]


@dataclasses.dataclass(slots=True)
class ConnectionRecord:
    """What is known of a connection; the same object when it opens and when it closes.

    Args:
        http_version: ``"1.1"``, ``"2"`` or ``"3"``.
        client_side: whether this process is the client.
        local_address: address of this side.
        remote_address: address of the peer.
        opened_at: when it opened, in ``trio.current_time()`` seconds.
        closed_at: when it closed; ``None`` while it is open.
        octets_received: octets of the transport, above TLS.
        octets_sent: octets of the transport, above TLS.
        streams: how many streams it carried.
        error_code: why it ended, 0 for a clean end.
        message: more about it, for a person.
    """

    http_version: str
    client_side: bool
    local_address: AddressType | None
    remote_address: AddressType | None
    opened_at: float
    closed_at: float | None = None
    octets_received: int = 0
    octets_sent: int = 0
    streams: int = 0
    error_code: int = 0
    message: str | None = None


@dataclasses.dataclass(slots=True)
class StreamRecord:
    """What is known of one exchange; the same object when it opens and when it closes.

    Args:
        connection: its connection.
        stream_id: its id there.
        method: of the request.
        scheme: of the request.
        authority: of the request.
        path: of the request.
        opened_at: when it opened, in ``trio.current_time()`` seconds.
        closed_at: when it closed; ``None`` while it is open.
        status: of the response, once there is one.
        body_octets_received: body octets that arrived here.
        body_octets_sent: body octets that left here.
        error_code: of the reset that ended it, ``None`` for a complete exchange.
    """

    connection: ConnectionRecord
    stream_id: int
    method: bytes
    scheme: bytes
    authority: bytes
    path: bytes
    opened_at: float
    closed_at: float | None = None
    status: int | None = None
    body_octets_received: int = 0
    body_octets_sent: int = 0
    error_code: int | None = None


class Observer:
    """Does nothing; override what you want to know."""

    def connection_opened(self, record: ConnectionRecord) -> None:
        """Take note of a new connection, after its handshake."""

    def connection_closed(self, record: ConnectionRecord) -> None:
        """Take note that a connection is over."""

    def stream_opened(self, record: StreamRecord) -> None:
        """Take note of a new exchange, before its handler runs."""

    def stream_closed(self, record: StreamRecord) -> None:
        """Take note that an exchange is over, after its handler ended."""
