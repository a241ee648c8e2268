"""What ``--data`` names: text, a file, or standard input. Files are sent as they are read."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ..client import Content
from ._border import EXIT_FAILED, CommandError
from ._descriptors import STANDARD_INPUT, read_some

__all__ = ["Upload", "reads_standard_input"]

_READ_OCTETS = 64 * 1024
_STANDARD_INPUT_ARGUMENT = "@-"


def reads_standard_input(argument: str | None) -> bool:
    """Return whether the data come from standard input, which can be read once."""
    return argument == _STANDARD_INPUT_ARGUMENT


class _FileOctets:
    """Iterates over what is read from a descriptor, up to the length that was announced."""

    def __init__(self, descriptor: int, name: str, length: int | None) -> None:
        self._descriptor = descriptor
        self._name = name
        self._left = length
        self.advance: Callable[[int], None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._left == 0:
            raise StopAsyncIteration
        wanted = _READ_OCTETS if self._left is None else min(self._left, _READ_OCTETS)
        try:
            octets = await read_some(self._descriptor, wanted)
        except OSError as exc:
            raise CommandError(f"cannot read {self._name}: {exc.strerror}", EXIT_FAILED) from exc
        if self._left is not None:
            if not octets:
                raise CommandError(f"{self._name} became shorter while it was sent", EXIT_FAILED)
            self._left -= len(octets)
        elif not octets:
            raise StopAsyncIteration
        if self.advance is not None:
            self.advance(len(octets))
        return octets


class Upload:
    """The body of one request.

    Args:
        argument: that of ``--data``: ``@FILE``, ``@-`` for standard input, or the data themselves; ``None`` for no body.

    Raises:
        CommandError: the file cannot be read.
    """

    def __init__(self, argument: str | None) -> None:
        self.content: Content = b""
        self.length: int | None = 0
        """Octets, if that is known."""
        self._opened: int | None = None
        self._octets: _FileOctets | None = None
        if argument is None:
            return
        if not argument.startswith("@"):
            self.content = os.fsencode(argument)  # as the shell gave it
            self.length = len(self.content)
            return
        if reads_standard_input(argument):
            descriptor, name = STANDARD_INPUT, "standard input"
        else:
            descriptor = self._opened = _open(argument[1:])
            name = repr(argument[1:])
        self.length = _length(descriptor)
        self.content = self._octets = _FileOctets(descriptor, name, self.length)

    @property
    def streamed(self) -> bool:
        """Whether it is read while it is sent."""
        return self._octets is not None

    def tell(self, advance: Callable[[int], None]) -> None:
        """Let ``advance`` be called with the number of octets that were read, each time."""
        if self._octets is not None:
            self._octets.advance = advance

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._opened is not None:
            os.close(self._opened)


def _open(path: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        raise CommandError(f"cannot read {path!r}: {why}") from exc
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CommandError(f"cannot read {path!r}: it is a directory")
    return descriptor


def _length(descriptor: int) -> int | None:
    """Return how many octets there are to read, where it is a file that tells: one of no length may be a pseudo-file."""
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        return max(0, status.st_size - os.lseek(descriptor, 0, os.SEEK_CUR)) or None
    except OSError:
        return None  # what is wrong with it shows when it is read
