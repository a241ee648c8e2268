"""What callers of the client and a raw server see of each other over HTTP/2."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import (
    ConnectionLostError,
    HfaceError,
    LocalProtocolError,
    RequestNotProcessedError,
    SendingStoppedError,
    StreamResetError,
)
from hface_trio.events import DataReceived, GoawayReceived, HeadersReceived, InformationalReceived, TrailersReceived

from .harness import URL, Outcomes, connected, serving2
from .raw import (
    CANCEL,
    ENHANCE_YOUR_CALM,
    GET,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    NO_ERROR,
    POST,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    RESPONSE,
    RawPeer,
)

Clock = trio.testing.MockClock
BIG = b"x" * 1_000_000


async def answer(peer: RawPeer, stream_id: int, body: bytes = b"hello") -> None:
    await peer.send(peer.headers(stream_id, RESPONSE, end=False), peer.data(stream_id, body, end=True))


async def request_of(peer: RawPeer, stream_id: int) -> list[tuple[bytes, bytes]]:
    await peer.until(lambda: stream_id in peer.sections)
    return peer.sections[stream_id][0]


async def test_an_exchange_with_everything(autojump_clock: Clock) -> None:
    async def script(peer: RawPeer) -> None:
        assert await request_of(peer, 1) == POST
        await peer.until(lambda: peer.ended(1))
        assert peer.body(1) == b"upload"
        assert peer.sections[1][1] == [(b"x-up", b"1")]
        await peer.send(
            peer.headers(1, [(b":status", b"103"), (b"link", b"</a>")], end=False),
            peer.headers(1, RESPONSE, end=False),
            peer.data(1, b"download", pad=7),
            peer.headers(1, [(b"x-down", b"2")]),
        )

    async with connected(script) as (connection, _), connection.open_stream(POST) as stream:
        await stream.send_data(b"upload")
        await stream.send_trailers([(b"x-up", b"1")])
        assert [event async for event in stream] == [
            InformationalReceived(1, [(b":status", b"103"), (b"link", b"</a>")]),
            HeadersReceived(1, RESPONSE, False),
            DataReceived(1, b"download", False),
            TrailersReceived(1, [(b"x-down", b"2")]),
        ]
        assert stream.trailers == [(b"x-down", b"2")]


async def test_a_cancelled_request_is_reset_and_the_connection_kept(autojump_clock: Clock) -> None:
    async with connected() as (connection, peer):
        with trio.move_on_after(1) as scope:
            async with connection.open_stream(GET, end_stream=True) as stream:
                await stream.receive_response()
        assert scope.cancelled_caught
        await peer.until(peer.resets)
        assert peer.resets() == [(1, CANCEL)]
        # what was on its way is dropped
        await answer(peer, 1)
        await peer.alive()
        assert connection.is_available()
        async with connection.open_stream(GET, end_stream=True) as stream:
            await answer(peer, 3)
            assert await stream.receive_response()
            assert await stream.read_body() == b"hello"
        assert len(peer.resets()) == 1


@pytest.mark.parametrize("left_at", ["head", "body", "upload"])
async def test_leaving_the_block_early_cancels_the_request(autojump_clock: Clock, left_at: str) -> None:
    async with connected(settings={INITIAL_WINDOW_SIZE: 10}) as (connection, peer):
        async with connection.open_stream(POST) as stream:
            if left_at == "upload":
                with trio.move_on_after(1):
                    await stream.send_data(BIG)
            else:
                await stream.send_data(b"", end_stream=True)
                await peer.send(peer.headers(1, RESPONSE, end=False))
                await stream.receive_response()
            if left_at == "body":
                await peer.send(peer.data(1, b"part"))
                await stream.receive()
        await peer.until(peer.resets)
        assert peer.resets() == [(1, CANCEL)]
        await peer.alive()


async def test_the_bodys_own_exception_leaves_the_block_as_itself(autojump_clock: Clock) -> None:
    async with connected() as (connection, peer):
        with pytest.raises(ZeroDivisionError):
            async with connection.open_stream(GET, end_stream=True):
                raise ZeroDivisionError
        await peer.until(peer.resets)
        assert peer.resets() == [(1, CANCEL)]


async def test_a_reset_raises_in_the_waiting_call_behind_what_arrived(autojump_clock: Clock) -> None:
    async with connected() as (connection, peer):
        async with connection.open_stream(GET, end_stream=True) as stream:
            await peer.send(
                peer.headers(1, RESPONSE, end=False), peer.data(1, b"part"), peer.reset(1, ENHANCE_YOUR_CALM)
            )
            await trio.sleep(1)
            await stream.receive_response()
            assert await stream.receive() == DataReceived(1, b"part", False)
            for _ in range(2):
                with pytest.raises(StreamResetError) as caught:
                    await stream.receive()
                assert caught.value.error_code == ENHANCE_YOUR_CALM
                assert not caught.value.retryable
        await peer.alive()
        assert peer.resets() == []


async def test_a_refused_request_may_be_sent_again(autojump_clock: Clock) -> None:
    async with connected() as (connection, peer):
        async with connection.open_stream(POST) as stream:
            await peer.send(peer.reset(1, REFUSED_STREAM))
            with pytest.raises(RequestNotProcessedError) as caught:
                await stream.receive_response()
            assert caught.value.retryable
            with pytest.raises(RequestNotProcessedError):
                await stream.send_data(b"x")
        assert connection.is_available()


async def test_a_server_that_has_heard_enough_stops_the_upload_and_is_heard(autojump_clock: Clock) -> None:
    async with connected(settings={INITIAL_WINDOW_SIZE: 10}) as (connection, peer):
        async with connection.open_stream(POST) as stream, trio.open_nursery() as nursery:

            async def upload() -> None:
                with pytest.raises(SendingStoppedError):
                    await stream.send_data(BIG)
                with pytest.raises(SendingStoppedError):
                    await stream.send_data(b"x")

            nursery.start_soon(upload)
            await peer.until(lambda: len(peer.body(1)) == 10)
            await answer(peer, 1)
            await peer.send(peer.reset(1, NO_ERROR))
            await stream.receive_response()
            assert await stream.read_body() == b"hello"
        await peer.alive()
        assert peer.resets() == []


async def test_no_error_before_the_response_is_complete_is_a_reset(autojump_clock: Clock) -> None:
    async with connected() as (connection, peer), connection.open_stream(POST) as stream:
        await peer.send(peer.headers(1, RESPONSE, end=False), peer.reset(1, NO_ERROR))
        await stream.receive_response()
        with pytest.raises(StreamResetError):
            await stream.read_body()


async def test_the_client_obeys_the_limit_on_streams(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def get(connection) -> None:
        async with connection.open_stream(GET, end_stream=True) as stream:
            outcomes.note(stream.stream_id)
            await stream.receive_response()
            await stream.read_body()

    async with connected(settings={MAX_CONCURRENT_STREAMS: 2}) as (connection, peer), trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(get, connection)
        await peer.until(lambda: 3 in peer.sections)
        await peer.read_for(1)
        assert sorted(peer.sections) == [1, 3]
        assert not connection.is_available()
        for stream_id in (1, 3, 5, 7, 9):
            await request_of(peer, stream_id)
            await answer(peer, stream_id)


async def test_a_limit_that_rises_lets_waiting_requests_go(autojump_clock: Clock) -> None:
    async def get(connection) -> None:
        async with connection.open_stream(GET, end_stream=True) as stream:
            await stream.receive_response()

    async with connected(settings={MAX_CONCURRENT_STREAMS: 0}) as (connection, peer), trio.open_nursery() as nursery:
        nursery.start_soon(get, connection)
        await peer.read_for(1)
        assert peer.sections == {}
        await peer.send(peer.settings({MAX_CONCURRENT_STREAMS: 1}))
        await request_of(peer, 1)
        await answer(peer, 1)


async def test_a_limit_lowered_below_what_is_in_flight_neither_hangs_nor_drifts(autojump_clock: Clock) -> None:
    """Streams in flight go on; new ones wait until the count has come down."""
    done: list[int] = []

    async def get(connection) -> None:
        async with connection.open_stream(GET, end_stream=True) as stream:
            await stream.receive_response()
            await stream.read_body()
            done.append(stream.stream_id)

    async with connected(settings={MAX_CONCURRENT_STREAMS: 10}) as (connection, peer):
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(get, connection)
            await request_of(peer, 19)
            await peer.send(peer.settings({MAX_CONCURRENT_STREAMS: 2}))
            await peer.alive()
            for i, stream_id in enumerate(range(1, 41, 2)):
                await request_of(peer, stream_id)
                await peer.read_for(0.1)
                in_flight = len(peer.sections) - i
                assert in_flight <= max(10 - i, 2)
                await answer(peer, stream_id)
        assert sorted(done) == list(range(1, 41, 2))
        assert connection.is_available()


async def test_cancelled_waiters_leave_no_slot_taken(autojump_clock: Clock) -> None:
    async with connected(settings={MAX_CONCURRENT_STREAMS: 1}) as (connection, peer):
        async with connection.open_stream(GET, end_stream=True) as stream:
            with trio.move_on_after(1):
                async with connection.open_stream(GET, end_stream=True):
                    pytest.fail("there is no slot")
            await answer(peer, 1)
            await stream.receive_response()
            await stream.read_body()
        assert connection.is_available()
        for stream_id in (3, 5, 7):
            with trio.move_on_after(1):
                async with connection.open_stream(GET, end_stream=True) as stream:
                    await stream.receive_response()
            await peer.until(lambda stream_id=stream_id: (stream_id, CANCEL) in peer.resets())
        assert connection.is_available()


async def test_a_malformed_response_fails_its_stream_alone(autojump_clock: Clock) -> None:
    async with connected() as (connection, peer):
        async with (
            connection.open_stream(GET, end_stream=True) as bad,
            connection.open_stream(GET, end_stream=True) as good,
        ):
            await peer.send(peer.headers(1, [(b":status", b"200"), (b"Upper", b"x")], end=False))
            with pytest.raises(StreamResetError) as caught:
                await bad.receive_response()
            assert caught.value.error_code == PROTOCOL_ERROR
            await answer(peer, 3)
            await good.receive_response()
            assert await good.read_body() == b"hello"
        await peer.alive()
        assert peer.resets() == [(1, PROTOCOL_ERROR)]


@pytest.mark.parametrize("end", ["close", "abort", "protocol error"])
async def test_a_lost_connection_fails_every_waiting_call_with_an_exception_of_its_own(
    autojump_clock: Clock, end: str
) -> None:
    failures: list[HfaceError] = []

    async def get(connection) -> None:
        with pytest.raises(ConnectionLostError) as caught:
            async with connection.open_stream(GET, end_stream=True) as stream:
                await stream.receive_response()
        failures.append(caught.value)

    async with connected() as (connection, peer):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(get, connection)
            await request_of(peer, 5)
            if end == "close":
                await peer.close()
            elif end == "abort":
                peer.stream.abort()
            else:
                await peer.send(bytes(9))  # DATA on stream 0
        assert len({id(failure) for failure in failures}) == 3
        assert not any(failure.retryable for failure in failures)
        assert connection.has_expired()
        with pytest.raises(ConnectionLostError) as caught:
            async with connection.open_stream(GET, end_stream=True):
                pass
        assert caught.value.retryable  # nothing was sent
        peer.at_end = True


async def test_goaway_finishes_what_is_below_its_id_and_reports_what_is_above(autojump_clock: Clock) -> None:
    outcomes: dict[int, object] = {}

    async def get(connection) -> None:
        async with connection.open_stream(GET, end_stream=True) as stream:
            try:
                await stream.receive_response()
                outcomes[stream.stream_id] = await stream.read_body()
            except HfaceError as exc:
                outcomes[stream.stream_id] = exc

    async with connected() as (connection, peer):
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(get, connection)
            await request_of(peer, 7)
            with connection.subscribe() as events:
                await peer.send(peer.goaway(2**31 - 1))
                assert await events.receive() == GoawayReceived(2**31 - 1, NO_ERROR)
            assert not connection.is_available()
            await peer.send(peer.goaway(3))
            await peer.read_for(1)
            await answer(peer, 1)
            await answer(peer, 3)
        assert outcomes[1] == outcomes[3] == b"hello"
        for stream_id in (5, 7):
            assert isinstance(outcomes[stream_id], RequestNotProcessedError)
        await peer.read_to_end()  # with the last stream the connection has ended
        assert connection.has_expired()


async def test_requests_that_wait_for_a_slot_hear_of_goaway(autojump_clock: Clock) -> None:
    async with connected(settings={MAX_CONCURRENT_STREAMS: 0}) as (connection, peer), trio.open_nursery() as nursery:

        async def get() -> None:
            with pytest.raises(ConnectionLostError) as caught:
                async with connection.open_stream(GET, end_stream=True):
                    pass
            assert caught.value.retryable

        nursery.start_soon(get)
        await trio.sleep(1)
        await peer.send(peer.goaway(0))


# Each state a request can be in: what the caller does, what the server has done when it says GOAWAY.
STATES = ["request open", "request sent", "upload waits", "response begun", "response ended", "reset here"]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("served", [True, False], ids=["below the id", "above the id"])
@pytest.mark.parametrize("code", [NO_ERROR, ENHANCE_YOUR_CALM])
async def test_goaway_in_every_state_of_a_stream(autojump_clock: Clock, state: str, served: bool, code: int) -> None:
    async with connected(settings={INITIAL_WINDOW_SIZE: 10}) as (connection, peer):
        async with connection.open_stream(POST) as stream, trio.open_nursery() as nursery:
            nursery.cancel_scope.deadline = trio.current_time() + 30
            if state == "request sent":
                await stream.send_data(b"", end_stream=True)
            elif state == "upload waits":
                peer.credits_streams = False

                async def upload() -> None:
                    try:
                        await stream.send_data(BIG, end_stream=True)
                    except HfaceError:
                        assert not served

                nursery.start_soon(upload)
            elif state in {"response begun", "response ended"}:
                await peer.send(peer.headers(1, RESPONSE, end=state == "response ended"))
                await stream.receive_response()
            elif state == "reset here":
                stream.reset(CANCEL)
            await peer.alive()
            await peer.send(peer.goaway(1 if served else 0, code))
            await peer.read_for(1)
            if state == "reset here":
                assert peer.resets() == [(1, CANCEL)]
            elif served:
                if state not in {"response begun", "response ended"}:
                    await peer.send(peer.headers(1, RESPONSE, end=False))
                if state != "response ended":
                    await peer.send(peer.data(1, b"hello", end=True))
                if state == "upload waits":
                    await peer.send(peer.window(1, 2_000_000))
                    await peer.until(lambda: peer.ended(1))
                    assert len(peer.body(1)) == len(BIG)
                elif state != "request sent":
                    await stream.send_data(b"", end_stream=True)
                if state not in {"response begun", "response ended"}:
                    await stream.receive_response()
                assert await stream.read_body() == (b"" if state == "response ended" else b"hello")
            else:
                with pytest.raises((RequestNotProcessedError, trio.EndOfChannel)):
                    await stream.receive()
        await peer.read_to_end()
        assert connection.has_expired()
        assert connection.statistics().buffered_octets == 0


async def test_a_drained_client_finishes_and_says_goaway(autojump_clock: Clock) -> None:
    async with connected() as (connection, peer):
        async with connection.open_stream(GET, end_stream=True) as stream:
            connection.drain()
            assert not connection.is_available()
            await peer.until(peer.goaways)
            await answer(peer, 1)
            await stream.receive_response()
            assert await stream.read_body() == b"hello"
        await peer.read_to_end()
        assert peer.goaways() == [(0, NO_ERROR)]
        assert peer.resets() == []


async def test_a_cancelled_connection_resets_and_says_goaway(autojump_clock: Clock) -> None:
    peer = None
    async with trio.open_nursery() as outer:
        async with connected() as (connection, peer), connection.open_stream(GET, end_stream=True):
            await peer.alive()
            await connection.aclose()
            await peer.read_to_end()
            assert [stream_id for stream_id, _ in peer.resets()] == [1]
            assert len(peer.goaways()) == 1
        outer.cancel_scope.cancel()


async def test_a_server_that_never_opens_its_window_does_not_hold_up_others(autojump_clock: Clock) -> None:
    async with connected(settings={INITIAL_WINDOW_SIZE: 0}) as (connection, peer):
        async with connection.open_stream(POST) as stuck, trio.open_nursery() as nursery:

            async def upload() -> None:
                with pytest.raises(StreamResetError):
                    await stuck.send_data(BIG, end_stream=True)

            nursery.start_soon(upload)
            async with connection.open_stream(GET, end_stream=True) as stream:
                await request_of(peer, 3)
                await answer(peer, 3)
                await stream.receive_response()
                assert await stream.read_body() == b"hello"
            await peer.until(peer.resets)
            assert peer.resets() == [(1, CANCEL)]  # write progress
        assert connection.is_available()


async def test_responses_nobody_reads_do_not_hold_up_others(autojump_clock: Clock) -> None:
    async with connected() as (connection, peer):
        stuck = [connection.open_stream(GET, end_stream=True) for _ in range(50)]
        for request in stuck:
            stream = await request.__aenter__()
            await peer.send(peer.headers(stream.stream_id, RESPONSE, end=False))
            await peer.send(*(peer.data(stream.stream_id, b"x" * 16_000) for _ in range(4)))
        async with connection.open_stream(GET, end_stream=True) as stream:
            await peer.send(peer.headers(stream.stream_id, RESPONSE, end=False))
            received = 0
            await stream.receive_response()
            for _ in range(50):
                await peer.send(*(peer.data(stream.stream_id, b"x" * 16_000) for _ in range(2)))
                while received < 32_000:
                    event = await stream.receive()
                    assert isinstance(event, DataReceived)
                    received += len(event.data)
                received -= 32_000
                await peer.alive()
            await peer.send(peer.data(stream.stream_id, end=True))
            assert await stream.read_body() == b""
        assert connection.statistics().buffered_octets == 50 * 64_000
        for request in stuck:
            await request.__aexit__(None, None, None)
        assert connection.statistics().buffered_octets == 0


MISTAKEN = {
    "no path": GET[:3],
    "no method": GET[1:],
    "a line break": [*GET, (b"a", b"b\r\nc: d")],
    "a space in a name": [*GET, (b"a b", b"c")],
    "a status": [*GET, (b":status", b"200")],
    "a pseudo-header behind fields": [(b"a", b"b"), *GET],
}


@pytest.mark.parametrize("headers", MISTAKEN.values(), ids=MISTAKEN)
async def test_misuse_is_refused_with_nothing_sent(autojump_clock: Clock, headers) -> None:
    async with connected() as (connection, peer):
        with pytest.raises(LocalProtocolError):
            async with connection.open_stream(headers, end_stream=True):
                pass
        await peer.alive()
        assert peer.sections == {}
        async with connection.open_stream(GET, end_stream=True) as stream:
            await answer(peer, 1)
            assert (await stream.receive_response()).headers == RESPONSE


@pytest.mark.parametrize("field", [(b"Upper", b"x"), (b"connection", b"close"), (b"transfer-encoding", b"chunked")])
async def test_fields_of_http11_are_put_into_the_form_of_http2(autojump_clock: Clock, field) -> None:
    async with connected() as (connection, peer):
        async with connection.open_stream([*GET, field], end_stream=True):
            section = await request_of(peer, 1)
        assert section[4:] in ([], [(b"upper", b"x")])


async def test_requests_one_after_the_other_share_a_connection(autojump_clock: Clock) -> None:
    connections: set[object] = set()

    async def handler(stream: hface_trio.HTTPStream) -> None:
        connections.add(stream.remote_address)
        await stream.send_response(200, body=stream.path)

    async with (
        serving2(handler) as s,
        hface_trio.open_client(networking=s.network, http_versions=["2"]) as client,
    ):
        for i in range(10):
            assert (await client.get(f"{URL}/{i}")).body == b"/%d" % i
    assert len(connections) == 1


async def test_requests_at_once_share_a_connection(autojump_clock: Clock) -> None:
    connections: set[object] = set()

    async def handler(stream: hface_trio.HTTPStream) -> None:
        connections.add(stream.remote_address)
        await trio.sleep(1)
        await stream.send_response(200, body=stream.path)

    async with (
        serving2(handler) as s,
        hface_trio.open_client(networking=s.network, http_versions=["2"]) as client,
    ):

        async def get(i: int) -> None:
            assert (await client.get(f"{URL}/{i}")).body == b"/%d" % i

        await get(0)
        async with trio.open_nursery() as nursery:
            for i in range(150):
                nursery.start_soon(get, i)
    assert len(connections) <= 2  # as many as it takes for a hundred at a time


@pytest.mark.parametrize("state", ["response waits", "upload waits", "body unread"])
async def test_a_client_that_is_left_open_in_any_state_ends_with_its_block(autojump_clock: Clock, state: str) -> None:
    async def handler(stream: hface_trio.HTTPStream) -> None:
        if state == "body unread":
            await stream.send_response(200, body=BIG)
        await trio.sleep_forever()

    async with serving2(handler) as s:
        with trio.move_on_after(5):
            async with hface_trio.open_client(networking=s.network, http_versions=["2"]) as client:
                content = BIG if state == "upload waits" else b""
                async with client.stream("POST", URL, content=content) as response:
                    assert response.status == 200
                    await trio.sleep_forever()
        await trio.sleep(3)
        s.assert_nothing_left()
        assert s.server.statistics().connections == 0
