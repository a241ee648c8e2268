"""What field sections mean to a server: requests, and the answers that are the protocol's own.

A request is refused in this order: it is above the last stream served; all slots are taken; its section cannot be decoded;
its section is too large; it is malformed; it may be a replay; its body is too large. The application hears of none of them.
"""

from __future__ import annotations

import math

from ...events import HeadersReceived, PriorityUpdateReceived, StreamResetSent
from ...limits import Timeouts
from .._faults import ConnectionFault, StreamFault
from .._fields import (
    MalformedSectionError,
    SectionFacts,
    check_request,
    facts_unchecked,
    join_cookies,
)
from .._inbound import InboundSection
from .._priority import EarlyPriorities, parse_priority
from ..quic import is_unidirectional
from ._codes import HEADERS, HTTP3ErrorCode
from ._connection import Connection
from ._control import ControlStreams
from ._drain import Drain
from ._frames import pack_frame
from ._receiver import Receiver, body_mismatch, malformed
from ._streams import MessagePhase, RequestStream

__all__ = ["ServerReceiver"]

_SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE"})


class ServerReceiver(Receiver):
    """Takes requests."""

    def __init__(self, connection: Connection, control: ControlStreams, drain: Drain, timeouts: Timeouts) -> None:
        super().__init__(connection, control, drain)
        self._request_head_seconds = timeouts.request_head_seconds
        self._reassembly_seconds = ((False, timeouts.request_head_seconds), (True, timeouts.body_progress_seconds))
        self._early_priorities = EarlyPriorities()

    def deadline(self) -> float:
        """Return when the time is up for something that the peer began to send and did not go on with."""
        connection, deadline = self._connection, math.inf
        for stream in connection.streams.awaiting_head.values():
            deadline = stream.began_at + self._request_head_seconds
            break
        for stream in connection.streams.awaiting_section.values():
            deadline = min(deadline, stream.section_since + self._request_head_seconds)
            break
        if connection.quic.reassembles:
            for begun, seconds in self._reassembly_seconds:
                waiting = connection.quic.longest_waiting(begun=begun)
                if waiting is not None:
                    deadline = min(deadline, waiting[1] + seconds)
        return deadline

    def clock(self, now: float) -> None:
        """Answer requests whose head takes too long, and give up streams that wait for octets for too long."""
        if now < self.deadline():
            return
        connection, streams = self._connection, self._connection.streams
        for stream in list(streams.awaiting_head.values()):
            if now < stream.began_at + self._request_head_seconds or connection.terminated:
                break
            connection.guarded(self._answer, stream, b"408")
        for stream in list(streams.awaiting_section.values()):
            if now < stream.section_since + self._request_head_seconds or connection.terminated:
                break
            connection.guarded(connection.reset_faulty_stream, stream, HTTP3ErrorCode.REQUEST_CANCELLED)
        for begun, seconds in self._reassembly_seconds:
            seen: int | None = None
            while (waiting := connection.quic.longest_waiting(begun=begun)) is not None and now >= waiting[1] + seconds:
                if waiting[0] == seen:
                    break  # it cannot be given up
                seen = waiting[0]
                connection.guarded(self._stalled, seen)

    def _stalled(self, stream_id: int) -> None:
        """Give up a stream of which octets are missing for too long."""
        connection = self._connection
        if is_unidirectional(stream_id):
            self._control.stalled(stream_id)
            return
        stream = self._live.get(stream_id)
        if stream is None and connection.quic.enter(stream_id):
            stream = self._begin(stream_id)
        if stream is None:  # it was refused, or is over otherwise
            connection.quic.submit_stop_sending(stream_id, HTTP3ErrorCode.NO_ERROR)
            return
        if stream.phase is MessagePhase.HEAD:
            self._answer(stream, b"408")
        else:
            connection.reset_faulty_stream(stream, HTTP3ErrorCode.REQUEST_CANCELLED)

    def prioritize(self, stream_id: int, field_value: bytes) -> None:
        """Take a PRIORITY_UPDATE frame; it may come before its stream (RFC 9218 §7.2)."""
        priority = parse_priority(field_value)
        stream = self._live.get(stream_id)
        if stream is not None:
            if priority is not None:
                stream.priority = priority
            if stream.announced:
                self._connection.events.append(PriorityUpdateReceived(stream_id, field_value))
        if priority is not None and (stream is None or not stream.announced):
            if stream is None and stream_id < self._connection.streams.next_unseen_id:
                return
            self._early_priorities.note(stream_id, priority)

    def _begin(self, stream_id: int) -> RequestStream | None:
        connection = self._connection
        connection.streams.saw(stream_id)
        if stream_id > connection.last_accepted_id or len(self._live) >= connection.limits.concurrent_streams:
            connection.refuse_stream(stream_id, HTTP3ErrorCode.REQUEST_REJECTED)
            return None
        stream = connection.begin_stream(stream_id, initiated_here=False)
        stream.early = connection.quic.handshake is None
        return stream

    def _head_received(self, stream: RequestStream, section: InboundSection | None, last: bool) -> None:
        connection = self._connection
        connection.streams.head_received(stream)
        if section is None:
            self._answer(stream, b"431")
            return
        facts = self._facts(stream, section)
        stream.method = facts.method
        stream.expected_octets = facts.content_length
        if body_mismatch(stream, end_stream=last):
            raise StreamFault(stream.stream_id, HTTP3ErrorCode.MESSAGE_ERROR, "no body, but a content-length")
        if stream.early and facts.method not in _SAFE_METHODS:
            self._answer(stream, b"425")
            return
        if facts.content_length is not None and facts.content_length > connection.limits.request_body_octets:
            self._answer(stream, b"413")
            return
        joins_cookies = facts.cookies > 1 and connection.settings.normalize_inbound_headers
        headers = join_cookies(section.fields) if joins_cookies else section.fields.copy()
        stream.tunnel = facts.method == b"CONNECT"
        stream.awaits_continue = facts.expects_continue and not last
        stream.priority = self._early_priorities.of(stream.stream_id, facts.priority) or stream.priority
        stream.announced = True
        stream.phase = MessagePhase.ENDED if last else MessagePhase.BODY
        connection.events.append(HeadersReceived(stream.stream_id, headers, last))

    def _facts(self, stream: RequestStream, section: InboundSection) -> SectionFacts:
        settings = self._connection.settings
        if not settings.validate_inbound_headers:
            return facts_unchecked(section.fields)
        try:
            facts = section.facts(check_request)
        except MalformedSectionError as exc:
            raise malformed(stream, exc) from exc
        if facts.protocol is not None and not settings.enable_connect_protocol:
            raise StreamFault(stream.stream_id, HTTP3ErrorCode.MESSAGE_ERROR, "extended CONNECT was not allowed")
        return facts

    def _push_promise(self) -> ConnectionFault:
        return ConnectionFault(HTTP3ErrorCode.FRAME_UNEXPECTED, "PUSH_PROMISE of a client")

    def _incomplete(self, stream: RequestStream) -> StreamFault:
        return StreamFault(stream.stream_id, HTTP3ErrorCode.REQUEST_INCOMPLETE, "stream ends before its request")

    def _body_octets(self, stream: RequestStream) -> float:
        octets = super()._body_octets(stream)
        return octets if stream.tunnel else min(octets, self._connection.limits.request_body_octets)

    def _body_fits(self, stream: RequestStream) -> bool:
        if stream.received_octets <= self._connection.limits.request_body_octets or stream.tunnel:
            return True
        if stream.head_sent or stream.sending_ended:
            self._connection.reset_faulty_stream(stream, HTTP3ErrorCode.EXCESSIVE_LOAD)
        else:
            self._answer(stream, b"413")
        return False

    def _answer(self, stream: RequestStream, status: bytes) -> None:
        """Answer a request that goes past a limit, and want nothing more of it."""
        connection = self._connection
        stream_id = stream.stream_id
        if not stream.sending_ended:
            section = connection.encoder.encode(stream_id, [(b":status", status), (b"content-length", b"0")])
            connection.quic.write(stream_id, pack_frame(HEADERS, section), end_stream=True)
        connection.quic.submit_stop_sending(stream_id, HTTP3ErrorCode.NO_ERROR)
        if stream.announced:
            connection.events.append(StreamResetSent(stream_id, HTTP3ErrorCode.NO_ERROR))
        connection.end_stream(stream)
        connection.budget.spend("a request over a limit")
