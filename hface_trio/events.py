"""What happens on a connection, as sans-IO protocols and HTTP connections report it.

Events are immutable by convention, comparable and slotted. They lie on the path of every request, so they are
plain classes: a frozen dataclass costs three times as much to make. Each class names its fields in ``_fields``, in the order of
its arguments. Header sections have the form of HTTP/2 on every version.
"""

from __future__ import annotations

from typing import ClassVar

from .models import HeadersType

__all__ = [
    "AlternativeServiceReceived",
    "ConnectionTerminated",
    "DataReceived",
    "DatagramReceived",
    "Event",
    "GoawayReceived",
    "HeadersReceived",
    "InformationalReceived",
    "PingAcknowledged",
    "PriorityUpdateReceived",
    "PushPromiseReceived",
    "SendCapacityIncreased",
    "SettingsAcknowledged",
    "SettingsReceived",
    "StopSendingReceived",
    "StreamEvent",
    "StreamReset",
    "StreamResetReceived",
    "StreamResetSent",
    "TrailersReceived",
    "UnknownFrameReceived",
]


class Event:
    """Base of all events; abstract."""

    __slots__ = ()
    _fields: ClassVar[tuple[str, ...]] = ()

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._fields)

    __hash__: ClassVar[None]  # type: ignore[assignment]  # the sections inside are lists as often as not

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._fields)
        return f"{type(self).__name__}({arguments})"


class ConnectionTerminated(Event):
    """The connection is over: nothing more will be received, and no stream goes on.

    Args:
        error_code: the reason; 0 is a clean end.
        message: more about it, for a person.
    """

    __slots__ = _fields = ("error_code", "message")

    def __init__(self, error_code: int = 0, message: str | None = None) -> None:
        self.error_code: int = error_code
        self.message: str | None = message


class GoawayReceived(Event):
    """The peer takes no further requests (RFC 9113 §6.8, RFC 9114 §5.2; ``Connection: close`` on HTTP/1.1).

    Args:
        last_stream_id: streams above it were not and will not be processed.
        error_code: the reason; 0 is a graceful shutdown.
        additional_data: what the peer added for debugging.
    """

    __slots__ = _fields = ("last_stream_id", "error_code", "additional_data")

    def __init__(self, last_stream_id: int, error_code: int = 0, additional_data: bytes = b"") -> None:
        self.last_stream_id: int = last_stream_id
        self.error_code: int = error_code
        self.additional_data: bytes = additional_data


class SettingsReceived(Event):
    """The peer changed its settings: identifiers and their new values."""

    __slots__ = _fields = ("settings",)

    def __init__(self, settings: dict[int, int]) -> None:
        self.settings: dict[int, int] = settings


class SettingsAcknowledged(Event):
    """The peer applies the settings that were sent to it: identifiers and values."""

    __slots__ = _fields = ("settings",)

    def __init__(self, settings: dict[int, int]) -> None:
        self.settings: dict[int, int] = settings


class PingAcknowledged(Event):
    """The peer answered a ping.

    Args:
        data: the payload that came back.
        round_trip_seconds: time from the ping to its acknowledgement.
    """

    __slots__ = _fields = ("data", "round_trip_seconds")

    def __init__(self, data: bytes, round_trip_seconds: float) -> None:
        self.data: bytes = data
        self.round_trip_seconds: float = round_trip_seconds


class AlternativeServiceReceived(Event):
    """The peer advertised an alternative service in a frame (RFC 7838 §4).

    Args:
        origin: the origin it is for.
        field_value: as in an ``Alt-Svc`` field.
    """

    __slots__ = _fields = ("origin", "field_value")

    def __init__(self, origin: bytes, field_value: bytes) -> None:
        self.origin: bytes = origin
        self.field_value: bytes = field_value


class UnknownFrameReceived(Event):
    """A frame of a type that this package does not know.

    Args:
        stream_id: the stream it came on; 0 for the connection.
        frame_type: its type.
        payload: what it carried.
    """

    __slots__ = _fields = ("stream_id", "frame_type", "payload")

    def __init__(self, stream_id: int, frame_type: int, payload: bytes) -> None:
        self.stream_id: int = stream_id
        self.frame_type: int = frame_type
        self.payload: bytes = payload


class StreamEvent(Event):
    """Something happened on one stream; abstract."""

    __slots__ = ("stream_id",)
    stream_id: int


class HeadersReceived(StreamEvent):
    """A request head, or the head of a final response.

    Args:
        stream_id: the stream.
        headers: the section, pseudo-header fields first.
        end_stream: nothing follows.
    """

    __slots__ = ("end_stream", "headers")
    _fields = ("stream_id", "headers", "end_stream")

    def __init__(self, stream_id: int, headers: HeadersType, end_stream: bool = False) -> None:
        self.stream_id = stream_id
        self.headers: HeadersType = headers
        self.end_stream: bool = end_stream


class InformationalReceived(StreamEvent):
    """An interim response (1xx), other than 101 on HTTP/1.1."""

    __slots__ = ("headers",)
    _fields = ("stream_id", "headers")

    def __init__(self, stream_id: int, headers: HeadersType) -> None:
        self.stream_id = stream_id
        self.headers: HeadersType = headers


class DataReceived(StreamEvent):
    """Octets of a body, or of a tunnel.

    Args:
        stream_id: the stream.
        data: the octets; empty only together with ``end_stream``.
        end_stream: nothing follows.
    """

    __slots__ = ("data", "end_stream")
    _fields = ("stream_id", "data", "end_stream")

    def __init__(self, stream_id: int, data: bytes, end_stream: bool = False) -> None:
        self.stream_id = stream_id
        self.data: bytes = data
        self.end_stream: bool = end_stream


class TrailersReceived(StreamEvent):
    """A trailer section; it ends the stream."""

    __slots__ = ("headers",)
    _fields = ("stream_id", "headers")

    def __init__(self, stream_id: int, headers: HeadersType) -> None:
        self.stream_id = stream_id
        self.headers: HeadersType = headers


class DatagramReceived(StreamEvent):
    """An HTTP datagram (RFC 9297)."""

    __slots__ = ("data",)
    _fields = ("stream_id", "data")

    def __init__(self, stream_id: int, data: bytes) -> None:
        self.stream_id = stream_id
        self.data: bytes = data


class PriorityUpdateReceived(StreamEvent):
    """The peer changed the priority of a stream (RFC 9218 §7).

    Args:
        stream_id: the prioritized stream.
        field_value: as in a ``Priority`` field.
    """

    __slots__ = ("field_value",)
    _fields = ("stream_id", "field_value")

    def __init__(self, stream_id: int, field_value: bytes) -> None:
        self.stream_id = stream_id
        self.field_value: bytes = field_value


class PushPromiseReceived(StreamEvent):
    """The server promised a response to a request it made up (RFC 9113 §8.4).

    Args:
        stream_id: the stream it was promised on.
        promised_stream_id: the stream the response will come on.
        headers: the request.
    """

    __slots__ = ("headers", "promised_stream_id")
    _fields = ("stream_id", "promised_stream_id", "headers")

    def __init__(self, stream_id: int, promised_stream_id: int, headers: HeadersType) -> None:
        self.stream_id = stream_id
        self.promised_stream_id: int = promised_stream_id
        self.headers: HeadersType = headers


class SendCapacityIncreased(StreamEvent):
    """A stream whose send capacity was used up may submit data again; see ``HTTPProtocol.send_capacity``."""

    __slots__ = ()
    _fields = ("stream_id",)

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id


class StopSendingReceived(StreamEvent):
    """The peer reads no more of this stream; what it sends goes on."""

    __slots__ = ("error_code",)
    _fields = ("stream_id", "error_code")

    def __init__(self, stream_id: int, error_code: int = 0) -> None:
        self.stream_id = stream_id
        self.error_code: int = error_code


class StreamReset(StreamEvent):
    """A stream was reset: it must not be used any more, its connection and other streams go on; abstract.

    Args:
        stream_id: the stream.
        error_code: the reason.
    """

    __slots__ = ("error_code",)
    _fields = ("stream_id", "error_code")

    def __init__(self, stream_id: int, error_code: int = 0) -> None:
        self.stream_id = stream_id
        self.error_code: int = error_code


class StreamResetReceived(StreamReset):
    """A stream was reset by the peer, or went down with the connection."""

    __slots__ = ()


class StreamResetSent(StreamReset):
    """A stream was reset by this side: by the application, or because the peer misbehaved."""

    __slots__ = ()
