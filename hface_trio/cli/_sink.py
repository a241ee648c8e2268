"""Where the client puts bodies: standard output, or a file that is written as they arrive."""

from __future__ import annotations

import os
import stat
from types import TracebackType
from typing import Self

from ._border import EXIT_FAILED, CommandError, OutputClosedError
from ._descriptors import STANDARD_OUTPUT, write_all

__all__ = ["Sink"]


class Sink:
    """Takes octets, and passes them on as they are.

    A file is opened at once, so that one that cannot be written is known before anything is sent; what it held is
    dropped when the first response comes, and not when none does. What arrived of a body before a failure stays.

    Args:
        path: of a file; ``None`` or ``"-"`` for standard output.

    Raises:
        CommandError: the file cannot be written.
    """

    def __init__(self, path: str | None) -> None:
        self._path = None if path == "-" else path
        self._descriptor = STANDARD_OUTPUT
        self._began = False
        if self._path is not None:
            try:
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            except (OSError, ValueError) as exc:
                why = exc.strerror if isinstance(exc, OSError) else exc
                raise CommandError(f"cannot write {self._path!r}: {why}") from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._path is not None:
            os.close(self._descriptor)

    def is_terminal(self) -> bool:
        """Return whether a person sees what is written."""
        return os.isatty(self._descriptor)

    def begin(self) -> None:
        """Drop what a file held before. Does nothing when called again."""
        if not self._began and self._path is not None and stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            os.ftruncate(self._descriptor, 0)
        self._began = True

    async def write(self, octets: bytes) -> None:
        """Write octets.

        Raises:
            OutputClosedError: nobody reads the standard output any more.
            CommandError: they cannot be written.
        """
        try:
            await write_all(self._descriptor, octets)
        except BrokenPipeError as exc:
            raise OutputClosedError from exc
        except OSError as exc:
            what = "to standard output" if self._path is None else repr(self._path)
            raise CommandError(f"cannot write {what}: {exc.strerror}", EXIT_FAILED) from exc
