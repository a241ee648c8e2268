"""What is measured against what."""

from __future__ import annotations

import dataclasses

__all__ = ["SCENARIOS", "Scenario"]


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One comparison.

    Args:
        title: what is done, for a reader.
        subject: the server that has to keep the limit, a key of ``_programs.PROGRAMS``.
        baseline: the server it is compared with.
        informative: further servers, measured in the same rounds and held against nothing.
        connections: how many are kept open.
        highest_ratio: the limit: median of the pairs' ratios, subject to baseline.
    """

    title: str
    subject: str
    baseline: str
    informative: tuple[str, ...]
    connections: int
    highest_ratio: float


SCENARIOS = {
    "1.1": Scenario(
        title="HTTP/1.1: small GETs on kept connections",
        subject="hface_trio",
        baseline="hypercorn",
        informative=("uvicorn", "floor"),
        connections=16,
        highest_ratio=0.5,
    ),
}
"""By HTTP version."""
