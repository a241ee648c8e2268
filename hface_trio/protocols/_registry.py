"""Finds protocol engines by name.

Engines register as entry points, one group per version and side, and are loaded when somebody asks for one. The engines of
this package are known without entry points too, so that they work from a source tree that is not installed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["EngineGroup", "ProtocolRegistry", "check_engines", "protocol_registry"]

_VERSIONS_WITH_A_CHOICE = ("1.1", "2")

_BUILTIN_ENGINES: dict[str, dict[str, str]] = {
    "http1_servers": {
        "h11": "hface_trio.protocols.http1:H11ServerProtocol",
        "httptools": "hface_trio.protocols.http1.httptools:HttpToolsServerProtocol",
    },
    "http1_clients": {
        "h11": "hface_trio.protocols.http1:H11ClientProtocol",
        "httptools": "hface_trio.protocols.http1.httptools:HttpToolsClientProtocol",
    },
    "http2_servers": {"h2": "hface_trio.protocols.http2:H2ServerProtocol"},
    "http2_clients": {"h2": "hface_trio.protocols.http2:H2ClientProtocol"},
    "http3_servers": {"aioquic": "hface_trio.protocols.http3:H3ServerProtocol"},
    "http3_clients": {"aioquic": "hface_trio.protocols.http3:H3ClientProtocol"},
}
# engines whose dependency comes with an extra of the same name
_EXTRAS = frozenset({"httptools"})


class EngineGroup:
    """The engines of one HTTP version and side.

    Args:
        group: name of the entry point group.
        builtin: engines that need no entry point, as ``module:attribute`` by name. They come first.
    """

    def __init__(self, group: str, builtin: dict[str, str] | None = None) -> None:
        self.group: str = group
        self._builtin = builtin or {}

    @cached_property
    def _entry_points(self) -> dict[str, EntryPoint]:
        from importlib.metadata import entry_points  # noqa: PLC0415  # slow to import, and seldom needed

        return {entry_point.name: entry_point for entry_point in entry_points(group=self.group)}

    def names(self) -> list[str]:
        """Return the names of all engines, sorted."""
        return sorted({*self._builtin, *self._entry_points})

    def load(self, name: str) -> Callable[..., Any]:
        """Import an engine.

        Returns:
            What makes a protocol: called with the keyword arguments ``secure``, ``limits`` and ``timeouts``
            (versions over TCP), or with those of :class:`~.http3.H3ServerProtocol` and :class:`~.http3.H3ClientProtocol`.

        Raises:
            ConfigurationError: there is no engine of this name (the message lists those there are), or it cannot be
                imported.
        """
        builtin = self._builtin.get(name)
        try:
            if builtin is not None:
                module, _, attribute = builtin.partition(":")
                return cast("Callable[..., Any]", getattr(importlib.import_module(module), attribute))
            if name in self._entry_points:
                return cast("Callable[..., Any]", self._entry_points[name].load())
        except (ImportError, AttributeError) as error:
            advice = f"; install hface-trio[{name}]" if builtin is not None and name in _EXTRAS else ""
            raise ConfigurationError(f"engine {name!r} of {self.group} cannot be loaded: {error}{advice}") from error
        known = ", ".join(self.names()) or "none"
        raise ConfigurationError(f"{self.group} has no engine {name!r}; there are: {known}")


class ProtocolRegistry:
    """All engines that are installed, by version and side.

    Args:
        prefix: what the names of the entry point groups begin with.
    """

    def __init__(self, prefix: str = "hface_trio.") -> None:
        self.http1_servers: EngineGroup = self._group(prefix, "http1_servers")
        """Servers of HTTP/1.1."""
        self.http1_clients: EngineGroup = self._group(prefix, "http1_clients")
        """Clients of HTTP/1.1."""
        self.http2_servers: EngineGroup = self._group(prefix, "http2_servers")
        """Servers of HTTP/2."""
        self.http2_clients: EngineGroup = self._group(prefix, "http2_clients")
        """Clients of HTTP/2."""
        self.http3_servers: EngineGroup = self._group(prefix, "http3_servers")
        """Servers of HTTP/3."""
        self.http3_clients: EngineGroup = self._group(prefix, "http3_clients")
        """Clients of HTTP/3."""

    @staticmethod
    def _group(prefix: str, name: str) -> EngineGroup:
        return EngineGroup(prefix + name, _BUILTIN_ENGINES.get(name))


protocol_registry: ProtocolRegistry = ProtocolRegistry()
"""The engines of this interpreter's environment."""


def check_engines(engines: Iterable[str]) -> None:
    """Check the HTTP versions for which engines were chosen.

    Raises:
        ConfigurationError: for one of them there is no choice.
    """
    for version in engines:
        if version not in _VERSIONS_WITH_A_CHOICE:
            known = " and ".join(_VERSIONS_WITH_A_CHOICE)
            raise ConfigurationError(f"engines can be chosen for HTTP versions {known}, not for {version!r}")
