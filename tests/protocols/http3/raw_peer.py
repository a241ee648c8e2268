"""A peer that sends what octets it is told to on stock aioquic, right or wrong, and takes apart what comes back."""

from __future__ import annotations

import pylsqpack
from aioquic.buffer import Buffer
from aioquic.quic import events as quic_events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import pull_quic_header

from hface_trio.events import ConnectionTerminated, DataReceived, Event
from hface_trio.limits import Limits, Timeouts
from hface_trio.protocols.http3 import (
    H3ClientProtocol,
    H3ServerProtocol,
    HTTP3ClientFactory,
    HTTP3ServerFactory,
    HTTP3Settings,
)
from hface_trio.protocols.http3._frames import pack_frame, pack_varint, read_varint

from ..quic.network import ALPN, CLIENT_ADDRESS, SERVER_ADDRESS, Network, authority, client_tls, server_tls
from ..taken import events_of

REQUEST = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", b"/")]
POST = [(b":method", b"POST"), *REQUEST[1:]]
RESPONSE = [(b":status", b"200")]
CONTROL, PUSH, ENCODER, DECODER = 0, 1, 2, 3


def section(fields) -> bytes:
    return pylsqpack.Encoder().encode(0, list(fields))[1] if fields else b"\x00\x00"


def headers(fields=REQUEST) -> bytes:
    return pack_frame(0x1, section(fields))


def data(payload: bytes = b"") -> bytes:
    return pack_frame(0x0, payload)


def settings_frame(settings: dict[int, int] | None = None) -> bytes:
    return pack_frame(0x4, b"".join(pack_varint(k) + pack_varint(v) for k, v in (settings or {}).items()))


class RawPeer:
    """One end of a connection; an endpoint of a network."""

    def __init__(self, *, client: bool, **configuration) -> None:
        self.is_client = client
        self.configuration = QuicConfiguration(is_client=client, alpn_protocols=list(ALPN), **configuration)
        if client:
            self.configuration.cafile = authority().cafile
            self.configuration.server_name = "localhost"
        else:
            tls = server_tls()
            self.configuration.load_cert_chain(tls.certfile, tls.keyfile)
        self.quic = QuicConnection(configuration=self.configuration) if client else None
        self.now = 0.0
        self.received: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.resets: dict[int, int] = {}
        self.stops: dict[int, int] = {}
        self.datagrams: list[bytes] = []
        self.closed: quic_events.ConnectionTerminated | None = None
        self._decoder = pylsqpack.Decoder(4096, 16)

    # An endpoint.

    def clock(self, now: float) -> None:
        self.now = now
        if self.quic is not None and (timer := self.get_timer()) is not None and now >= timer:
            self.quic.handle_timer(now + 1e-6)
            self._take()

    def get_timer(self) -> float | None:
        return None if self.quic is None or self.quic._close_at is None else self.quic.get_timer()

    def datagram_received(self, datagram) -> None:
        payload, address = datagram
        if self.quic is None:
            header = pull_quic_header(Buffer(data=payload), host_cid_length=8)
            self.quic = QuicConnection(
                configuration=self.configuration, original_destination_connection_id=header.destination_cid
            )
        self.quic.receive_datagram(payload, address, self.now)
        self._take()

    def datagrams_to_send(self):
        return self.quic.datagrams_to_send(self.now) if self.quic is not None and self.quic._network_paths else []

    def _take(self) -> None:
        while (event := self.quic.next_event()) is not None:
            if isinstance(event, quic_events.StreamDataReceived):
                self.received[event.stream_id] = self.received.get(event.stream_id, b"") + event.data
                if event.end_stream:
                    self.ended.add(event.stream_id)
            elif isinstance(event, quic_events.StreamReset):
                self.resets[event.stream_id] = event.error_code
            elif isinstance(event, quic_events.StopSendingReceived):
                self.stops[event.stream_id] = event.error_code
            elif isinstance(event, quic_events.DatagramFrameReceived):
                self.datagrams.append(event.data)
            elif isinstance(event, quic_events.ConnectionTerminated):
                self.closed = event

    # Sending and looking.

    def send(self, stream_id: int, *parts: bytes, end: bool = False) -> None:
        self.quic.send_stream_data(stream_id, b"".join(parts), end)

    def uni(self, stream_type: int, *parts: bytes) -> int:
        stream_id = self.quic.get_next_available_stream_id(is_unidirectional=True)
        self.send(stream_id, pack_varint(stream_type), *parts)
        return stream_id

    def frames(self, stream_id: int) -> list[tuple[int, bytes]]:
        octets = self.received.get(stream_id, b"")
        position = 0
        if stream_id % 4 >= 2:
            _, position = read_varint(octets)
        frames = []
        while position < len(octets):
            frame_type, position = read_varint(octets, position)
            length, position = read_varint(octets, position)
            frames.append((frame_type, octets[position : position + length]))
            position += length
        return frames

    def fields(self, block: bytes):
        return self._decoder.feed_header(0, block)[1]

    def heads(self, stream_id: int):
        return [self.fields(payload) for frame_type, payload in self.frames(stream_id) if frame_type == 1]

    def body(self, stream_id: int) -> bytes:
        return b"".join(payload for frame_type, payload in self.frames(stream_id) if frame_type == 0)

    @property
    def goaways(self) -> list[int]:
        control = 3 if self.is_client else 2
        return [read_varint(payload)[0] for frame_type, payload in self.frames(control) if frame_type == 7]


class Pair:
    """A protocol under test and a raw peer."""

    def __init__(
        self, protocol, peer: RawPeer, *, start: bool = True, settings: dict[int, int] | None = None, **network
    ):
        self.protocol = protocol
        self.peer = peer
        if peer.is_client:
            peer.quic.connect(SERVER_ADDRESS, 0.0)
            self.network = Network(peer, protocol, **network)
        else:
            self.network = Network(protocol, peer, **network)
        self.network.run(2.0, until=lambda: protocol.handshake_complete and self.connected())
        self.run()
        self.control = None
        if start:
            self.control = peer.uni(CONTROL, settings_frame(settings))
            peer.uni(ENCODER)
            peer.uni(DECODER)
            self.run()
            self.events()

    def connected(self) -> bool:
        return self.peer.quic is not None and self.peer.quic._handshake_complete

    def run(self, seconds: float = 0.1) -> None:
        self.network.run(seconds)

    def events(self) -> list[Event]:
        return events_of(self.protocol)

    def request(self, *parts: bytes, end: bool = True) -> int:
        """Send octets on a new stream (client peer) and let them arrive."""
        stream_id = self.peer.quic.get_next_available_stream_id()
        self.peer.send(stream_id, *parts, end=end)
        self.run()
        return stream_id

    def send(self, stream_id: int, *parts: bytes, end: bool = False) -> None:
        self.peer.send(stream_id, *parts, end=end)
        self.run()

    def assert_closed(self, code: int) -> None:
        """The connection was closed by the protocol with a code, and nothing is left of it."""
        self.run()
        close = self.peer.quic._close_event
        assert close is not None, self.events()
        assert (hex(close.error_code), close.frame_type) == (hex(code), None), close
        terminated = [e for e in self.events() if isinstance(e, ConnectionTerminated)]
        assert [hex(e.error_code) for e in terminated] == [hex(code)]
        assert self.protocol.open_streams == 0
        assert self.protocol.has_expired()
        self.run(5)
        assert self.protocol.is_closed
        assert self.protocol.get_timer() is None

    def assert_stream_error(self, stream_id: int, code: int) -> None:
        """The stream was reset with a code, and the connection still serves."""
        self.run()
        assert hex(self.peer.resets.get(stream_id, 0)) == hex(code)
        self.assert_alive()

    def assert_alive(self) -> None:
        assert self.peer.quic._close_event is None, self.peer.quic._close_event
        if self.peer.is_client:
            self.events()
            stream_id = self.request(headers())
            assert [e.stream_id for e in self.events()] == [stream_id]
            self.protocol.submit_headers(stream_id, RESPONSE, end_stream=True)
            self.run()
            assert self.peer.heads(stream_id) == [RESPONSE]
            assert stream_id in self.peer.ended


def server_protocol(
    settings: HTTP3Settings | None = None, *, limits: Limits | None = None, timeouts: Timeouts | None = None
) -> H3ServerProtocol:
    return HTTP3ServerFactory(server_tls(), limits, timeouts, settings)()


def client_protocol(settings: HTTP3Settings | None = None, *, limits: Limits | None = None) -> H3ClientProtocol:
    factory = HTTP3ClientFactory(client_tls(), limits, settings)
    return factory(remote_address=SERVER_ADDRESS, server_name="localhost")


def server(
    settings: HTTP3Settings | None = None,
    *,
    limits: Limits | None = None,
    timeouts: Timeouts | None = None,
    start: bool = True,
    peer_settings: dict[int, int] | None = None,
    configuration: dict | None = None,
) -> Pair:
    """A server, with a raw client."""
    peer = RawPeer(client=True, **(configuration or {}))
    return Pair(server_protocol(settings, limits=limits, timeouts=timeouts), peer, start=start, settings=peer_settings)


def client(
    settings: HTTP3Settings | None = None,
    *,
    limits: Limits | None = None,
    start: bool = True,
    peer_settings: dict[int, int] | None = None,
    configuration: dict | None = None,
) -> Pair:
    """A client, with a raw server."""
    peer = RawPeer(client=False, **(configuration or {}))
    return Pair(client_protocol(settings, limits=limits), peer, start=start, settings=peer_settings)


def open_request(pair: Pair, fields=REQUEST, *, end_stream: bool = True) -> int:
    """Open a stream of the client under test."""
    stream_id = pair.protocol.get_available_stream_id()
    pair.protocol.submit_headers(stream_id, fields, end_stream)
    pair.run()
    return stream_id


def body(events: list[Event], stream_id: int) -> bytes:
    return b"".join(e.data for e in events if isinstance(e, DataReceived) and e.stream_id == stream_id)


__all__ = ["CLIENT_ADDRESS", "SERVER_ADDRESS", "events_of"]
