"""What the peer, the log and the other streams see of a handler that fails."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream, Timeouts

from .harness import GET, POST_100K, Outcomes, serving

Clock = trio.testing.MockClock


async def test_an_exception_before_the_head_is_logged_once_and_answered_with_500(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(stream: HTTPStream) -> None:
        raise ValueError("a secret")

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET)
        answer = await peer.read_to_end()
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert b"secret" not in answer
        assert b"Traceback" not in answer
        await peer.close()
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


async def test_an_exception_behind_the_head_ends_in_a_reset(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_headers([(b":status", b"200")])
        await stream.send_data(b"part")
        raise ValueError

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET)
        with pytest.raises(trio.BrokenResourceError):
            await peer.read_to_end()
        await peer.close()
    assert len(caplog.records) == 1


@pytest.mark.parametrize("head_sent", [False, True])
async def test_returning_without_finishing_is_logged_as_a_mistake(
    autojump_clock: Clock, head_sent: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(stream: HTTPStream) -> None:
        if head_sent:
            await stream.send_headers([(b":status", b"200")])

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET)
        if head_sent:
            with pytest.raises(trio.BrokenResourceError):
                await peer.read_to_end()
        else:
            assert (await peer.read_to_end()).startswith(b"HTTP/1.1 500 ")
        await peer.close()
    assert "without finishing" in caplog.text


async def test_a_group_of_exceptions_ends_its_own_stream_only(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise ValueError

    async def handler(stream: HTTPStream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            nursery.start_soon(trio.sleep, 1000)

    async with serving(handler) as s:
        peer, other = await s.connect(), await s.connect()
        await peer.send(GET)
        assert (await peer.read_to_end()).startswith(b"HTTP/1.1 500 ")
        await other.send(GET)
        assert (await other.read_to_end()).startswith(b"HTTP/1.1 500 ")
        await peer.close()
        await other.close()
    assert len(caplog.records) == 2


@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit])
async def test_keyboard_interrupt_and_system_exit_go_up(autojump_clock: Clock, failure: type[BaseException]) -> None:
    async def handler(stream: HTTPStream) -> None:
        raise failure

    with pytest.raises(BaseExceptionGroup) as caught:
        async with serving(handler) as s:
            peer = await s.connect()
            await peer.send(GET)
            await trio.sleep(1)
    leaves: list[BaseException] = []

    def collect(exc: BaseException) -> None:
        if isinstance(exc, BaseExceptionGroup):
            for inner in exc.exceptions:
                collect(inner)
        else:
            leaves.append(exc)

    collect(caught.value)
    assert [type(leaf) for leaf in leaves if not isinstance(leaf, trio.Cancelled)] == [failure]


@pytest.mark.parametrize("head_sent", [False, True])
async def test_a_cancelled_handler_closes_its_connection(autojump_clock: Clock, head_sent: bool) -> None:
    async def handler(stream: HTTPStream) -> None:
        if head_sent:
            await stream.send_headers([(b":status", b"200")])
            await stream.send_data(b"part")
        stream.cancel()
        await trio.sleep(1000)

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(GET)
        if head_sent:
            with pytest.raises(trio.BrokenResourceError):
                await peer.read_to_end()
        else:
            assert await peer.read_to_end() == b""
        await peer.close()


async def test_a_handler_past_its_deadline_is_cancelled(autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async with serving(outcomes.sleep, timeouts=Timeouts(handler_seconds=5)) as s:
        peer = await s.connect()
        await peer.send(GET)
        assert await outcomes.next() == "started"
        outcome, at = await outcomes.next_with_time()
        assert outcome == ("cancelled", type(None))
        assert at == pytest.approx(5, abs=0.1)
        assert await peer.read_to_end() == b""
        await peer.close()


async def test_a_body_that_is_too_large_for_the_handler_is_answered_with_413(autojump_clock: Clock) -> None:
    async def handler(stream: HTTPStream) -> None:
        await stream.send_response(200, body=await stream.read_body(max_size=1000))

    async with serving(handler) as s:
        peer = await s.connect()
        await peer.send(POST_100K + b"x" * 2000)
        assert (await peer.read_head()).startswith(b"HTTP/1.1 413 ")
        await peer.close()
