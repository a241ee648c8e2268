"""GOAWAY said by a client: in whatever state its requests are, they are finished, then the connection ends."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hface_trio import HTTPStream, Timeouts

from .version import Version

Clock = trio.testing.MockClock
PATIENT = Timeouts(write_progress_seconds=1000, body_progress_seconds=1000)

CODES = [("2", None), ("2", 2), ("3", None)]  # HTTP/3's GOAWAY has none
STATES = [
    "upload open",
    "upload ended",
    "response waits for window",
    "response ended, upload open",
    "reset by the peer",
]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("version", "code"), CODES, ids=["2", "2 with a code", "3"], indirect=["version"])
async def test_a_clients_goaway_in_every_state_of_a_stream(
    version: Version, autojump_clock: Clock, state: str, code: int | None
) -> None:
    """A client that says GOAWAY opens no pushes any more; its requests are finished, then the connection ends."""

    async def handler(stream: HTTPStream) -> None:
        if state == "response ended, upload open":
            await stream.send_response(200, body=b"hello")
        if state != "response waits for window":
            await stream.read_body()
        if state != "response ended, upload open":
            await stream.send_response(200, body=b"x" * 100_000)

    async with version.serving(handler, timeouts=PATIENT) as s:
        peer = await s.peer(window=version.shut if state == "response waits for window" else 200_000)
        stream_id = await peer.request(version.POST, end=state in {"upload ended", "response waits for window"})
        if state == "response ended, upload open":
            await peer.response(stream_id)
        if state == "reset by the peer":
            await peer.reset(stream_id)
        await peer.alive()
        await peer.goaway(0, code)
        await peer.read_for(1)
        if state in {"upload open", "response ended, upload open"} and not peer.at_end:
            await peer.data(stream_id, b"x", end=True)
        if state == "response waits for window":
            await peer.credit(stream_id, 200_000)
        if state not in {"reset by the peer", "response ended, upload open"}:
            assert await peer.response(stream_id) == (200, b"x" * 100_000)
        await peer.read_to_end()
        await peer.close()
        await trio.sleep(5)
        s.assert_nothing_left()
        assert s.server.statistics().connections == 0
