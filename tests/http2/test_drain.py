"""The end of a server under load: nothing that was accepted is lost, and what was not is known to be repeatable."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import ConnectionLostError, HfaceError, HTTPStream, RequestNotProcessedError

from .harness import URL, Outcomes, hello, serving2, started
from .raw import GET, NO_ERROR, RawPeer

Clock = trio.testing.MockClock
LAST = 2**31 - 1
BODY = b"x" * 100_000


async def slow(stream: HTTPStream) -> None:
    await trio.sleep(1)
    await stream.send_headers([(b":status", b"200"), (b"content-length", b"%d" % len(BODY))])
    for start in range(0, len(BODY), 10_000):
        await stream.send_data(BODY[start : start + 10_000])
        await trio.sleep(0.2)
    await stream.send_data(b"", end_stream=True)


async def test_drain_under_load(autojump_clock: Clock) -> None:
    complete: list[int] = []
    repeatable: list[HfaceError] = []
    failures: list[BaseException] = []

    async def get(connection: hface_trio.HTTPConnection) -> None:
        try:
            async with connection.open_stream(GET, end_stream=True) as stream:
                await stream.receive_response()
                body = await stream.read_body()
                assert body == BODY
                complete.append(stream.stream_id)
        except (RequestNotProcessedError, ConnectionLostError) as exc:
            (repeatable if exc.retryable else failures).append(exc)
        except (HfaceError, AssertionError) as exc:
            failures.append(exc)

    async with serving2(slow) as s, trio.open_nursery() as nursery:
        connection = await hface_trio.connect(nursery, URL, http_versions=["2"], networking=s.network)
        async with trio.open_nursery() as requests:
            for _ in range(50):
                requests.start_soon(get, connection)
            await trio.sleep(1.5)

            async def more() -> None:
                for _ in range(200):
                    requests.start_soon(get, connection)
                    await trio.sleep(0.01)

            requests.start_soon(more)
            await trio.sleep(0.05)
            await s.server.shutdown(10)
        assert failures == []
        assert set(range(1, 101, 2)) <= set(complete)
        assert len(complete) + len(repeatable) == 250
        assert repeatable
        await connection.aclose()


async def test_the_wire_of_a_drain(autojump_clock: Clock) -> None:
    """GOAWAY that excludes nothing, PING; with its acknowledgement the last id; what is above is ignored, what is below ends."""
    async with serving2(slow) as s, trio.open_nursery() as nursery:
        peer = await s.peer()
        first = await peer.request()
        await peer.read_for(30)
        assert await peer.response(first) == (200, BODY)
        second = await peer.request()
        await peer.alive()
        peer.acknowledges_pings = False
        nursery.start_soon(s.server.shutdown, 20)
        began = trio.current_time()
        await peer.until(peer.goaways)
        assert peer.goaways() == [(LAST, NO_ERROR)]
        crossing = await peer.request()  # the client has not heard yet
        await peer.read_for(0.5)
        assert len(peer.goaways()) == 1
        await peer.until(lambda: len(peer.goaways()) == 2)
        assert trio.current_time() == pytest.approx(began + 1, abs=0.01)
        assert peer.goaways()[1] == (crossing, NO_ERROR)
        late = await peer.request()
        assert await peer.response(second) == (200, BODY)
        assert await peer.response(crossing) == (200, BODY)
        await peer.read_to_end()
        assert late not in peer.sections
        assert peer.resets() == []
        await peer.close()


async def test_handlers_hear_of_the_drain_at_once_and_are_cancelled_at_the_deadline(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        await stream.draining.wait()
        outcomes.note("draining")
        try:
            await trio.sleep_forever()
        finally:
            outcomes.note("cancelled")

    async with serving2(handler) as s, trio.open_nursery() as nursery:
        peer = await s.peer()
        await peer.request()
        await started(outcomes)
        await peer.read_for(5)
        nursery.start_soon(s.server.shutdown, 10)
        assert await outcomes.next_with_time() == ("draining", 5)
        await peer.read_for(1)
        assert await outcomes.next_with_time() == ("cancelled", 15)
        await peer.read_to_end()
        assert [stream_id for stream_id, _ in peer.resets()] == [1]
        await peer.close()


async def test_an_idle_connection_ends_after_a_round_trip(autojump_clock: Clock) -> None:
    async with serving2(hello) as s, trio.open_nursery() as nursery:
        peer = await s.peer()
        await peer.response(await peer.request())
        await peer.read_for(20)
        nursery.start_soon(s.server.shutdown, 10)
        await peer.read_to_end()
        assert peer.goaways() == [(LAST, NO_ERROR), (1, NO_ERROR)]
        assert trio.current_time() < 21
        await peer.close()


async def test_a_request_that_crosses_the_goaway_of_an_idle_connection_is_served(autojump_clock: Clock) -> None:
    async with serving2(hello) as s, trio.open_nursery() as nursery:
        peer = await s.peer()
        peer.acknowledges_pings = False
        await peer.response(await peer.request())
        await peer.read_for(20)
        nursery.start_soon(s.server.shutdown, 10)
        await peer.until(peer.goaways)
        await peer.read_for(0.3)
        assert await peer.response(await peer.request()) == (200, b"hello")
        await peer.read_to_end()
        assert peer.goaways() == [(LAST, NO_ERROR), (3, NO_ERROR)]
        await peer.close()


async def test_a_connection_made_just_before_the_shutdown_gets_its_first_answer(autojump_clock: Clock) -> None:
    async with serving2(hello) as s, trio.open_nursery() as nursery:
        peer: RawPeer = await s.peer()
        nursery.start_soon(s.server.shutdown, 10)
        await peer.read_for(0.5)
        assert await peer.response(await peer.request()) == (200, b"hello")
        await peer.read_to_end()
        assert [code for _, code in peer.goaways()] == [NO_ERROR, NO_ERROR]
        await peer.close()


async def test_a_client_that_never_closes_its_side_is_left_after_the_linger(autojump_clock: Clock) -> None:
    async with serving2(hello) as s:
        peer = await s.peer()
        await peer.response(await peer.request())
        await trio.sleep(5)
        await s.server.shutdown(10)
        assert trio.current_time() < 9
        await peer.read_to_end()
        await peer.close()
