"""The file that TLS secrets are appended to, for protocol analysers.

Connections outlive their factories and factories their connections, so no file is kept open for either: secrets are few, and
each line opens the file, appends itself and closes it. Several factories, and processes, may append to one file.
"""

from __future__ import annotations

import logging

from ...errors import ConfigurationError

__all__ = ["KeyLog"]

_logger = logging.getLogger("hface_trio.protocols.quic")


class KeyLog:
    """Appends lines to a file.

    Args:
        filename: the file; it is made if there is none.

    Raises:
        ConfigurationError: it cannot be written.
    """

    __slots__ = ("_filename", "_works")

    def __init__(self, filename: str) -> None:
        self._filename = filename
        self._works = True
        try:
            self._append("")
        except (OSError, ValueError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else exc
            raise ConfigurationError(f"keylog_filename {filename!r} cannot be written: {why}") from exc

    def write(self, line: str) -> None:
        """Append a line. A file that cannot be written any more ends no connection: it is told once."""
        try:
            self._append(line)
            self._works = True
        except OSError as exc:
            if self._works:
                _logger.warning("secrets are not written to %r: %s", self._filename, exc.strerror)
            self._works = False

    def flush(self) -> None:
        """Nothing to do: each line is written at once."""

    def _append(self, line: str) -> None:
        with open(self._filename, "a", encoding="ascii") as file:
            file.write(line)
