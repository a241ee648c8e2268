"""What arrives on request streams, and what the transport has to say: for both sides.

Field sections mean different things to a server and to a client; they are taken by :mod:`._server_receiver` and
:mod:`._client_receiver`.

Credit: the octets of frames' heads, of sections and of what nobody knows are returned when they were dealt with; those of a
body when the application has acknowledged them. A section is held against its stream until it is whole, and the window
widens so that it can be, once its length was found acceptable.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable

from ...events import (
    DatagramReceived,
    DataReceived,
    PingAcknowledged,
    SendCapacityIncreased,
    StopSendingReceived,
    TrailersReceived,
)
from .._faults import ConnectionFault, StreamFault
from .._fields import MalformedSectionError, check_trailers
from .._inbound import InboundSection
from ..quic import CloseReason, HandshakeCompleted, QUICReceiver, is_unidirectional
from ._codes import CONTROL_FRAMES, DATA, HEADERS, PUSH_PROMISE, RESERVED_FRAMES, HTTP3ErrorCode
from ._connection import Connection
from ._control import ControlStreams
from ._drain import Drain
from ._frames import Payload, read_varint
from ._streams import DataRun, MessagePhase, RequestStream

__all__ = ["Receiver"]

_WRONG_HERE = RESERVED_FRAMES | CONTROL_FRAMES
_MAXIMUM_QUARTER_ID = 2**60 - 1


class _StreamSink:
    """Takes the frames of one request stream; a :class:`~._frames.FrameSink`."""

    __slots__ = ("_receiver", "_stream")

    def __init__(self, receiver: Receiver, stream: RequestStream) -> None:
        self._receiver = receiver
        self._stream = stream

    def frame_begins(self, frame_type: int, length: int) -> Payload:
        return self._receiver.frame_begins(self._stream, frame_type, length)

    def payload_passed(self, payload: bytes) -> None:
        self._receiver.body_received(self._stream, payload)

    def frame_ends(self, frame_type: int, payload: bytes, last: bool) -> None:
        if frame_type == HEADERS:
            self._receiver.block_received(self._stream, payload, last)


class Receiver(QUICReceiver):
    """Takes what the transport delivers.

    Args:
        connection: the connection.
        control: takes unidirectional streams.
        drain: the graceful end.
    """

    def __init__(self, connection: Connection, control: ControlStreams, drain: Drain) -> None:
        self._connection = connection
        self._control = control
        self._drain = drain
        self._live = connection.streams.live
        self.on_handshake: Callable[[], None] | None = None

    # From the transport.

    def ready(self) -> None:
        """Submit what shall leave with the handshake: ALPN has been negotiated."""
        self._control.open()

    def handshake_completed(self, event: HandshakeCompleted) -> None:
        """Take the end of the handshake."""
        self._control.open()

    def data_received(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        """Take octets of a stream."""
        stream = self._live.get(stream_id)
        if stream is not None and not end_stream and self._is_body(stream, len(data)):
            # What bodies are, nearly all of them: octets in the midst of a frame, of which there may be as many.
            stream.received_octets += len(data)
            self._deliver(stream, [data])
        elif is_unidirectional(stream_id):
            self._connection.guarded(self._control.data_received, stream_id, data, end_stream)
        else:
            self._connection.guarded(self._request_data_received, stream_id, data, end_stream)

    def reset_received(self, stream_id: int, code: int) -> None:
        """Take a RESET_STREAM frame."""
        if is_unidirectional(stream_id):
            self._connection.guarded(self._control.reset_received, stream_id, code)
        else:
            self._connection.guarded(self._request_reset, stream_id, code)

    def stop_sending_received(self, stream_id: int, code: int) -> None:
        """Take a STOP_SENDING frame."""
        if is_unidirectional(stream_id):
            self._connection.guarded(self._control.stop_received, stream_id)
        else:
            self._connection.guarded(self._request_stopped, stream_id, code)

    def capacity_increased(self, stream_id: int) -> None:
        """Take note that a stream that had no send capacity has some."""
        if stream_id in self._live:
            self._connection.events.append(SendCapacityIncreased(stream_id))

    def streams_allowed(self) -> None:
        """Take note that more streams may be opened."""
        self._control.open()

    def datagram_frame_received(self, data: bytes) -> None:
        """Take an HTTP datagram (RFC 9297 §2.1)."""
        self._connection.guarded(self._datagram_received, data)

    def ping_acknowledged(self, uid: int, round_trip_seconds: float) -> None:
        """Take the acknowledgement of a ping."""
        if not self._drain.ping_acknowledged(uid):
            self._connection.events.append(PingAcknowledged(uid.to_bytes(8, "big"), round_trip_seconds))

    def terminated(self, reason: CloseReason) -> None:
        """Take the end of the connection."""
        self._connection.transport_terminated(reason)
        self._control.end()

    # Frames of request streams.

    def frame_begins(self, stream: RequestStream, frame_type: int, length: int) -> Payload:
        """Say what is to become of a frame's payload."""
        if frame_type == DATA:
            if stream.phase is not MessagePhase.BODY:
                raise _unexpected(frame_type)
            if not length:
                self._connection.budget.spend("empty DATA")
            return Payload.PASSED
        if frame_type == HEADERS:
            if stream.phase is MessagePhase.TRAILERS or stream.tunnel:
                raise _unexpected(frame_type)
            if length > self._connection.decoder.max_block_octets:
                raise ConnectionFault(HTTP3ErrorCode.EXCESSIVE_LOAD, f"field section of {length} octets")
            self._connection.quic.expect(stream.stream_id, length)
            return Payload.COLLECTED
        if frame_type in _WRONG_HERE:
            raise _unexpected(frame_type)
        if frame_type == PUSH_PROMISE:
            raise self._push_promise()
        self._connection.budget.spend("a frame of unknown type")
        return Payload.SKIPPED

    def body_received(self, stream: RequestStream, payload: bytes) -> None:
        """Take octets of a body."""
        stream.body.append(payload)
        stream.received_octets += len(payload)
        expected = stream.expected_octets
        if expected is not None and stream.received_octets > expected:
            raise StreamFault(stream.stream_id, HTTP3ErrorCode.MESSAGE_ERROR, "body is longer than content-length")

    def block_received(self, stream: RequestStream, block: bytes, last: bool) -> None:
        """Take a whole encoded section."""
        connection = self._connection
        if stream.held_octets:
            connection.streams.section_held(stream, 0, connection.now)
        section = connection.decoder.decode(stream.stream_id, block)
        if stream.phase is MessagePhase.HEAD:
            self._head_received(stream, section, last)
            return
        if section is None:
            raise StreamFault(stream.stream_id, HTTP3ErrorCode.EXCESSIVE_LOAD, "trailers over the limit")
        if self._connection.settings.validate_inbound_headers:
            try:
                check_trailers(section.fields)
            except MalformedSectionError as exc:
                raise malformed(stream, exc) from exc
        self._flush_body(stream)
        stream.trailers = section.fields.copy()
        stream.phase = MessagePhase.TRAILERS

    @abstractmethod
    def _head_received(self, stream: RequestStream, section: InboundSection | None, last: bool) -> None:
        """Take a request, or a response; ``None`` if it is over a limit."""

    @abstractmethod
    def _push_promise(self) -> ConnectionFault:
        """Return what is wrong with a PUSH_PROMISE."""

    @abstractmethod
    def _begin(self, stream_id: int) -> RequestStream | None:
        """Enter a stream that the peer opened, if it may."""

    @abstractmethod
    def _incomplete(self, stream: RequestStream) -> StreamFault:
        """Return what is wrong with a stream that ends before its head did."""

    def _body_octets(self, stream: RequestStream) -> float:
        """Return how long a body may be that has begun."""
        return math.inf if stream.expected_octets is None else stream.expected_octets

    def _body_fits(self, stream: RequestStream) -> bool:
        """Return whether a body may be as long as it is; otherwise its stream has been dealt with."""
        return True

    # Inside.

    def _request_data_received(self, stream_id: int, data: bytes, end_stream: bool) -> None:
        connection = self._connection
        stream = self._live.get(stream_id) or self._begin(stream_id)
        if stream is None:
            return
        parser = stream.parser
        if parser is None:
            parser = stream.attach(_StreamSink(self, stream))
        parser.spent = 0
        parser.feed(data, end_stream)
        if stream_id not in self._live:
            return
        if parser.spent:
            connection.quic.acknowledge(stream_id, parser.spent)
        if parser.held_octets != stream.held_octets:
            connection.streams.section_held(stream, parser.held_octets, connection.now)
        if stream.body and not self._body_fits(stream):
            return
        if end_stream:
            self._message_ended(stream, within_frame=parser.within_frame)
        else:
            self._flush_body(stream)

    def _message_ended(self, stream: RequestStream, *, within_frame: bool) -> None:
        if within_frame:
            raise ConnectionFault(HTTP3ErrorCode.FRAME_ERROR, f"stream {stream.stream_id} ends within a frame")
        phase, stream.phase = stream.phase, MessagePhase.ENDED
        if phase is MessagePhase.HEAD:
            raise self._incomplete(stream)
        if phase is not MessagePhase.ENDED:  # otherwise its head told the end
            if stream.expected_octets is not None and stream.received_octets != stream.expected_octets:
                raise StreamFault(stream.stream_id, HTTP3ErrorCode.MESSAGE_ERROR, "body is not of content-length")
            if stream.trailers is None:
                self._flush_body(stream, end_stream=True)
            else:
                self._connection.events.append(TrailersReceived(stream.stream_id, stream.trailers))
                stream.trailers = None
        stream.receiving_ended = True
        self._connection.end_if_complete(stream)

    def _is_body(self, stream: RequestStream, octets: int) -> bool:
        """Whether so many octets are of a body and nothing else, and may be; if so, they are taken for it."""
        parser = stream.parser
        return (
            parser is not None
            and stream.received_octets + octets <= self._body_octets(stream)
            and parser.passes(octets)
        )

    def _flush_body(self, stream: RequestStream, *, end_stream: bool = False) -> None:
        body = stream.body
        if body or end_stream:
            stream.body = []
            self._deliver(stream, body, end_stream=end_stream)

    def _deliver(self, stream: RequestStream, body: list[bytes], *, end_stream: bool = False) -> None:
        run = stream.run
        if run is not None:
            run.parts += body
            run.end_stream = end_stream
        elif end_stream:
            data = body[0] if len(body) == 1 else b"".join(body)
            self._connection.events.append(DataReceived(stream.stream_id, data, True))
        else:
            run = stream.run = DataRun(stream, body)
            self._connection.events.append(run)

    def _request_reset(self, stream_id: int, code: int) -> None:
        connection = self._connection
        stream = self._live.get(stream_id)
        if stream is not None:
            useless = not (stream.sending_ended or stream.initiated_here)  # those there are no more of than requests
            connection.stream_lost(stream, code)
            if useless:
                connection.budget.spend("RESET_STREAM")
            return
        connection.streams.saw(stream_id)
        connection.refuse_stream(stream_id, HTTP3ErrorCode.REQUEST_CANCELLED)

    def _request_stopped(self, stream_id: int, code: int) -> None:
        connection = self._connection
        stream = self._live.get(stream_id)
        if stream is None:
            # Either its response was complete, or nothing of its request has come: nobody waits for an answer.
            if not connection.client_side and not connection.quic.has_received(stream_id):
                connection.streams.saw(stream_id)
                connection.refuse_stream(stream_id, HTTP3ErrorCode.REQUEST_CANCELLED)
            return
        if stream.sending_ended:
            return  # what was left of a complete message is not wanted
        stream.sending_ended = True
        if not connection.client_side and (stream.receiving_ended or not stream.announced):
            connection.stream_lost(stream, code)
        else:
            connection.events.append(StopSendingReceived(stream_id, code))
            connection.end_if_complete(stream)
        if not stream.initiated_here:
            connection.budget.spend("STOP_SENDING")

    def _datagram_received(self, data: bytes) -> None:
        found = read_varint(data)
        if found is None or found[0] > _MAXIMUM_QUARTER_ID:
            raise ConnectionFault(HTTP3ErrorCode.DATAGRAM_ERROR, "HTTP datagram without a stream's id")
        stream_id = 4 * found[0]
        connection = self._connection
        if not connection.client_side and not connection.quic.may_be_opened_by_peer(stream_id):
            raise ConnectionFault(HTTP3ErrorCode.ID_ERROR, f"HTTP datagram for stream {stream_id}")
        stream = self._live.get(stream_id)
        if stream is not None and stream.announced and not stream.receiving_ended:
            connection.events.append(DatagramReceived(stream_id, data[found[1] :]))


def body_mismatch(stream: RequestStream, *, end_stream: bool) -> bool:
    """Whether a body that ends now, or never came, is not of its content-length."""
    return end_stream and stream.expected_octets is not None and stream.received_octets != stream.expected_octets


def malformed(stream: RequestStream, error: MalformedSectionError) -> StreamFault:
    """Return the fault of a stream whose section is malformed (RFC 9114 §4.1.2)."""
    return StreamFault(stream.stream_id, HTTP3ErrorCode.MESSAGE_ERROR, str(error))


def _unexpected(frame_type: int) -> ConnectionFault:
    return ConnectionFault(HTTP3ErrorCode.FRAME_UNEXPECTED, f"frame of type {frame_type:#x} where it may not be")
