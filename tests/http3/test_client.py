"""What callers of the client and a raw server see of each other over HTTP/3."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import (
    ConnectError,
    ConnectionLostError,
    HfaceError,
    LocalProtocolError,
    RequestNotProcessedError,
    SendingStoppedError,
    StreamResetError,
    Timeouts,
    TLSHandshakeError,
)
from hface_trio.events import DataReceived, GoawayReceived, HeadersReceived, InformationalReceived, TrailersReceived
from hface_trio.protocols.http3 import HTTP3Settings
from hface_trio.protocols.quic import QUICSettings
from hface_trio.testing import MemoryNetworking

from ..protocols.quic.network import client_tls
from .harness import ADDRESS, LATENCY, URL, Outcomes, connected, hello, serving3
from .raw import GET, LAST, POST, RESPONSE, Code, RawPeer, Window, data, headers, pack_frame

Clock = trio.testing.MockClock
BIG = b"x" * 1_000_000
SMALL = Window(stream=100)
IDLE = HTTP3Settings(quic=QUICSettings(idle_timeout_seconds=10))


async def answer(peer: RawPeer, stream_id: int, body: bytes = b"hello") -> None:
    await request_of(peer, stream_id)
    await peer.send(stream_id, headers(RESPONSE), data(body), end=True)


async def request_of(peer: RawPeer, stream_id: int) -> list[tuple[bytes, bytes]]:
    await peer.until(lambda: peer.sections(stream_id))
    return peer.sections(stream_id)[0]


async def test_an_exchange_with_everything(autojump_clock: Clock) -> None:
    async def script(peer: RawPeer) -> None:
        assert await request_of(peer, 0) == POST
        await peer.until(lambda: peer.ended(0))
        assert peer.body(0) == b"upload"
        assert peer.sections(0)[1] == [(b"x-up", b"1")]
        await peer.send(
            0,
            headers([(b":status", b"103"), (b"link", b"</a>")]),
            headers(RESPONSE),
            data(b"download"),
            headers([(b"x-down", b"2")]),
            end=True,
        )

    async with connected(script) as (connection, _), connection.open_stream(POST) as stream:
        assert connection.http_version == "3"
        await stream.send_data(b"upload")
        await stream.send_trailers([(b"x-up", b"1")])
        assert [event async for event in stream] == [
            InformationalReceived(0, [(b":status", b"103"), (b"link", b"</a>")]),
            HeadersReceived(0, RESPONSE, False),
            DataReceived(0, b"download", False),
            TrailersReceived(0, [(b"x-down", b"2")]),
        ]
        assert stream.trailers == [(b"x-down", b"2")]


async def test_a_cancelled_request_is_stopped_and_the_connection_kept(autojump_clock: Clock) -> None:
    async with connected() as (connection, peer):
        with trio.move_on_after(1) as scope:
            async with connection.open_stream(GET, end_stream=True) as stream:
                await stream.receive_response()
        assert scope.cancelled_caught
        await peer.until(peer.stops)
        assert peer.stops() == [(0, Code.REQUEST_CANCELLED)]
        assert peer.resets() == []  # the request was complete
        await peer.alive()
        assert connection.is_available()
        async with connection.open_stream(GET, end_stream=True) as stream:
            await answer(peer, 4)
            assert await stream.receive_response()
            assert await stream.read_body() == b"hello"
        assert len(peer.stops()) == 1


async def test_what_was_on_its_way_on_a_cancelled_stream_is_dropped(autojump_clock: Clock) -> None:
    async with connected() as (connection, peer):
        async with connection.open_stream(GET, end_stream=True) as stream:
            await request_of(peer, 0)
            await peer.send(0, headers(RESPONSE), data(b"x" * 40_000))
            await stream.receive_response()
        await peer.until(peer.stops)
        await peer.alive()
        assert connection.statistics().buffered_octets == 0
        assert connection.is_available()


@pytest.mark.parametrize("left_at", ["head", "body", "upload"])
async def test_leaving_the_block_early_cancels_what_is_open_of_the_request(autojump_clock: Clock, left_at: str) -> None:
    async with connected(window=SMALL) as (connection, peer):
        async with connection.open_stream(POST) as stream:
            if left_at == "upload":
                with trio.move_on_after(1):
                    await stream.send_data(BIG)
            else:
                await stream.send_data(b"", end_stream=True)
                await request_of(peer, 0)
                await peer.send(0, headers(RESPONSE))
                await stream.receive_response()
            if left_at == "body":
                await peer.send(0, data(b"part"))
                await stream.receive()
        await peer.until(peer.stops)
        await peer.alive()
        assert peer.stops() == [(0, Code.REQUEST_CANCELLED)]
        assert peer.resets() == ([(0, Code.REQUEST_CANCELLED)] if left_at == "upload" else [])


async def test_the_bodys_own_exception_leaves_the_block_as_itself(autojump_clock: Clock) -> None:
    async with connected() as (connection, peer):
        with pytest.raises(ZeroDivisionError):
            async with connection.open_stream(GET, end_stream=True):
                raise ZeroDivisionError
        await peer.until(peer.stops)


async def test_a_reset_raises_in_the_waiting_call_behind_what_arrived(autojump_clock: Clock) -> None:
    async with connected() as (connection, peer):
        async with connection.open_stream(GET, end_stream=True) as stream:
            await request_of(peer, 0)
            await peer.send(0, headers(RESPONSE), data(b"part"))
            await peer.reset(0, 4711)
            await trio.sleep(1)
            await stream.receive_response()
            assert await stream.receive() == DataReceived(0, b"part", False)
            for _ in range(2):
                with pytest.raises(StreamResetError) as caught:
                    await stream.receive()
                assert caught.value.error_code == 4711
                assert not caught.value.retryable
        await peer.alive()


async def test_a_rejected_request_may_be_sent_again(autojump_clock: Clock) -> None:
    async with connected() as (connection, peer):
        async with connection.open_stream(POST) as stream:
            await request_of(peer, 0)
            await peer.stop(0, Code.REQUEST_REJECTED)
            await peer.reset(0, Code.REQUEST_REJECTED)
            with pytest.raises(RequestNotProcessedError) as caught:
                await stream.receive_response()
            assert caught.value.retryable
            with pytest.raises(RequestNotProcessedError):
                await stream.send_data(b"x")
        assert connection.is_available()


async def test_a_server_that_has_heard_enough_stops_the_upload_and_is_heard(autojump_clock: Clock) -> None:
    async with connected(window=SMALL) as (connection, peer):
        async with connection.open_stream(POST) as stream, trio.open_nursery() as nursery:

            async def upload() -> None:
                with pytest.raises(SendingStoppedError):
                    await stream.send_data(BIG)
                with pytest.raises(SendingStoppedError):
                    await stream.send_data(b"x")

            nursery.start_soon(upload)
            await peer.until(lambda: peer.body_octets(0))
            await peer.stop(0, Code.NO_ERROR)
            await answer(peer, 0)
            await stream.receive_response()
            assert await stream.read_body() == b"hello"
        await peer.alive()
        assert peer.resets() == [(0, Code.NO_ERROR)]
        assert peer.stops() == []


async def test_the_client_obeys_the_limit_on_streams(autojump_clock: Clock) -> None:
    async def get(connection) -> None:
        async with connection.open_stream(GET, end_stream=True) as stream:
            await stream.receive_response()
            await stream.read_body()

    async with (
        connected(raw={"streams": 2}) as (connection, peer),
        trio.open_nursery() as nursery,
    ):
        for _ in range(5):
            nursery.start_soon(get, connection)
        await request_of(peer, 4)
        await peer.read_for(1)
        assert peer.requests() == [0, 4]
        assert not connection.is_available()
        for stream_id in (0, 4, 8, 12, 16):
            await answer(peer, stream_id)


async def test_cancelled_waiters_leave_no_slot_taken(autojump_clock: Clock) -> None:
    async with connected(raw={"streams": 1}) as (connection, peer):
        async with connection.open_stream(GET, end_stream=True) as stream:
            with trio.move_on_after(1):
                async with connection.open_stream(GET, end_stream=True):
                    pytest.fail("there is no slot")
            await answer(peer, 0)
            await stream.receive_response()
            await stream.read_body()
        for stream_id in (4, 8, 12):
            with trio.move_on_after(1):
                async with connection.open_stream(GET, end_stream=True) as stream:
                    await stream.receive_response()
            await peer.until(lambda stream_id=stream_id: (stream_id, Code.REQUEST_CANCELLED) in peer.stops())
            await peer.reset(stream_id, Code.REQUEST_CANCELLED)
        await peer.read_for(1)
        assert connection.is_available()


async def test_a_malformed_response_fails_its_stream_alone(autojump_clock: Clock) -> None:
    async with connected() as (connection, peer):
        async with (
            connection.open_stream(GET, end_stream=True) as bad,
            connection.open_stream(GET, end_stream=True) as good,
        ):
            await request_of(peer, 4)
            await peer.send(0, headers([(b":status", b"200"), (b"Upper", b"x")]))
            with pytest.raises(StreamResetError) as caught:
                await bad.receive_response()
            assert caught.value.error_code == Code.MESSAGE_ERROR
            await answer(peer, 4)
            await good.receive_response()
            assert await good.read_body() == b"hello"
        await peer.alive()
        assert peer.stops() == [(0, Code.MESSAGE_ERROR)]


ENDS = {
    "close": lambda peer: peer.close(),
    "close with a code": lambda peer: peer.close(Code.INTERNAL_ERROR),
    "vanish": lambda peer: peer.vanish(),
    "a breach": lambda peer: peer.send(peer.control, pack_frame(4, b"")),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_a_lost_connection_fails_every_waiting_call_with_an_exception_of_its_own(
    autojump_clock: Clock, end
) -> None:
    failures: list[HfaceError] = []

    async def get(connection) -> None:
        with pytest.raises(ConnectionLostError) as caught:
            async with connection.open_stream(GET, end_stream=True) as stream:
                await stream.receive_response()
        failures.append(caught.value)

    async with connected(http3_settings=IDLE) as (connection, peer):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(get, connection)
            await request_of(peer, 8)
            await end(peer)
        assert len({id(failure) for failure in failures}) == 3
        assert not any(failure.retryable for failure in failures)
        assert connection.has_expired()
        with pytest.raises(ConnectionLostError) as caught:
            async with connection.open_stream(GET, end_stream=True):
                pass
        assert caught.value.retryable  # nothing was sent
        assert trio.current_time() < 25


async def test_an_idle_connection_is_lost_in_silence_and_says_so_to_the_next_request(autojump_clock: Clock) -> None:
    async with connected(http3_settings=IDLE) as (connection, _):
        await trio.sleep(20)
        assert connection.has_expired()
        with pytest.raises(ConnectionLostError) as caught:
            async with connection.open_stream(GET, end_stream=True):
                pass
        assert caught.value.retryable


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
            await request_of(peer, 12)
            with connection.subscribe() as events:
                await peer.goaway(LAST)
                event = await events.receive()
                assert isinstance(event, GoawayReceived)
                assert event.last_stream_id >= LAST - 4
            assert not connection.is_available()
            await peer.goaway(8)
            await peer.read_for(1)
            await answer(peer, 0)
            await answer(peer, 4)
        assert outcomes[0] == outcomes[4] == b"hello"
        for stream_id in (8, 12):
            assert isinstance(outcomes[stream_id], RequestNotProcessedError)
        await peer.read_to_end()  # with the last stream the connection has ended
        assert peer.closed_with == Code.NO_ERROR
        assert connection.has_expired()


async def test_requests_that_wait_for_a_slot_hear_of_goaway(autojump_clock: Clock) -> None:
    async with connected(raw={"streams": 0}) as (connection, peer), trio.open_nursery() as nursery:

        async def get() -> None:
            with pytest.raises(ConnectionLostError) as caught:
                async with connection.open_stream(GET, end_stream=True):
                    pass
            assert caught.value.retryable

        nursery.start_soon(get)
        await trio.sleep(1)
        await peer.goaway(0)


# Each state a request can be in: what the caller does, what the server has done when it says GOAWAY.
STATES = ["request open", "request sent", "upload waits", "response begun", "response ended", "reset here"]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("served", [True, False], ids=["below the id", "above the id"])
async def test_goaway_in_every_state_of_a_stream(autojump_clock: Clock, state: str, served: bool) -> None:
    async with connected(window=SMALL) as (connection, peer):
        async with connection.open_stream(POST) as stream, trio.open_nursery() as nursery:
            nursery.cancel_scope.deadline = trio.current_time() + 30
            await request_of(peer, 0)
            if state == "request sent":
                await stream.send_data(b"", end_stream=True)
            elif state == "upload waits":

                async def upload() -> None:
                    try:
                        await stream.send_data(BIG, end_stream=True)
                    except HfaceError:
                        assert not served

                nursery.start_soon(upload)
            elif state in {"response begun", "response ended"}:
                await peer.send(0, headers(RESPONSE), end=state == "response ended")
                await stream.receive_response()
            elif state == "reset here":
                stream.reset(Code.REQUEST_CANCELLED)
            await peer.alive()
            await peer.goaway(4 if served else 0)
            await peer.read_for(1)
            if state == "reset here":
                assert peer.resets() == peer.stops() == [(0, Code.REQUEST_CANCELLED)]
            elif served:
                if state not in {"response begun", "response ended"}:
                    await peer.send(0, headers(RESPONSE))
                if state != "response ended":
                    await peer.send(0, data(b"hello"), end=True)
                if state == "upload waits":
                    await peer.credit(0, 2_000_000)
                    await peer.until(lambda: peer.ended(0))
                    assert peer.body_octets(0) == len(BIG)
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


async def test_a_drained_client_finishes_and_closes_in_order(autojump_clock: Clock) -> None:
    async with connected() as (connection, peer):
        async with connection.open_stream(GET, end_stream=True) as stream:
            await request_of(peer, 0)
            connection.drain()
            assert not connection.is_available()
            await peer.until(peer.goaways)
            await answer(peer, 0)
            await stream.receive_response()
            assert await stream.read_body() == b"hello"
        await peer.read_to_end()
        assert peer.goaways() == [0]
        assert peer.closed_with == Code.NO_ERROR
        assert peer.resets() == peer.stops() == []


@pytest.mark.parametrize("how", ["aclose", "cancel"])
async def test_a_connection_that_is_given_up_says_connection_close(autojump_clock: Clock, how: str) -> None:
    network = MemoryNetworking(to_servers=LATENCY, to_clients=LATENCY)
    (socket,) = await network.listen_udp(ADDRESS)
    peer = RawPeer(socket)
    async with trio.open_nursery() as peers:
        peers.start_soon(peer.run)
        async with trio.open_nursery() as nursery:
            peers.start_soon(peer.start)
            connection = await hface_trio.connect(
                nursery, URL, http_versions=["3"], tls_config=client_tls(), networking=network
            )
            async with connection.open_stream(GET, end_stream=True):
                await request_of(peer, 0)
                if how == "aclose":
                    await connection.aclose()
                else:
                    nursery.cancel_scope.cancel()
                    await trio.sleep_forever()
        await peer.read_to_end()
        assert peer.closed_with in {Code.NO_ERROR, Code.REQUEST_CANCELLED}
        assert trio.current_time() < 1


async def test_a_server_that_never_opens_its_window_does_not_hold_up_others(autojump_clock: Clock) -> None:
    async with connected(window=SMALL) as (connection, peer):
        async with connection.open_stream(POST) as stuck, trio.open_nursery() as nursery:

            async def upload() -> None:
                with pytest.raises(StreamResetError):
                    await stuck.send_data(BIG, end_stream=True)

            nursery.start_soon(upload)
            async with connection.open_stream(GET, end_stream=True) as stream:
                await request_of(peer, 4)
                await answer(peer, 4)
                await stream.receive_response()
                assert await stream.read_body() == b"hello"
            await peer.until(peer.resets)
            assert peer.resets() == [(0, Code.REQUEST_CANCELLED)]  # write progress
        assert connection.is_available()


async def test_responses_nobody_reads_do_not_hold_up_others(autojump_clock: Clock) -> None:
    async with connected() as (connection, peer):
        stuck = [connection.open_stream(GET, end_stream=True) for _ in range(50)]
        for request in stuck:
            stream = await request.__aenter__()
            await request_of(peer, stream.stream_id)
            await peer.send(stream.stream_id, headers(RESPONSE), data(b"x" * 200_000))
        await peer.read_for(5)
        held = connection.statistics().buffered_octets
        assert 50 * 60_000 < held <= 50 * 65_536
        async with connection.open_stream(GET, end_stream=True) as stream:
            await answer(peer, stream.stream_id, BIG)
            await stream.receive_response()
            assert await stream.read_body() == BIG
        assert connection.statistics().buffered_octets == held
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
    "extended CONNECT without the server's setting": [(b":method", b"CONNECT"), (b":protocol", b"x"), *GET[1:]],
}


@pytest.mark.parametrize("fields", MISTAKEN.values(), ids=MISTAKEN)
async def test_misuse_is_refused_with_nothing_sent(autojump_clock: Clock, fields) -> None:
    async with connected() as (connection, peer):
        with pytest.raises(LocalProtocolError):
            async with connection.open_stream(fields, end_stream=True):
                pass
        await peer.alive()
        assert peer.requests() == []
        async with connection.open_stream(GET, end_stream=True) as stream:
            await answer(peer, 0)
            assert (await stream.receive_response()).headers == RESPONSE


async def test_a_section_longer_than_the_server_takes_is_refused_with_nothing_sent(autojump_clock: Clock) -> None:
    async with connected(settings={0x6: 1000}) as (connection, peer):
        with pytest.raises(LocalProtocolError):
            async with connection.open_stream([*GET, (b"x", b"y" * 1000)], end_stream=True):
                pass
        await peer.alive()
        assert peer.requests() == []


# Connecting


async def test_nobody_there(autojump_clock: Clock) -> None:
    async with trio.open_nursery() as nursery:
        with pytest.raises(ConnectError):
            await hface_trio.connect(
                nursery, URL, http_versions=["3"], tls_config=client_tls(), networking=MemoryNetworking()
            )
        assert trio.current_time() == pytest.approx(10)


async def test_a_certificate_that_is_not_trusted(autojump_clock: Clock) -> None:
    async with serving3(hello) as s, trio.open_nursery() as nursery:
        with pytest.raises(TLSHandshakeError):
            await s.connect(nursery, tls_config=None)
        await trio.sleep(5)
        assert s.server.statistics().connections == 0


async def test_a_cancelled_connect_leaves_nothing(autojump_clock: Clock) -> None:
    network = MemoryNetworking()
    with trio.move_on_after(1) as scope:
        async with trio.open_nursery() as nursery:
            await hface_trio.connect(nursery, URL, http_versions=["3"], tls_config=client_tls(), networking=network)
    assert scope.cancelled_caught
    assert network._links.sockets == {}


async def test_http3_is_asked_for_first_and_tcp_taken_where_there_is_none(autojump_clock: Clock) -> None:
    async with serving3(hello, http_versions=["2", "1.1"]) as s, trio.open_nursery() as nursery:
        connection = await s.connect(nursery, http_versions=["3", "2"], timeouts=Timeouts(handshake_seconds=3))
        async with connection:
            assert connection.http_version == "2"


async def test_requests_share_a_connection(autojump_clock: Clock) -> None:
    connections: set[object] = set()

    async def handler(stream: hface_trio.HTTPStream) -> None:
        connections.add(stream.remote_address)
        await trio.sleep(1)
        await stream.send_response(200, body=stream.path)

    async with serving3(handler) as s, s.client() as client:

        async def get(i: int) -> None:
            response = await client.get(f"{URL}/{i}")
            assert response.body == b"/%d" % i
            assert response.http_version == "3"

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

    async with serving3(handler) as s:
        with trio.move_on_after(5):
            async with s.client() as client:
                content = BIG if state == "upload waits" else b""
                async with client.stream("POST", URL, content=content) as response:
                    assert response.status == 200
                    await trio.sleep_forever()
        await trio.sleep(3)
        s.assert_nothing_left()
        assert s.server.statistics().connections == 0


async def test_the_exchange_with_our_own_server_uses_both_sides_of_each_row(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: hface_trio.HTTPStream) -> None:
        with outcomes.watching(stream):
            await stream.send_headers([(b":status", b"200")])
            await trio.sleep_forever()

    async with serving3(handler) as s, trio.open_nursery() as nursery:
        async with await s.connect(nursery) as connection:
            async with connection.open_stream(GET, end_stream=True) as stream:
                await stream.receive_response()
            assert await outcomes.next() == ("cancelled", StreamResetError)
            async with connection.open_stream(POST) as stream:
                await stream.receive_response()
            assert await outcomes.next() == ("cancelled", StreamResetError)
            assert connection.is_available()


async def test_the_reason_of_a_lost_connection_reaches_its_streams(autojump_clock: Clock) -> None:
    async with connected(http3_settings=IDLE) as (connection, peer):
        async with connection.open_stream(GET, end_stream=True) as stream:
            await request_of(peer, 0)
            await peer.vanish()
            with pytest.raises(ConnectionLostError, match="silent") as caught:
                await stream.receive_response()
            assert isinstance(caught.value.__cause__, ConnectionLostError)
    async with connected() as (connection, peer):
        async with connection.open_stream(GET, end_stream=True) as stream:
            await request_of(peer, 0)
            peer.quic.close(Code.INTERNAL_ERROR, reason_phrase="out of order")
            peer.flush()
            with pytest.raises(ConnectionLostError, match="out of order") as caught:
                await stream.receive_response()
            assert caught.value.error_code == Code.INTERNAL_ERROR
