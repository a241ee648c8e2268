"""Each claim is tried over all versions."""

from __future__ import annotations

import pytest

from .served import Version


@pytest.fixture(params=["1.1", "2", "3"])
def version(request: pytest.FixtureRequest) -> Version:
    return Version(request.param)
