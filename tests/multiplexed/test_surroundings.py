"""What stands around a handler: context variables, the barrier that its exceptions meet, the end of the server."""

from __future__ import annotations

import contextvars

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream, Limits

from .served import Outcomes, hello, started
from .version import Version

Clock = trio.testing.MockClock


async def test_each_handler_has_context_variables_of_its_own(version: Version, autojump_clock: Clock) -> None:
    variable = contextvars.ContextVar("variable", default=0)
    seen: list[int] = []

    async def handler(stream: HTTPStream) -> None:
        seen.append(variable.get())
        variable.set(1)
        await trio.sleep(1)
        await stream.send_response(200)

    async with version.serving(handler, limits=Limits(concurrent_streams=1)) as s:
        peer = await s.peer()
        for _ in range(3):
            await peer.response(await peer.request())
        await peer.close()
    assert seen == [0, 0, 0]


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit])
async def test_what_ends_a_program_passes(
    version: Version, autojump_clock: Clock, exception: type[BaseException]
) -> None:
    async def handler(stream: HTTPStream) -> None:
        raise exception

    with pytest.raises(BaseExceptionGroup) as caught:
        async with version.serving(handler) as s:
            peer = await s.peer()
            await peer.request()
            await trio.sleep_forever()
    matched, rest = caught.value.split(exception)
    assert matched is not None
    assert rest is None


async def test_groups_are_split_at_the_barrier(
    version: Version, autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(stream: HTTPStream) -> None:
        raise BaseExceptionGroup("both", [ValueError("mine"), KeyboardInterrupt()])

    with pytest.raises(BaseExceptionGroup) as caught:
        async with version.serving(handler) as s:
            peer = await s.peer()
            await peer.request()
            await trio.sleep_forever()
    assert caught.value.split(KeyboardInterrupt)[1] is None
    assert "mine" in caplog.text


async def test_a_group_of_exceptions_ends_its_stream_alone(
    version: Version, autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(stream: HTTPStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_headers, [(b":status", b"nonsense")])

    async with version.serving(handler) as s:
        peer = await s.peer()
        assert (await peer.response(await peer.request()))[0] == 500
        await peer.alive()
        await peer.close()
    assert len(caplog.records) == 1


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_cancelled_server_says_so(version: Version, autojump_clock: Clock, stubborn: bool) -> None:
    """Even if a handler takes its time."""
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            outcomes.note("started")
            with trio.CancelScope(shield=stubborn):
                await trio.sleep(5)
            await trio.sleep_forever()

    async with trio.open_nursery() as peers:
        with trio.CancelScope() as scope:
            async with version.serving(handler, peers=peers) as s:
                peer = await s.peer()
                await peer.request()
                await started(outcomes)
                scope.cancel()
                await trio.sleep_forever()
        await peer.read_to_end()
        assert peer.closed_with in {version.codes.no_error, version.codes.cancelled}
        assert trio.current_time() < 6
        assert await outcomes.next() == ("cancelled", type(None))
        await peer.close()


async def test_connections_do_not_share_a_flood_of_slots(version: Version, autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        if stream.path != b"/now":
            await trio.sleep(30)
        await hello(stream)

    async with version.serving(handler) as s:
        busy, free = await s.peer(), await s.peer()
        began = trio.current_time()
        for _ in range(100):
            await busy.request()
        assert await free.response(await free.request(version.path(b"/now"))) == (200, b"hello")
        assert trio.current_time() == version.at(began)
        await busy.close()
        await free.close()
