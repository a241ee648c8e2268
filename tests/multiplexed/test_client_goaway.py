"""GOAWAY, said by a server and by a client that is drained: what was accepted ends well, what was not may be repeated."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio import ConnectionLostError, HfaceError, RequestNotProcessedError
from hface_trio.events import GoawayReceived

from ..http2.raw import ENHANCE_YOUR_CALM
from ..http3.raw import LAST
from .peer import ALL
from .version import Version

Clock = trio.testing.MockClock
BIG = b"x" * 1_000_000
RESPONSE = [(b":status", b"200")]


async def test_goaway_finishes_what_is_below_its_id_and_reports_what_is_above(
    version: Version, autojump_clock: Clock
) -> None:
    ids = [version.id_of(number) for number in range(4)]
    outcomes: dict[int, object] = {}

    async def get(connection) -> None:
        async with connection.open_stream(version.GET, end_stream=True) as stream:
            try:
                await stream.receive_response()
                outcomes[stream.stream_id] = await stream.read_body()
            except HfaceError as exc:
                outcomes[stream.stream_id] = exc

    async with version.connected() as (connection, peer):
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(get, connection)
            await peer.request_of(ids[3])
            with connection.subscribe() as events:
                await peer.goaway(ALL)
                last_id = 2**31 - 1 if version.number == "2" else LAST - 4
                assert await events.receive() == GoawayReceived(last_id, 0)
            assert not connection.is_available()
            await peer.goaway(2)
            await peer.read_for(1)
            await peer.answer(ids[0])
            await peer.answer(ids[1])
        assert outcomes[ids[0]] == outcomes[ids[1]] == b"hello"
        for stream_id in ids[2:]:
            assert isinstance(outcomes[stream_id], RequestNotProcessedError)
        await peer.read_to_end()  # with the last stream the connection has ended
        assert connection.has_expired()
        assert peer.closed_with == version.codes.no_error


async def test_requests_that_wait_for_a_slot_hear_of_goaway(version: Version, autojump_clock: Clock) -> None:
    async with version.connected(streams=0) as (connection, peer), trio.open_nursery() as nursery:

        async def get() -> None:
            with pytest.raises(ConnectionLostError) as caught:
                async with connection.open_stream(version.GET, end_stream=True):
                    pass
            assert caught.value.retryable

        nursery.start_soon(get)
        await trio.sleep(1)
        await peer.goaway(0)


# Each state a request can be in: what the caller does, what the server has done when it says GOAWAY.
STATES = ["request open", "request sent", "upload waits", "response begun", "response ended", "reset here"]
CODES = [("2", None), ("2", ENHANCE_YOUR_CALM), ("3", None)]  # HTTP/3's GOAWAY has none


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("served", [True, False], ids=["below the id", "above the id"])
@pytest.mark.parametrize(("version", "code"), CODES, ids=["2", "2 with a code", "3"], indirect=["version"])
async def test_goaway_in_every_state_of_a_stream(
    version: Version, autojump_clock: Clock, state: str, served: bool, code: int | None
) -> None:
    stream_id = version.id_of(0)
    async with version.connected(window=100) as (connection, peer):
        async with connection.open_stream(version.POST) as stream, trio.open_nursery() as nursery:
            nursery.cancel_scope.deadline = trio.current_time() + 30
            await peer.request_of(stream_id)
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
                await peer.headers(stream_id, RESPONSE, end=state == "response ended")
                await stream.receive_response()
            elif state == "reset here":
                stream.reset(version.codes.cancelled)
            await peer.alive()
            await peer.goaway(1 if served else 0, code)
            await peer.read_for(1)
            if state == "reset here":
                assert peer.resets() == peer.stops() == [(stream_id, version.codes.cancelled)]
            elif served:
                if state not in {"response begun", "response ended"}:
                    await peer.headers(stream_id, RESPONSE)
                if state != "response ended":
                    await peer.data(stream_id, b"hello", end=True)
                if state == "upload waits":
                    await peer.credit(stream_id, 2_000_000)
                    await peer.until(lambda: peer.ended(stream_id))
                    assert peer.body_octets(stream_id) == len(BIG)
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


async def test_a_drained_client_finishes_and_closes_in_order(version: Version, autojump_clock: Clock) -> None:
    async with version.connected() as (connection, peer):
        async with connection.open_stream(version.GET, end_stream=True) as stream:
            await peer.request_of(version.id_of(0))
            connection.drain()
            assert not connection.is_available()
            await peer.until(peer.goaways)
            await peer.answer(version.id_of(0))
            await stream.receive_response()
            assert await stream.read_body() == b"hello"
        await peer.read_to_end()
        assert peer.goaways() == [0]
        assert peer.closed_with == version.codes.no_error
        assert peer.resets() == peer.stops() == []
