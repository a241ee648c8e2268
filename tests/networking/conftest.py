from __future__ import annotations

import pytest
import trio

from hface_trio.testing import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def virtual_time(autojump_clock, nursery):
    """For tests in memory alone: one in which everybody waits for ever fails at once."""

    async def fail_later() -> None:
        await trio.sleep(1000)
        raise trio.TooSlowError

    nursery.start_soon(fail_later)
