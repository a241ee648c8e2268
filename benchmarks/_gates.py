"""Limits that figures are held against, so that a loss is seen when it comes: ``gates.toml``.

A limit with a floor is one on the ratio to that server's figure in the same run, so that neither a slow machine nor a busy
one matters, and is held against the median of all rounds. One without is on the figure itself, which says what was lost or
held, and is held against the worst round: what is lost in one of them is lost. Where a round has no value, there is nothing
that could keep a limit.
"""

from __future__ import annotations

import dataclasses
import statistics
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _figures import TIMES, Measurement

__all__ = ["Gate", "Verdict", "judge", "load_gates"]


@dataclasses.dataclass(frozen=True)
class Gate:
    """One limit.

    Args:
        measurement: key of the table.
        server: key of the row.
        figure: key of the column.
        limit: the most it may be.
        floor: key of the row it is divided by; empty for none.
    """

    measurement: str
    server: str
    figure: str
    limit: float
    floor: str = ""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A limit, and how it was kept.

    Args:
        gate: the limit.
        value: what was held against it; ``None`` if a round has no such figure, or no round was measured.
    """

    gate: Gate
    value: float | None

    @property
    def kept(self) -> bool:
        """Whether it was."""
        return self.value is not None and self.value <= self.gate.limit

    def describe(self) -> str:
        """Return a line for a reader."""
        gate = self.gate
        what = f"{gate.measurement}: {gate.figure} of {gate.server}"
        if self.value is None:
            return f"NO FIGURE  {what}"
        relation = f" is {self.value:.2f} {TIMES} {gate.floor}" if gate.floor else f" is {self.value:.2f}"
        return f"{'within' if self.kept else 'ABOVE'}  {what}{relation} ({self.taken}), limit {gate.limit:g}"

    @property
    def taken(self) -> str:
        """Which of the rounds the value is of, for a reader."""
        return "median" if self.gate.floor else "worst round"

    def to_json(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**dataclasses.asdict(self.gate), "value": self.value, "taken": self.taken, "kept": self.kept}


def load_gates(path: Path) -> list[Gate]:
    """Read the limits.

    Raises:
        ValueError: the file is malformed.
    """
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    try:
        return [Gate(**gate) for gate in document["gate"]]
    except (KeyError, TypeError) as exc:
        raise ValueError(f"{path.name}: {exc}") from exc


def judge(
    gates: Sequence[Gate], measurements: Mapping[str, Measurement], installed: Mapping[str, bool]
) -> list[Verdict]:
    """Hold what was measured against its limits.

    Args:
        gates: the limits; those of other measurements are left out.
        measurements: what was measured, by key.
        installed: whether a server can be measured here; the limits of one that cannot are left out.
    """
    verdicts: list[Verdict] = []
    for gate in gates:
        measurement = measurements.get(gate.measurement)
        if measurement is None or not installed.get(gate.server, True):
            continue
        verdicts.append(Verdict(gate, _value(measurement, gate)))
    return verdicts


def _value(measurement: Measurement, gate: Gate) -> float | None:
    figures = measurement.in_rounds(gate.server, gate.figure)
    values = [value for value in figures if value is not None]
    if not values or len(values) < len(figures):
        return None
    if not gate.floor:
        return max(values)
    ratios = measurement.ratios(gate.server, gate.figure, gate.floor)
    whole = len(ratios) == len(values) == len(measurement.in_rounds(gate.floor, gate.figure))
    return statistics.median(ratios) if whole else None
