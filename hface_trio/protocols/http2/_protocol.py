"""The face of an HTTP/2 connection: what servers and clients have in common of it.

It ties the collaborators together and does nothing by itself: octets go through the front to the receiver, submissions
to the stream table and the sender, time to whoever waits for it. Each knows those it stands on, and none of them knows who
stands on it, but by a weak reference: a protocol that nobody refers to any more is gone, over or not, and is no garbage to be
collected.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping

from ...errors import ConfigurationError, LocalProtocolError
from ...events import Event
from ...limits import Limits, Timeouts
from ...models import HeadersType
from .._faults import ConnectionFault
from .._fields import check_own_trailers
from .._interfaces import Buffer, OutputEnd
from .._outbound import SectionPreparer
from ._codes import HTTP2ErrorCode, HTTP2Setting
from ._compat_h2 import may_send
from ._connection import Connection
from ._drain import Drain
from ._frames import FrameReader
from ._front import FrameFront
from ._inspection import H2Inspection
from ._local_settings import LocalSettings
from ._pings import PingPurpose, Pings
from ._receiver import Receiver
from ._schedule import Schedule
from ._settings import HTTP2Settings, check_setting, first_settings
from ._streams import Stream

__all__ = ["H2Protocol"]

_RECEIVE_OCTETS = 65_536


class H2Protocol(H2Inspection):
    """An HTTP/2 connection, without its I/O; base of server and client.

    Args:
        client_side: whether this is the client.
        receiver_class: what takes the frames of the peer.
        preface: what the peer sends before its first frame.
        secure: whether the transport is TLS.
        limits: bounds on what the peer may use.
        timeouts: bounds on what it may stretch: ``request_head_seconds`` and, on a server, ``idle_seconds``.
        settings: options of HTTP/2.
    """

    def __init__(
        self,
        *,
        client_side: bool,
        receiver_class: type[Receiver],
        preface: bytes,
        secure: bool,
        limits: Limits,
        timeouts: Timeouts,
        settings: HTTP2Settings,
    ) -> None:
        self.secure = secure
        self._settings = settings
        self._connection = connection = Connection(client_side=client_side, limits=limits, settings=settings)
        self._streams = connection.streams
        self._prepare = SectionPreparer(
            normalized=settings.normalize_outbound_headers,
            checked=settings.validate_outbound_headers,
            split_cookies=settings.split_outbound_cookies,
            never_indexed=settings.never_indexed,
        ).prepare
        self._local_settings = LocalSettings(connection.output, settings.settings_timeout_seconds)
        self._pings = Pings(connection.output, settings)
        self._drain = Drain(connection, self._pings)
        self._reader = FrameReader(settings.max_frame_octets, preface)
        self._receiver = receiver_class(
            connection,
            local_settings=self._local_settings,
            pings=self._pings,
            drain=self._drain,
            reader=self._reader,
        )
        self._front = FrameFront(
            self._receiver,
            reader=self._reader,
            budget=connection.budget,
            max_block_octets=connection.decoder.max_block_octets,
            max_continuations=settings.continuation_frames,
        )
        self._schedule = Schedule(
            connection,
            front=self._front,
            local_settings=self._local_settings,
            pings=self._pings,
            drain=self._drain,
            timeouts=timeouts,
        )
        self._send_settings(first_settings(limits, settings, client_side=client_side))
        connection.ledger.widen_connection()
        connection.ledger.may_grow = _asking(weakref.ref(self))

    # What the application wants.

    def submit_data(
        self, stream_id: int, data: Buffer, end_stream: bool = False, *, pad_length: int | None = None
    ) -> None:
        """Send octets of a body or of a tunnel.

        Args:
            stream_id: the stream.
            data: the octets; not to be changed until they are taken from the output.
            end_stream: nothing follows.
            pad_length: octets of padding for each frame, 0 to 255; they count against the windows.

        Raises:
            SendCapacityError: there is more, padding included, than ``send_capacity``.
            LocalProtocolError: the stream is over, or its head was not sent.
        """
        stream = self._sending(stream_id)
        self._connection.sender.submit(stream, data, end_stream=end_stream, pad_length=pad_length)
        if end_stream:
            self._sending_ended(stream)

    def submit_trailers(self, stream_id: int, headers: HeadersType) -> None:
        """Send a trailer section and end the sending side of the stream."""
        stream = self._sending(stream_id)
        section = self._prepare(headers, check_own_trailers)
        if section.fields:
            self._connection.core.send_section(stream.state, section, end_stream=True)
        else:
            self._connection.sender.submit(stream, b"", end_stream=True, pad_length=None)
        self._sending_ended(stream)

    def submit_stream_reset(self, stream_id: int, error_code: int = 0) -> None:
        """End a stream at once in both directions. Does nothing to a stream that is over."""
        stream = self._streams.live.get(stream_id)
        if stream is not None:
            self._connection.reset_stream(stream, error_code)
            self._schedule.settle()

    def refuse_stream(self, stream_id: int) -> None:
        """Reset a stream so that the peer knows that nothing was done with it."""
        self.submit_stream_reset(stream_id, HTTP2ErrorCode.REFUSED_STREAM)

    def submit_goaway(
        self, *, last_stream_id: int | None = None, error_code: int = 0, additional_data: bytes = b""
    ) -> None:
        """Begin a graceful end: what is under way is finished, nothing new is accepted or opened.

        Args:
            last_stream_id: the last stream of the peer that is served; streams above it are refused. By default a
                server serves what arrives within a round trip.
            error_code: reason to tell the peer.
            additional_data: more about it, for the peer's logs.

        Raises:
            LocalProtocolError: a lower last stream id was named before.
        """
        if not self._connection.terminated:
            self._drain.begin(last_stream_id=last_stream_id, code=error_code, additional_data=additional_data)
            self._schedule.settle()

    def submit_close(self, error_code: int = 0, message: str | None = None) -> None:
        """End the connection and all its streams."""
        self._connection.close(error_code, message or "")

    def submit_ping(self, data: bytes | None = None) -> bytes:
        """Send a ping; its answer comes as :class:`~hface_trio.events.PingAcknowledged`.

        Args:
            data: its eight octets; something unique by default.

        Returns:
            The eight octets.

        Raises:
            LocalProtocolError: they are not eight, the same or too many pings are on their way, or the connection ended.
        """
        self._check_open()
        return self._pings.send(PingPurpose.APPLICATION, data)

    def submit_settings(self, settings: Mapping[int, int]) -> None:
        """Change settings; :class:`~hface_trio.events.SettingsAcknowledged` tells when the peer applies them.

        Raises:
            LocalProtocolError: a value is out of its range, or the connection ended.
        """
        self._check_open()
        try:
            for identifier, value in settings.items():
                check_setting(identifier, value)
        except ConfigurationError as exc:
            raise LocalProtocolError(exc.message) from exc
        self._send_settings(dict(settings))

    def acknowledge(self, stream_id: int, n_octets: int) -> None:
        """Return credit for data octets that the application took. Late calls for ended streams are welcome."""
        stream = self._streams.live.get(stream_id)
        if stream is not None and n_octets > 0 and not self._connection.terminated:
            self._connection.ledger.acknowledge(stream.credit, n_octets)

    def send_capacity(self, stream_id: int) -> int:
        """Return how many octets ``submit_data`` takes now; 0 for streams that are over."""
        stream = self._streams.live.get(stream_id)
        if stream is None or not may_send(stream.state):
            return 0
        return self._connection.sender.capacity(stream)

    # Events, time and the transport.

    def next_event(self) -> Event | None:
        """Return the next event, or ``None`` when there is none for now."""
        events = self._connection.events
        return events.popleft() if events else None

    def clock(self, now: float) -> None:
        """Tell the time, and do what is due by it."""
        self._schedule.clock(now)

    def get_timer(self) -> float | None:
        """Return when ``clock`` has to be called next, or ``None``."""
        return self._schedule.timer()

    def bytes_received(self, data: bytes) -> None:
        """Feed octets of the peer."""
        connection, front = self._connection, self._front
        if connection.terminated or not (data or front.waits):
            return
        front.in_turns = self.in_turns
        self._schedule.receiving()
        try:
            front.receive(data)
        except ConnectionFault as fault:
            connection.terminate(fault.code, fault.message)
        self._schedule.received()

    @property
    def input_waits(self) -> bool:
        """Whether octets of the last feed wait for their turn."""
        return self._front.waits and not self._connection.terminated

    def receive_capacity(self) -> int:
        """Return how many octets the protocol wants to be fed at most now: windows pause senders, not reading."""
        return _RECEIVE_OCTETS

    def eof_received(self) -> None:
        """Tell that the peer ended its side in order: no stream can go on."""
        quiet = not self._streams.live and self._reader.partial_type is None
        code = HTTP2ErrorCode.NO_ERROR if quiet else HTTP2ErrorCode.CANCEL
        self._connection.abandon("the peer ended the connection", code=code, end=OutputEnd.CLOSED)

    def connection_lost(self) -> None:
        """Tell that the transport broke."""
        self._connection.abandon("the connection was lost", code=HTTP2ErrorCode.CANCEL, end=OutputEnd.ABORTED)

    def buffers_to_send(self) -> list[Buffer]:
        """Take all queued output as it lies, uncopied."""
        buffers = self._connection.output.take()
        if not self._connection.terminated:
            self._connection.sender.capacity_grew()
        return buffers

    @property
    def queued_octets(self) -> int:
        """Octets of output that wait to be taken."""
        return self._connection.output.octets

    # For servers and clients.

    def _sending(self, stream_id: int) -> Stream:
        stream = self._live(stream_id)
        if not stream.head_sent or not may_send(stream.state):
            raise LocalProtocolError(f"stream {stream_id} does not take data now", stream_id=stream_id)
        return stream

    def _sending_ended(self, stream: Stream) -> None:
        self._connection.sender.forget(stream)
        self._connection.end_if_complete(stream)
        self._schedule.settle()

    def _check_open(self) -> None:
        if self._connection.terminated:
            raise LocalProtocolError("the connection has ended")

    def _send_settings(self, settings: dict[int, int]) -> None:
        self._local_settings.send(settings)
        if HTTP2Setting.MAX_FRAME_SIZE in settings:
            self._reader.max_payload = max(self._local_settings.sent_or_in_force(HTTP2Setting.MAX_FRAME_SIZE))
        if HTTP2Setting.MAX_CONCURRENT_STREAMS in settings:
            self._connection.concurrent_streams = max(
                self._local_settings.sent_or_in_force(HTTP2Setting.MAX_CONCURRENT_STREAMS)
            )


def _asking(reference: weakref.ref[H2Protocol]) -> Callable[[], bool]:
    """Return what asks a protocol whether a window may grow, and does not keep it."""

    def may_grow() -> bool:
        protocol = reference()
        return protocol is None or protocol.may_grow is None or protocol.may_grow()

    return may_grow
