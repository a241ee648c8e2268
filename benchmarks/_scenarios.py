"""What is measured against what."""

from __future__ import annotations

import dataclasses
from typing import Literal

__all__ = ["SCENARIOS", "TRANSFERS", "Direction", "Scenario", "Transfer"]

Direction = Literal["down", "up"]


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One comparison of small requests.

    Args:
        title: what is done, for a reader.
        subject: the server that has to keep the limit, a key of ``_programs.PROGRAMS``.
        baseline: the server it is compared with.
        informative: further servers, measured in the same rounds and held against nothing.
        generators: what can make the load, the best first; keys of ``_load.GENERATORS``.
        tls: whether requests go over TLS.
        connections: how many are kept open.
        streams: requests under way at once on each of them.
        highest_ratio: the limit: median of the pairs' ratios, subject to baseline.
    """

    title: str
    subject: str
    baseline: str
    informative: tuple[str, ...]
    generators: tuple[str, ...]
    tls: bool
    connections: int
    streams: int
    highest_ratio: float


@dataclasses.dataclass(frozen=True)
class Transfer:
    """One comparison of large bodies, held against nothing.

    Args:
        http_version: what the client asks for.
        direction: ``"down"`` for a response's body, ``"up"`` for a request's.
        subject: the server of interest, a key of ``_programs.PROGRAMS``.
        baseline: the server it is compared with.
    """

    http_version: str
    direction: Direction
    subject: str = "hface_trio"
    baseline: str = "hypercorn"

    @property
    def title(self) -> str:
        """What is done, for a reader."""
        return f"HTTP/{self.http_version} {self.direction}"


SCENARIOS = {
    "1.1": Scenario(
        title="HTTP/1.1: small GETs on kept connections",
        subject="hface_trio",
        baseline="hypercorn",
        informative=("uvicorn", "floor"),
        generators=("wrk", "python"),
        tls=False,
        connections=16,
        streams=1,
        highest_ratio=0.5,
    ),
    "2": Scenario(
        title="HTTP/2: small GETs over TLS, 16 streams at once on each connection",
        subject="hface_trio",
        baseline="hypercorn",
        informative=(),
        generators=("h2load",),
        tls=True,
        connections=8,
        streams=16,
        highest_ratio=0.5,
    ),
}
"""By HTTP version."""

TRANSFERS: dict[str, tuple[Transfer, ...]] = {
    http_version: (Transfer(http_version, "down"), Transfer(http_version, "up")) for http_version in SCENARIOS
}
"""By HTTP version; all over TLS."""
