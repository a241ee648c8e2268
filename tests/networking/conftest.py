from __future__ import annotations

import pytest


@pytest.fixture
def virtual_time(autojump_clock):
    """For tests in memory alone: sleeping takes no time."""
    return autojump_clock
