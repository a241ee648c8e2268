"""What attackers cost: the most memory that a server takes under each attack beyond what it had, and a neighbour's latency.

Attackers connect again as often as they are cut off, for a bounded time; the neighbour makes a small request on a connection
of its own every few milliseconds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import statistics
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import trio
from _attackers import Attack, attack_names
from _figures import TIMES, Figure, Measurement, Sample
from _servers import ServerProcess, pinned, running_server
from _setting import Setting
from _wire import Wire, connecting, fetch

__all__ = ["measure_attacks"]

_SERVERS = {
    "1.1": ("hface-trio", "hface-trio-httptools", "hypercorn", "uvicorn", "uvicorn-httptools"),
    "2": ("hface-trio", "hypercorn"),
    "3": ("hface-trio", "hypercorn"),
}
_ESSENTIAL = ("hface-trio",)
_ATTACKERS = 2
_SECONDS = 1.5
_QUICK_SECONDS = 0.5
_PAUSE_SECONDS = 0.005
_ALONE = 20
_WARM_UP = 50
_PATIENCE_SECONDS = 5.0
_START_SECONDS = 0.5
"""What the attackers need to begin."""
_ATTACKERS_PROGRAM = Path(__file__).with_name("_attackers.py")
_MIB = 1024 * 1024


def _key(name: str) -> str:
    return name.lower().replace(" ", "_")


def measure_attacks(setting: Setting) -> Iterator[Measurement]:
    """Measure every version; each attack with a new server, so that none hides what another one makes it allocate."""
    for http_version in setting.http_versions:
        figures: list[Figure] = []
        for name in attack_names(http_version):
            figures.append(Figure(f"{_key(name)}_mib", f"{name}, MiB"))
            figures.append(Figure(f"{_key(name)}_factor", f"{name}, neighbour {TIMES}", 1, "∞"))
        measurement = Measurement(
            f"attacks-{http_version}",
            f"Under attack, HTTP/{http_version}",
            "Growth of the server's resident memory at its peak while clients attack over TLS, and the median time of a "
            "neighbour's small request on a connection of its own, as a multiple of what it was before.",
            tuple(figures),
        )
        for server_name in setting.choose(_SERVERS[http_version], essential=_ESSENTIAL):
            sample: Sample = {}
            label = ""
            for name in attack_names(http_version):
                with running_server(server_name, setting.server_core, setting.certificate) as server:
                    label = server.label
                    if not setting.serves(server, http_version):
                        break
                    seconds = _QUICK_SECONDS if setting.quick else _SECONDS
                    attack = Attack(name, _ATTACKERS, http_version, *server.address, setting.cafile)
                    with setting.watching(server, http_version):
                        peak, factor = trio.run(_measure, server, setting, attack, seconds)
                        sample[f"{_key(name)}_mib"] = peak
                        sample[f"{_key(name)}_factor"] = factor
            if sample:
                measurement.add(server_name, label, sample)
        yield measurement


async def _measure(
    server: ServerProcess, setting: Setting, attack: Attack, seconds: float
) -> tuple[float, float | None]:
    async with connecting(setting.target(server, attack.http_version)) as wire:
        for _ in range(_WARM_UP):
            await fetch(wire)
        alone = statistics.median([await _fetch_in_a_while(wire) for _ in range(_ALONE)])
        before = server.resident_octets()
        server.reset_peak()
        times: list[float] = []
        with attacking(attack, setting.load_core), trio.move_on_after(seconds + _PATIENCE_SECONDS):
            await trio.sleep(_START_SECONDS)
            end = trio.current_time() + seconds
            with contextlib.suppress(RuntimeError):  # the server is out of service
                while trio.current_time() < end:
                    times.append(await _fetch_in_a_while(wire))
            await trio.sleep_until(end)
        peak = (server.peak_octets() - before) / _MIB
    return peak, statistics.median(times) / alone if times else None


async def _fetch_in_a_while(wire: Wire) -> float:
    await trio.sleep(_PAUSE_SECONDS)
    return await fetch(wire)


@contextlib.contextmanager
def attacking(attack: Attack, core: int | None) -> Generator[None]:
    """Run the attackers for the length of the block."""
    with pinned(core):
        process = subprocess.Popen([sys.executable, str(_ATTACKERS_PROGRAM), json.dumps(dataclasses.asdict(attack))])
    try:
        yield
    finally:
        process.kill()
        process.wait()
