"""Draining: what becomes of requests when a server under load is asked to end, by SIGTERM.

Every connection keeps its number of requests under way, each answered in pieces over a tenth of a second, until the server
says that it wants no more of them. What the server says it has not looked at can be sent again, and is not lost.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator

import trio
from _application import BODY, N_PIECES
from _client import Exchange, Outcome
from _figures import Figure, Measurement, Sample
from _servers import ServerProcess, running_server
from _setting import Setting
from _wire import Target, Wire, connecting

__all__ = ["measure_drain"]

_SERVERS = {
    "1.1": ("hface-trio-command", "hypercorn", "uvicorn", "uvicorn-httptools"),
    "2": ("hface-trio-command", "hypercorn"),
    "3": ("hface-trio-command", "hypercorn"),
}
_ESSENTIAL = ("hface-trio-command",)
_CONNECTIONS = {"1.1": 50, "2": 4, "3": 4}
_STREAMS = {"1.1": 1, "2": 12, "3": 12}
_BEFORE_SECONDS = 0.6
_EXIT_SECONDS = 12.0
_AFTER_SECONDS = 0.3
_FIGURES = (
    Figure("in_flight", "in flight at SIGTERM", 0),
    Figure("completed", "completed", 0),
    Figure("retryable", "retryable", 0),
    Figure("unanswered", "unanswered", 0),
    Figure("cut", "cut off", 0),
    Figure("exit_s", "s to the end", 2, "never"),
)


def measure_drain(setting: Setting) -> Iterator[Measurement]:
    """Measure every version."""
    for http_version in setting.http_versions:
        measurement = Measurement(
            f"drain-{http_version}",
            f"Drain under load, HTTP/{http_version}",
            f"{_CONNECTIONS[http_version] * _STREAMS[http_version]} requests under way over TLS, SIGTERM, and what became of "
            "those that were made before the server said it wants no more. Retryable: the server said that it did not look at "
            "them. Unanswered: the connection ended without a word, which clients repeat at their own risk. Cut off: within "
            "the answer.",
            _FIGURES,
        )
        for name in setting.choose(_SERVERS[http_version], essential=_ESSENTIAL):
            for _ in range(setting.few_rounds):
                with running_server(name, setting.server_core, setting.certificate) as server:
                    if not setting.serves(server, http_version):
                        break
                    with setting.watching(server, http_version):
                        sample = trio.run(_drain, server, setting.target(server, http_version))
                        measurement.add(name, server.label, sample)
        yield measurement


class _Drain:
    """The client's side: what it makes, and what comes of it."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.running = 0
        self.unconnected: list[OSError] = []

    async def connect(self) -> None:
        """Keep one connection busy for as long as the server wants, then close it."""
        try:
            async with connecting(self._target) as wire, trio.open_nursery() as nursery:
                for _ in range(_STREAMS[self._target.http_version]):
                    nursery.start_soon(self._keep_busy, wire)
        except OSError as exc:
            self.unconnected.append(exc)

    async def _keep_busy(self, wire: Wire) -> None:
        while not (wire.client.closing or wire.client.lost):
            self.running += 1
            exchange = await wire.request("GET", "/pieces")
            self.running -= 1
            self.outcomes[_judge(exchange)] += 1


def _judge(exchange: Exchange) -> str:
    if exchange.outcome is Outcome.RETRYABLE:
        return "retryable"
    if not exchange.status:
        return "unanswered"
    whole = exchange.outcome is Outcome.COMPLETE and exchange.status == 200
    return "completed" if whole and exchange.octets == N_PIECES * len(BODY) else "cut"


async def _drain(server: ServerProcess, target: Target) -> Sample:
    drain = _Drain(target)
    exit_seconds: float | None = None
    in_flight = 0
    with trio.move_on_after(_BEFORE_SECONDS + _EXIT_SECONDS):
        async with trio.open_nursery() as nursery:
            for _ in range(_CONNECTIONS[target.http_version]):
                nursery.start_soon(drain.connect)
            await trio.sleep(_BEFORE_SECONDS)
            in_flight = drain.running
            server.interrupt()
            exit_seconds = await trio.to_thread.run_sync(server.wait, _EXIT_SECONDS, abandon_on_cancel=True)
            await trio.sleep(_AFTER_SECONDS)  # for what is still on the way
            nursery.cancel_scope.cancel()
    if drain.unconnected:
        raise RuntimeError(f"{len(drain.unconnected)} connections: {drain.unconnected[0]}")
    drain.outcomes["unanswered"] += drain.running  # nothing was ever heard of them
    return {
        "in_flight": float(in_flight),
        "completed": float(drain.outcomes["completed"]),
        "retryable": float(drain.outcomes["retryable"]),
        "unanswered": float(drain.outcomes["unanswered"]),
        "cut": float(drain.outcomes["cut"]),
        "exit_s": exit_seconds,
    }
