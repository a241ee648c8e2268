"""What field sections mean to a client: responses, interim and final, their trailers, and promises."""

from __future__ import annotations

from ...events import (
    AlternativeServiceReceived,
    HeadersReceived,
    InformationalReceived,
    PushPromiseReceived,
    StopSendingReceived,
    TrailersReceived,
)
from .._faults import ConnectionFault, StreamFault
from .._fields import (
    MalformedSectionError,
    SectionFacts,
    check_request,
    check_response,
    check_trailers,
    facts_unchecked,
)
from .._inbound import InboundSection
from .._priority import StreamDependency
from ._codes import HTTP2ErrorCode, HTTP2Setting
from ._compat_h2 import may_send, received_all
from ._receiver import Receiver, body_mismatch, malformed
from ._streams import ClosedStream, Ending, Stream, origin_of

__all__ = ["ClientReceiver"]

_PUSHABLE = frozenset({b"GET", b"HEAD"})
_DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}
_WITHOUT_CONTENT = frozenset({204, 304})


class ClientReceiver(Receiver):
    """Takes the frames of a server."""

    def section_received(
        self, stream_id: int, block: bytes, end_stream: bool, dependency: StreamDependency | None
    ) -> None:
        """Take a response or its trailers."""
        section = self._connection.decoder.decode(block)  # always, for the sake of the sections behind it
        stream = self._live.get(stream_id)
        if stream is None:
            self._check_not_idle(stream_id)
            self._late_section(stream_id)
            return
        if dependency is not None:
            self.priority_received(stream_id, dependency)
        if received_all(stream.state):
            raise StreamFault(stream_id, HTTP2ErrorCode.STREAM_CLOSED, "HEADERS behind the end of the stream")
        if section is None:
            raise StreamFault(stream_id, HTTP2ErrorCode.ENHANCE_YOUR_CALM, "field section over the limit")
        if stream.head_received:
            self._trailers_received(stream, section, end_stream=end_stream)
        else:
            self._response_received(stream, section, end_stream=end_stream)

    def promise_received(self, stream_id: int, promised_stream_id: int, block: bytes) -> None:
        """Take a promise."""
        connection = self._connection
        section = connection.decoder.decode(block)
        if 1 not in self._local_settings.sent_or_in_force(HTTP2Setting.ENABLE_PUSH):
            raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE although push is off")
        if promised_stream_id % 2 or not connection.is_idle(promised_stream_id):
            raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, f"promise of stream {promised_stream_id}")
        parent = self._live.get(stream_id)
        if parent is None or not connection.settings.accept_push:
            # The parent may have been reset here while the promise was on its way.
            if parent is None and connection.streams.closed(stream_id) is None:
                raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, f"promise on stream {stream_id}")
            connection.refuse_stream(promised_stream_id, HTTP2ErrorCode.REFUSED_STREAM)
            return
        if not parent.initiated_here or received_all(parent.state):
            raise ConnectionFault(HTTP2ErrorCode.PROTOCOL_ERROR, f"promise on stream {stream_id}")
        if connection.streams.peer_count >= connection.concurrent_streams or section is None:
            connection.refuse_stream(promised_stream_id, HTTP2ErrorCode.REFUSED_STREAM)
            return
        state = connection.core.begin_pushed_stream(parent.state, promised_stream_id)
        stream = connection.begin_stream(promised_stream_id, state, initiated_here=False)
        stream.method = self._pushed_method(stream, section, parent)
        stream.head_sent = stream.announced = True
        connection.events.append(PushPromiseReceived(stream_id, promised_stream_id, section.fields.copy()))

    def alternative_service_received(self, stream_id: int, origin: bytes, field_value: bytes) -> None:
        """Take an ALTSVC frame; one that names an origin on a stream, or none on stream 0, is ignored."""
        if stream_id:
            stream = self._live.get(stream_id)
            if origin or stream is None:
                return
            origin = stream.origin
        if origin:
            self._connection.events.append(AlternativeServiceReceived(origin, field_value))

    def _pushed_method(self, stream: Stream, section: InboundSection, parent: Stream) -> bytes | None:
        if not self._connection.settings.validate_inbound_headers:
            return facts_unchecked(section.fields).method
        try:
            facts = section.facts(check_request)
        except MalformedSectionError as exc:
            raise malformed(stream.stream_id, exc) from exc
        if facts.method not in _PUSHABLE or facts.content_length:
            raise StreamFault(stream.stream_id, HTTP2ErrorCode.PROTOCOL_ERROR, "promise of what cannot be pushed")
        if _normal_origin(origin_of(facts)) != _normal_origin(parent.origin):  # RFC 9113 §8.4
            raise StreamFault(stream.stream_id, HTTP2ErrorCode.PROTOCOL_ERROR, "promise of another origin")
        return facts.method

    def _response_received(self, stream: Stream, section: InboundSection, *, end_stream: bool) -> None:
        connection = self._connection
        stream_id = stream.stream_id
        facts = self._facts(stream, section)
        if 100 <= facts.status < 200:
            if end_stream:
                raise StreamFault(stream_id, HTTP2ErrorCode.PROTOCOL_ERROR, "interim response that ends the stream")
            stream.informational_count += 1
            if stream.informational_count > connection.limits.informational_responses:
                raise StreamFault(stream_id, HTTP2ErrorCode.ENHANCE_YOUR_CALM, "too many interim responses")
            connection.core.receive_head(stream.state, informational=True)
            connection.events.append(InformationalReceived(stream_id, section.fields.copy()))
            return
        stream.head_received = True
        stream.tunnel = stream.method == b"CONNECT" and 200 <= facts.status < 300
        stream.expected_octets = _expected_octets(stream, facts)
        if body_mismatch(stream, end_stream=end_stream):
            raise StreamFault(stream_id, HTTP2ErrorCode.PROTOCOL_ERROR, "no body, but a content-length")
        connection.core.receive_head(stream.state, end_stream=end_stream)
        connection.events.append(HeadersReceived(stream_id, section.fields.copy(), end_stream))
        if end_stream:
            self._receiving_ended(stream)

    def _facts(self, stream: Stream, section: InboundSection) -> SectionFacts:
        if not self._connection.settings.validate_inbound_headers:
            return facts_unchecked(section.fields)
        try:
            return section.facts(check_response)
        except MalformedSectionError as exc:
            raise malformed(stream.stream_id, exc) from exc

    def _trailers_received(self, stream: Stream, section: InboundSection, *, end_stream: bool) -> None:
        stream_id = stream.stream_id
        if not end_stream or stream.tunnel:
            raise StreamFault(stream_id, HTTP2ErrorCode.PROTOCOL_ERROR, "HEADERS that are no trailers")
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

    def _forgotten_section(self, stream_id: int) -> None:
        """Drop it: it answers a request that was cancelled long ago (RFC 9113 §5.1), if there are so many of them."""
        connection = self._connection
        if connection.streams.forgotten_resets:
            connection.streams.forgotten_resets -= 1
        else:
            connection.budget.spend("late HEADERS")
        connection.streams.remember(stream_id, ClosedStream(Ending.RESET_HERE, connection.ledger.initial_window, 0))

    def _tell_reset(self, stream: Stream, code: int) -> None:
        """After a whole response, NO_ERROR means that the rest of the request is not wanted (RFC 9113 §8.1)."""
        if code == HTTP2ErrorCode.NO_ERROR and received_all(stream.state) and may_send(stream.state):
            self._connection.events.append(StopSendingReceived(stream.stream_id, code))
        else:
            super()._tell_reset(stream, code)


def _normal_origin(origin: bytes) -> bytes:
    """Return an origin in lower case and without the port that its scheme has anyway (RFC 9110 §4.2.3)."""
    origin = origin.lower()
    return origin.removesuffix(_DEFAULT_PORTS.get(origin.partition(b":")[0], b":")).removesuffix(b":")


def _expected_octets(stream: Stream, facts: SectionFacts) -> int | None:
    """Return how long the body of a response has to be, if that is known (RFC 9110 §6.4.1, §9.3.6)."""
    if stream.method == b"HEAD" or facts.status in _WITHOUT_CONTENT:
        return 0
    return None if stream.tunnel else facts.content_length
