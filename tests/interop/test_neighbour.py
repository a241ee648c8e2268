"""What an attack on one connection costs the requests of another, on the real clock."""

import subprocess
import sys

from ._process import ROOT


def test_a_neighbours_latency_is_unhurt_by_attacks_on_another_connection() -> None:
    script = str(ROOT / "benchmarks" / "neighbour.py")
    done = subprocess.run(
        [sys.executable, script, "--seconds", "0.7"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
