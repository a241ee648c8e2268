"""Against aioquic's own HTTP/3, in memory: it uses a dynamic table, grease, and its own idea of frames."""

from __future__ import annotations

from aioquic.h3 import events as h3_events
from aioquic.h3.connection import H3Connection

from hface_trio.events import DataReceived, HeadersReceived, TrailersReceived

from .raw_peer import POST, REQUEST, RESPONSE, Pair, RawPeer, body, client_protocol, server_protocol


class StockPeer(RawPeer):
    """A raw peer whose events go to an ``H3Connection``."""

    def __init__(self, *, client: bool) -> None:
        super().__init__(client=client, max_datagram_frame_size=65_536)
        self.h3: H3Connection | None = None
        self.events: list[h3_events.H3Event] = []

    def _take(self) -> None:
        while (event := self.quic.next_event()) is not None:
            if self.h3 is None:
                self.h3 = H3Connection(self.quic)
            self.events += self.h3.handle_event(event)

    def headers_on(self, stream_id: int) -> list[list[tuple[bytes, bytes]]]:
        return [e.headers for e in self.events if isinstance(e, h3_events.HeadersReceived) and e.stream_id == stream_id]

    def body_on(self, stream_id: int) -> bytes:
        return b"".join(
            e.data for e in self.events if isinstance(e, h3_events.DataReceived) and e.stream_id == stream_id
        )


def test_a_stock_client_is_served():
    peer = StockPeer(client=True)
    pair = Pair(server_protocol(), peer, start=False)
    pair.events()
    for number in range(4):
        stream_id = peer.quic.get_next_available_stream_id()
        request = [*POST, (b"x-number", b"%d" % number), (b"cookie", b"a=b")]
        peer.h3.send_headers(stream_id, request)
        peer.h3.send_data(stream_id, b"upload" * 1000, end_stream=False)
        peer.h3.send_headers(stream_id, [(b"x-trailer", b"t")], end_stream=True)
        pair.run(0.3)
        events = pair.events()
        assert events[0] == HeadersReceived(stream_id, request, False)
        assert body(events, stream_id) == b"upload" * 1000
        assert events[-1] == TrailersReceived(stream_id, [(b"x-trailer", b"t")])
        pair.protocol.submit_informational(stream_id, [(b":status", b"103")])
        pair.protocol.submit_headers(stream_id, RESPONSE)
        pair.protocol.submit_data(stream_id, b"download" * 1000)
        pair.protocol.submit_trailers(stream_id, [(b"x-end", b"e")])
        pair.run(0.3)
        assert peer.headers_on(stream_id) == [[(b":status", b"103")], RESPONSE, [(b"x-end", b"e")]]
        assert peer.body_on(stream_id) == b"download" * 1000
    assert pair.protocol.open_streams == 0


def test_a_stock_server_serves():
    peer = StockPeer(client=False)
    pair = Pair(client_protocol(), peer, start=False)
    pair.events()
    for _ in range(4):
        stream_id = pair.protocol.get_available_stream_id()
        pair.protocol.submit_headers(stream_id, POST)
        pair.protocol.submit_data(stream_id, b"upload" * 1000, end_stream=True)
        pair.run(0.3)
        assert peer.headers_on(stream_id) == [POST]
        assert peer.body_on(stream_id) == b"upload" * 1000
        peer.h3.send_headers(stream_id, [*RESPONSE, (b"server", b"stock")])
        peer.h3.send_data(stream_id, b"download" * 1000, end_stream=True)
        pair.run(0.3)
        events = pair.events()
        assert events[0] == HeadersReceived(stream_id, [*RESPONSE, (b"server", b"stock")], False)
        assert body(events, stream_id) == b"download" * 1000
        assert isinstance(events[-1], DataReceived)
        assert events[-1].end_stream
    assert pair.protocol.open_streams == 0


def test_a_goaway_of_ours_by_a_stock_client_is_survived():
    peer = StockPeer(client=True)
    pair = Pair(server_protocol(), peer, start=False)
    stream_id = peer.quic.get_next_available_stream_id()
    peer.h3.send_headers(stream_id, REQUEST, end_stream=True)
    pair.run()
    pair.protocol.submit_goaway()
    pair.run()
    pair.protocol.submit_headers(stream_id, RESPONSE, end_stream=True)
    pair.run(1)
    assert peer.headers_on(stream_id) == [RESPONSE]
    assert pair.protocol.output_end.value != "open"
