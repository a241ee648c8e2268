"""The resident memory of another process."""

from __future__ import annotations

import time

import psutil  # type: ignore[import-untyped, unused-ignore]  # has types only with a package of its own

__all__ = ["highest_resident_octets", "resident_octets"]

_SAMPLE_SECONDS = 0.05


def resident_octets(pid: int) -> int:
    """Return the octets resident now."""
    resident: int = psutil.Process(pid).memory_info().rss
    return resident


def highest_resident_octets(pid: int, seconds: float) -> int:
    """Return the most octets resident during ``seconds``."""
    end, highest = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        highest = max(highest, resident_octets(pid))
        time.sleep(_SAMPLE_SECONDS)
    return highest
