"""An HTTP/2 protocol that nobody refers to is gone, over or not, whatever its parts know of each other."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hyperframe.frame import DataFrame, GoAwayFrame, PingFrame, RstStreamFrame, SettingsFrame

from hface_trio.events import ConnectionTerminated, DataReceived
from hface_trio.protocols._interfaces import OutputEnd
from hface_trio.protocols.http2 import PREFACE, H2ClientProtocol, H2Protocol, H2ServerProtocol, HTTP2Settings
from hface_trio.protocols.http2._upgrade import format_settings_field

from ..taken import events_of
from .raw_peer import (
    POST,
    REQUEST,
    RESPONSE,
    RawPeer,
    acknowledge_ping,
    client,
    data_frame,
    open_request,
    promise,
    raw_frame,
    server,
    settled,
)
from .wire import CONTINUATION, DATA, HEADERS

PARTS = ("hface_trio.protocols.http2.", "h2.")
CLOSED = OutputEnd.CLOSED
ABORTED = OutputEnd.ABORTED


@pytest.fixture(scope="module", autouse=True)
def nothing_else_to_look_at() -> Iterator[None]:
    """What was there before is not searched each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def no_collector(nothing_else_to_look_at: None) -> Iterator[None]:
    """What refers to itself stays where it is."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def garbage() -> list[str]:
    """What a collector finds of the parts of connections."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        names = {f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    return sorted(name for name in names if name.startswith(PARTS))


def references(protocol: H2Protocol) -> list[weakref.ref[Any]]:
    connection = protocol._connection
    return [weakref.ref(each) for each in (protocol, connection, connection.core, protocol._receiver)]


def assert_gone(references_: list[weakref.ref[Any]]) -> None:
    assert [reference() for reference in references_] == [None] * len(references_)
    assert garbage() == []


# Connections in use: one exchange is over, one under way, one had a fault; windows have grown, and been used up.


def a_body(stream_id: int, *flags: str) -> list[DataFrame]:
    """40,000 octets."""
    return [*[data_frame(stream_id, b"x" * 10_000) for _ in range(3)], data_frame(stream_id, b"x" * 10_000, *flags)]


def used_server(**arguments: Any) -> RawPeer:
    peer = server(**arguments)
    protocol = peer.protocol
    protocol.may_grow = lambda: True
    peer.send(peer.request(1, POST, end_stream=False), *a_body(1, "END_STREAM"))
    protocol.acknowledge(1, 40_000)
    protocol.submit_headers(1, RESPONSE)
    protocol.submit_data(1, b"y" * 1000, end_stream=True)
    peer.send(peer.request(3, POST, end_stream=False), *a_body(3))
    protocol.acknowledge(3, 40_000)
    protocol.submit_headers(3, RESPONSE)
    protocol.submit_data(3, b"y" * protocol.send_capacity(3))
    assert protocol.send_capacity(3) == 0
    protocol.submit_settings({4: 100_000})
    protocol.submit_ping()
    peer.send(peer.request(5, [*REQUEST, (b"connection", b"close")]))  # a fault of its stream
    return settled(peer)


def used_client(**arguments: Any) -> RawPeer:
    peer = client(HTTP2Settings(accept_push=True), **arguments)
    protocol = peer.protocol
    protocol.may_grow = lambda: True
    assert open_request(peer) == 1
    peer.send(peer.headers(1, RESPONSE), promise(peer, 2), *a_body(1, "END_STREAM"))
    protocol.acknowledge(1, 40_000)
    assert open_request(peer, POST, end_stream=False) == 3
    protocol.submit_data(3, b"x" * protocol.send_capacity(3))
    assert protocol.send_capacity(3) == 0
    protocol.prioritize(3, urgency=1)
    protocol.submit_ping()
    assert open_request(peer) == 5
    peer.send(peer.headers(5, [(b":status", b"nonsense")]))  # a fault of its stream
    return settled(peer)


USED = [used_server, used_client]


# Ends.


def nothing_happens(_peer: RawPeer) -> None:
    pass


def submit_close(peer: RawPeer) -> None:
    peer.protocol.submit_close()


def submit_close_as_error(peer: RawPeer) -> None:
    peer.protocol.submit_close(2, "this side failed")


def end_of_input(peer: RawPeer) -> None:
    peer.protocol.eof_received()


def transport_lost(peer: RawPeer) -> None:
    peer.protocol.connection_lost()


def drained_here(peer: RawPeer) -> None:
    peer.protocol.submit_goaway()
    if isinstance(peer.protocol, H2ServerProtocol):
        peer.protocol.clock(1.0)
        peer.protocol.clock(10.0)
    for stream_id in list(peer.protocol._streams.live):
        peer.send(RstStreamFrame(stream_id, 8))


def drained_by_the_peer(peer: RawPeer) -> None:
    peer.send(GoAwayFrame(0, 2**31 - 1))
    for stream_id in list(peer.protocol._streams.live):
        peer.send(RstStreamFrame(stream_id, 8))


def drained_after_a_round_trip(peer: RawPeer) -> None:
    for stream_id in list(peer.protocol._streams.live):
        peer.protocol.submit_stream_reset(stream_id, 8)
    peer.frames()
    peer.protocol.submit_goaway()
    if isinstance(peer.protocol, H2ServerProtocol):
        acknowledge_ping(peer)


def frame_on_an_idle_stream(peer: RawPeer) -> None:
    peer.send(data_frame(1001, b"x"))


def malformed_section(peer: RawPeer) -> None:
    peer.send(raw_frame(HEADERS, 4, 7, b"\xff\xff\xff\xff\xff\xff\xff"))


def stream_fault_on_an_idle_stream(peer: RawPeer) -> None:
    peer.send(raw_frame(2, 0, 1001, b"\0"))  # PRIORITY of one octet


def window_overflow(peer: RawPeer) -> None:
    for _ in range(2):
        peer.send(raw_frame(8, 0, 0, b"\x7f\xff\xff\xff"))


def bad_setting(peer: RawPeer) -> None:
    peer.send(raw_frame(4, 0, 0, b"\0\4\xff\xff\xff\xff"))


def interrupted_section(peer: RawPeer) -> None:
    peer.send(raw_frame(HEADERS, 0, 7, b"\x82"), raw_frame(DATA, 0, 3, b"x"))


def nothing_to_continue(peer: RawPeer) -> None:
    peer.send(raw_frame(CONTINUATION, 4, 3, b"x"))


def spent_budget(peer: RawPeer) -> None:
    peer.send(*[PingFrame(0, b"12345678")] * 2000)


def settings_timeout(peer: RawPeer) -> None:
    peer.protocol.submit_settings({3: 7})
    peer.protocol.clock(1.0)
    peer.protocol.clock(1000.0)


def part_of_a_frame(peer: RawPeer) -> None:
    peer.send(raw_frame(HEADERS, 0, 7, b"\x82"))
    peer.send(raw_frame(CONTINUATION, 4, 7, b"x" * 100)[:50])


ENDS = [
    (submit_close, CLOSED),
    (submit_close_as_error, CLOSED),
    (end_of_input, CLOSED),
    (transport_lost, ABORTED),
    (drained_here, CLOSED),
    (drained_by_the_peer, CLOSED),
    (drained_after_a_round_trip, CLOSED),
    (frame_on_an_idle_stream, CLOSED),
    (malformed_section, CLOSED),
    (stream_fault_on_an_idle_stream, CLOSED),
    (window_overflow, CLOSED),
    (bad_setting, CLOSED),
    (interrupted_section, CLOSED),
    (nothing_to_continue, CLOSED),
    (spent_budget, CLOSED),
    (settings_timeout, CLOSED),
]


@pytest.mark.parametrize("used", USED)
@pytest.mark.parametrize(("end", "output_end"), ENDS)
def test_a_connection_that_is_over_is_no_garbage(
    used: Callable[[], RawPeer], end: Callable[[RawPeer], None], output_end: OutputEnd
):
    peer = used()
    end(peer)
    protocol = peer.protocol
    assert any(type(event) is ConnectionTerminated for event in events_of(protocol))
    protocol.buffers_to_send()
    assert protocol.output_end is output_end
    over = references(protocol)
    del peer, protocol
    assert_gone(over)


@pytest.mark.parametrize("used", USED)
@pytest.mark.parametrize("state", [nothing_happens, part_of_a_frame, submit_close, frame_on_an_idle_stream])
def test_a_connection_is_no_garbage_wherever_it_is_dropped(
    used: Callable[[], RawPeer], state: Callable[[RawPeer], None]
):
    """In the midst of use, or over with events and output that nobody took."""
    peer = used()
    state(peer)
    over = references(peer.protocol)
    del peer
    assert_gone(over)


@pytest.mark.parametrize("side", [H2ServerProtocol, H2ClientProtocol])
def test_a_connection_that_never_was_one_is_no_garbage(side: type[H2ServerProtocol | H2ClientProtocol]):
    over = references(side(secure=True))
    assert_gone(over)


def test_an_upgraded_connection_is_no_garbage():
    server_ = H2ServerProtocol.upgraded_from(REQUEST, format_settings_field({4: 70_000}))
    client_ = H2ClientProtocol.upgraded_from(REQUEST)
    over = [*references(server_), *references(client_)]
    del server_, client_
    assert_gone(over)


@pytest.mark.parametrize("used", USED)
@pytest.mark.parametrize("end", [submit_close, end_of_input, transport_lost, frame_on_an_idle_stream])
def test_what_can_be_asked_of_a_connection_outlives_it(used: Callable[[], RawPeer], end: Callable[[RawPeer], None]):
    peer = used()
    protocol = peer.protocol
    settings = protocol.local_settings, protocol.peer_settings
    window = protocol.send_window()
    end(peer)
    settled(peer)
    assert (protocol.local_settings, protocol.peer_settings) == settings
    assert protocol.send_window() == window
    assert protocol.receive_window() > 0
    assert (protocol.open_streams, protocol.unacknowledged_octets, protocol.queued_octets) == (0, 0, 0)
    assert (protocol.has_expired(), protocol.is_available(), protocol.get_timer()) == (True, False, None)
    assert (protocol.send_capacity(3), protocol.can_send(3), protocol.input_waits) == (0, False, False)


@pytest.mark.parametrize("used", USED)
def test_what_comes_too_late_is_harmless(used: Callable[[], RawPeer]):
    peer = used()
    protocol = peer.protocol
    submit_close(peer)
    settled(peer)
    peer.send(data_frame(3, b"x"))
    protocol.acknowledge(3, 10)
    protocol.submit_stream_reset(3)
    protocol.submit_goaway()
    protocol.clock(100.0)
    protocol.eof_received()
    protocol.connection_lost()
    assert (events_of(protocol), protocol.buffers_to_send()) == ([], [])


def test_a_new_limit_on_frames_is_still_heard_of():
    """The receiver tells the reader itself."""
    peer = server(HTTP2Settings(max_frame_octets=20_000))
    peer.protocol.submit_settings({5: 16_384})
    peer.send(peer.request(1, POST, end_stream=False), data_frame(1, b"x" * 20_000))
    assert [type(event) for event in peer.events()][-1] is DataReceived
    peer.send(SettingsFrame(0, flags=["ACK"]), data_frame(1, b"x" * 16_385))
    assert isinstance(peer.events()[-1], ConnectionTerminated)


def test_the_preface_is_all_that_came():
    protocol = H2ServerProtocol(secure=True)
    protocol.bytes_received(PREFACE[:10])
    over = references(protocol)
    del protocol
    assert_gone(over)
