"""Cross-talk: what a GET takes beside an upload that its handler does not read, as a multiple of what it takes alone."""

from __future__ import annotations

import contextlib
import itertools
import statistics
from collections.abc import Iterator

import trio
from _application import UNREAD_SECONDS
from _figures import Figure, Measurement, Sample
from _servers import running_server
from _setting import Setting
from _wire import Target, Wire, connecting, fetch

__all__ = ["measure_crosstalk"]

_SIZES = {"40 KB": 40_000, "40 MB": 40_000_000}
_SERVERS = {
    "1.1": ("hface-trio", "hface-trio-httptools", "hypercorn", "uvicorn", "uvicorn-httptools"),
    "2": ("hface-trio", "hypercorn"),
    "3": ("hface-trio", "hypercorn"),
}
_ESSENTIAL = ("hface-trio",)
_TURNS = 2
_ALONE = 15
_BESIDE = 10
_SETTLE_SECONDS = 0.1
_SPAN_SECONDS = 0.6
_LONGEST_SECONDS = 6 * UNREAD_SECONDS


def measure_crosstalk(setting: Setting) -> Iterator[Measurement]:
    """Measure every version."""
    for http_version in setting.http_versions:
        places = ("new",) if http_version == "1.1" else ("same", "new")
        figures: list[Figure] = []
        for place, size in itertools.product(places, _SIZES):
            key, what = _key(size, place), f"{size}, {place} connection"
            figures.append(Figure(f"{key}_alone_ms", f"{what}: alone, ms", 2))
            figures.append(Figure(f"{key}_ms", f"{what}: beside it, ms", 2, "∞"))
            figures.append(Figure(f"{key}_factor", f"{what}: factor", 1, "∞"))
        measurement = Measurement(
            f"crosstalk-{http_version}",
            f"Cross-talk, HTTP/{http_version}",
            f"The time of a GET beside an upload over TLS whose handler reads nothing for {UNREAD_SECONDS:g} s, on the same "
            "connection or on a new one (the time of connecting included), and that as a multiple of the time alone, before "
            "the upload with the same server.",
            tuple(figures),
        )
        for name in setting.choose(_SERVERS[http_version], essential=_ESSENTIAL):
            for _ in range(1 if setting.quick else 2):
                sample: Sample = {}
                label = ""
                for place, (size, octets) in itertools.product(places, _SIZES.items()):
                    # Each in a process of its own: some servers do not survive a client that leaves within its upload.
                    with running_server(name, setting.server_core, setting.certificate) as server:
                        if not setting.serves(server, http_version):
                            break
                        label = server.label
                        with setting.watching(server, http_version):
                            target = setting.target(server, http_version)
                            key = _key(size, place)
                            alone, beside = trio.run(_measure, target, place, octets, 1 if setting.quick else _TURNS)
                            sample[f"{key}_alone_ms"] = 1000 * alone
                            sample[f"{key}_ms"] = None if beside is None else 1000 * beside
                            sample[f"{key}_factor"] = None if beside is None else beside / alone
                if sample:
                    measurement.add(name, label, sample)
        yield measurement


def _key(size: str, place: str) -> str:
    return f"{size.replace(' ', '').lower()}_{place}"


async def _measure(target: Target, place: str, octets: int, turns: int) -> tuple[float, float | None]:
    """Return medians of the times alone, before and after, and beside the upload."""
    alone: list[float] = []
    beside: list[float] = []
    for _ in range(turns):
        alone += await _times_alone(target, place)
        beside += await _times_beside(target, place, octets)
        if not beside or max(beside) > _SETTLE_SECONDS:
            break  # this server is blocked, and would be so again
    return statistics.median(alone), statistics.median(beside) if beside else None


async def _times_alone(target: Target, place: str) -> list[float]:
    async with connecting(target) as wire:
        await fetch(wire)
        return [await _get(target, wire if place == "same" else None) for _ in range(_ALONE)]


async def _times_beside(target: Target, place: str, octets: int) -> list[float]:
    """Return the times of as many GETs as fit into the time in which the upload waits, and as are answered."""
    times: list[float] = []
    with trio.move_on_after(_LONGEST_SECONDS):
        async with connecting(target) as wire:
            await fetch(wire)
            _, uploaded = wire.open("POST", "/unread", octets)
            await trio.sleep(_SETTLE_SECONDS)
            end = trio.current_time() + _SPAN_SECONDS
            while len(times) < _BESIDE and trio.current_time() < end and not uploaded.is_set():
                with contextlib.suppress(RuntimeError, OSError, trio.BrokenResourceError):
                    times.append(await _get(target, wire if place == "same" else None))
    return times


async def _get(target: Target, wire: Wire | None) -> float:
    if wire is not None:
        return await fetch(wire)
    began = trio.current_time()
    async with connecting(target) as fresh:
        await fetch(fresh)
        return trio.current_time() - began
