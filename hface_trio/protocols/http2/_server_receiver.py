"""What field sections mean to a server: requests and their trailers, and the answers that are the protocol's own.

A request is refused in this order: its id breaks the order of streams; its section cannot be decoded; it is above the
last stream served; all slots are taken; it is malformed; its section or its body is too large. All but the first two
leave the connection as it is. The application hears of none of them.
"""

from __future__ import annotations

from ...events import HeadersReceived, PriorityUpdateReceived, StreamResetSent, TrailersReceived
from .._faults import ConnectionFault, StreamFault
from .._fields import (
    MalformedSectionError,
    SectionFacts,
    check_request,
    check_response,
    check_trailers,
    facts_unchecked,
    join_cookies,
)
from .._inbound import InboundSection
from .._outbound import OutboundSection
from .._priority import EarlyPriorities, StreamDependency, parse_priority
from ._codes import HTTP2ErrorCode, HTTP2Setting
from ._compat_h2 import is_closed, received_all
from ._connection import Connection
from ._drain import Drain
from ._frames import FrameReader
from ._local_settings import LocalSettings
from ._pings import Pings
from ._receiver import Receiver, body_mismatch, malformed
from ._streams import Ending, Stream

__all__ = ["ServerReceiver"]


class ServerReceiver(Receiver):
    """Takes the frames of a client."""

    def __init__(
        self,
        connection: Connection,
        *,
        local_settings: LocalSettings,
        pings: Pings,
        drain: Drain,
        reader: FrameReader,
    ) -> None:
        super().__init__(connection, local_settings=local_settings, pings=pings, drain=drain, reader=reader)
        self._early_priorities = EarlyPriorities()

    def section_received(
        self, stream_id: int, block: bytes, end_stream: bool, dependency: StreamDependency | None
    ) -> None:
        """Take a request or its trailers."""
        section = self._connection.decoder.decode(block)  # always, for the sake of the sections behind it
        stream = self._live.get(stream_id)
        if not stream_id % 2:
            raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, f"HEADERS on stream {stream_id}, not a client's")
        if stream is not None:
            self._trailers_received(stream, section, end_stream=end_stream)
        elif self._connection.is_idle(stream_id):
            self._new_stream(stream_id, section, end_stream=end_stream, dependency=dependency)
        else:
            self._late_section(stream_id)

    def promise_received(self, stream_id: int, promised_stream_id: int, block: bytes) -> None:
        """Take a promise: a client makes none (RFC 9113 §8.4)."""
        raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE from a client")

    def priority_update_received(self, stream_id: int, field_value: bytes) -> None:
        """Take a PRIORITY_UPDATE frame; it may come before its stream (RFC 9218 §7.1)."""
        priority = parse_priority(field_value)
        stream = self._live.get(stream_id)
        if stream is not None:
            if priority is not None:
                stream.priority = priority
            if stream.announced:
                self._connection.events.append(PriorityUpdateReceived(stream_id, field_value))
        elif not stream_id % 2:
            self._check_not_idle(stream_id)
        elif priority is not None and self._connection.is_idle(stream_id):
            self._early_priorities.note(stream_id, priority)

    def _new_stream(
        self,
        stream_id: int,
        section: InboundSection | None,
        *,
        end_stream: bool,
        dependency: StreamDependency | None,
    ) -> None:
        connection = self._connection
        if stream_id > connection.last_accepted_id:
            connection.ignore_stream(stream_id)
            return
        if connection.streams.peer_count >= connection.concurrent_streams:
            connection.refuse_stream(stream_id, HTTP2ErrorCode.REFUSED_STREAM)
            return
        stream = connection.begin_stream(stream_id, connection.core.begin_peer_stream(stream_id), initiated_here=False)
        connection.core.receive_head(stream.state, end_stream=end_stream)
        if end_stream:
            connection.ledger.receiving_ended(stream.credit)
        if dependency is not None:
            self.priority_received(stream_id, dependency)
        if section is None:
            self._answer(stream, b"431")
        else:
            self._request_received(stream, section, end_stream=end_stream)

    def _request_received(self, stream: Stream, section: InboundSection, *, end_stream: bool) -> None:
        connection = self._connection
        facts = self._facts(stream, section)
        stream.expected_octets = facts.content_length
        if body_mismatch(stream, end_stream=end_stream):
            raise StreamFault(stream.stream_id, HTTP2ErrorCode.PROTOCOL_ERROR, "no body, but a content-length")
        if facts.content_length is not None and facts.content_length > connection.limits.request_body_octets:
            self._answer(stream, b"413")
            return
        joins_cookies = facts.cookies > 1 and connection.settings.normalize_inbound_headers
        headers = join_cookies(section.fields) if joins_cookies else section.fields.copy()
        stream.method = facts.method
        stream.awaits_continue = facts.expects_continue and not end_stream
        stream.priority = self._early_priorities.of(stream.stream_id, facts.priority) or stream.priority
        stream.head_received = stream.announced = True
        connection.events.append(HeadersReceived(stream.stream_id, headers, end_stream))

    def _facts(self, stream: Stream, section: InboundSection) -> SectionFacts:
        if not self._connection.settings.validate_inbound_headers:
            return facts_unchecked(section.fields)
        try:
            facts = section.facts(check_request)
        except MalformedSectionError as exc:
            raise malformed(stream.stream_id, exc) from exc
        if facts.protocol is not None and not self._extended_connect_allowed():
            raise StreamFault(stream.stream_id, HTTP2ErrorCode.PROTOCOL_ERROR, "extended CONNECT was not allowed")
        return facts

    def _extended_connect_allowed(self) -> bool:
        return 1 in self._local_settings.sent_or_in_force(HTTP2Setting.ENABLE_CONNECT_PROTOCOL)

    def _trailers_received(self, stream: Stream, section: InboundSection | None, *, end_stream: bool) -> None:
        stream_id = stream.stream_id
        if received_all(stream.state):
            raise StreamFault(stream_id, HTTP2ErrorCode.STREAM_CLOSED, "HEADERS behind the end of the stream")
        if not end_stream or stream.method == b"CONNECT":
            raise StreamFault(stream_id, HTTP2ErrorCode.PROTOCOL_ERROR, "HEADERS that are no trailers")
        if section is None:
            raise StreamFault(stream_id, HTTP2ErrorCode.ENHANCE_YOUR_CALM, "trailers over the limit")
        if self._connection.settings.validate_inbound_headers:
            try:
                check_trailers(section.fields)
            except MalformedSectionError as exc:
                raise malformed(stream_id, exc) from exc
        if body_mismatch(stream, end_stream=True):
            raise StreamFault(stream_id, HTTP2ErrorCode.PROTOCOL_ERROR, "body is not of content-length")
        self._connection.core.receive_head(stream.state, end_stream=True)
        self._connection.events.append(TrailersReceived(stream_id, section.fields.copy()))
        self._receiving_ended(stream)

    def _body_fits(self, stream: Stream) -> bool:
        connection = self._connection
        if stream.received_octets <= connection.limits.request_body_octets or stream.method == b"CONNECT":
            return True
        if stream.head_sent:
            connection.reset_faulty_stream(stream, HTTP2ErrorCode.ENHANCE_YOUR_CALM)
        else:
            self._answer(stream, b"413")
        return False

    def _answer(self, stream: Stream, status: bytes) -> None:
        """Answer a request that goes past a limit, and want nothing more of it."""
        connection = self._connection
        connection.budget.spend("request over a limit")
        section = OutboundSection([(b":status", status), (b"content-length", b"0")], SectionFacts(), check_response)
        connection.core.send_section(stream.state, section, end_stream=True)
        if not is_closed(stream.state):
            connection.reset_stream(stream, HTTP2ErrorCode.NO_ERROR)
            return
        if stream.announced:
            connection.events.append(StreamResetSent(stream.stream_id, HTTP2ErrorCode.NO_ERROR))
        connection.end_stream(stream, Ending.COMPLETE)
