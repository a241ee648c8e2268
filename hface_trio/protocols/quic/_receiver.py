"""Whoever uses a QUIC connection: what it is told, as calls or as events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import NamedTuple

from ...events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAcknowledged,
    SendCapacityIncreased,
    StopSendingReceived,
    StreamResetReceived,
)

__all__ = [
    "CloseReason",
    "EventQueue",
    "HandshakeCompleted",
    "QUICReceiver",
    "StreamsAllowed",
    "TransportDatagramReceived",
]


class CloseReason(NamedTuple):
    """Why a connection ended.

    Args:
        code: a code of the application, or of the transport.
        message: more about it, for a person.
        application: whose code it is.
        local: whether this side ended it.
    """

    code: int
    message: str
    application: bool
    local: bool


class HandshakeCompleted(Event):
    """The TLS handshake has completed.

    Args:
        alpn_protocol: the negotiated ALPN name.
        early_data_accepted: whether the server took 0-RTT data.
        session_resumed: whether a ticket stood for a certificate.
    """

    __slots__ = _fields = ("alpn_protocol", "early_data_accepted", "session_resumed")

    def __init__(self, alpn_protocol: str | None, early_data_accepted: bool, session_resumed: bool) -> None:
        self.alpn_protocol: str | None = alpn_protocol
        self.early_data_accepted: bool = early_data_accepted
        self.session_resumed: bool = session_resumed


class StreamsAllowed(Event):
    """The peer takes more streams than before, or any at all."""

    __slots__ = ()


class TransportDatagramReceived(Event):
    """The payload of a DATAGRAM frame (RFC 9221)."""

    __slots__ = _fields = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data: bytes = data


class QUICReceiver(ABC):
    """Is told what happens on a connection, while the connection is fed. May submit, but not feed."""

    @abstractmethod
    def ready(self) -> None:
        """Submit what shall leave with the handshake: ALPN has been negotiated."""

    @abstractmethod
    def handshake_completed(self, event: HandshakeCompleted) -> None:
        """Take the end of the handshake."""

    @abstractmethod
    def data_received(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        """Take octets of a stream, perhaps a new one. They are held until acknowledged."""

    @abstractmethod
    def reset_received(self, stream_id: int, code: int) -> None:
        """Take a RESET_STREAM frame: nothing more is received."""

    @abstractmethod
    def stop_sending_received(self, stream_id: int, code: int) -> None:
        """Take a STOP_SENDING frame: the stream was reset in answer, nothing more can be submitted."""

    @abstractmethod
    def capacity_increased(self, stream_id: int) -> None:
        """Take note that a stream that had no send capacity has some."""

    @abstractmethod
    def streams_allowed(self) -> None:
        """Take note that more streams may be opened."""

    @abstractmethod
    def datagram_frame_received(self, data: bytes) -> None:
        """Take a DATAGRAM frame."""

    @abstractmethod
    def ping_acknowledged(self, uid: int, round_trip_seconds: float) -> None:
        """Take the acknowledgement of a ping."""

    @abstractmethod
    def terminated(self, reason: CloseReason) -> None:
        """Take the end of the connection. Nothing else is told after it."""


class EventQueue(QUICReceiver):
    """Makes an event of everything."""

    def __init__(self) -> None:
        self.events: deque[Event] = deque()

    def ready(self) -> None:
        """Say nothing: the end of the handshake follows."""

    def handshake_completed(self, event: HandshakeCompleted) -> None:
        """Queue the event."""
        self.events.append(event)

    def data_received(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        """Queue the event."""
        self.events.append(DataReceived(stream_id, data, end_stream))

    def reset_received(self, stream_id: int, code: int) -> None:
        """Queue the event."""
        self.events.append(StreamResetReceived(stream_id, code))

    def stop_sending_received(self, stream_id: int, code: int) -> None:
        """Queue the event."""
        self.events.append(StopSendingReceived(stream_id, code))

    def capacity_increased(self, stream_id: int) -> None:
        """Queue the event."""
        self.events.append(SendCapacityIncreased(stream_id))

    def streams_allowed(self) -> None:
        """Queue the event."""
        self.events.append(StreamsAllowed())

    def datagram_frame_received(self, data: bytes) -> None:
        """Queue the event."""
        self.events.append(TransportDatagramReceived(data))

    def ping_acknowledged(self, uid: int, round_trip_seconds: float) -> None:
        """Queue the event, with the ping's number as its payload."""
        self.events.append(PingAcknowledged(uid.to_bytes(8, "big"), round_trip_seconds))

    def terminated(self, reason: CloseReason) -> None:
        """Queue the event."""
        self.events.append(ConnectionTerminated(reason.code, reason.message))
