"""The end of a server under load: nothing that was accepted is lost, and what was not is known to be repeatable."""

from __future__ import annotations

import functools

import pytest
import trio
import trio.testing

import hface_trio
from hface_trio import ConnectionLostError, HfaceError, HTTPStream, RequestNotProcessedError

from ..protocols.quic.network import server_tls
from .peer import ALL
from .served import SLOW_BODY, Outcomes, hello, slow, started
from .version import Version

Clock = trio.testing.MockClock


async def test_drain_under_load(version: Version, autojump_clock: Clock) -> None:
    complete: list[int] = []
    repeatable: list[HfaceError] = []
    failures: list[BaseException] = []

    async def get(connection: hface_trio.HTTPConnection) -> None:
        try:
            async with connection.open_stream(version.GET, end_stream=True) as stream:
                await stream.receive_response()
                body = await stream.read_body()
                assert body == SLOW_BODY
                complete.append(stream.stream_id)
        except (RequestNotProcessedError, ConnectionLostError) as exc:
            (repeatable if exc.retryable else failures).append(exc)
        except (HfaceError, AssertionError) as exc:
            failures.append(exc)

    async with version.serving(slow) as s, trio.open_nursery() as nursery:
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
        assert set(map(version.id_of, range(50))) <= set(complete)
        assert len(complete) + len(repeatable) == 250
        assert repeatable
        await connection.aclose()


async def test_a_rolling_restart_fails_no_request(version: Version, autojump_clock: Clock) -> None:
    """Clients repeat what is known to be repeatable; one server after the other takes the address."""
    done: list[int] = []

    async with (
        version.serving(slow) as s,
        s.client() as client,
        trio.open_nursery() as servers,
        trio.open_nursery() as requests,
    ):
        server = s.server

        async def get(number: int) -> None:
            while True:
                try:
                    response = await client.get(s.url)
                except HfaceError as exc:
                    if not exc.retryable:
                        raise
                    await trio.sleep(0.1)
                else:
                    assert response.body == SLOW_BODY
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
            server = await servers.start(serve, slow, s.url)
        while len(done) < 120:
            await trio.sleep(1)
        assert sorted(done) == list(range(120))
        await server.shutdown(10)


async def test_handlers_hear_of_the_drain_at_once_and_are_cancelled_at_the_deadline(
    version: Version, autojump_clock: Clock
) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        outcomes.note("started")
        await stream.draining.wait()
        outcomes.note("draining")
        try:
            await trio.sleep_forever()
        finally:
            outcomes.note("cancelled")

    async with version.serving(handler) as s, trio.open_nursery() as nursery:
        peer = await s.peer()
        stream_id = await peer.request()
        await started(outcomes)
        await peer.read_for(5)
        began = trio.current_time()
        nursery.start_soon(s.server.shutdown, 10)
        assert await outcomes.next_with_time() == ("draining", began)
        await peer.read_for(1)
        assert await outcomes.next_with_time() == ("cancelled", version.at(began + 10))
        await peer.read_to_end()
        assert trio.current_time() < began + 11
        # where the end of the connection says it all, the stream is not reset before it
        assert [found for found, _ in peer.resets()] == ([] if version.number == "3" else [stream_id])
        await peer.close()


async def test_an_idle_connection_ends_after_a_round_trip(version: Version, autojump_clock: Clock) -> None:
    async with version.serving(hello) as s, trio.open_nursery() as nursery:
        peer = await s.peer()
        await peer.response(await peer.request())
        await peer.read_for(20)
        began = trio.current_time()
        nursery.start_soon(s.server.shutdown, 10)
        await peer.read_to_end()
        assert peer.goaways() == [ALL, 1]
        assert peer.closed_with == version.codes.no_error
        assert trio.current_time() < began + 1
        await peer.close()


async def test_a_connection_made_just_before_the_shutdown_gets_its_first_answer(
    version: Version, autojump_clock: Clock
) -> None:
    async with version.serving(hello) as s, trio.open_nursery() as nursery:
        peer = await s.peer()
        await peer.alive()
        nursery.start_soon(s.server.shutdown, 10)
        await peer.read_for(0.5)
        assert await peer.response(await peer.request()) == (200, b"hello")
        await peer.read_to_end()
        assert len(peer.goaways()) == 2
        assert peer.closed_with == version.codes.no_error
        await peer.close()


@pytest.mark.parametrize("handler", [slow, hello], ids=["under way", "idle"])
async def test_a_client_that_vanishes_does_not_hold_up_the_shutdown_beyond_its_grace(
    version: Version, autojump_clock: Clock, handler
) -> None:
    async with version.serving(handler) as s:
        peer = await s.peer()
        await peer.request()
        await peer.alive()
        await peer.vanish()
        began = trio.current_time()
        await s.server.shutdown(8)
        assert trio.current_time() <= began + 9.5
        s.assert_nothing_left()


async def test_a_shutdown_with_nobody_there_is_at_once(version: Version, autojump_clock: Clock) -> None:
    async with version.serving(hello) as s:
        await trio.sleep(5)
        began = trio.current_time()
        await s.server.shutdown(10)
        assert trio.current_time() == began
