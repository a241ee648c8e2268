"""Runs the tests of this directory on every engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .drive import ENGINES, Engine


@pytest.fixture(scope="module", params=ENGINES, autouse=True)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Choose the engine of what ``drive`` makes, for each test once."""
    before, Engine.name = Engine.name, request.param
    yield request.param
    Engine.name = before
