"""The registry: which engines there are, that they load when asked for, and how their absence is told."""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from hface_trio.errors import ConfigurationError
from hface_trio.protocols import EngineGroup, ProtocolRegistry, protocol_registry
from hface_trio.protocols.http1 import H11ClientProtocol, H11ServerProtocol

GROUPS = ["http1_servers", "http1_clients", "http2_servers", "http2_clients", "http3_servers", "http3_clients"]


class StandInEntryPoint:
    """An entry point that counts how often it is loaded."""

    def __init__(self, name: str, result: object) -> None:
        self.name = name
        self.loads = 0
        self._result = result

    def load(self) -> object:
        self.loads += 1
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


def installed(monkeypatch: pytest.MonkeyPatch, *entry_points: StandInEntryPoint) -> list[str]:
    """Install entry points for every group; return the list of groups that are looked up from then on."""
    asked: list[str] = []

    def find(*, group: str) -> list[StandInEntryPoint]:
        asked.append(group)
        return list(entry_points)

    monkeypatch.setattr(importlib.metadata, "entry_points", find)
    return asked


@pytest.mark.parametrize("name", GROUPS)
def test_there_is_a_group_for_each_version_and_side(name: str) -> None:
    group = getattr(ProtocolRegistry(), name)
    assert group.group == f"hface_trio.{name}"


def test_the_engines_of_this_package_are_known_by_name() -> None:
    assert protocol_registry.http1_servers.load("h11") is H11ServerProtocol
    assert protocol_registry.http1_clients.load("h11") is H11ClientProtocol


def test_they_are_known_without_installed_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    registry = ProtocolRegistry()
    assert registry.http1_servers.names() == ["h11", "httptools"]
    assert registry.http1_servers.load("h11") is H11ServerProtocol


@pytest.mark.parametrize("name", ["http1_servers", "http1_clients"])
def test_the_project_declares_the_same_entry_points(name: str) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    for engine, value in project["entry-points"][f"hface_trio.{name}"].items():
        module, _, attribute = value.partition(":")
        assert getattr(importlib.import_module(module), attribute) is getattr(protocol_registry, name).load(engine)


def test_other_engines_are_found_by_entry_point_and_loaded_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    entry_point = StandInEntryPoint("other", object)
    asked = installed(monkeypatch, entry_point)
    registry = ProtocolRegistry()
    assert asked == []
    assert registry.http1_servers.names() == ["h11", "httptools", "other"]
    assert entry_point.loads == 0
    assert registry.http1_servers.load("other") is object
    assert asked == ["hface_trio.http1_servers"]


def test_an_unknown_engine_is_told_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, StandInEntryPoint("other", object))
    with pytest.raises(
        ConfigurationError, match=r"hface_trio\.http1_servers has no engine 'x'; there are: h11, httptools, other"
    ):
        ProtocolRegistry().http1_servers.load("x")


def test_an_empty_group_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    with pytest.raises(ConfigurationError, match="there are: none"):
        EngineGroup("nothing").load("x")


def test_an_engine_that_cannot_be_imported_is_told_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, StandInEntryPoint("broken", ImportError("no such library")))
    with pytest.raises(ConfigurationError, match=r"'broken' .* cannot be loaded: no such library") as caught:
        ProtocolRegistry().http1_servers.load("broken")
    assert isinstance(caught.value.__cause__, ImportError)


def test_an_engine_whose_extra_is_missing_is_told_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    monkeypatch.setitem(sys.modules, "hface_trio.protocols.http1.httptools", None)
    with pytest.raises(
        ConfigurationError, match=r"'httptools' .* cannot be loaded: .*; install hface-trio\[httptools\]"
    ):
        ProtocolRegistry().http1_servers.load("httptools")


def test_nothing_is_looked_up_at_import() -> None:
    code = "import importlib.metadata; del importlib.metadata.entry_points; import hface_trio.protocols"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
