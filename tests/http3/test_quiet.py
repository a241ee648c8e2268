"""What waits costs nothing: no timer fires again and again, whatever the peer has left behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from hface_trio import HfaceError, HTTPStream, Timeouts
from hface_trio.protocols.http3 import HTTP3Settings
from hface_trio.protocols.quic import QUICSettings

from .harness import Served, connected, serving3
from .raw import GET, POST, RawPeer, Window, data

Clock = trio.testing.MockClock
PATIENT = Timeouts(write_progress_seconds=1000, body_progress_seconds=1000)
LONG = HTTP3Settings(quic=QUICSettings(idle_timeout_seconds=100))


class Steps(trio.abc.Instrument):
    """Counts the steps of all tasks."""

    def __init__(self) -> None:
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1


async def steps_in(seconds: float) -> int:
    steps = Steps()
    trio.lowlevel.add_instrument(steps)
    try:
        await trio.sleep(seconds)
    finally:
        trio.lowlevel.remove_instrument(steps)
    return steps.count


async def handler(stream: HTTPStream) -> None:
    if stream.method == b"POST":
        await trio.sleep_forever()
    await stream.send_response(200, body=bytes(1_000_000))


async def vanish(s: Served, peer: RawPeer) -> None:
    await peer.vanish()


async def move_and_vanish(s: Served, peer: RawPeer) -> None:
    """The server hears once from an address that never answers."""
    peer.socket.rebind()
    peer.quic.send_ping(1)
    peer.flush()
    await trio.sleep(0.006)
    await peer.vanish()


async def fall_silent(s: Served, peer: RawPeer) -> None:
    peer.silent = True


async def stay(s: Served, peer: RawPeer) -> None:
    pass


@pytest.mark.parametrize("act", [vanish, move_and_vanish, fall_silent, stay])
@pytest.mark.parametrize("under_way", ["nothing", "a download", "a download without window", "an upload nobody reads"])
async def test_a_peer_that_does_nothing_costs_nothing(
    autojump_clock: Clock, act: Callable[[Served, RawPeer], Awaitable[None]], under_way: str
) -> None:
    async with serving3(handler, timeouts=PATIENT, http3_settings=LONG) as s:
        window = Window(stream=1000) if under_way == "a download without window" else None
        peer = await s.peer(window=window, idle_timeout=100)
        if under_way.startswith("a download"):
            await peer.request(GET)
        elif under_way.startswith("an upload"):
            await peer.request(POST, data(bytes(300_000)))
        await peer.read_for(0.02)
        await act(s, peer)
        await peer.read_for(5)  # what is under way ends, or is sent again less and less often
        assert await steps_in(30) < 400
        await peer.close()
        await trio.sleep(110)


@pytest.mark.parametrize("act", ["vanish", "stay"])
async def test_a_server_that_does_nothing_costs_a_client_nothing(autojump_clock: Clock, act: str) -> None:
    async with connected(http3_settings=LONG, timeouts=PATIENT, window=Window(stream=1000)) as (connection, peer):
        async with connection.open_stream(POST) as stream, trio.open_nursery() as nursery:

            async def upload() -> None:
                with pytest.raises(HfaceError):
                    await stream.send_data(bytes(1_000_000))

            nursery.start_soon(upload)
            await trio.sleep(0.1)
            if act == "vanish":
                await peer.vanish()
            await trio.sleep(5)
            assert await steps_in(30) < 400
            await connection.aclose()
