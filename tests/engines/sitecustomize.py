"""Lets a Python process take another HTTP/1.1 engine where it asks for the default.

Tests import this module. The processes that they start find it by ``PYTHONPATH``, and Python imports it because of its name.
"""

from __future__ import annotations

import os

VARIABLE = "HFACE_TRIO_TESTS_HTTP1_ENGINE"
DEFAULT_ENGINE = "h11"


def substitute() -> None:
    """Put the engine that the environment names in the place of the default, in the registry of this process."""
    engine = os.environ.get(VARIABLE, DEFAULT_ENGINE)
    if engine == DEFAULT_ENGINE:
        return
    from hface_trio.protocols import _registry

    for group in ("http1_servers", "http1_clients"):
        engines = _registry._BUILTIN_ENGINES[group]
        engines[DEFAULT_ENGINE] = engines[engine]


substitute()
