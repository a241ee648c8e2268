"""A peer that speaks HTTP/3 frame by frame on stock aioquic over a datagram socket, as a client or as a server."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import pylsqpack
import trio
from aioquic.buffer import Buffer
from aioquic.quic import events as quic_events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import pull_quic_header

from hface_trio.protocols.http3 import HTTP3ErrorCode as Code
from hface_trio.protocols.http3._frames import pack_frame, pack_goaway, pack_varint, read_varint

from ..protocols.http3.raw_peer import CONTROL, DECODER, ENCODER, data, headers, section, settings_frame
from ..protocols.quic.network import ALPN, authority, server_tls
from .received import Received

__all__ = [
    "GET",
    "LAST",
    "POST",
    "RESPONSE",
    "Code",
    "RawPeer",
    "Window",
    "data",
    "headers",
    "pack_frame",
    "pack_varint",
    "section",
    "settings_frame",
]

GET = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", b"/")]
POST = [(b":method", b"POST"), *GET[1:]]
RESPONSE = [(b":status", b"200")]
LAST = 2**62 - 4
"""The id of a GOAWAY that excludes no request."""

_Headers = list[tuple[bytes, bytes]]


class Window(NamedTuple):
    """Receive windows of a raw peer that returns no credit by itself.

    Args:
        stream: of each bidirectional stream.
        connection: of all together.
    """

    stream: int = 2**20
    connection: int = 2**24


class _Machine(QuicConnection):
    """Stock, but for the credit, which may be left to a test."""

    credits = True

    def _write_connection_limits(self, builder, space) -> None:
        used = self._local_max_data.used
        if not self.credits:
            self._local_max_data.used = 0
        super()._write_connection_limits(builder, space)
        self._local_max_data.used = used

    def _write_stream_limits(self, builder, space, stream) -> None:
        receiver = stream.receiver
        if self.credits or stream.stream_id % 4 >= 2:
            super()._write_stream_limits(builder, space, stream)
            return
        highest, receiver.highest_offset = receiver.highest_offset, 0
        super()._write_stream_limits(builder, space, stream)
        receiver.highest_offset = highest


class RawPeer:
    """Sends what octets it is told to on what stream it is told to, keeps all that comes.

    Its ``run`` answers for it on the level of QUIC: acknowledgements, retransmissions, credit unless told otherwise.

    Args:
        socket: where to.
        target: the server's address; without it the peer is the server.
        window: windows that are never widened; stock ones that are otherwise.
        streams: how many request streams may be open at a time.
        configuration: of aioquic.
    """

    def __init__(
        self, socket, target=None, *, window: Window | None = None, streams: int = 128, **configuration
    ) -> None:
        self.socket = socket
        self.client = target is not None
        self.configuration = QuicConfiguration(is_client=self.client, alpn_protocols=list(ALPN), **configuration)
        self.log: list[quic_events.QuicEvent] = []
        self.settings: dict[int, int] | None = None
        self.control: int | None = None
        self.close_event: quic_events.ConnectionTerminated | None = None
        self.datagrams: list[bytes] = []
        self.silent = False  # whether all that it sends is lost
        self.tickets: list = []
        self.quic: _Machine | None = None
        self._window = window
        self._streams = streams
        self._received: dict[int, Received] = {}
        self._decoder = pylsqpack.Decoder(4096, 16)
        self._changed = trio.Event()
        self._scope = trio.CancelScope()
        self._checked = 0
        self._drained: list[tuple[int, int]] = []
        if self.client:
            self.configuration.cafile = authority().cafile
            self.configuration.server_name = "localhost"
            self.quic = self._make()
            self.quic.connect(target, now=trio.current_time())
        else:
            self.configuration.load_cert_chain(server_tls().certfile, server_tls().keyfile)

    def _make(self, **arguments) -> _Machine:
        machine = _Machine(configuration=self.configuration, session_ticket_handler=self.tickets.append, **arguments)
        machine._local_max_streams_bidi.value = machine._local_max_streams_bidi.sent = self._streams
        if self._window is not None:
            machine.credits = False
            machine._local_max_data.value = machine._local_max_data.sent = self._window.connection
            machine._local_max_stream_data_bidi_local = self._window.stream
            machine._local_max_stream_data_bidi_remote = self._window.stream
        return machine

    # The network

    async def run(self) -> None:
        """Receive and send until the connection is over, or ``vanish``."""
        try:
            with self._scope:
                await self._receive_and_send()
        finally:
            with trio.CancelScope(shield=True):
                await self.socket.aclose()

    async def _receive_and_send(self) -> None:
        self.flush()
        while not self.at_end:
            timer = None if self.quic is None else self.quic.get_timer()
            batch = []
            with trio.CancelScope(deadline=math.inf if timer is None else timer):
                batch = await self.socket.receive()
            now = trio.current_time()
            if self.quic is not None and (timer := self.quic.get_timer()) is not None and timer <= now:
                self.quic.handle_timer(now + 1e-6)
            for payload, address in batch:
                self._take(payload, address)
            self._take_events()
            self.flush()

    def flush(self) -> None:
        """Send what may leave now."""
        if self.quic is not None and self.quic._network_paths and not self._scope.cancel_called:
            datagrams = self.quic.datagrams_to_send(now=trio.current_time())
            if not self.silent:
                self.socket.send_nowait(datagrams)

    def _take(self, payload: bytes, address) -> None:
        if self.quic is None:
            header = pull_quic_header(Buffer(data=payload), host_cid_length=8)
            self.quic = self._make(original_destination_connection_id=header.destination_cid)
        self.quic.receive_datagram(payload, address, now=trio.current_time())

    def _take_events(self) -> None:
        while self.quic is not None and (event := self.quic.next_event()) is not None:
            self.log.append(event)
            if isinstance(event, quic_events.StreamDataReceived):
                received = self._on(event.stream_id)
                received.feed(event.data)
                received.ended = received.ended or event.end_stream
            elif isinstance(event, quic_events.DatagramFrameReceived):
                self.datagrams.append(event.data)
            elif isinstance(event, quic_events.ConnectionTerminated):
                self.close_event = event
        self._changed.set()
        self._changed = trio.Event()

    def _on(self, stream_id: int) -> Received:
        received = self._received.get(stream_id)
        if received is None:
            received = self._received[stream_id] = Received(typed=stream_id % 4 >= 2)
        return received

    # Sending

    async def start(self, settings: dict[int, int] | None = None) -> None:
        """Shake hands, send settings and take the peer's."""
        await self.until(lambda: self.quic is not None and self.quic._handshake_complete)
        self.control = self.uni(CONTROL, settings_frame(settings))
        self.uni(ENCODER)
        self.uni(DECODER)
        control = 3 if self.client else 2
        await self.until(lambda: control in self._received and self._on(control).frames)
        kind, payload = self._on(control).frames[0]
        assert kind == 4
        self.settings, position = {}, 0
        while position < len(payload):
            name, position = read_varint(payload, position)
            self.settings[name], position = read_varint(payload, position)

    def put(self, stream_id: int, *parts: bytes, end: bool = False) -> None:
        """Let octets leave with what is sent next."""
        self.quic.send_stream_data(stream_id, b"".join(parts), end)

    async def send(self, stream_id: int, *parts: bytes, end: bool = False) -> None:
        """Send octets."""
        self.put(stream_id, *parts, end=end)
        self.flush()
        await trio.lowlevel.checkpoint()

    def uni(self, stream_type: int, *parts: bytes) -> int:
        stream_id = self.quic.get_next_available_stream_id(is_unidirectional=True)
        self.put(stream_id, pack_varint(stream_type), *parts)
        self.flush()
        return stream_id

    def next_id(self) -> int:
        return self.quic.get_next_available_stream_id()

    async def request(self, fields: Iterable[tuple[bytes, bytes]] = GET, *parts: bytes, end: bool = True) -> int:
        """Open a stream; return its id."""
        stream_id = self.next_id()
        await self.send(stream_id, headers(fields), *parts, end=end)
        return stream_id

    async def reset(self, stream_id: int, code: int = Code.REQUEST_CANCELLED) -> None:
        """RESET_STREAM."""
        self.quic.reset_stream(stream_id, code)
        self.flush()
        await trio.lowlevel.checkpoint()

    async def stop(self, stream_id: int, code: int = Code.REQUEST_CANCELLED) -> None:
        """STOP_SENDING."""
        self.quic.stop_stream(stream_id, code)
        self.flush()
        await trio.lowlevel.checkpoint()

    async def goaway(self, stream_id: int) -> None:
        await self.send(self.control, pack_goaway(stream_id))

    async def credit(self, stream_id: int, octets: int) -> None:
        """Widen the window of a stream."""
        self.quic._streams[stream_id].max_stream_data_local += octets
        self.flush()
        await trio.lowlevel.checkpoint()

    async def credit_connection(self, octets: int) -> None:
        """Widen the window of the connection."""
        self.quic._local_max_data.value += octets
        self.flush()
        await trio.lowlevel.checkpoint()

    async def allow_streams(self, count: int) -> None:
        """MAX_STREAMS."""
        self.quic._local_max_streams_bidi.value = count
        self.flush()
        await trio.lowlevel.checkpoint()

    # Receiving

    @property
    def at_end(self) -> bool:
        return self.close_event is not None

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds; the end of the connection before it is a failure."""
        with trio.fail_after(1000):
            while not condition():
                assert not self.at_end, f"the connection ended: {self.close_event}; the last events: {self.log[-8:]}"
                await self._changed.wait()

    async def read_for(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def read_to_end(self) -> None:
        """Wait until the connection is over."""
        with trio.fail_after(1000):
            while not self.at_end:
                await self._changed.wait()

    async def response(self, stream_id: int) -> tuple[int, bytes]:
        """Wait for a whole response; return its status and body."""
        await self.until(lambda: self.ended(stream_id) or stream_id in dict(self.resets()))
        assert self.ended(stream_id), f"stream {stream_id} was reset: {self.resets()}"
        return self.status(stream_id), self.body(stream_id)

    async def alive(self) -> None:
        """Find the connection alive: a ping is acknowledged."""
        self._checked += 1
        mark = self._checked
        self.quic.send_ping(mark)
        self.flush()
        await self.until(lambda: any(e.uid == mark for e in self.all(quic_events.PingAcknowledged)))

    # What came

    def all(self, kind):
        return [event for event in self.log if isinstance(event, kind)]

    def resets(self) -> list[tuple[int, int]]:
        return [(e.stream_id, e.error_code) for e in self.all(quic_events.StreamReset)]

    def stops(self) -> list[tuple[int, int]]:
        return [(e.stream_id, e.error_code) for e in self.all(quic_events.StopSendingReceived)]

    def goaways(self) -> list[int]:
        control = self._received.get(3 if self.client else 2)
        frames = [] if control is None else control.frames
        return [read_varint(payload)[0] for kind, payload in frames if kind == 7]

    def body(self, stream_id: int) -> bytes:
        return bytes(self._on(stream_id).body)

    def body_octets(self, stream_id: int) -> int:
        return len(self._on(stream_id).body)

    def ended(self, stream_id: int) -> bool:
        return stream_id in self._received and self._on(stream_id).ended

    def sections(self, stream_id: int) -> list[_Headers]:
        if stream_id not in self._received:
            return []
        frames = self._on(stream_id).frames
        return [self._decoder.feed_header(stream_id, payload)[1] for kind, payload in frames if kind == 1]

    def requests(self) -> list[int]:
        """Streams whose requests have come (server)."""
        return [stream_id for stream_id in self._received if stream_id % 4 == 0 and self.sections(stream_id)]

    def status(self, stream_id: int) -> int:
        """The final status."""
        for fields in self.sections(stream_id):
            if (status := int(dict(fields)[b":status"])) >= 200:
                return status
        raise AssertionError(f"no response on stream {stream_id}")

    @property
    def closed_with(self) -> int:
        """The code of the peer's CONNECTION_CLOSE, of the application or of the transport."""
        assert self.close_event is not None
        return self.close_event.error_code

    @property
    def streams_allowed(self) -> int:
        """How many request streams may be opened in all."""
        return self.quic._remote_max_streams_bidi

    # The end

    async def close(self, code: int = Code.NO_ERROR) -> None:
        """CONNECTION_CLOSE, unless the peer said it; nothing runs afterwards."""
        if not self.at_end and self.quic is not None and not self._scope.cancel_called:
            self.quic.close(code)
            self.flush()
        self._scope.cancel()
        await trio.lowlevel.checkpoint()

    async def vanish(self) -> None:
        """Be gone, without a word more."""
        self._scope.cancel()
        await self.socket.aclose()
