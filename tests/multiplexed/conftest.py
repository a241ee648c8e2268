"""Each claim is tried over both versions."""

from __future__ import annotations

import pytest

from .version import VERSIONS, Version


@pytest.fixture(params=list(VERSIONS))
def version(request: pytest.FixtureRequest) -> Version:
    return VERSIONS[request.param]
