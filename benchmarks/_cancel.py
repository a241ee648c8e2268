"""Cancellation: from a client's turning away to the moment at which the handler knows.

The client resets its stream (HTTP/2), tells the server to stop sending (HTTP/3), or closes the connection (HTTP/1.1). Both
sides read the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import trio
from _figures import Figure, Measurement
from _servers import ServerProcess, running_server
from _setting import Setting
from _wire import Target, connecting, fetch

__all__ = ["measure_cancel"]

_SERVERS = {
    "1.1": ("hface-trio", "hface-trio-httptools", "hypercorn", "uvicorn", "uvicorn-httptools"),
    "2": ("hface-trio", "hypercorn"),
    "3": ("hface-trio", "hypercorn"),
}
_ESSENTIAL = ("hface-trio",)
_TRIALS = 15
_QUICK_TRIALS = 5
_MOST_MISSES = 3
_LONGEST_SECONDS = 1.0
_FIGURES = (Figure("latency_ms", "median ms", 2, "never"), Figure("missed", "missed, %", 0))


def measure_cancel(setting: Setting) -> Iterator[Measurement]:
    """Measure every version."""
    for http_version in setting.http_versions:
        measurement = Measurement(
            f"cancel-{http_version}",
            f"Cancellation, HTTP/{http_version}",
            "From the client's reset (HTTP/1.1: close) to the handler's cancellation (ASGI: http.disconnect); "
            f"missed: not heard of within {_LONGEST_SECONDS:g} s.",
            _FIGURES,
        )
        for name in setting.choose(_SERVERS[http_version], essential=_ESSENTIAL):
            with running_server(name, setting.server_core, setting.certificate) as server:
                if not setting.serves(server, http_version):
                    continue
                with setting.watching(server, http_version):
                    _measure(measurement, server, setting, http_version)
        for samples in measurement.rounds.values():
            share = sum(sample["missed"] or 0.0 for sample in samples) / len(samples)
            for sample in samples:
                sample["missed"] = share
        yield measurement


def _measure(measurement: Measurement, server: ServerProcess, setting: Setting, http_version: str) -> None:
    misses = 0
    for _ in range(_QUICK_TRIALS if setting.quick else _TRIALS):
        latency = trio.run(_cancel, server, setting.target(server, http_version))
        milliseconds = None if latency is None else 1000 * latency
        missed = 100.0 if latency is None else 0.0
        measurement.add(server.name, server.label, {"latency_ms": milliseconds, "missed": missed})
        misses += latency is None
        if misses == _MOST_MISSES:
            break


async def _cancel(server: ServerProcess, target: Target) -> float | None:
    async with connecting(target) as wire:
        await fetch(wire)
        while server.read_line(0) is not None:
            pass  # what an earlier one was late to say
        exchange, _ = wire.open("GET", "/wait")
        if await _read_line(server, "begun") is None:
            raise RuntimeError(f"{server.name}: a handler did not begin")
        left_at = time.monotonic()
        if target.http_version == "1.1":
            await wire.aclose()
        else:
            wire.client.cancel(exchange)
            wire.wake()
        line = await _read_line(server, "gone")
    return None if line is None else float(line.split()[1]) - left_at


async def _read_line(server: ServerProcess, beginning: str) -> str | None:
    with trio.move_on_after(_LONGEST_SECONDS):
        while True:
            line = await trio.to_thread.run_sync(server.read_line, _LONGEST_SECONDS, abandon_on_cancel=True)
            if line and line.startswith(beginning):
                return line
    return None
