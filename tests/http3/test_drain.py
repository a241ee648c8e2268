"""The end of a server under load: nothing that was accepted is lost, and what was not is known to be repeatable."""

from __future__ import annotations

import functools

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import ConnectionLostError, HfaceError, HTTPStream, RequestNotProcessedError

from ..protocols.quic.network import server_tls
from .harness import URL, Outcomes, hello, serving3, started
from .raw import GET, LAST, Code

Clock = trio.testing.MockClock
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

    async with serving3(slow) as s, trio.open_nursery() as nursery:
        connection = await s.connect(nursery)
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
        assert set(range(0, 200, 4)) <= set(complete)
        assert len(complete) + len(repeatable) == 250
        assert repeatable
        await connection.aclose()


async def test_a_rolling_restart_fails_no_request(autojump_clock: Clock) -> None:
    """Clients repeat what is known to be repeatable; one server after the other takes the address."""
    done: list[int] = []

    async with serving3(slow) as s, s.client() as client, trio.open_nursery() as requests:
        server = s.server

        async def get(number: int) -> None:
            while True:
                try:
                    response = await client.get(URL)
                except HfaceError as exc:
                    if not exc.retryable:
                        raise
                    await trio.sleep(0.1)
                else:
                    assert response.body == BODY
                    done.append(number)
                    return

        async def load() -> None:
            for number in range(120):
                requests.start_soon(get, number)
                await trio.sleep(0.1)

        requests.start_soon(load)
        for _ in range(3):
            await trio.sleep(2.5)
            await server.shutdown(10)
            serve = functools.partial(hface_trio.serve, networking=s.network, tls_config=server_tls())
            server = await s.nursery.start(serve, slow, URL)
        while len(done) < 120:
            await trio.sleep(1)
        assert sorted(done) == list(range(120))
        await server.shutdown(10)


async def test_the_wire_of_a_drain(autojump_clock: Clock) -> None:
    """GOAWAY that excludes nothing, PING; a second later the last id; what is above is rejected, what is below ends."""
    async with serving3(slow) as s, trio.open_nursery() as nursery:
        peer = await s.peer()
        first = await peer.request()
        await peer.read_for(10)
        assert await peer.response(first) == (200, BODY)
        second = await peer.request()
        await peer.alive()
        nursery.start_soon(s.server.shutdown, 20)
        began = trio.current_time()
        await peer.until(peer.goaways)
        assert peer.goaways() == [LAST]
        crossing = await peer.request()  # the client has not heard yet
        await peer.until(lambda: len(peer.goaways()) == 2)
        assert trio.current_time() <= began + 1
        assert peer.goaways()[1] == crossing + 4
        late = await peer.request()
        await peer.until(lambda: dict(peer.resets()).get(late) == Code.REQUEST_REJECTED)
        assert await peer.response(second) == (200, BODY)
        assert await peer.response(crossing) == (200, BODY)
        await peer.read_to_end()
        assert peer.closed_with == Code.NO_ERROR
        assert [stream_id for stream_id, _ in peer.resets()] == [late]
        await peer.close()


async def test_a_ping_that_is_not_acknowledged_is_waited_for_a_second(autojump_clock: Clock) -> None:
    async with serving3(hello) as s, trio.open_nursery() as nursery:
        peer = await s.peer()
        await peer.response(await peer.request())
        await peer.read_for(5)
        peer.silent = True
        nursery.start_soon(s.server.shutdown, 10)
        began = trio.current_time()
        await peer.until(lambda: len(peer.goaways()) == 2)
        assert began + 1 <= trio.current_time() <= began + 1.5
        peer.silent = False
        await peer.read_to_end()
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

    async with serving3(handler) as s, trio.open_nursery() as nursery:
        peer = await s.peer()
        await peer.request()
        await started(outcomes)
        await peer.read_for(5)
        began = trio.current_time()
        nursery.start_soon(s.server.shutdown, 10)
        assert await outcomes.next_with_time() == ("draining", began)
        outcome, at = await outcomes.next_with_time()
        assert outcome == "cancelled"
        assert at == pytest.approx(began + 10)
        await peer.read_to_end()
        assert trio.current_time() < began + 11
        await peer.close()


async def test_an_idle_connection_ends_after_a_round_trip(autojump_clock: Clock) -> None:
    async with serving3(hello) as s, trio.open_nursery() as nursery:
        peer = await s.peer()
        await peer.response(await peer.request())
        await peer.read_for(20)
        began = trio.current_time()
        nursery.start_soon(s.server.shutdown, 10)
        await peer.read_to_end()
        assert peer.goaways() == [LAST, 4]
        assert peer.closed_with == Code.NO_ERROR
        assert trio.current_time() < began + 1
        await peer.close()


async def test_a_connection_made_just_before_the_shutdown_gets_its_first_answer(autojump_clock: Clock) -> None:
    async with serving3(hello) as s, trio.open_nursery() as nursery:
        peer = await s.peer()
        await peer.alive()
        nursery.start_soon(s.server.shutdown, 10)
        await peer.read_for(0.5)
        assert await peer.response(await peer.request()) == (200, b"hello")
        await peer.read_to_end()
        assert peer.closed_with == Code.NO_ERROR
        await peer.close()


async def test_a_handshake_that_crosses_the_shutdown_is_finished_and_served(autojump_clock: Clock) -> None:
    async with serving3(hello) as s, trio.open_nursery() as nursery:
        peer = await s.raw()
        await peer.read_for(0.008)  # the Initial is there
        assert s.server.statistics().connections == 1
        nursery.start_soon(s.server.shutdown, 10)
        await peer.start()
        assert await peer.response(await peer.request()) == (200, b"hello")
        await peer.read_to_end()
        assert peer.closed_with == Code.NO_ERROR
        await peer.close()


async def test_a_server_that_drains_takes_no_new_connections(autojump_clock: Clock) -> None:
    async with serving3(slow) as s, trio.open_nursery() as nursery:
        peer = await s.peer()
        stream_id = await peer.request()
        await peer.alive()
        nursery.start_soon(s.server.shutdown, 10)
        late = await s.raw()
        await late.read_to_end()
        assert late.closed_with == 0x2  # CONNECTION_REFUSED
        assert await peer.response(stream_id) == (200, BODY)
        await peer.close()


async def test_a_client_that_vanishes_does_not_hold_up_the_shutdown_beyond_its_grace(autojump_clock: Clock) -> None:
    async with serving3(slow) as s:
        peer = await s.peer()
        await peer.request()
        await peer.alive()
        await peer.vanish()
        began = trio.current_time()
        await s.server.shutdown(8)
        assert trio.current_time() <= began + 9.5
        s.assert_nothing_left()


async def test_a_shutdown_with_nobody_there_is_at_once(autojump_clock: Clock) -> None:
    async with serving3(hello) as s:
        await trio.sleep(5)
        began = trio.current_time()
        await s.server.shutdown(10)
        assert trio.current_time() == began
