"""What was measured: figures of servers, in rounds, and the ratios between them.

A measurement is a table: a row for each server, a column for each figure. Every round measures every server once, in turns,
so that what else the machine has to do falls on all of them alike; a ratio is taken round by round, and is the median.

A figure is ``None`` in a round where what it tells never came to pass: that is longer than any time. A figure that a round
does not have was not measured.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Any, TypeAlias

__all__ = ["NO_VALUE", "TIMES", "Figure", "Measurement", "Sample"]

TIMES = "\N{MULTIPLICATION SIGN}"
NO_VALUE = "\N{EN DASH}"

Sample: TypeAlias = "dict[str, float | None]"
"""The figures of one server in one round, by key; ``None`` for what never came to pass. Empty if the round failed."""


@dataclasses.dataclass(frozen=True)
class Figure:
    """A column.

    Args:
        key: its name in results and gates.
        title: its name for a reader, with the unit.
        digits: behind the point.
        missing: what to print for what never came to pass, or was not measured.
    """

    key: str
    title: str
    digits: int = 1
    missing: str = NO_VALUE

    def format(self, value: float | None) -> str:
        """Return a value as a reader sees it."""
        return self.missing if value is None else f"{value:,.{self.digits}f}"


@dataclasses.dataclass
class Measurement:
    """A table.

    Args:
        key: its name in results and gates.
        title: what was done, for a reader.
        note: what else a reader should know.
        figures: its columns.
        primary: the column whose ratios are shown; empty for none.
        floor: the server they are taken to; empty for none.
        labels: names of the servers for a reader, in the order of the rows.
        rounds: of each server, a sample a round.
    """

    key: str
    title: str
    note: str
    figures: tuple[Figure, ...]
    primary: str = ""
    floor: str = ""
    labels: dict[str, str] = dataclasses.field(default_factory=dict[str, str])
    rounds: dict[str, list[Sample]] = dataclasses.field(default_factory=dict[str, list[Sample]])

    def add(self, server: str, label: str, sample: Sample) -> None:
        """Add what one round gave for one server."""
        self.labels.setdefault(server, label)
        self.rounds.setdefault(server, []).append(sample)

    def in_rounds(self, server: str, figure: str) -> list[float | None]:
        """Return a figure of every round, ``None`` where there is no value, for whatever reason."""
        return [sample.get(figure) for sample in self.rounds.get(server, [])]

    def median(self, server: str, figure: str) -> float | None:
        """Return the median of a figure in the rounds that measured it; ``None`` if there is none, or if that is never."""
        measured = [sample[figure] for sample in self.rounds.get(server, []) if figure in sample]
        values = [math.inf if value is None else value for value in measured]
        median = statistics.median(values) if values else math.inf
        return median if math.isfinite(median) else None

    def ratios(self, server: str, figure: str, base: str) -> list[float]:
        """Return a figure as a multiple of another server's, round by round."""
        pairs = zip(self.rounds.get(server, []), self.rounds.get(base, []), strict=False)
        values = [(mine.get(figure), theirs.get(figure)) for mine, theirs in pairs]
        return [mine / theirs for mine, theirs in values if mine is not None and theirs]

    def ratio(self, server: str, figure: str, base: str) -> float | None:
        """Return the median of the ratios."""
        ratios = self.ratios(server, figure, base)
        return statistics.median(ratios) if ratios else None

    @property
    def servers(self) -> Sequence[str]:
        """The rows."""
        return list(self.rounds)

    def to_json(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        rounds = {
            server: [{key: _rounded(value) for key, value in sample.items()} for sample in samples]
            for server, samples in self.rounds.items()
        }
        return {**dataclasses.asdict(self), "rounds": rounds}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Measurement:
        """Return what :meth:`to_json` made JSON of."""
        figures: Any = tuple(Figure(**figure) for figure in document["figures"])
        return cls(**{**document, "figures": figures})


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
