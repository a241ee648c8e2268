"""Measure each layer by itself, so that a loss is found where it happens: processor time in microseconds, best of five.

python benchmarks/layers.py
python benchmarks/layers.py --only engines --json layers.json
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from _layers import Layer
from _layers_drivers import measure_drivers
from _layers_engines import measure_http1, measure_http2, measure_http3
from _layers_trio import measure_datagrams, measure_sockets, measure_trio

from hface_trio.testing import throwaway_authority

Certificate = tuple[str, str]


def _engines(cafile: str, certificate: Certificate) -> Iterator[Layer]:
    return itertools.chain(measure_http1(), measure_http2(), measure_http3(cafile, certificate))


GROUPS: dict[str, Callable[[str, Certificate], Iterator[Layer]]] = {
    "trio": lambda _cafile, _certificate: measure_trio(),
    "sockets": lambda _cafile, _certificate: measure_sockets(),
    "datagrams": lambda _cafile, _certificate: measure_datagrams(),
    "engines": _engines,
    "drivers": measure_drivers,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description="Measure each layer by itself.")
    parser.add_argument("--only", choices=GROUPS, nargs="+", default=list(GROUPS), help="what (default: everything)")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args(arguments)
    layers: list[Layer] = []
    with throwaway_authority() as authority:
        certificate = authority.issue("localhost", "127.0.0.1")
        for group in options.only:
            for layer in GROUPS[group](authority.cafile, certificate):
                if not layers or layers[-1].group != layer.group:
                    print(f"\n{layer.group}, µs")
                layers.append(layer)
                print(f"  {layer.name:<44}{layer.microseconds:>9.2f}", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps([dataclasses.asdict(layer) for layer in layers], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
