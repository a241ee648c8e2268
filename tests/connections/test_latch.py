"""The latch: set once, however many wait, whenever they come."""

from __future__ import annotations

import trio
import trio.testing

from hface_trio.connections._latch import Latch


async def test_all_who_wait_go_on_and_latecomers_too(autojump_clock: trio.testing.MockClock) -> None:
    latch = Latch()
    passed: list[float] = []

    async def wait() -> None:
        await latch.wait()
        passed.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)
        await trio.sleep(1)
        assert not latch.is_set()
        latch.set()
        latch.set()
        assert latch.is_set()
        await trio.sleep(1)
        with trio.testing.assert_checkpoints():
            await wait()
    assert passed == [1, 1, 2]
