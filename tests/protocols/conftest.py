"""What the tests of several protocols share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What refers to itself stays where it is."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
