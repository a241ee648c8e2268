"""What can be asked of an HTTP/2 connection."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from ...errors import LocalProtocolError
from ...models import HTTPErrorCodes
from .._interfaces import HTTPOverTCPProtocol, OutputEnd, StreamCodes
from .._priority import DEFAULT_PRIORITY, Priority, StreamDependency
from ._codes import ERROR_CODES, MAXIMUM_STREAM_ID, STREAM_CODES
from ._compat_h2 import may_send
from ._connection import Connection
from ._drain import Drain, DrainPhase
from ._local_settings import LocalSettings
from ._receiver import Receiver
from ._streams import Stream, StreamTable

__all__ = ["H2Inspection"]


class H2Inspection(HTTPOverTCPProtocol):
    """The parts of a connection, and what they know."""

    _connection: Connection
    _streams: StreamTable
    _drain: Drain
    _local_settings: LocalSettings
    _receiver: Receiver

    @property
    def http_version(self) -> str:
        """``"2"``."""
        return "2"

    @property
    def multiplexed(self) -> bool:
        """``True``."""
        return True

    @property
    def error_codes(self) -> HTTPErrorCodes:
        """Codes of RFC 9113."""
        return ERROR_CODES

    @property
    def stream_codes(self) -> StreamCodes:
        """Codes of RFC 9113 to reset streams with."""
        return STREAM_CODES

    @property
    def output_end(self) -> OutputEnd:
        """What shall happen to the transport once the queued output has left."""
        return self._connection.output_end

    @property
    def open_streams(self) -> int:
        """How many streams are in the table."""
        return len(self._streams.live)

    @property
    def draining(self) -> bool:
        """Whether this side has begun a graceful end."""
        return self._drain.phase is not DrainPhase.OPEN

    @property
    def local_settings(self) -> Mapping[int, int]:
        """Settings of this side that the peer has acknowledged."""
        return dict(self._local_settings.in_force)

    @property
    def peer_settings(self) -> Mapping[int, int]:
        """Settings that the peer has sent, of those known here."""
        return dict(self._receiver.peer_settings or {})

    @property
    def unacknowledged_octets(self) -> int:
        """Octets of all streams that were received and are not acknowledged."""
        return self._connection.ledger.held

    def is_available(self) -> bool:
        """Return whether a new stream can be opened now; on a server, pushed."""
        connection = self._connection
        return (
            not self.has_expired()
            and connection.streams.own_count < self._own_streams_allowed()
            and connection.core.highest_outbound_stream_id + 2 <= MAXIMUM_STREAM_ID
        )

    def has_expired(self) -> bool:
        """Return whether no further stream can ever be opened."""
        connection = self._connection
        return (
            connection.terminated
            or connection.goaway_received
            or self.draining
            or connection.core.highest_outbound_stream_id + 2 > MAXIMUM_STREAM_ID
        )

    def get_available_stream_id(self) -> int:
        """Return the id of the next stream to open, or to push.

        Raises:
            LocalProtocolError: no stream can be opened now.
        """
        if not self.is_available():
            raise LocalProtocolError("no stream can be opened now")
        return self._connection.core.get_next_available_stream_id()

    def send_window(self, stream_id: int = 0) -> int:
        """Return what the peer allows to be sent on a stream, or 0 for the connection; it may be negative."""
        if not stream_id:
            return self._connection.core.outbound_flow_control_window
        return self._live(stream_id).state.outbound_flow_control_window

    def receive_window(self, stream_id: int = 0) -> int:
        """Return what the peer may send on a stream, or 0 for the connection; it may be negative."""
        if not stream_id:
            return self._connection.ledger.available
        return self._live(stream_id).credit.available

    def priority(self, stream_id: int) -> Priority:
        """Return the latest priority of a stream (RFC 9218); the default where nothing is known of any."""
        return self.explicit_priority(stream_id) or DEFAULT_PRIORITY

    def explicit_priority(self, stream_id: int) -> Priority | None:
        """Return the latest priority of a stream, if the client said anything about it."""
        stream = self._streams.live.get(stream_id)
        return None if stream is None else stream.priority

    def can_send(self, stream_id: int) -> bool:
        """Return whether data may be submitted for a stream, if there is capacity."""
        stream = self._streams.live.get(stream_id)
        return stream is not None and stream.head_sent and may_send(stream.state)

    def dependency(self, stream_id: int) -> StreamDependency | None:
        """Return the latest priority signal of RFC 7540 for a stream, if there was any."""
        stream = self._streams.live.get(stream_id)
        return None if stream is None else stream.dependency

    # For servers and clients.

    @abstractmethod
    def _own_streams_allowed(self) -> float:
        """Return how many streams of this side there may be at once."""

    def _live(self, stream_id: int) -> Stream:
        stream = self._streams.live.get(stream_id)
        if stream is None:
            raise LocalProtocolError(f"stream {stream_id} is not open", stream_id=stream_id)
        return stream
