"""Whatever a peer sends and an application submits, in any order, an HTTP/1.1 connection stays in a legal state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hface_trio.errors import LocalProtocolError
from hface_trio.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    HeadersReceived,
    InformationalReceived,
    SendCapacityIncreased,
    StreamEvent,
    StreamReset,
    TrailersReceived,
)
from hface_trio.limits import Timeouts
from hface_trio.protocols import HTTPOverTCPProtocol, OutputEnd

from .drive import client, examples, request, server

_WINDOW = 32
_LIMITS = {
    "header_section_octets": 150,
    "header_fields": 6,
    "request_body_octets": 400,
    "chunk_overhead_octets": 20,
    "pipelined_octets": 200,
    "stream_window_octets": _WINDOW,
    "drain_octets": 40,
    "informational_responses": 2,
    "control_output_octets": 300,
}
_BUFFERED_BOUND = 2 * 150 + 200 + _WINDOW + 1024 + 64
_SENT_BOUND = 256 * 1024 + 4096
_ORDER = [OutputEnd.OPEN, OutputEnd.HALF_CLOSED, OutputEnd.CLOSED, OutputEnd.ABORTED]

_STATUSES = st.sampled_from([b"100", b"101", b"103", b"200", b"204", b"304", b"404", b"426", b"600", b"x"])
_SECTION_FIELDS = st.lists(
    st.sampled_from(
        [
            (b"content-length", b"0"),
            (b"content-length", b"5"),
            (b"upgrade", b"h"),
            (b"a", b"b"),
            (b"a", b"b\r\nc: d"),
            (b"Upper", b"b"),
            (b"te", b"trailers"),
            (b"connection", b"close"),
            (b":path", b"/"),
            (b"expect", b"100-continue"),
        ]
    ),
    max_size=3,
)
_TRAILERS = st.sampled_from([[], [(b"a", b"b")], [(b"host", b"a")], [(b"A", b"b")]])
_DATA = st.one_of(
    st.binary(max_size=8),
    st.sampled_from([0, 8, 200_000]).map(bytes),
    st.just(b"abcdefgh").map(lambda data: memoryview(data).cast("H")),
)
_CODES = st.sampled_from([0, 1, 400, 413, 500, 599, 600])

_CHUNKED = b"5\r\n12345\r\n28;a=b\r\n" + b"z" * 40 + b"\r\n0\r\n"
_REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n" + b"t" * 50,
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n12345",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90\r\n\r\n" + b"y" * 90,
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + _CHUNKED + b"\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + _CHUNKED + b"A: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 150 + b"\r\n\r\n",
    b"\r\n",
]
_RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345",
    b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n" + b"y" * 50,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + _CHUNKED + b"\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + _CHUNKED + b"A: b\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n" + b"z" * 50,
    b"HTTP/1.1 101 x\r\nUpgrade: h\r\nConnection: upgrade\r\n\r\n" + b"t" * 50,
    b"HTTP/1.1 103 x\r\n\r\n",
    b"HTTP/1.1 100 x\r\n\r\n",
    b"HTTP/1.1 204 x\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 304 x\r\nContent-Length: 50\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n12345",
]
_GARBAGE = [b"\0", b"\n", b"\r", b"x" * 40, b"5\r\n12345", b"0\r\n\r\n", b"Content-Length: 1\r\n"]
_SELDOM = st.sampled_from([False] * 9 + [True])


_before_the_head = precondition(lambda self: not self.protocol.idle and self.headed != self.stream_id)
_behind_the_head = precondition(lambda self: not self.protocol.idle and self.headed == self.stream_id)


class _Machine(RuleBasedStateMachine):
    """Holds a protocol and what was seen of it."""

    protocol: HTTPOverTCPProtocol

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.stream_id = 1
        self.headed = 0
        self.wire = b""
        self.last_end = OutputEnd.OPEN
        self.terminated = False
        self.unacknowledged = 0
        self.seen: dict[int, list[Event]] = {}

    # What the peer does

    @precondition(lambda self: self.wire and not self.terminated)
    @rule(octets=st.sampled_from([1, 7, 60, 1000, 1000]))
    def network_delivers(self, octets: int) -> None:
        octets = min(octets, self.protocol.receive_capacity())
        delivered, self.wire = self.wire[:octets], self.wire[octets:]
        self.protocol.bytes_received(delivered)
        self._take()

    @precondition(lambda self: not self.terminated)
    @rule(seconds=st.sampled_from([0.01] * 9 + [0.1, 1, 10, 75]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.protocol.clock(self.now)
        timer = self.protocol.get_timer()
        assert timer is None or timer > self.now
        self._take()

    # What the application does

    @_behind_the_head
    @rule(data=_DATA, end_stream=st.booleans())
    def sends_data(self, data: bytes | memoryview, end_stream: bool) -> None:
        self._submit(lambda: self.protocol.submit_data(self.stream_id, data, end_stream))

    @_behind_the_head
    @rule(headers=_TRAILERS)
    def sends_trailers(self, headers: list[tuple[bytes, bytes]]) -> None:
        self._submit(lambda: self.protocol.submit_trailers(self.stream_id, headers))

    @precondition(lambda self: self.unacknowledged)
    @rule(octets=st.sampled_from([0, 1, 50, 50]))
    def takes_data(self, octets: int) -> None:
        taken = min(octets, self.unacknowledged)
        self.unacknowledged -= taken
        self.protocol.acknowledge(self.stream_id, taken)
        self._take()

    @precondition(lambda self: self.protocol.buffered_octets)
    @rule()
    def takes_output(self) -> None:
        self.protocol.buffers_to_send()
        assert self.protocol.buffers_to_send() == []
        self._take()

    # How it ends

    @precondition(lambda self: not self.terminated)
    @rule(
        how=st.sampled_from(["garbage", "eof", "loss", "reset", "goaway", "close", "discard"]),
        code=_CODES,
        really=_SELDOM,
    )
    def something_ends(self, how: str, code: int, really: bool) -> None:
        if not really:
            return
        if how == "garbage":
            self.wire += _GARBAGE[code % len(_GARBAGE)]
        elif how == "eof":
            self.protocol.eof_received()
            assert self.protocol.receive_capacity() == 0 or self._is_over()
        elif how == "loss":
            self.protocol.connection_lost()
            assert self.protocol.output_end is OutputEnd.ABORTED
        elif how == "reset":
            self.protocol.submit_stream_reset(self.stream_id, code)
        elif how == "discard":
            self.protocol.discard_input(self.stream_id)
        elif how == "goaway":
            self.protocol.submit_goaway()
            assert self.protocol.has_expired()
        else:
            self.protocol.submit_close(code, "closed")
            assert self._is_over()
        self._take()

    def _submit_head(self, stream_id: int, submit: Callable[[], None]) -> None:
        if self._submit(submit):
            self.headed = stream_id

    def _submit(self, submit: Callable[[], None]) -> bool:
        before = (self.protocol.output_end, self.protocol.buffered_octets, self.protocol.receive_capacity())
        try:
            submit()
        except LocalProtocolError:
            after = (self.protocol.output_end, self.protocol.buffered_octets, self.protocol.receive_capacity())
            assert after == before
            assert self.protocol.next_event() is None
            return False
        self._take()
        return True

    @precondition(lambda self: self.terminated)
    @rule(data=_DATA)
    def nothing_follows_the_end(self, data: bytes | memoryview) -> None:
        protocol = self.protocol
        for submit in (
            lambda: protocol.submit_headers(self.stream_id, [(b":status", b"200")]),
            lambda: protocol.submit_data(self.stream_id, data),
            lambda: protocol.submit_trailers(self.stream_id, []),
            lambda: protocol.submit_informational(self.stream_id, [(b":status", b"103")]),
        ):
            with pytest.raises(LocalProtocolError):
                submit()
        protocol.submit_stream_reset(self.stream_id, 500)
        protocol.acknowledge(self.stream_id, 1)
        protocol.submit_continue(self.stream_id)
        protocol.discard_input(self.stream_id)
        protocol.bytes_received(b"GET")
        protocol.submit_goaway()
        protocol.submit_close()
        protocol.eof_received()
        assert protocol.next_event() is None

    def _is_over(self) -> bool:
        return self.protocol.output_end in {OutputEnd.CLOSED, OutputEnd.ABORTED}

    # What is seen

    def _take(self) -> None:
        while (event := self.protocol.next_event()) is not None:
            assert not self.terminated
            if isinstance(event, ConnectionTerminated):
                self.terminated = True
            else:
                assert isinstance(event, StreamEvent)
                self._see(event)

    def _see(self, event: StreamEvent) -> None:
        before = self.seen.setdefault(event.stream_id, [])
        if not isinstance(event, SendCapacityIncreased):
            self._check_order(before, event)
            before.append(event)

    def _check_order(self, before: list[Event], event: Event) -> None:
        heads = [seen for seen in before if isinstance(seen, HeadersReceived)]
        assert not any(isinstance(seen, StreamReset) for seen in before)
        if isinstance(event, DataReceived):
            assert heads
            self.unacknowledged += len(event.data)
            assert self.unacknowledged <= _WINDOW
            assert event.data or event.end_stream
        elif isinstance(event, TrailersReceived):
            assert heads
        elif isinstance(event, HeadersReceived):
            assert not heads
            self.unacknowledged = 0
        elif isinstance(event, InformationalReceived):
            assert not heads
        else:
            assert isinstance(event, StreamReset)

    @invariant()
    def is_legal(self) -> None:
        protocol = self.protocol
        assert _ORDER.index(protocol.output_end) >= _ORDER.index(self.last_end)
        self.last_end = protocol.output_end
        assert self._is_over() == self.terminated
        assert protocol.send_capacity(self.stream_id) >= 0
        assert protocol.buffered_octets <= _BUFFERED_BOUND + _SENT_BOUND

    @invariant()
    def reading_goes_on(self) -> None:
        """Reading stops only where the application has to act first, or nothing comes any more."""
        capacity = self.protocol.receive_capacity()
        assert capacity >= 0
        if capacity == 0 and not self.protocol.input_ended:
            assert self.unacknowledged or not self.protocol.idle

    def teardown(self) -> None:
        self.protocol.connection_lost()
        self._take()
        assert self.terminated
        assert self.protocol.bytes_to_send() == b""
        assert self.protocol.get_timer() is None
        assert self.protocol.buffered_octets == 0


class ServerMachine(_Machine):
    def __init__(self) -> None:
        super().__init__()
        self.protocol: Any = server(**_LIMITS, timeouts=Timeouts())

    def _see(self, event: StreamEvent) -> None:
        self.stream_id = event.stream_id
        super()._see(event)

    @initialize(message=st.sampled_from(_REQUESTS))
    def starts(self, message: bytes) -> None:
        self.peer_requests([message], 1000)

    @precondition(lambda self: len(self.wire) < 500 and not self.terminated)
    @rule(messages=st.lists(st.sampled_from(_REQUESTS), min_size=1, max_size=3), octets=st.sampled_from([0, 9, 1000]))
    def peer_requests(self, messages: list[bytes], octets: int) -> None:
        self.wire += b"".join(messages)
        self.network_delivers(octets)

    @_before_the_head
    @rule(end_stream=st.booleans(), status=st.sampled_from([b"200", b"200", b"204", b"404"]))
    def responds(self, end_stream: bool, status: bytes) -> None:
        stream_id = self.stream_id
        section = [(b":status", status)]
        self._submit_head(stream_id, lambda: self.protocol.submit_headers(stream_id, section, end_stream))

    @_before_the_head
    @rule(
        status=st.sampled_from([99, 101, 200, 200, 200, 204, 404]),
        fields=_SECTION_FIELDS,
        # Lengths, not bodies: hypothesis keeps the text of what it draws from with every example, as hundreds of MiB.
        body=st.sampled_from([0, 1, 5000, 300_000]).map(bytes),
    )
    def responds_in_one_go(self, status: int, fields: list[tuple[bytes, bytes]], body: bytes) -> None:
        stream_id = self.stream_id
        self._submit_head(stream_id, lambda: self.protocol.submit_response(stream_id, status, fields, body))

    @_before_the_head
    @rule(status=_STATUSES, fields=_SECTION_FIELDS, end_stream=st.booleans(), interim=st.booleans())
    def responds_oddly(self, status: bytes, fields: list[tuple[bytes, bytes]], end_stream: bool, interim: bool) -> None:
        section = [(b":status", status), *fields]
        if interim:
            self._submit(lambda: self.protocol.submit_informational(self.stream_id, section))
        else:
            stream_id = self.stream_id
            self._submit_head(stream_id, lambda: self.protocol.submit_headers(stream_id, section, end_stream))

    @_behind_the_head
    @rule()
    def reads_no_more(self) -> None:
        self.protocol.discard_input(self.stream_id)
        self._take()

    @_before_the_head
    @rule(upgrade=st.booleans())
    def goes_along(self, upgrade: bool) -> None:
        section = [(b":status", b"101"), (b"upgrade", b"h")]
        if upgrade:
            stream_id = self.stream_id
            self._submit_head(stream_id, lambda: self.protocol.submit_headers(stream_id, section))
        else:
            self.protocol.submit_continue(self.stream_id)


class ClientMachine(_Machine):
    def __init__(self) -> None:
        super().__init__()
        self.protocol: Any = client(**_LIMITS)

    @precondition(lambda self: not self.wire and not self.protocol.idle)
    @rule(message=st.sampled_from(_RESPONSES), octets=st.sampled_from([0, 9, 1000]))
    def peer_responds(self, message: bytes, octets: int) -> None:
        self.wire += message
        self.network_delivers(octets)

    @rule(
        method=st.sampled_from([b"GET", b"POST", b"HEAD", b"CONNECT", b"bad method"]),
        fields=_SECTION_FIELDS,
        end_stream=st.booleans(),
    )
    def requests_oddly(self, method: bytes, fields: list[tuple[bytes, bytes]], end_stream: bool) -> None:
        self._request([*request(method), *fields], end_stream)

    @initialize(kind=st.sampled_from(["get", "post", "connect", "upgrade"]))
    def starts(self, kind: str) -> None:
        self.requests(kind)

    @precondition(lambda self: self.protocol.is_available())
    @rule(kind=st.sampled_from(["get", "post", "connect", "upgrade"]))
    def requests(self, kind: str) -> None:
        if kind == "connect":
            self._request([(b":method", b"CONNECT"), (b":authority", b"a:1")], end_stream=False)
        elif kind == "upgrade":
            self._request([*request(b"GET"), (b"upgrade", b"h")], end_stream=True)
        else:
            self._request(request(kind.upper().encode()), end_stream=kind == "get")

    def _request(self, section: list[tuple[bytes, bytes]], end_stream: bool) -> None:
        available = self.protocol.is_available()
        stream_id = self.protocol.get_available_stream_id() if available else self.stream_id
        self._submit_head(stream_id, lambda: self.protocol.submit_headers(stream_id, section, end_stream))
        if available and not self.protocol.idle:
            self.stream_id = stream_id
            self.unacknowledged = 0


@pytest.mark.parametrize("machine", [ServerMachine, ClientMachine])
def test_every_sequence_ends_in_a_legal_state(machine: type[_Machine]) -> None:
    class Case(machine.TestCase):  # type: ignore[misc,name-defined]
        settings = settings(examples(200), stateful_step_count=50)

    Case().runTest()
