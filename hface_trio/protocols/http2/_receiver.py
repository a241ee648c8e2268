"""What frames mean: their effect on streams, windows, settings and the connection, for both sides.

Field sections mean different things to a server and to a client; they are taken by :mod:`._server` and :mod:`._client`.

A frame on a stream that is not in the table is one of these: on a stream never used, a connection error; late, because
the stream was reset here, dropped and credited; otherwise the peer's mistake, answered with STREAM_CLOSED (RFC 9113
§5.1).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from ...events import (
    DataReceived,
    GoawayReceived,
    PingAcknowledged,
    SettingsAcknowledged,
    SettingsReceived,
    StreamResetReceived,
    UnknownFrameReceived,
)
from .._faults import ConnectionFault, StreamFault
from .._fields import MalformedSectionError
from .._priority import StreamDependency
from ._codes import HTTP2ErrorCode, HTTP2Setting
from ._connection import Connection
from ._drain import Drain
from ._frames import SETTINGS_ACK, FrameReader, pack_ping
from ._local_settings import LocalSettings
from ._pings import PingPurpose, Pings
from ._streams import Ending, Stream

__all__ = ["Receiver"]


class Receiver(ABC):
    """Takes frames for one connection; a :class:`~._frame_receiver.FrameReceiver`.

    Args:
        connection: the connection.
        local_settings: what this side has set.
        pings: pings of this side.
        drain: the graceful end.
        reader: cuts the octets; told when a new limit on frames is in force.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        local_settings: LocalSettings,
        pings: Pings,
        drain: Drain,
        reader: FrameReader,
    ) -> None:
        self._connection = connection
        self._live = connection.streams.live
        self._local_settings = local_settings
        self._pings = pings
        self._drain = drain
        self._reader = reader
        self.peer_settings: dict[int, int] | None = None
        """Settings of the peer that matter here; ``None`` until it has sent any."""

    @property
    def terminated(self) -> bool:
        """Whether further frames are pointless."""
        return self._connection.terminated

    # Data.

    def data_received(self, stream_id: int, data: bytes, flow_octets: int, end_stream: bool) -> None:
        """Take a DATA frame."""
        connection = self._connection
        ledger = connection.ledger
        ledger.arrived(flow_octets)
        stream = self._live.get(stream_id)
        if stream is None:
            ledger.discarded(flow_octets)
            self._late_data(stream_id, flow_octets)
            return
        try:
            connection.core.receive_body(stream.state, end_stream=end_stream)
        except StreamFault:
            ledger.discarded(flow_octets)
            raise
        ledger.received(stream.credit, flow_octets, len(data))
        stream.received_octets += len(data)
        expected = stream.expected_octets
        if expected is not None and (
            stream.received_octets > expected or (end_stream and stream.received_octets != expected)
        ):
            raise StreamFault(stream_id, HTTP2ErrorCode.PROTOCOL_ERROR, "body is not of content-length")
        if not self._body_fits(stream):
            return
        if data or end_stream:
            connection.events.append(DataReceived(stream_id, data, end_stream))
        if end_stream:
            self._receiving_ended(stream)

    def _body_fits(self, stream: Stream) -> bool:
        """Return whether a body may be as long as it is; otherwise its stream has been dealt with."""
        return True

    def _receiving_ended(self, stream: Stream) -> None:
        self._connection.ledger.receiving_ended(stream.credit)
        self._connection.end_if_complete(stream)

    def _late_data(self, stream_id: int, flow_octets: int) -> None:
        closed = self._connection.streams.closed(stream_id)
        if closed is not None and closed.ending is Ending.RESET_HERE:
            closed.late_octets -= flow_octets
            if closed.late_octets < 0:
                self._connection.budget.spend("late DATA")
            return
        self._check_not_idle(stream_id)
        raise StreamFault(stream_id, HTTP2ErrorCode.STREAM_CLOSED, "DATA on a closed stream")

    def _check_not_idle(self, stream_id: int) -> None:
        if self._connection.is_idle(stream_id):
            raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, f"frame on stream {stream_id}, which is idle")

    # Sections.

    @abstractmethod
    def section_received(
        self, stream_id: int, block: bytes, end_stream: bool, dependency: StreamDependency | None
    ) -> None:
        """Take a whole encoded section."""

    @abstractmethod
    def promise_received(self, stream_id: int, promised_stream_id: int, block: bytes) -> None:
        """Take a whole promise."""

    def _late_section(self, stream_id: int) -> None:
        closed = self._connection.streams.closed(stream_id)
        if closed is None:
            self._forgotten_section(stream_id)
        elif closed.ending is Ending.RESET_HERE:
            closed.late_sections -= 1
            if closed.late_sections < 0:
                self._connection.budget.spend("late HEADERS")
        elif closed.ending is Ending.RESET_BY_PEER:
            raise StreamFault(stream_id, HTTP2ErrorCode.STREAM_CLOSED, "HEADERS on a closed stream")
        else:
            raise ConnectionFault(HTTP2ErrorCode.STREAM_CLOSED, f"HEADERS on stream {stream_id}, which has ended")

    def _forgotten_section(self, stream_id: int) -> None:
        """Take a section on a stream that is over, and so long that nothing is remembered of it."""
        raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, f"HEADERS on stream {stream_id}, out of order")

    # Streams.

    def stream_failed(self, fault: StreamFault) -> None:
        """Answer a stream fault."""
        connection = self._connection
        stream = self._live.get(fault.stream_id)
        if stream is not None:
            connection.reset_faulty_stream(stream, fault.code)
        elif connection.is_idle(fault.stream_id):
            raise ConnectionFault(fault.code, str(fault)) from fault
        else:
            closed = connection.streams.closed(fault.stream_id)
            if closed is None or closed.ending is not Ending.RESET_HERE:
                connection.refuse_closed_stream(fault.stream_id, fault.code)

    def frame_ended(self) -> None:
        """End the connection if that frame was the last it waited for, whatever comes behind it."""
        self._drain.settle()

    def reset_received(self, stream_id: int, code: int) -> None:
        """Take a RST_STREAM frame.

        That of a stream which this side opened costs the peer nothing: there are no more of them than requests, and a server
        may answer each before it has read the request, and stop it (RFC 9113 §8.1).
        """
        stream = self._live.get(stream_id)
        if stream is None:
            self._check_not_idle(stream_id)
            self._late_reset(stream_id)
            return
        if not stream.initiated_here:
            self._connection.budget.spend("RST_STREAM")
        if stream.announced:
            self._tell_reset(stream, code)
        self._connection.end_stream(stream, Ending.RESET_BY_PEER)

    def _late_reset(self, stream_id: int) -> None:
        """Charge a reset behind the end of its stream, but for one that crossed a reset of a stream of this side."""
        connection = self._connection
        closed = connection.streams.closed(stream_id)
        if closed is not None and closed.ending is Ending.RESET_HERE and connection.is_own(stream_id):
            closed.late_resets -= 1
            if closed.late_resets >= 0:
                return
        connection.budget.spend("RST_STREAM")

    def _tell_reset(self, stream: Stream, code: int) -> None:
        self._connection.events.append(StreamResetReceived(stream.stream_id, code))

    def priority_received(self, stream_id: int, dependency: StreamDependency) -> None:
        """Take a PRIORITY frame."""
        if dependency.depends_on == stream_id:
            raise StreamFault(stream_id, HTTP2ErrorCode.PROTOCOL_ERROR, "stream depends on itself")
        stream = self._live.get(stream_id)
        if stream is not None:
            stream.dependency = dependency

    def window_update_received(self, stream_id: int, increment: int) -> None:
        """Take a WINDOW_UPDATE frame."""
        connection = self._connection
        if not stream_id:
            if not increment:
                raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
            connection.core.widen_connection(increment)
            connection.sender.capacity_grew()
            return
        stream = self._live.get(stream_id)
        if stream is None:
            self._check_not_idle(stream_id)
            return
        if not increment:
            raise StreamFault(stream_id, HTTP2ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
        connection.core.widen_stream(stream.state, increment)
        connection.sender.window_grew(stream)

    # The connection.

    def settings_received(self, settings: list[tuple[int, int]]) -> None:
        """Take a SETTINGS frame."""
        connection = self._connection
        known = self.peer_settings if self.peer_settings is not None else {}
        for identifier, value in settings:
            if identifier == HTTP2Setting.NO_RFC7540_PRIORITIES and value > 1:
                raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, "SETTINGS_NO_RFC7540_PRIORITIES is not 0 or 1")
            if identifier == HTTP2Setting.ENABLE_CONNECT_PROTOCOL and value < known.get(identifier, 0):
                raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, "SETTINGS_ENABLE_CONNECT_PROTOCOL was taken back")
            connection.core.check_peer_setting(identifier, value)
            if identifier <= HTTP2Setting.NO_RFC7540_PRIORITIES:
                known[identifier] = value
        for changes in self._in_order(settings):
            connection.core.apply_peer_settings(changes, encoder_table_octets=connection.settings.encoder_table_octets)
        self.peer_settings = known
        connection.output.write_control(SETTINGS_ACK)
        connection.events.append(SettingsReceived(dict(settings)))
        connection.sender.capacity_grew()

    def _in_order(self, settings: list[tuple[int, int]]) -> Iterator[dict[int, int]]:
        """Give the settings of a frame in runs without repetition, since each value counts for itself (RFC 9113 §6.5.3)."""
        changes: dict[int, int] = {}
        for identifier, value in settings:
            if identifier in changes:
                self._connection.budget.spend("repeated settings in one frame")
                yield changes
                changes = {}
            changes[identifier] = value
        yield changes

    def settings_acknowledged(self) -> None:
        """Take an acknowledgement of settings."""
        connection = self._connection
        settings = self._local_settings.acknowledged()
        if settings is None:
            connection.budget.spend("acknowledgement of no settings")
            return
        if HTTP2Setting.INITIAL_WINDOW_SIZE in settings:
            connection.ledger.initial_window_changed(
                settings[HTTP2Setting.INITIAL_WINDOW_SIZE], [stream.credit for stream in self._live.values()]
            )
        if HTTP2Setting.HEADER_TABLE_SIZE in settings:
            connection.decoder.max_table_octets = settings[HTTP2Setting.HEADER_TABLE_SIZE]
        if HTTP2Setting.MAX_FRAME_SIZE in settings:
            self._reader.max_payload = max(self._local_settings.sent_or_in_force(HTTP2Setting.MAX_FRAME_SIZE))
        if HTTP2Setting.MAX_CONCURRENT_STREAMS in settings:
            connection.concurrent_streams = max(
                self._local_settings.sent_or_in_force(HTTP2Setting.MAX_CONCURRENT_STREAMS)
            )
        connection.events.append(SettingsAcknowledged(settings))

    def ping_received(self, data: bytes) -> None:
        """Take a PING frame."""
        self._connection.output.write_control(pack_ping(data, ack=True))

    def ping_acknowledged(self, data: bytes) -> None:
        """Take an acknowledgement of a ping."""
        ping = self._pings.acknowledged(data, self._connection.now)
        if ping is None:
            self._connection.budget.spend("acknowledgement of no ping")
        elif ping.purpose is PingPurpose.DRAIN:
            self._drain.round_trip_made()
        else:
            self._connection.events.append(PingAcknowledged(data, ping.round_trip_seconds))

    def goaway_received(self, last_stream_id: int, code: int, additional_data: bytes) -> None:
        """Take a GOAWAY frame."""
        connection = self._connection
        connection.goaway_received = True
        connection.events.append(GoawayReceived(last_stream_id, code, additional_data))
        for stream in list(self._live.values()):
            if stream.initiated_here and stream.stream_id > last_stream_id:
                connection.events.append(StreamResetReceived(stream.stream_id, HTTP2ErrorCode.REFUSED_STREAM))
                connection.end_stream(stream, Ending.RESET_HERE)

    def priority_update_received(self, stream_id: int, field_value: bytes) -> None:
        """Take a PRIORITY_UPDATE frame: only servers do (RFC 9218 §7.1)."""
        raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, "PRIORITY_UPDATE from a server")

    def alternative_service_received(self, stream_id: int, origin: bytes, field_value: bytes) -> None:
        """Take an ALTSVC frame: only clients do, servers ignore it (RFC 7838 §4)."""
        return

    def unknown_frame_received(self, stream_id: int, frame_type: int, payload: bytes) -> None:
        """Take a frame of another type."""
        self._connection.events.append(UnknownFrameReceived(stream_id, frame_type, payload))


def body_mismatch(stream: Stream, *, end_stream: bool) -> bool:
    """Whether a body that ends now, or never came, is not of its content-length."""
    return end_stream and stream.expected_octets is not None and stream.received_octets != stream.expected_octets


def malformed(stream_id: int, error: MalformedSectionError) -> StreamFault:
    """Return the fault of a stream whose section is malformed (RFC 9113 §8.1.1)."""
    return StreamFault(stream_id, HTTP2ErrorCode.PROTOCOL_ERROR, str(error))
