"""What all measurements of a run have in common."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Generator, Mapping, Sequence
from typing import Protocol

import trio
from _application import BODY
from _client_programs import SUBJECTS
from _programs import PROGRAMS, Certificate, Program
from _servers import ServerProcess
from _wire import Target, speaks

__all__ = ["Setting"]

_FAILURES = (RuntimeError, OSError, trio.BrokenResourceError)


class Subject(Protocol):
    """What is measured: a server, or a client."""

    @property
    def name(self) -> str:
        """Key of its row."""
        ...

    @property
    def label(self) -> str:
        """Its name for a reader."""
        ...


@dataclasses.dataclass(frozen=True)
class Setting:
    """How a run measures.

    Args:
        certificate: what servers show.
        cafile: what it is held against.
        server_core: what servers are pinned to.
        load_core: what loads servers is pinned to.
        rounds: how often small requests are measured; other things less often, in proportion.
        seconds: how long a server is loaded in one round.
        quick: measure only what has a gate, the main peer beside it, and all of it briefly.
        http_versions: those that are measured.
        failures: what could not be measured though it should have been.
    """

    certificate: Certificate
    cafile: str
    server_core: int | None
    load_core: int | None
    rounds: int
    seconds: float
    quick: bool
    http_versions: Sequence[str]
    failures: list[str] = dataclasses.field(default_factory=list[str])

    def fail(self, subject: Subject, http_version: str, failure: Exception) -> None:
        """Say that something could not be measured; remember it of this package: others may fail as they like."""
        text = f"{subject.label}, HTTP/{http_version}: {failure}"
        if SUBJECTS[subject.name].role == "ours":
            self.failures.append(text)
        print(f"  FAILED: {text}", flush=True)

    @contextlib.contextmanager
    def watching(self, subject: Subject, http_version: str) -> Generator[None]:
        """Let what fails within the block fail for this server or client alone."""
        try:
            yield
        except _FAILURES as exc:
            self.fail(subject, http_version, exc)
        except ExceptionGroup as group:  # of the tasks of a connection
            failures, others = group.split(_FAILURES)
            if failures is None or others is not None:
                raise
            self.fail(subject, http_version, failures)

    @property
    def few_rounds(self) -> int:
        """Rounds of what takes long, or varies little."""
        return 1 if self.quick else max(2, round(self.rounds * 0.6))

    def choose(
        self, names: Sequence[str], *, essential: Sequence[str] = (), programs: Mapping[str, Program] = PROGRAMS
    ) -> list[str]:
        """Return those programs that are installed; in a quick run the essential ones only, if any are."""
        installed = [name for name in names if programs[name].is_installed()]
        return [name for name in installed if not (self.quick and essential) or name in essential]

    def target(self, server: ServerProcess, http_version: str) -> Target:
        """Return how to connect to a server."""
        return Target(server.address, http_version, self.cafile, server.tls)

    def serves(self, server: ServerProcess, http_version: str) -> bool:
        """Return whether a server answers rightly over a version of HTTP; if it does not, it has failed, and is left out."""
        served = trio.run(speaks, self.target(server, http_version), BODY)
        if not served:
            self.fail(server, http_version, RuntimeError("it does not answer rightly, and is left out"))
        return served
