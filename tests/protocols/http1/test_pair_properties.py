"""A client and a server on one wire: what one sends is what the other gets, however the wire cuts it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from hface_trio.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    HeadersReceived,
    InformationalReceived,
    TrailersReceived,
)
from hface_trio.protocols import HTTPOverTCPProtocol

from ..taken import events_of
from .drive import body, client, examples, request, server

_TOKEN = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.!#$%&'*+^`|~", min_size=1, max_size=12).map(str.encode)
_VALUE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20).map(
    lambda text: text.strip(" ").encode()
)
_RESERVED = {
    b"host",
    b"te",
    b"upgrade",
    b"connection",
    b"keep-alive",
    b"transfer-encoding",
    b"content-length",
    b"expect",
}
_FIELDS = st.lists(
    st.tuples(_TOKEN.filter(lambda name: name not in _RESERVED and name != b"proxy-connection"), _VALUE), max_size=4
)
_PIECES = st.lists(st.binary(max_size=60), max_size=4)


@dataclasses.dataclass
class Message:
    """A message and how it is framed."""

    fields: list[tuple[bytes, bytes]]
    pieces: list[bytes]
    declared: bool
    trailers: list[tuple[bytes, bytes]]

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)

    def section(self, pseudo: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        length = [(b"content-length", b"%d" % len(self.data))] if self.declared else []
        return [*pseudo, *self.fields, *length]

    def submit(
        self, protocol: HTTPOverTCPProtocol, stream_id: int, pseudo: list[tuple[bytes, bytes]]
    ) -> Iterator[None]:
        """Submit the message part by part."""
        protocol.submit_headers(stream_id, self.section(pseudo))
        for piece in self.pieces:
            yield
            protocol.submit_data(stream_id, piece)
        yield
        if self.trailers and not self.declared:
            protocol.submit_trailers(stream_id, self.trailers)
        else:
            protocol.submit_data(stream_id, b"", end_stream=True)


_MESSAGES = st.builds(Message, _FIELDS, _PIECES, st.booleans(), _FIELDS)
_EXCHANGES = st.lists(
    st.tuples(_MESSAGES, _MESSAGES, st.sampled_from([b"GET", b"POST"]), st.booleans()), min_size=1, max_size=4
)


class Wire:
    """Carries octets both ways, in pieces of given sizes, as far as each side wants to read."""

    def __init__(self, sizes: list[int]) -> None:
        self.client = client(stream_window_octets=16)
        self.server = server(stream_window_octets=16)
        self.taken: dict[HTTPOverTCPProtocol, list[Event]] = {self.client: [], self.server: []}
        self._pending = {self.client: b"", self.server: b""}
        self._sizes = sizes
        self._turn = 0

    def run(self) -> None:
        """Carry everything, and give credit for all data."""
        while self._step(self.client, self.server) | self._step(self.server, self.client):
            pass

    def _step(self, sender: HTTPOverTCPProtocol, receiver: HTTPOverTCPProtocol) -> bool:
        self._take(sender)
        pending = self._pending[receiver] + sender.bytes_to_send()
        self._turn += 1
        octets = min(self._sizes[self._turn % len(self._sizes)], receiver.receive_capacity())
        receiver.bytes_received(pending[:octets])
        self._pending[receiver] = pending[octets:]
        self._take(receiver)
        return bool(pending)

    def _take(self, side: HTTPOverTCPProtocol) -> None:
        while taken := events_of(side):
            self.taken[side] += taken
            for event in taken:
                if isinstance(event, DataReceived):
                    side.acknowledge(event.stream_id, len(event.data))


def _check(taken: list[Event], stream_id: int, message: Message, extra: int) -> None:
    mine = [event for event in taken if getattr(event, "stream_id", 0) == stream_id]
    head, rest = mine[0], mine[1:]
    assert isinstance(head, HeadersReceived)
    assert head.headers[extra:] == message.section([])
    assert body(rest) == message.data
    trailers = [event.headers for event in rest if isinstance(event, TrailersReceived)]
    assert trailers == ([message.trailers] if message.trailers and not message.declared else [])
    last = mine[-1]
    assert isinstance(last, TrailersReceived) or getattr(last, "end_stream", False)


@examples(200)
@given(_EXCHANGES, st.lists(st.integers(1, 50), min_size=1, max_size=10))
def test_exchanges_arrive_as_they_were_sent(
    exchanges: list[tuple[Message, Message, bytes, bool]], sizes: list[int]
) -> None:
    wire = Wire(sizes)
    for question, answer, method, interim in exchanges:
        stream_id = wire.client.get_available_stream_id()
        for _ in question.submit(wire.client, stream_id, request(method)):
            wire.run()
        wire.run()
        if interim:
            wire.server.submit_informational(stream_id, [(b":status", b"103")])
        for _ in answer.submit(wire.server, stream_id, [(b":status", b"200")]):
            wire.run()
        wire.run()
        _check(wire.taken[wire.server], stream_id, question, extra=4)
        replies = wire.taken[wire.client]
        if interim:
            assert InformationalReceived(stream_id, [(b":status", b"103")]) in replies
        _check([event for event in replies if not isinstance(event, InformationalReceived)], stream_id, answer, extra=1)
        assert wire.client.is_available()
        assert wire.server.idle
    for taken in wire.taken.values():
        assert not any(isinstance(event, ConnectionTerminated) for event in taken)


@examples(100)
@given(_EXCHANGES, st.lists(st.integers(1, 50), min_size=1, max_size=10))
def test_an_answer_in_front_of_the_request_s_end_keeps_both_sides_in_step(
    exchanges: list[tuple[Message, Message, bytes, bool]], sizes: list[int]
) -> None:
    wire = Wire(sizes)
    for question, answer, method, _ in exchanges:
        stream_id = wire.client.get_available_stream_id()
        parts = question.submit(wire.client, stream_id, request(method))
        next(parts)
        wire.run()
        for _ in answer.submit(wire.server, stream_id, [(b":status", b"200")]):
            wire.run()
        wire.run()
        _check(wire.taken[wire.client], stream_id, answer, extra=1)
        for _ in parts:
            wire.run()
        wire.run()
        assert wire.client.is_available()
        assert wire.server.idle
