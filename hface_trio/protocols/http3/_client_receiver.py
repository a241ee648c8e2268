"""What field sections mean to a client: responses, interim and final."""

from __future__ import annotations

from ...events import HeadersReceived, InformationalReceived
from .._faults import ConnectionFault, StreamFault
from .._fields import MalformedSectionError, SectionFacts, check_response, facts_unchecked
from .._inbound import InboundSection
from ._codes import HTTP3ErrorCode
from ._receiver import Receiver, body_mismatch, malformed
from ._streams import MessagePhase, RequestStream

__all__ = ["ClientReceiver"]

_WITHOUT_CONTENT = frozenset({204, 304})


class ClientReceiver(Receiver):
    """Takes responses."""

    def _begin(self, stream_id: int) -> RequestStream | None:
        if stream_id % 4:
            raise ConnectionFault(HTTP3ErrorCode.STREAM_CREATION_ERROR, "bidirectional stream of a server")
        # A stream that ended here: what still comes is for nobody.
        self._connection.quic.submit_stop_sending(stream_id, HTTP3ErrorCode.REQUEST_CANCELLED)
        return None

    def _head_received(self, stream: RequestStream, section: InboundSection | None, last: bool) -> None:
        connection = self._connection
        stream_id = stream.stream_id
        if section is None:
            raise StreamFault(stream_id, HTTP3ErrorCode.EXCESSIVE_LOAD, "field section over the limit")
        facts = self._facts(stream, section)
        if 100 <= facts.status < 200:
            stream.informational_count += 1
            if stream.informational_count > connection.limits.informational_responses:
                raise StreamFault(stream_id, HTTP3ErrorCode.EXCESSIVE_LOAD, "too many interim responses")
            connection.events.append(InformationalReceived(stream_id, section.fields.copy()))
            return
        stream.tunnel = stream.method == b"CONNECT" and 200 <= facts.status < 300
        stream.expected_octets = _expected_octets(stream, facts)
        if body_mismatch(stream, end_stream=last):
            raise StreamFault(stream_id, HTTP3ErrorCode.MESSAGE_ERROR, "no body, but a content-length")
        stream.phase = MessagePhase.ENDED if last else MessagePhase.BODY
        connection.events.append(HeadersReceived(stream_id, section.fields.copy(), last))

    def _facts(self, stream: RequestStream, section: InboundSection) -> SectionFacts:
        if not self._connection.settings.validate_inbound_headers:
            return facts_unchecked(section.fields)
        try:
            return section.facts(check_response)
        except MalformedSectionError as exc:
            raise malformed(stream, exc) from exc

    def _push_promise(self) -> ConnectionFault:
        return ConnectionFault(HTTP3ErrorCode.ID_ERROR, "PUSH_PROMISE, although no push was allowed")

    def _incomplete(self, stream: RequestStream) -> StreamFault:
        return StreamFault(stream.stream_id, HTTP3ErrorCode.MESSAGE_ERROR, "stream ends before its response")


def _expected_octets(stream: RequestStream, facts: SectionFacts) -> int | None:
    if stream.method == b"HEAD" or facts.status in _WITHOUT_CONTENT:
        return 0
    return None if stream.tunnel else facts.content_length
