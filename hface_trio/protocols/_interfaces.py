"""The sans-IO interfaces: what every protocol object of this package is to its caller.

A protocol is fed with what the network brought and with what the application wants, and is asked for events and for
what the network shall carry. It never blocks, never reads a clock and never starts anything. The rules:

- ``clock(now)`` tells the time before the protocol is fed; when ``get_timer()`` has come, ``clock`` is called with
  nothing else to say. Times are ``trio.current_time()`` seconds, but any monotonic clock will do.
- After feeding, and after every ``submit_…``, the caller takes all events from ``next_event()`` and all output.
- ``submit_…`` either takes the whole call or raises :class:`~hface_trio.errors.LocalProtocolError` and changes nothing.
- Nothing a peer sends makes a method raise: what the peer breaks is answered in the output, and told as events.
- Credit: octets of :class:`~hface_trio.events.DataReceived` are held against the stream until ``acknowledge`` returns
  them. Only data octets count; the protocol credits padding and discarded octets by itself.
"""

from __future__ import annotations

import dataclasses
import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeAlias

from ..events import Event
from ..models import AddressType, DatagramType, HeadersType, HTTPErrorCodes

__all__ = [
    "Buffer",
    "HTTPOverQUICProtocol",
    "HTTPOverTCPProtocol",
    "HTTPProtocol",
    "OutputEnd",
    "StreamCodes",
]

Buffer: TypeAlias = bytes | bytearray | memoryview
"""A contiguous run of octets that is not changed while it is queued."""


class OutputEnd(enum.Enum):
    """What shall happen to the transport once the queued output has left."""

    OPEN = "open"
    """Nothing: more output may come."""

    HALF_CLOSED = "half-closed"
    """End the output; go on reading."""

    CLOSED = "closed"
    """End the output, read on for a bounded time so that the peer can read the last answer, then close."""

    ABORTED = "aborted"
    """Drop the queued output and reset the transport, so that the peer cannot mistake this for a clean end."""


@dataclasses.dataclass(frozen=True)
class StreamCodes:
    """The codes with which streams are reset on one version of HTTP.

    Args:
        no_error: nothing is wrong, the rest is not needed.
        internal_error: this side failed.
        refused: nothing was done with the request; it may be sent again.
        cancelled: the exchange is not wanted any more.
        excessive_load: the peer asks for more than it is given; also ends whole connections.
    """

    no_error: int
    internal_error: int
    refused: int
    cancelled: int
    excessive_load: int


_NO_STREAM_CODES = StreamCodes(no_error=0, internal_error=0, refused=0, cancelled=0, excessive_load=0)


class HTTPProtocol(ABC):
    """One HTTP connection, without its I/O."""

    @property
    @abstractmethod
    def http_version(self) -> str:
        """``"1.1"``, ``"2"`` or ``"3"``."""

    @property
    @abstractmethod
    def multiplexed(self) -> bool:
        """Whether several streams may be open at a time."""

    @property
    @abstractmethod
    def error_codes(self) -> HTTPErrorCodes:
        """Codes of this HTTP version for common failures."""

    @property
    def stream_codes(self) -> StreamCodes:
        """Codes to reset streams with; all zero on versions that have none, which put no code on the wire."""
        return _NO_STREAM_CODES

    @abstractmethod
    def is_available(self) -> bool:
        """Return whether a new stream can be opened now (client)."""

    @abstractmethod
    def has_expired(self) -> bool:
        """Return whether no further stream can ever be opened: the connection is closed, or going to be."""

    @abstractmethod
    def get_available_stream_id(self) -> int:
        """Return the id of the next stream to open.

        The id is taken by submitting headers for it; until then the same id is returned again.

        Raises:
            LocalProtocolError: no stream can be opened now.
        """

    @abstractmethod
    def submit_headers(self, stream_id: int, headers: HeadersType, end_stream: bool = False) -> None:
        """Send a request head or the head of a final response.

        A 101 response (HTTP/1.1) and a 2xx response to CONNECT turn the stream into a tunnel.
        """

    @abstractmethod
    def submit_informational(self, stream_id: int, headers: HeadersType) -> None:
        """Send an interim response, 1xx other than 101 (server)."""

    @abstractmethod
    def submit_data(self, stream_id: int, data: Buffer, end_stream: bool = False) -> None:
        """Send octets of a body or of a tunnel.

        Raises:
            SendCapacityError: ``data`` is longer than ``send_capacity(stream_id)``.
        """

    @abstractmethod
    def submit_trailers(self, stream_id: int, headers: HeadersType) -> None:
        """Send a trailer section and end the sending side of the stream."""

    @abstractmethod
    def submit_stream_reset(self, stream_id: int, error_code: int = 0) -> None:
        """End a stream at once in both directions. Does nothing to a stream that is over."""

    @abstractmethod
    def submit_goaway(self) -> None:
        """Begin a graceful end: what is under way is finished, nothing new is accepted or opened."""

    @abstractmethod
    def submit_close(self, error_code: int = 0, message: str | None = None) -> None:
        """End the connection and all its streams."""

    @abstractmethod
    def acknowledge(self, stream_id: int, n_octets: int) -> None:
        """Return credit for data octets that the application took. Late calls for ended streams are welcome."""

    @abstractmethod
    def send_capacity(self, stream_id: int) -> int:
        """Return how many octets ``submit_data`` takes now.

        When the capacity was used up and grows again, a :class:`~hface_trio.events.SendCapacityIncreased` says so.
        """

    may_grow: Callable[[], bool] | None = None
    """Asked before a receive window grows; ``None`` grants it always. Versions without windows never ask."""

    def discard_input(self, stream_id: int) -> None:
        """Tell that nobody reads what still comes on a stream: it is dropped, or the peer is told to stop.

        To be called by a server whose response is complete; what it costs the connection depends on the version.
        """
        self.submit_stream_reset(stream_id, 0)

    hold_streams: bool = False
    """Whether a stream that is over still counts until ``stream_released`` is called for it, so that the peer opens no
    more streams than the application can hold. Set by who will call it, before anything is fed; of no effect on versions
    whose peers are not told one by one how many streams they may open."""

    def stream_released(self, stream_id: int) -> None:  # noqa: B027  # most versions have nothing to do
        """Tell that the application is done with a stream; needed where ``hold_streams`` is set, harmless otherwise."""

    def can_send(self, stream_id: int) -> bool:
        """Return whether ``submit_data`` could be called for the stream, if there were capacity."""
        return True

    def explicit_priority(self, stream_id: int) -> tuple[int, bool] | None:
        """Return urgency (0 to 7, 0 first) and incremental delivery (RFC 9218 §4), if the peer said anything about them."""
        return None

    @property
    def queued_octets(self) -> int:
        """Octets of output that wait to be taken; 0 where the protocol does not count them."""
        return 0

    @property
    def held_octets(self) -> int:
        """Octets that the protocol keeps by itself; 0 where they are not counted.

        Those that were received and wait for others to be handed out as events, and those that were sent and may have to
        be sent again.
        """
        return 0

    @property
    def sends(self) -> bool:
        """Whether the protocol itself keeps something that was submitted, because the peer has not taken it."""
        return False

    def stalled_streams(self, since: float) -> Sequence[int]:
        """Return the streams of which the protocol keeps something, and the peer has taken next to nothing since a time."""
        return ()

    def unsent_octets(self, stream_id: int) -> int:
        """Return how many octets of a stream were submitted and wait for their time to be sent, in what is not output yet.

        Only versions that decide by themselves when something may leave have any.
        """
        return 0

    def submit_continue(self, stream_id: int) -> None:  # noqa: B027  # most versions have nothing to do
        """Send 100 (Continue) if the peer holds its body back for it (RFC 9110 §10.1.1); harmless otherwise."""

    @property
    @abstractmethod
    def output_end(self) -> OutputEnd:
        """What shall happen to the transport once the queued output has left.

        Over QUIC ``CLOSED`` says that the datagrams to be taken now are the last, ``ABORTED`` that there are none to take.
        """

    @abstractmethod
    def connection_lost(self) -> None:
        """Tell that the transport broke: a reset, a failed send, TLS cut off without its closing alert, a lost socket."""

    @abstractmethod
    def next_event(self) -> Event | None:
        """Return the next event, or ``None`` when there is none for now."""

    @abstractmethod
    def clock(self, now: float) -> None:
        """Tell the time, and do what is due by it."""

    @abstractmethod
    def get_timer(self) -> float | None:
        """Return when ``clock`` has to be called next, or ``None``."""


class HTTPOverTCPProtocol(HTTPProtocol):
    """An HTTP connection over a byte stream."""

    in_turns: bool = False
    """Whether ``bytes_received`` may stop after a number of frames, so that one peer's input never takes long at a stretch.
    Whoever sets it calls ``bytes_received(b"")`` while ``input_waits``, and nothing else is fed meanwhile."""

    @property
    def input_waits(self) -> bool:
        """Whether octets of the last feed wait for their turn."""
        return False

    @abstractmethod
    def eof_received(self) -> None:
        """Tell that the peer ended its side in order: a FIN, or TLS close_notify."""

    def output_lost(self) -> None:
        """Tell that the network takes nothing any more, while what has come may still be received.

        It matters only where the end of a connection is the end of a body, which may have been cut off then.
        """

    @abstractmethod
    def bytes_received(self, data: bytes) -> None:
        """Feed octets of the peer."""

    @abstractmethod
    def receive_capacity(self) -> int:
        """Return how many octets the protocol wants to be fed at most now; 0 pauses reading.

        Only versions without windows of their own ever pause. ``acknowledge`` and the ends of streams make it grow.
        """

    @abstractmethod
    def buffers_to_send(self) -> list[Buffer]:
        """Take all queued output as it lies, uncopied."""

    def bytes_to_send(self) -> bytes:
        """Take all queued output as one run of octets."""
        return b"".join(self.buffers_to_send())

    @property
    def final_request(self) -> bool:
        """Whether the peer promised that its request under way is the last: its half-close may be no departure."""
        return False


class HTTPOverQUICProtocol(HTTPProtocol):
    """An HTTP connection over QUIC datagrams.

    Datagrams that are to be sent may depend on time alone: after ``clock`` they are taken too. When ``is_closed``, whoever
    routes datagrams forgets the connection.
    """

    @property
    @abstractmethod
    def connection_ids(self) -> Sequence[bytes]:
        """QUIC connection ids that route datagrams to this connection."""

    @abstractmethod
    def take_connection_id_changes(self) -> tuple[list[bytes], list[bytes]]:
        """Return the ids issued and the ids retired since the last call. What it began with is neither.

        To be called after each feed and each ``datagrams_to_send``.
        """

    @property
    @abstractmethod
    def handshake_complete(self) -> bool:
        """Whether the TLS handshake has completed."""

    @property
    @abstractmethod
    def handshake_failure(self) -> str | None:
        """Why there was no connection, in words for a person; ``None`` while it may yet be, and when there was one."""

    @property
    @abstractmethod
    def tls_failed(self) -> bool:
        """Whether it was TLS that the handshake failed for, on either side."""

    @property
    @abstractmethod
    def is_closed(self) -> bool:
        """Whether the connection is over for good, its closing period too."""

    @property
    @abstractmethod
    def remote_address(self) -> AddressType | None:
        """Where datagrams go at present; it changes when the peer migrates."""

    @property
    @abstractmethod
    def peer_certificate(self) -> bytes | None:
        """The certificate that the peer showed, DER."""

    @abstractmethod
    def datagram_received(self, datagram: DatagramType) -> None:
        """Feed a datagram of the peer."""

    @abstractmethod
    def datagrams_to_send(self) -> list[DatagramType]:
        """Take all datagrams that may leave now."""

    @abstractmethod
    def submit_datagram(self, stream_id: int, data: bytes) -> None:
        """Send an HTTP datagram (RFC 9297). It may be lost.

        Raises:
            LocalProtocolError: it is longer than ``max_datagram_octets``, or the stream is over.
        """

    @abstractmethod
    def max_datagram_octets(self, stream_id: int) -> int:
        """Return how long an HTTP datagram may be; negative when the peer takes none."""
