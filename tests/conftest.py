"""What all tests share."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator

import pytest

from hface_trio.testing import Authority, throwaway_authority

from .engines import sitecustomize

# trio-typing's stubs may not stand beside trio's own types, so its tests have an environment of their own.
collect_ignore = [] if importlib.util.find_spec("trio_typing") else ["trio_typing"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--http1-engine",
        choices=["h11", "httptools"],
        default=sitecustomize.DEFAULT_ENGINE,
        help="the HTTP/1.1 engine of tests that name none, and of the processes they start",
    )


def pytest_configure(config: pytest.Config) -> None:
    engine = str(config.getoption("http1_engine"))
    if engine != sitecustomize.DEFAULT_ENGINE:
        path = os.path.dirname(sitecustomize.__file__)
        os.environ[sitecustomize.VARIABLE] = engine
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [path, os.environ.get("PYTHONPATH")]))
        sitecustomize.substitute()


@pytest.fixture(scope="session")
def authority() -> Iterator[Authority]:
    with throwaway_authority() as authority:
        yield authority
