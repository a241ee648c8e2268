"""What handlers and raw clients see of each other over HTTP/3 while both do what they should; and misuse."""

from __future__ import annotations

import contextvars

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream, Limits, LocalProtocolError
from hface_trio.events import DataReceived, PriorityUpdateReceived, TrailersReceived

from .harness import Outcomes, hello, serving3, started
from .raw import GET, POST, Code, Window, data, headers, pack_frame, pack_varint, section

Clock = trio.testing.MockClock
BIG = b"x" * 1_000_000
SMALL = Window(stream=100)


async def test_a_request_is_answered(autojump_clock: Clock) -> None:
    async with serving3(hello) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, b"hello")
        fields = dict(peer.sections(stream_id)[0])
        assert fields[b"content-length"] == b"5"
        assert b"date" in fields
        await peer.close()


async def test_what_a_handler_knows_of_its_request(autojump_clock: Clock) -> None:
    seen: list[object] = []

    async def handler(stream: HTTPStream) -> None:
        seen.extend(
            [stream.method, stream.scheme, stream.authority, stream.path, stream.http_version, stream.stream_id]
        )
        attributes = stream.extra_attributes
        seen.extend([attributes.tls_version, attributes.alpn_protocol, stream.local_address, stream.remote_address])
        await stream.send_response(204)

    async with serving3(handler) as s:
        peer = await s.peer()
        await peer.response(await peer.request())
        address = peer.socket.local_address
        await peer.close()
    assert seen == [b"GET", b"https", b"localhost", b"/", "3", 0, "TLSv1.3", "h3", ("localhost", 443), address]


async def test_interim_responses_data_and_trailers_go_out_in_order(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_informational([(b":status", b"103"), (b"link", b"</a>")])
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(b"body")
        await stream.send_trailers([(b"x-sum", b"4")])

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, b"body")
        heads = [fields[0] for fields in peer.sections(stream_id)]
        assert heads == [(b":status", b"103"), (b":status", b"200"), (b"x-sum", b"4")]
        await peer.close()


async def test_trailers_follow_a_large_body(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(BIG)
        await stream.send_trailers([(b"x-sum", b"4")])

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, BIG)
        assert peer.sections(stream_id)[-1] == [(b"x-sum", b"4")]
        await peer.close()


async def test_a_request_body_and_its_trailers_arrive_as_events(autojump_clock: Clock) -> None:
    events: list[object] = []

    async def handler(stream: HTTPStream) -> None:
        async for event in stream:
            events.append(event)
        await stream.send_response(200)

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, data(b"abc"), headers([(b"x-sum", b"7")]))
        await peer.response(stream_id)
        await peer.close()
    assert events == [DataReceived(0, b"abc"), TrailersReceived(0, [(b"x-sum", b"7")])]


async def test_full_duplex(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        async for chunk in stream.iter_data():
            await stream.send_data(chunk)
        await stream.send_data(b"", end_stream=True)

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        for i in range(1, 5):
            await peer.send(stream_id, data(b"ping"))
            await peer.until(lambda i=i: peer.body_octets(stream_id) == 4 * i)
        await peer.send(stream_id, end=True)
        assert await peer.response(stream_id) == (200, b"ping" * 4)
        await peer.close()


async def test_each_handler_has_context_variables_of_its_own(autojump_clock: Clock) -> None:
    variable = contextvars.ContextVar("variable", default=0)
    seen: list[int] = []

    async def handler(stream: HTTPStream) -> None:
        seen.append(variable.get())
        variable.set(1)
        await trio.sleep(1)
        await stream.send_response(200)

    async with serving3(handler, limits=Limits(concurrent_streams=1)) as s:
        peer = await s.peer()
        for _ in range(3):
            await peer.response(await peer.request())
        await peer.close()
    assert seen == [0, 0, 0]


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit])
async def test_what_ends_a_program_passes(autojump_clock: Clock, exception: type[BaseException]) -> None:
    async def handler(stream: HTTPStream) -> None:
        raise exception

    with pytest.raises(BaseExceptionGroup) as caught:
        async with serving3(handler) as s:
            peer = await s.peer()
            await peer.request()
            await trio.sleep_forever()
    matched, rest = caught.value.split(exception)
    assert matched is not None
    assert rest is None


async def test_a_group_of_exceptions_ends_its_stream_alone(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(stream: HTTPStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_headers, [(b":status", b"nonsense")])

    async with serving3(handler) as s:
        peer = await s.peer()
        assert (await peer.response(await peer.request()))[0] == 500
        await peer.alive()
        await peer.close()
    assert len(caplog.records) == 1


MISUSES = {
    "a status that is none": lambda s: s.send_headers([(b":status", b"20")]),
    "no status": lambda s: s.send_headers([(b"a", b"b")]),
    "an interim status as final": lambda s: s.send_headers([(b":status", b"103")]),
    "101": lambda s: s.send_headers([(b":status", b"101")]),
    "a final status as interim": lambda s: s.send_informational([(b":status", b"200")]),
    "data before the head": lambda s: s.send_data(b"x"),
    "trailers before the head": lambda s: s.send_trailers([(b"a", b"b")]),
    "a field with a line break": lambda s: s.send_headers([(b":status", b"200"), (b"a", b"b\r\nc: d")]),
    "an end with content-length": lambda s: s.send_headers([(b":status", b"200"), (b"content-length", b"5")], True),
    "a body with 204": lambda s: s.send_response(204, body=b"x"),
    "a push": lambda s: s.push(GET).__aenter__(),
    "a client's call": lambda s: s.receive_response(),
}


@pytest.mark.parametrize("misuse", MISUSES.values(), ids=MISUSES)
async def test_misuse_is_refused_with_nothing_sent(autojump_clock: Clock, misuse) -> None:
    async def handler(stream: HTTPStream) -> None:
        with pytest.raises(LocalProtocolError):
            await misuse(stream)
        await stream.send_response(200, body=b"still here")

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, b"still here")
        assert len(peer.sections(stream_id)) == 1
        await peer.close()


async def test_misuse_behind_the_head_is_refused_with_nothing_sent(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200"), (b"content-length", b"4")])
        for misuse in (
            stream.send_headers([(b":status", b"200")]),
            stream.send_informational([(b":status", b"103")]),
            stream.send_data(b"too long"),
            stream.send_data(b"a", end_stream=True),
            stream.send_trailers([(b"a", b"b")]),
        ):
            with pytest.raises(LocalProtocolError):
                await misuse
        await stream.send_data(b"four")
        for fields in ([(b":status", b"200")], [(b"a", b"b\n")], [(b"A B", b"c")]):
            with pytest.raises(LocalProtocolError):
                await stream.send_trailers(fields)
        await stream.send_trailers([(b"a", b"b")])
        for misuse in (stream.send_data(b"x"), stream.send_trailers([(b"a", b"b")])):
            with pytest.raises(LocalProtocolError):
                await misuse

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, b"four")
        assert [fields[0] for fields in peer.sections(stream_id)] == [(b":status", b"200"), (b"a", b"b")]
        await peer.close()


async def test_a_cancelled_part_of_a_body_breaks_the_sending_side(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        with trio.move_on_after(1) as scope:
            await stream.send_data(BIG)
        assert scope.cancelled_caught
        for call in (stream.send_data(b"x"), stream.send_trailers([(b"a", b"b")])):
            with pytest.raises(trio.BrokenResourceError):
                await call

    async with serving3(handler) as s:
        peer = await s.peer(window=SMALL)
        stream_id = await peer.request()
        await peer.until(peer.resets)
        assert peer.resets() == [(stream_id, Code.INTERNAL_ERROR)]
        assert not peer.ended(stream_id)
        await peer.close()


async def test_head_responses_have_no_body(autojump_clock: Clock) -> None:
    async with serving3(hello) as s:
        peer = await s.peer()
        stream_id = await peer.request([(b":method", b"HEAD"), *GET[1:]])
        assert await peer.response(stream_id) == (200, b"")
        assert (b"content-length", b"5") in peer.sections(stream_id)[0]
        await peer.close()


@pytest.mark.parametrize("extended", [False, True])
async def test_connect_makes_a_tunnel_that_the_client_may_fill_and_end_at_once(
    autojump_clock: Clock, extended: bool
) -> None:
    async def handler(stream: HTTPStream) -> None:
        assert stream.protocol == (b"websocket" if extended else None)
        await stream.send_headers([(b":status", b"200")])
        assert stream.tunnel
        async for chunk in stream.iter_data():
            await stream.send_data(chunk.upper())
        await stream.send_data(b"", end_stream=True)

    fields = [(b":method", b"CONNECT"), (b":authority", b"example.test:443")]
    if extended:
        fields = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:]]
    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(fields, data(b"through"))
        assert await peer.response(stream_id) == (200, b"THROUGH")
        await peer.close()


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_cancelled_server_says_connection_close(autojump_clock: Clock, stubborn: bool) -> None:
    """Even if a handler takes its time."""
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            outcomes.note("started")
            with trio.CancelScope(shield=stubborn):
                await trio.sleep(5)
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with serving3(handler) as s:
                s.nursery = nursery  # the peer outlives the server
                peer = await s.peer()
                await peer.request()
                await started(outcomes)
                scope.cancel()
                await trio.sleep_forever()
        await peer.read_to_end()
        assert peer.closed_with in {Code.NO_ERROR, Code.REQUEST_CANCELLED}
        assert trio.current_time() < 6
        assert await outcomes.next() == ("cancelled", type(None))


async def test_the_observer_hears_of_each_stream_once(autojump_clock: Clock) -> None:
    opened: list[int] = []
    closed: list[tuple[int, int | None, int | None]] = []
    connections: list[tuple[str, int | None]] = []

    class Observer(hface_trio.Observer):
        def stream_opened(self, record) -> None:
            opened.append(record.stream_id)

        def stream_closed(self, record) -> None:
            closed.append((record.stream_id, record.status, record.error_code))

        def connection_closed(self, record) -> None:
            connections.append((record.http_version, record.error_code))
            assert record.octets_received > 1200
            assert record.octets_sent > 1200

    async def handler(stream: HTTPStream) -> None:
        if stream.path == b"/wait":
            await trio.sleep_forever()
        await hello(stream)

    async with serving3(handler, observer=Observer()) as s:
        peer = await s.peer()
        await peer.response(await peer.request())
        waits = await peer.request([*GET[:3], (b":path", b"/wait")])
        await peer.alive()
        await peer.stop(waits, 4711)
        await peer.alive()
        await peer.close()
    assert opened == [0, 4]
    assert closed == [(0, 200, None), (4, None, 4711)]
    assert connections == [("3", 0)]


async def test_of_many_priority_updates_a_handler_gets_the_latest(autojump_clock: Clock) -> None:
    received: list[object] = []

    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(1)
        async for event in stream:
            received.append(event)
        await stream.send_response(200)

    async with serving3(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(POST, end=False)
        await peer.alive()
        for i in range(50):
            await peer.send(peer.control, pack_frame(0xF0700, pack_varint(stream_id) + b"u=%d" % (i % 8)))
        await peer.alive()
        await peer.send(stream_id, data(b"x"), end=True)
        await peer.response(stream_id)
        await peer.close()
    assert received == [PriorityUpdateReceived(0, b"u=1"), DataReceived(0, b"x", True)]


async def test_urgent_responses_overtake(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=b"x" * 200_000)

    async with serving3(handler) as s:
        peer = await s.peer()
        late = await peer.request([*GET, (b"priority", b"u=7")])
        early = await peer.request([*GET, (b"priority", b"u=0")])
        await peer.response(early)
        assert peer.body_octets(late) < 150_000
        await peer.response(late)
        await peer.close()


async def test_hundreds_of_requests_leave_nothing_in_any_table(autojump_clock: Clock) -> None:
    async with serving3(hello) as s:
        peer = await s.peer()
        for _ in range(300):
            assert await peer.response(await peer.request()) == (200, b"hello")
        await peer.read_for(1)
        (connection,) = s.server._context.connections
        protocol = connection._protocol
        assert protocol.open_streams == 0
        assert protocol.quic.open_streams == 6  # of control and QPACK, both ways
        assert len(protocol.quic._machine._streams) == 6
        assert protocol.unacknowledged_octets == 0
        await peer.close()


async def test_a_qpack_block_that_needs_a_dynamic_table_is_refused(autojump_clock: Clock) -> None:
    async with serving3(hello) as s:
        peer = await s.peer()
        await peer.send(peer.next_id(), pack_frame(1, b"\x02\x00" + section(GET)[2:]), end=True)
        await peer.read_to_end()
        assert peer.closed_with == 0x200
        await peer.close()
