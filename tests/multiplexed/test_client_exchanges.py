"""What callers of the client and a raw server see of each other while both do what they should; and misuse."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import HTTPStream, LocalProtocolError, StreamResetError
from hface_trio.events import DataReceived, HeadersReceived, InformationalReceived, TrailersReceived

from .peer import Peer
from .served import Outcomes
from .version import Version

Clock = trio.testing.MockClock
BIG = b"x" * 1_000_000
RESPONSE = [(b":status", b"200")]


async def test_an_exchange_with_everything(version: Version, autojump_clock: Clock) -> None:
    stream_id = version.id_of(0)

    async def script(peer: Peer) -> None:
        assert await peer.request_of(stream_id) == version.POST
        await peer.until(lambda: peer.ended(stream_id))
        assert peer.body(stream_id) == b"upload"
        assert peer.sections(stream_id)[1] == [(b"x-up", b"1")]
        await peer.headers(stream_id, [(b":status", b"103"), (b"link", b"</a>")])
        await peer.headers(stream_id, RESPONSE)
        await peer.data(stream_id, b"download")
        await peer.headers(stream_id, [(b"x-down", b"2")], end=True)

    async with version.connected(script) as (connection, _), connection.open_stream(version.POST) as stream:
        assert connection.http_version == version.number
        await stream.send_data(b"upload")
        await stream.send_trailers([(b"x-up", b"1")])
        assert [event async for event in stream] == [
            InformationalReceived(stream_id, [(b":status", b"103"), (b"link", b"</a>")]),
            HeadersReceived(stream_id, RESPONSE, False),
            DataReceived(stream_id, b"download", False),
            TrailersReceived(stream_id, [(b"x-down", b"2")]),
        ]
        assert stream.trailers == [(b"x-down", b"2")]


MISTAKEN = {
    "no path": lambda get: get[:3],
    "no method": lambda get: get[1:],
    "a line break": lambda get: [*get, (b"a", b"b\r\nc: d")],
    "a space in a name": lambda get: [*get, (b"a b", b"c")],
    "a status": lambda get: [*get, (b":status", b"200")],
    "a pseudo-header behind fields": lambda get: [(b"a", b"b"), *get],
    "extended CONNECT without the server's setting": lambda get: [
        (b":method", b"CONNECT"),
        (b":protocol", b"x"),
        *get[1:],
    ],
}


@pytest.mark.parametrize("mistaken", MISTAKEN.values(), ids=MISTAKEN)
async def test_misuse_is_refused_with_nothing_sent(version: Version, autojump_clock: Clock, mistaken) -> None:
    async with version.connected() as (connection, peer):
        with pytest.raises(LocalProtocolError):
            async with connection.open_stream(mistaken(version.GET), end_stream=True):
                pass
        await peer.alive()
        assert peer.requests() == []
        async with connection.open_stream(version.GET, end_stream=True) as stream:
            await peer.answer(version.id_of(0))
            assert (await stream.receive_response()).headers == RESPONSE


@pytest.mark.parametrize("field", [(b"Upper", b"x"), (b"connection", b"close"), (b"transfer-encoding", b"chunked")])
async def test_fields_of_http11_are_put_into_the_form_of_the_version(
    version: Version, autojump_clock: Clock, field: tuple[bytes, bytes]
) -> None:
    async with version.connected() as (connection, peer):
        async with connection.open_stream([*version.GET, field], end_stream=True):
            section = await peer.request_of(version.id_of(0))
        assert section[4:] in ([], [(b"upper", b"x")])


async def test_a_malformed_response_fails_its_stream_alone(version: Version, autojump_clock: Clock) -> None:
    first, second = version.id_of(0), version.id_of(1)
    async with version.connected() as (connection, peer):
        async with (
            connection.open_stream(version.GET, end_stream=True) as bad,
            connection.open_stream(version.GET, end_stream=True) as good,
        ):
            await peer.request_of(second)
            await peer.headers(first, [(b":status", b"200"), (b"Upper", b"x")])
            with pytest.raises(StreamResetError) as caught:
                await bad.receive_response()
            assert caught.value.error_code == version.codes.malformed
            await peer.answer(second)
            await good.receive_response()
            assert await good.read_body() == b"hello"
        await peer.alive()
        assert peer.stops() == [(first, version.codes.malformed)]
        assert peer.resets() == []


async def test_a_server_that_never_opens_its_window_does_not_hold_up_others(
    version: Version, autojump_clock: Clock
) -> None:
    async with version.connected(window=version.shut) as (connection, peer):
        async with connection.open_stream(version.POST) as stuck, trio.open_nursery() as nursery:

            async def upload() -> None:
                with pytest.raises(StreamResetError):
                    await stuck.send_data(BIG, end_stream=True)

            nursery.start_soon(upload)
            async with connection.open_stream(version.GET, end_stream=True) as stream:
                await peer.answer(version.id_of(1))
                await stream.receive_response()
                assert await stream.read_body() == b"hello"
            await peer.until(peer.resets)
            assert peer.resets() == [(version.id_of(0), version.codes.cancelled)]  # write progress
        assert connection.is_available()


async def test_responses_nobody_reads_do_not_hold_up_others(version: Version, autojump_clock: Clock) -> None:
    async with version.connected() as (connection, peer):
        stuck = [connection.open_stream(version.GET, end_stream=True) for _ in range(50)]
        for request in stuck:
            stream = await request.__aenter__()
            await peer.request_of(stream.stream_id)
            await peer.headers(stream.stream_id, RESPONSE)
            await peer.offer(stream.stream_id, 200_000, frame_octets=4096)
        await peer.read_for(5)
        held = connection.statistics().buffered_octets
        # the heads of frames take of the window where it is one of QUIC
        assert 50 * (65_536 if version.number == "2" else 60_000) <= held <= 50 * 65_536
        async with connection.open_stream(version.GET, end_stream=True) as stream, trio.open_nursery() as nursery:
            await peer.request_of(stream.stream_id)
            await peer.headers(stream.stream_id, RESPONSE)
            await peer.offer(stream.stream_id, 1_600_000)
            nursery.start_soon(peer.read_for, 5)
            await stream.receive_response()
            assert await stream.read_body(2_000_000) == bytes(1_600_000)
        assert connection.statistics().buffered_octets == held
        for request in stuck:
            await request.__aexit__(None, None, None)
        assert connection.statistics().buffered_octets == 0


async def test_the_exchange_with_our_own_server_uses_both_sides_of_each_row(
    version: Version, autojump_clock: Clock
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            await stream.send_headers([(b":status", b"200")])
            await trio.sleep_forever()

    async with version.serving(handler) as s, trio.open_nursery() as nursery:
        async with await s.connect(nursery) as connection:
            for fields, whole in ((version.GET, True), (version.POST, False)):
                async with connection.open_stream(fields, end_stream=whole) as stream:
                    await stream.receive_response()
                assert await outcomes.next() == ("cancelled", StreamResetError)
            assert connection.is_available()


async def test_requests_one_after_the_other_share_a_connection(version: Version, autojump_clock: Clock) -> None:
    connections: set[object] = set()

    async def handler(stream: HTTPStream) -> None:
        connections.add(stream.remote_address)
        await stream.send_response(200, body=stream.path)

    async with version.serving(handler) as s, s.client() as client:
        for i in range(10):
            assert (await client.get(f"{s.url}/{i}")).body == b"/%d" % i
    assert len(connections) == 1


async def test_requests_at_once_share_a_connection(version: Version, autojump_clock: Clock) -> None:
    connections: set[object] = set()

    async def handler(stream: HTTPStream) -> None:
        connections.add(stream.remote_address)
        await trio.sleep(1)
        await stream.send_response(200, body=stream.path)

    async with version.serving(handler) as s, s.client() as client:

        async def get(i: int) -> None:
            response = await client.get(f"{s.url}/{i}")
            assert response.body == b"/%d" % i
            assert response.http_version == version.number

        await get(0)
        async with trio.open_nursery() as nursery:
            for i in range(150):
                nursery.start_soon(get, i)
    assert len(connections) <= 2  # as many as it takes for a hundred at a time


@pytest.mark.parametrize("state", ["response waits", "upload waits", "body unread"])
async def test_a_client_that_is_left_open_in_any_state_ends_with_its_block(
    version: Version, autojump_clock: Clock, state: str
) -> None:
    async def handler(stream: hface_trio.HTTPStream) -> None:
        if state == "body unread":
            await stream.send_response(200, body=BIG)
        await trio.sleep_forever()

    async with version.serving(handler) as s:
        with trio.move_on_after(5):
            async with s.client() as client:
                content = BIG if state == "upload waits" else b""
                async with client.stream("POST", s.url, content=content) as response:
                    assert response.status == 200
                    await trio.sleep_forever()
        await trio.sleep(3)
        s.assert_nothing_left()
        assert s.server.statistics().connections == 0
