from __future__ import annotations

import pytest

from hface_trio.testing import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def virtual_time(autojump_clock):
    """For tests in memory alone: sleeping takes no time."""
    return autojump_clock
