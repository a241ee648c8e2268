"""The part of ``h2`` that this package stands on, and every place where it steps around its public interface.

``h2`` keeps the states of streams, the peer's settings, the send windows and the compression of what is sent. What it
receives by itself it treats too harshly: any malformed request, any stream over the limit and any GOAWAY closes the
whole connection, and the events before it are lost. So ``receive_data`` is never called. Frames are parsed in front of
it, and its parts are told what they mean:

- A stream's state machine takes its inputs directly; what it refuses is a fault of that stream.
- Streams of the peer are begun without the count of open streams, which walks over all of them and has only a connection
  error for the one too many.
- GOAWAY never reaches it in either direction: it would refuse everything from then on.
- Local settings, receive windows and the decoding of sections are kept elsewhere; ``h2`` never sees them.
- Closed streams are dropped here by whoever keeps the table of streams; ``h2`` would do so while counting.
- Frames are handed to a writer instead of being collected in a buffer.
- Its table of what takes frames is emptied: of its own methods, it would leave every connection to a garbage collector.
- The steps of every exchange are made without the machinery around a stream's states: they lead where it would lead.

Each private name used here has a test that fails when it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from h2.config import H2Configuration
from h2.connection import AllowedStreamIDs, ConnectionInputs, ConnectionState, H2Connection
from h2.exceptions import FlowControlError, H2Error, InvalidSettingsValueError, ProtocolError, StreamClosedError
from h2.settings import SettingCodes
from h2.stream import H2Stream, H2StreamStateMachine, StreamClosedBy, StreamInputs, StreamState
from h2.utilities import guard_increment_window
from hpack import Encoder
from hyperframe.frame import Frame

from ...models import HeaderType
from .._faults import ConnectionFault, StreamFault
from .._outbound import OutboundSection
from ._codes import CONTINUATION, FLAG_END_HEADERS, FLAG_END_STREAM, HEADERS, HTTP2ErrorCode
from ._encoder import SectionEncoder
from ._frames import pack_frame

__all__ = ["H2Core", "H2Stream"]

_SENDING = frozenset({StreamState.OPEN, StreamState.HALF_CLOSED_REMOTE})
_RECEIVING = frozenset({StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL})
_SENDING_HEAD = _SENDING | {StreamState.RESERVED_LOCAL}
_RECEIVED_ALL = frozenset({StreamState.HALF_CLOSED_REMOTE, StreamState.CLOSED})
_KEPT_SETTINGS = frozenset(int(code) for code in SettingCodes)


class _Stream(H2Stream):
    """A stream, without what ``h2`` would keep of what is received."""

    def __init__(self, stream_id: int, config: H2Configuration, outbound_window_size: int, frame_octets: int) -> None:
        self.state_machine = H2StreamStateMachine(stream_id)
        self.stream_id = stream_id
        self.max_outbound_frame_size = frame_octets
        self.request_method = None
        self.outbound_flow_control_window = outbound_window_size
        self._authority = None
        self.config = config


class _Encoder(Encoder):
    """What ``h2`` takes for its encoder, where it still sends sections by itself."""

    def __init__(self, sections: SectionEncoder) -> None:
        super().__init__()
        self._sections = sections

    @property
    def header_table_size(self) -> int:
        """The size of the dynamic table."""
        return self._sections.table_octets

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        self._sections.resize(value)

    def encode(self, headers: Iterable[HeaderType], huffman: bool = True) -> bytes:  # type: ignore[override]
        """Encode a section."""
        return self._sections.encode(headers)


class H2Core(H2Connection):
    """Stream states, send windows, the peer's settings and outgoing sections of one connection.

    Args:
        client_side: whether this is the client.
        write: takes each frame that is to be sent.
    """

    def __init__(self, *, client_side: bool, write: Callable[[bytes], None]) -> None:
        super().__init__(
            H2Configuration(
                client_side=client_side,
                header_encoding=None,
                # Sections are checked before they come here, in both directions.
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
            )
        )
        self._frame_dispatch_table: dict[type[Frame], Callable[..., object]] = {}
        self._write = write
        self._initial_send_window: int = self.remote_settings.initial_window_size
        self.sections: SectionEncoder = SectionEncoder()
        self.encoder: _Encoder = _Encoder(self.sections)

    def _prepare_for_sending(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self._write(frame.serialize())

    # Streams begin and end.

    def begin_peer_stream(self, stream_id: int) -> H2Stream:
        """Begin a stream that the peer opens; its id was checked."""
        if self.state_machine.state is ConnectionState.IDLE:
            self.state_machine.process_input(ConnectionInputs.RECV_HEADERS)
        self.highest_inbound_stream_id = stream_id
        return self._enter_stream(stream_id)

    def begin_own_stream(self, stream_id: int) -> H2Stream:
        """Begin a stream that this side opens; its id was checked."""
        self.state_machine.process_input(ConnectionInputs.SEND_HEADERS)
        self.highest_outbound_stream_id = stream_id
        return self._enter_stream(stream_id)

    def begin_upgraded_stream(self) -> H2Stream:
        """Begin stream 1 of a connection that HTTP/1.1 was upgraded to: its request is complete."""
        client_side = self.config.client_side
        stream = self.begin_own_stream(1) if client_side else self.begin_peer_stream(1)
        stream.upgrade(client_side)
        return stream

    def begin_pushed_stream(self, parent: H2Stream, promised_stream_id: int) -> H2Stream:
        """Begin a stream that the server promises (client)."""
        self._step(parent, StreamInputs.RECV_PUSH_PROMISE)
        self.highest_inbound_stream_id: int = promised_stream_id
        stream = self._enter_stream(promised_stream_id)
        self._step(stream, StreamInputs.RECV_PUSH_PROMISE)
        return stream

    def _begin_new_stream(self, stream_id: int, allowed_ids: AllowedStreamIDs) -> H2Stream:
        """Begin a stream that ``h2`` begins by itself: one that is promised here."""
        self.highest_outbound_stream_id: int = stream_id
        return self._enter_stream(stream_id)

    def _enter_stream(self, stream_id: int) -> H2Stream:
        stream = self.streams[stream_id] = _Stream(
            stream_id, self.config, self._initial_send_window, self.max_outbound_frame_size
        )
        return stream

    def drop(self, stream_id: int) -> None:
        """Forget a stream."""
        self.streams.pop(stream_id, None)

    # What was received, as inputs of a stream's state machine.

    def receive_head(self, stream: H2Stream, *, informational: bool = False, end_stream: bool = False) -> None:
        """Enter a section that was received: head, interim head or trailers.

        Raises:
            StreamFault: it is not allowed in the stream's state.
        """
        machine = stream.state_machine
        if machine.state is StreamState.IDLE and not informational:
            machine.client = False
            machine.headers_received = True
            machine.state = StreamState.HALF_CLOSED_REMOTE if end_stream else StreamState.OPEN
            return
        head = StreamInputs.RECV_INFORMATIONAL_HEADERS if informational else StreamInputs.RECV_HEADERS
        self._step(stream, head)
        if end_stream:
            self._step(stream, StreamInputs.RECV_END_STREAM)

    def receive_body(self, stream: H2Stream, *, end_stream: bool) -> None:
        """Enter a DATA frame that was received.

        Raises:
            StreamFault: it is not allowed in the stream's state.
        """
        machine = stream.state_machine
        if machine.state not in _RECEIVING or not machine.headers_received:  # otherwise DATA changes nothing
            self._step(stream, StreamInputs.RECV_DATA)
        if not end_stream:
            return
        if machine.state is StreamState.OPEN:
            machine.state = StreamState.HALF_CLOSED_REMOTE
        else:
            self._step(stream, StreamInputs.RECV_END_STREAM)

    def widen_stream(self, stream: H2Stream, increment: int) -> None:
        """Enter a WINDOW_UPDATE of a stream.

        Raises:
            StreamFault: the window would pass its maximum.
        """
        try:
            stream.outbound_flow_control_window = guard_increment_window(stream.outbound_flow_control_window, increment)
        except FlowControlError as exc:
            raise StreamFault(stream.stream_id, HTTP2ErrorCode.FLOW_CONTROL_ERROR, str(exc)) from exc

    def widen_connection(self, increment: int) -> None:
        """Enter a WINDOW_UPDATE of the connection.

        Raises:
            ConnectionFault: the window would pass its maximum.
        """
        try:
            self.outbound_flow_control_window: int = guard_increment_window(
                self.outbound_flow_control_window, increment
            )
        except FlowControlError as exc:
            raise ConnectionFault(HTTP2ErrorCode.FLOW_CONTROL_ERROR, str(exc)) from exc

    def check_peer_setting(self, identifier: int, value: int) -> None:
        """Check one of the peer's settings.

        Raises:
            ConnectionFault: its value is not allowed.
        """
        if identifier in _KEPT_SETTINGS:
            try:
                self.remote_settings.validate_received_setting(identifier, value)
            except InvalidSettingsValueError as exc:
                raise ConnectionFault(int(exc.error_code), str(exc)) from exc

    def apply_peer_settings(self, settings: Mapping[int, int], *, encoder_table_octets: int) -> None:
        """Enter the peer's settings; those that ``h2`` does not know would be kept for ever and are left out.

        Args:
            settings: identifiers and values.
            encoder_table_octets: dynamic table used at most, however large a one the peer allows.

        Raises:
            ConnectionFault: a window moves past its maximum.
        """
        known: dict[SettingCodes | int, int] = {
            SettingCodes(code): value for code, value in settings.items() if code in _KEPT_SETTINGS
        }
        if SettingCodes.HEADER_TABLE_SIZE in known:
            known[SettingCodes.HEADER_TABLE_SIZE] = min(known[SettingCodes.HEADER_TABLE_SIZE], encoder_table_octets)
        try:
            self.remote_settings.update(known)
            self._acknowledge_settings()
            self._initial_send_window = self.remote_settings.initial_window_size
        except ProtocolError as exc:
            raise ConnectionFault(int(exc.error_code), str(exc)) from exc

    # What is sent. The caller has looked at the state, so that nothing here fails half-way.

    def send_section(self, stream: H2Stream, section: OutboundSection, *, end_stream: bool) -> None:
        """Send a head or trailers."""
        machine = stream.state_machine
        if machine.state in _SENDING and not machine.headers_sent and not machine.client:
            machine.headers_sent = True  # the head of a response
        else:
            machine.process_input(StreamInputs.SEND_HEADERS)
        self._send_block(stream.stream_id, self.sections.encode_section(section), FLAG_END_STREAM if end_stream else 0)
        if end_stream:
            self._end_sending(stream)

    def send_interim_section(self, stream: H2Stream, section: OutboundSection) -> None:
        """Send an interim head."""
        stream.state_machine.process_input(StreamInputs.SEND_INFORMATIONAL_HEADERS)
        self._send_block(stream.stream_id, self.sections.encode_section(section), 0)

    def _send_block(self, stream_id: int, block: bytes, flags: int) -> None:
        largest = self.max_outbound_frame_size
        if len(block) <= largest:
            self._write(pack_frame(HEADERS, flags | FLAG_END_HEADERS, stream_id, block))
            return
        self._write(pack_frame(HEADERS, flags, stream_id, block[:largest]))
        for start in range(largest, len(block), largest):
            fragment = block[start : start + largest]
            last = FLAG_END_HEADERS if start + largest >= len(block) else 0
            self._write(pack_frame(CONTINUATION, last, stream_id, fragment))

    @staticmethod
    def _end_sending(stream: H2Stream) -> None:
        machine = stream.state_machine
        if machine.state is StreamState.OPEN:
            machine.state = StreamState.HALF_CLOSED_LOCAL
        else:
            machine.state = StreamState.CLOSED
            machine.stream_closed_by = StreamClosedBy.SEND_END_STREAM

    def enter_data(self, stream: H2Stream, flow_octets: int, *, end_stream: bool) -> None:
        """Enter a DATA frame that is being sent; it is written by the caller, uncopied."""
        # DATA changes nothing in a state that lets it be sent.
        if end_stream:
            self._end_sending(stream)
        stream.outbound_flow_control_window -= flow_octets
        self.outbound_flow_control_window -= flow_octets

    def send_promise(self, stream_id: int, promised_stream_id: int, headers: Iterable[HeaderType]) -> H2Stream:
        """Send a PUSH_PROMISE and return the state of the promised stream."""
        self.push_stream(stream_id, promised_stream_id, headers)
        return self.streams[promised_stream_id]

    @staticmethod
    def _step(stream: H2Stream, input_: StreamInputs) -> None:
        machine = stream.state_machine
        try:
            machine.process_input(input_)
        except StreamClosedError as exc:
            raise StreamFault(stream.stream_id, HTTP2ErrorCode.STREAM_CLOSED, "frame on a closed stream") from exc
        except H2Error as exc:
            raise StreamFault(stream.stream_id, HTTP2ErrorCode.PROTOCOL_ERROR, str(exc)) from exc


def may_send_head(stream: H2Stream) -> bool:
    """Whether the head of a response may be sent."""
    return stream.state_machine.state in _SENDING_HEAD


def may_send(stream: H2Stream) -> bool:
    """Whether data or trailers may be sent."""
    return stream.state_machine.state in _SENDING


def received_all(stream: H2Stream) -> bool:
    """Whether the peer has ended its side."""
    return stream.state_machine.state in _RECEIVED_ALL


def is_closed(stream: H2Stream) -> bool:
    """Whether both sides have ended."""
    return stream.state_machine.state is StreamState.CLOSED
