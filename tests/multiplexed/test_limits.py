"""Sections that are too long, requests that are malformed: a stream ends, the connection lives, or not."""

from __future__ import annotations

import trio.testing

from hface_trio import HTTPStream, Limits, StreamResetError

from .served import Outcomes, hello, started
from .version import Version

Clock = trio.testing.MockClock


async def test_a_section_over_the_limit_is_answered_431(version: Version, autojump_clock: Clock) -> None:
    async with version.serving(hello, limits=Limits(header_section_octets=1000, header_fields=10)) as s:
        peer = await s.peer()
        assert (await peer.response(await peer.request([*version.GET, (b"x", b"y" * 1200)])))[0] == 431
        assert (await peer.response(await peer.request([*version.GET, *[(b"x", b"y")] * 10])))[0] == 431
        assert await peer.response(await peer.request()) == (200, b"hello")
        await peer.close()


async def test_a_section_far_over_the_limit_ends_the_connection(version: Version, autojump_clock: Clock) -> None:
    async with version.serving(hello, limits=Limits(header_section_octets=1000)) as s:
        peer = await s.peer()
        await peer.request([*version.GET, (b"x", b"y" * 4000)])
        await peer.read_to_end()
        assert peer.closed_with == version.codes.excessive_load
        await peer.close()


async def test_a_malformed_request_ends_its_stream_alone(version: Version, autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            outcomes.note("started")
            await trio.sleep(1)
            await hello(stream)

    async with version.serving(handler) as s:
        peer = await s.peer()
        good = await peer.request()
        bad = await peer.request([*version.GET, (b"Upper", b"x")])
        assert await peer.response(good) == (200, b"hello")
        assert peer.resets() == [(bad, version.codes.malformed)]
        await started(outcomes)
        assert await outcomes.next() == "done"
        await peer.close()


async def test_a_breach_on_a_served_stream_cancels_its_handler_alone(version: Version, autojump_clock: Clock) -> None:
    outcomes = Outcomes()

    async def handler(stream: HTTPStream) -> None:
        with outcomes.watching(stream):
            outcomes.note("started")
            await stream.read_body()
            await hello(stream)

    async with version.serving(handler) as s:
        peer = await s.peer()
        good = await peer.request(version.POST, end=False)
        bad = await peer.request([*version.POST, (b"content-length", b"5")], b"abc", end=False)
        await started(outcomes, 2)
        await peer.data(bad, b"defg")
        assert await outcomes.next() == ("cancelled", StreamResetError)
        await peer.until(peer.resets)
        assert peer.resets() == [(bad, version.codes.malformed)]
        await peer.data(good, end=True)
        assert await peer.response(good) == (200, b"hello")
        await peer.close()
