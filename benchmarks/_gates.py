"""Limits that figures are held against, so that a loss is seen when it comes: ``gates.toml``.

A limit with a floor is one on the ratio to that server's figure in the same run, so that neither a slow machine nor a busy
one matters; one without is on the figure itself.
"""

from __future__ import annotations

import dataclasses
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
        value: what was held against it; ``None`` if there is no such figure.
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
        return f"{'within' if self.kept else 'ABOVE'}  {what}{relation}, limit {gate.limit:g}"

    def to_json(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**dataclasses.asdict(self.gate), "value": self.value, "kept": self.kept}


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
        if gate.floor:
            value = measurement.ratio(gate.server, gate.figure, gate.floor)
        else:
            value = measurement.median(gate.server, gate.figure)
        verdicts.append(Verdict(gate, value))
    return verdicts
