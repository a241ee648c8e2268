"""A server process of its own for each test: what one test made it allocate must not hide what another one does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hface_trio.testing import Authority

from ..interop._process import ServerProcess, running_server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.memory)


@pytest.fixture
def server(authority: Authority) -> Iterator[ServerProcess]:
    """A fresh server; after the test it must be idle, and have logged no error."""
    with running_server(authority) as server:
        yield server
        server.wait_idle()
        assert server.take_errors() == []
