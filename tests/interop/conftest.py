"""One server process for the whole directory; nothing may be left in it after a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hface_trio.testing import Authority

from ._payload import MIB, chunks
from ._process import ServerProcess, running_server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.interop)


@pytest.fixture(scope="session")
def server_process(authority: Authority) -> Iterator[ServerProcess]:
    with running_server(authority) as server:
        yield server


@pytest.fixture
def server(server_process: ServerProcess) -> Iterator[ServerProcess]:
    """The server; after the test it must be idle, and have logged no error."""
    yield server_process
    server_process.wait_idle()
    assert server_process.take_errors() == []


@pytest.fixture(scope="session")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 128 MiB."""
    path = tmp_path_factory.mktemp("payload") / "large"
    with path.open("wb") as file:
        for chunk in chunks(128 * MIB):
            file.write(chunk)
    return path
