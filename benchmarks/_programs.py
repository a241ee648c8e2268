"""The servers that are measured: ``python benchmarks/_programs.py NAME [CERTFILE KEYFILE]`` is one of them.

Each serves on a free port of 127.0.0.1, which it prints, until it is terminated; over TLS when it gets a certificate, and
then those that speak HTTP/3 do so on the UDP port of the same number. They answer what :mod:`_application` says; the bare
ones only what they are measured at. What is not said where a server is started is its default. Only what is asked for is
imported, so that one server's code does not sit in the memory of another.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import resource
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import TypeAlias, cast

__all__ = ["PROGRAMS", "Certificate", "Program", "Role"]

Certificate: TypeAlias = "tuple[str, str]"
"""Paths of a certificate chain and of its private key."""

Role: TypeAlias = str
"""``"ours"``, ``"peer"`` or ``"floor"``."""


@dataclasses.dataclass(frozen=True)
class Program:
    """A server that can be measured.

    Args:
        label: its name, for a reader.
        role: what it is measured for.
        source: ``module:function``; called with the certificate, and served by.
        needs: modules that must be installed.
        engine: this package's HTTP/1.1 engine that must be registered.
    """

    label: str
    role: Role
    source: str
    needs: tuple[str, ...] = ()
    engine: str = ""

    def is_installed(self) -> bool:
        """Return whether it can be started here."""
        if self.engine:
            from hface_trio.protocols import protocol_registry  # noqa: PLC0415  # not in the other servers' processes

            if self.engine not in protocol_registry.http1_servers.names():
                return False
        return all(find_spec(name) is not None for name in self.needs)


PROGRAMS = {
    "hface-trio": Program("hface_trio", "ours", "_programs_ours:serve_h11"),
    "hface-trio-httptools": Program(
        "hface_trio, httptools", "ours", "_programs_ours:serve_httptools", ("httptools",), engine="httptools"
    ),
    "hface-trio-command": Program("hface-trio server", "ours", "_programs_ours:serve_by_command"),
    "hypercorn": Program("hypercorn, trio", "peer", "_programs_peers:serve_hypercorn", ("hypercorn",)),
    "uvicorn": Program("uvicorn, h11", "peer", "_programs_peers:serve_uvicorn_h11", ("uvicorn",)),
    "uvicorn-httptools": Program(
        "uvicorn, httptools", "peer", "_programs_peers:serve_uvicorn_httptools", ("uvicorn", "httptools")
    ),
    "bare-trio": Program("bare trio", "floor", "_programs_bare:serve_trio"),
    "bare-h11": Program("bare h11", "floor", "_programs_bare:serve_h11"),
    "bare-httptools": Program("bare httptools", "floor", "_programs_bare:serve_httptools", ("httptools",)),
    "bare-h2": Program("bare h2", "floor", "_programs_bare_h2:serve_h2"),
    "bare-aioquic": Program("bare aioquic", "floor", "_programs_bare_aioquic:serve_aioquic"),
}
"""By name."""


def _run(name: str, certificate: Certificate | None) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    module, _, function = PROGRAMS[name].source.partition(":")
    serve = cast("Callable[[Certificate | None], None]", getattr(importlib.import_module(module), function))
    with contextlib.suppress(KeyboardInterrupt):
        serve(certificate)


if __name__ == "__main__":
    _name, *_files = sys.argv[1:]
    _run(_name, (_files[0], _files[1]) if _files else None)
