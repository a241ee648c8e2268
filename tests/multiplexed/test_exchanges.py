"""What handlers and raw clients see of each other while both do what they should."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream
from hface_trio.events import DataReceived, PriorityUpdateReceived, TrailersReceived

from .served import hello
from .version import Version

Clock = trio.testing.MockClock
BIG = b"x" * 1_000_000


async def test_a_request_is_answered(version: Version, autojump_clock: Clock) -> None:
    async with version.serving(hello) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, b"hello")
        fields = dict(peer.sections(stream_id)[0])
        assert fields[b"content-length"] == b"5"
        assert b"date" in fields
        await peer.close()


async def test_what_a_handler_knows_of_its_request(version: Version, autojump_clock: Clock) -> None:
    request: list[object] = []
    connection: list[object] = []

    async def handler(stream: HTTPStream) -> None:
        request.extend(
            [stream.method, stream.scheme, stream.authority, stream.path, stream.http_version, stream.stream_id]
        )
        attributes = stream.extra_attributes
        connection.extend(
            [attributes.tls_version, attributes.alpn_protocol, stream.local_address, stream.remote_address]
        )
        await stream.send_response(204)

    async with version.serving(handler) as s:
        peer = await s.peer()
        await peer.response(await peer.request())
        address = peer.local_address
        await peer.close()
    scheme, *of_tls, port = (b"https", "TLSv1.3", "h3", 443) if version.number == "3" else (b"http", None, None, 80)
    assert request == [b"GET", scheme, b"localhost", b"/", version.number, version.id_of(0)]
    assert connection == [*of_tls, ("localhost", port), address]


async def test_interim_responses_data_and_trailers_go_out_in_order(version: Version, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_informational([(b":status", b"103"), (b"link", b"</a>")])
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(b"body")
        await stream.send_trailers([(b"x-sum", b"4")])

    async with version.serving(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, b"body")
        heads = [fields[0] for fields in peer.sections(stream_id)]
        assert heads == [(b":status", b"103"), (b":status", b"200"), (b"x-sum", b"4")]
        await peer.close()


async def test_trailers_follow_a_large_body(version: Version, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(BIG)
        await stream.send_trailers([(b"x-sum", b"4")])

    async with version.serving(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request()
        assert await peer.response(stream_id) == (200, BIG)
        assert peer.sections(stream_id)[-1] == [(b"x-sum", b"4")]
        await peer.close()


async def test_a_request_body_and_its_trailers_arrive_as_events(version: Version, autojump_clock: Clock) -> None:
    events: list[object] = []

    async def handler(stream: HTTPStream) -> None:
        async for event in stream:
            events.append(event)
        await stream.send_response(200)

    async with version.serving(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(version.POST, b"abc", end=False)
        await peer.headers(stream_id, [(b"x-sum", b"7")], end=True)
        await peer.response(stream_id)
        await peer.close()
    assert events == [DataReceived(stream_id, b"abc"), TrailersReceived(stream_id, [(b"x-sum", b"7")])]


async def test_full_duplex(version: Version, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        async for chunk in stream.iter_data():
            await stream.send_data(chunk)
        await stream.send_data(b"", end_stream=True)

    async with version.serving(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(version.POST, end=False)
        for i in range(1, 5):
            await peer.data(stream_id, b"ping")
            await peer.until(lambda i=i: peer.body_octets(stream_id) == 4 * i)
        await peer.data(stream_id, end=True)
        assert await peer.response(stream_id) == (200, b"ping" * 4)
        await peer.close()


async def test_head_responses_have_no_body(version: Version, autojump_clock: Clock) -> None:
    async with version.serving(hello) as s:
        peer = await s.peer()
        stream_id = await peer.request(version.path(b"/", b"HEAD"))
        assert await peer.response(stream_id) == (200, b"")
        assert (b"content-length", b"5") in peer.sections(stream_id)[0]
        await peer.close()


@pytest.mark.parametrize("extended", [False, True])
async def test_connect_makes_a_tunnel_that_the_client_may_fill_and_end_at_once(
    version: Version, autojump_clock: Clock, extended: bool
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
        fields = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *version.GET[1:]]
    async with version.serving(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(fields, b"through", end=True)
        assert await peer.response(stream_id) == (200, b"THROUGH")
        await peer.close()


async def test_the_observer_hears_of_each_stream_and_connection_once(version: Version, autojump_clock: Clock) -> None:
    opened: list[int] = []
    closed: list[tuple[int, int | None, int | None]] = []
    connections: list[tuple[str, int | None]] = []
    least_octets = 1200 if version.number == "3" else 50

    class Observer(hface_trio.Observer):
        def stream_opened(self, record) -> None:
            opened.append(record.stream_id)

        def stream_closed(self, record) -> None:
            closed.append((record.stream_id, record.status, record.error_code))

        def connection_closed(self, record) -> None:
            connections.append((record.http_version, record.error_code))
            assert record.octets_received > least_octets
            assert record.octets_sent > least_octets

    async def handler(stream: HTTPStream) -> None:
        if stream.path == b"/wait":
            await trio.sleep_forever()
        await hello(stream)

    async with version.serving(handler, observer=Observer()) as s:
        peer = await s.peer()
        answered = await peer.request()
        await peer.response(answered)
        waits = await peer.request(version.path(b"/wait"))
        await peer.alive()
        await peer.reset(waits, 4711)
        await peer.alive()
        await peer.close()
    assert opened == [answered, waits]
    assert closed == [(answered, 200, None), (waits, None, 4711)]
    assert connections == [(version.number, 0)]


async def test_of_many_priority_updates_a_handler_gets_the_latest(version: Version, autojump_clock: Clock) -> None:
    received: list[object] = []

    async def handler(stream: HTTPStream) -> None:
        await trio.sleep(1)
        async for event in stream:
            received.append(event)
        await stream.send_response(200)

    async with version.serving(handler) as s:
        peer = await s.peer()
        stream_id = await peer.request(version.POST, end=False)
        await peer.alive()
        for i in range(50):
            await peer.update_priority(stream_id, b"u=%d" % (i % 8))
        await peer.alive()
        await peer.data(stream_id, b"x", end=True)
        await peer.response(stream_id)
        await peer.close()
    assert received == [PriorityUpdateReceived(stream_id, b"u=1"), DataReceived(stream_id, b"x", True)]


async def test_urgent_responses_overtake(version: Version, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=b"x" * 200_000)

    async with version.serving(handler) as s:
        peer = await s.peer()
        late = await peer.request([*version.GET, (b"priority", b"u=7")])
        early = await peer.request([*version.GET, (b"priority", b"u=0")])
        await peer.response(early)
        assert peer.body_octets(late) < 150_000
        await peer.response(late)
        await peer.close()
