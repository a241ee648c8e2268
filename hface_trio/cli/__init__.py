"""The command line: ``hface-trio demo``, ``hface-trio server`` and ``hface-trio client``.

What it needs besides the package is its extra, ``cli``. This module imports none of it, so that where the extra is missing
the command says so instead of failing to import.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

__all__ = ["main"]

_EXTRA = ("click", "rich", "trustme")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what stands behind the command's name; that of this process unless given.

    Returns:
        The exit code: 0, 1 for a failed exchange, 2 for what cannot be used, 128 and the number of the signal that cut the
        command off.
    """
    missing = [name for name in _EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(f"hface-trio: the command line needs {' and '.join(missing)}: pip install 'hface-trio[cli]'\n")
        return 2
    try:
        from ._commands import run_command_line  # noqa: PLC0415 - imports the extra

        return run_command_line(arguments)
    except KeyboardInterrupt:  # a command reports its own; this one came before or after it
        return 130
