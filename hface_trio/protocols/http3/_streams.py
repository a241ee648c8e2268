"""The request streams of a connection: one table, one way in, one way out."""

from __future__ import annotations

import enum

from ...events import DataReceived, StreamEvent
from ...models import HeaderType
from .._priority import Priority
from ._frames import FrameParser, FrameSink

__all__ = ["DataRun", "MessagePhase", "RequestStream", "StreamTable"]


class MessagePhase(enum.Enum):
    """How far the peer's message has come (RFC 9114 §4.1)."""

    HEAD = enum.auto()
    BODY = enum.auto()
    TRAILERS = enum.auto()
    ENDED = enum.auto()


class RequestStream:
    """What is known of one stream that carries a request and its response.

    Args:
        stream_id: its id.
        initiated_here: whether this side is the client.
    """

    __slots__ = (
        "announced",
        "awaits_continue",
        "began_at",
        "body",
        "early",
        "expected_octets",
        "head_sent",
        "held_octets",
        "informational_count",
        "initiated_here",
        "method",
        "parser",
        "phase",
        "priority",
        "received_octets",
        "receiving_ended",
        "run",
        "section_since",
        "sending_ended",
        "stream_id",
        "trailers",
        "tunnel",
    )

    def __init__(self, stream_id: int, *, initiated_here: bool) -> None:
        self.stream_id: int = stream_id
        self.initiated_here: bool = initiated_here
        self.announced: bool = initiated_here  # whether the application knows of it
        self.parser: FrameParser | None = None
        self.phase: MessagePhase = MessagePhase.HEAD
        self.began_at: float = 0.0
        self.method: bytes | None = None
        self.head_sent: bool = False
        self.informational_count: int = 0
        self.expected_octets: int | None = None
        self.received_octets: int = 0
        self.body: list[bytes] = []  # of the datagram that is being taken apart
        self.run: DataRun | None = None  # what of the body waits to be taken
        self.held_octets: int = 0  # of a section that is not whole
        self.section_since: float = 0.0
        self.trailers: list[HeaderType] | None = None
        self.tunnel: bool = False
        self.early: bool = False  # its request came before the end of the handshake, and can be a replay
        self.awaits_continue: bool = False  # the client holds its body back for a 100
        self.priority: Priority | None = None
        self.sending_ended: bool = False
        self.receiving_ended: bool = False

    def attach(self, sink: FrameSink) -> FrameParser:
        """Give the stream a parser."""
        parser = self.parser = FrameParser(sink)
        return parser


class DataRun(StreamEvent):
    """Octets of a body that came one after the other and were not taken yet: one event, as soon as somebody takes it.

    Args:
        stream: the stream.
        parts: the octets.
    """

    __slots__ = ("_stream", "end_stream", "parts")
    _fields = ("stream_id", "parts", "end_stream")

    def __init__(self, stream: RequestStream, parts: list[bytes]) -> None:
        self.stream_id: int = stream.stream_id
        self.parts: list[bytes] = parts
        self.end_stream: bool = False
        self._stream = stream

    def taken(self) -> DataReceived:
        """Return the event; what comes now begins another one."""
        self._stream.run = None
        parts = self.parts
        return DataReceived(self.stream_id, parts[0] if len(parts) == 1 else b"".join(parts), self.end_stream)


class StreamTable:
    """All request streams of a connection."""

    __slots__ = ("awaiting_head", "awaiting_section", "held_octets", "live", "next_unseen_id")

    def __init__(self) -> None:
        self.live: dict[int, RequestStream] = {}
        self.awaiting_head: dict[int, RequestStream] = {}
        """Streams of the peer whose request head is not complete, oldest first."""
        self.awaiting_section: dict[int, RequestStream] = {}
        """Streams of whose latest section something is held, longest first."""
        self.held_octets: int = 0
        """Octets of sections that are not whole."""
        self.next_unseen_id: int = 0
        """The lowest id that no stream of the peer had."""

    def add(self, stream: RequestStream) -> None:
        """Enter a stream."""
        self.live[stream.stream_id] = stream
        if not stream.initiated_here:
            self.awaiting_head[stream.stream_id] = stream

    def head_received(self, stream: RequestStream) -> None:
        """Note that a stream waits for no head any more."""
        self.awaiting_head.pop(stream.stream_id, None)

    def section_held(self, stream: RequestStream, octets: int, now: float) -> None:
        """Note how much of a section is held; 0 when it is whole."""
        if not octets:
            self.awaiting_section.pop(stream.stream_id, None)
        elif not stream.held_octets:
            stream.section_since = now
            self.awaiting_section[stream.stream_id] = stream
        self.held_octets += octets - stream.held_octets
        stream.held_octets = octets

    def saw(self, stream_id: int) -> None:
        """Note the id of a stream of the peer."""
        if stream_id >= self.next_unseen_id:
            self.next_unseen_id = stream_id + 4

    def remove(self, stream: RequestStream) -> None:
        """Remove a stream; the only way out of the table."""
        del self.live[stream.stream_id]
        self.awaiting_head.pop(stream.stream_id, None)
        if stream.held_octets:
            self.section_held(stream, 0, stream.section_since)
        if stream.parser is not None:
            stream.parser.stopped = True
            stream.parser = None  # which refers back to it
        stream.run = None  # likewise
