"""With ``--http1-engine``, this process and those it starts run that engine where nobody names one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hface_trio.protocols import HTTP1ClientFactory, HTTP1ServerFactory

_PRINT = """
from hface_trio.protocols import HTTP1ClientFactory, HTTP1ServerFactory
print(*(type(factory()(None, None)).__name__ for factory in (HTTP1ServerFactory, HTTP1ClientFactory)))
"""
_NAMES = {
    "h11": ("H11ServerProtocol", "H11ClientProtocol"),
    "httptools": ("HttpToolsServerProtocol", "HttpToolsClientProtocol"),
}


def test_tests_run_the_engine_of_the_command_line(pytestconfig: pytest.Config) -> None:
    names = type(HTTP1ServerFactory()(None, None)).__name__, type(HTTP1ClientFactory()(None, None)).__name__
    assert names == _NAMES[str(pytestconfig.getoption("http1_engine"))]


def test_processes_run_the_engine_of_the_command_line(pytestconfig: pytest.Config) -> None:
    done = subprocess.run([sys.executable, "-c", _PRINT], capture_output=True, text=True, timeout=30, check=True)
    assert tuple(done.stdout.split()) == _NAMES[str(pytestconfig.getoption("http1_engine"))]
