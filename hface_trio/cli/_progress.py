"""Progress of long transfers, as bars on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from ._border import print_error_line

__all__ = ["TransferBars"]

_LONG_SECONDS = 0.5
"""A transfer that takes longer than this gets a bar: what is over sooner would only flicker."""


class TransferBars:
    """The bars of one exchange, one a direction; they stay on the screen when it is over.

    Args:
        wanted: show them at all; only when standard error is a terminal.
    """

    def __init__(self, *, wanted: bool) -> None:
        self._progress: Progress | None = None
        if wanted and sys.stderr.isatty():
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                TaskProgressColumn(),
                DownloadColumn(binary_units=True),
                TransferSpeedColumn(),
                TimeRemainingColumn(compact=True),
                console=Console(stderr=True),
                expand=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._progress is not None and self._progress.live.is_started:
            self._progress.stop()

    def add(self, description: str, total: int | None) -> Callable[[int], None]:
        """Add a transfer that begins now.

        Args:
            description: one word.
            total: octets, if that is known.

        Returns:
            A function to be told of octets that were transferred.
        """
        if self._progress is None:
            return lambda _: None
        return _Transfer(self._progress, description, total).advance

    def print_line(self, line: str) -> None:
        """Print a line on standard error, above the bars if there are any."""
        if self._progress is not None and self._progress.live.is_started:
            self._progress.console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
        else:
            print_error_line(line)


class _Transfer:
    """One direction of an exchange, which gets its bar when it turns out to be long."""

    def __init__(self, progress: Progress, description: str, total: int | None) -> None:
        self._progress = progress
        self._description = description
        self._total = total
        self._octets = 0
        self._began_at = time.monotonic()
        self._task_id: TaskID | None = None

    def advance(self, n_octets: int) -> None:
        self._octets += n_octets
        if self._task_id is not None:
            self._progress.update(self._task_id, advance=n_octets)
        elif time.monotonic() - self._began_at > _LONG_SECONDS:
            self._task_id = self._progress.add_task(self._description, total=self._total, completed=self._octets)
            self._progress.start()
