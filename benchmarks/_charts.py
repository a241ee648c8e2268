"""Charts of a run's results, as SVG: bars, this package's in a colour of its own, the bare loops' pale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from _client_programs import SUBJECTS
from _figures import Measurement
from matplotlib.figure import Figure as Canvas

__all__ = ["draw_charts"]

_COLOURS = {"ours": "#2a6fbb", "peer": "#8a8f98", "floor": "#d3d6db"}
_BAR_INCHES = 0.27
_HEAD_INCHES = 0.75
_WIDTH_INCHES = 8.0
_VERSIONS = ("1.1", "2", "3")


def draw_charts(measurements: Mapping[str, Measurement], directory: Path) -> list[Path]:
    """Draw those charts that there are results for; return the files.

    Args:
        measurements: by key.
        directory: where to; made if it is not there.
    """
    directory.mkdir(exist_ok=True)
    # The same results give the same files, to the octet; and letters stay letters.
    mpl.rcParams.update({"svg.hashsalt": "hface_trio", "svg.fonttype": "none", "font.size": 9})
    requests = [
        (f"HTTP/{each}{title}", measurements.get(f"requests-{each}{key}"), "processor_us", 0)
        for each in _VERSIONS
        for key, title in (("", ""), ("-varied", ", requests that differ"))
    ]
    down = [
        (f"HTTP/{each}, download", measurements.get(f"transfers-{each}"), "down_mib_per_s", 0) for each in _VERSIONS
    ]
    up = [(f"HTTP/{each}, upload", measurements.get(f"transfers-{each}"), "up_mib_per_s", 0) for each in _VERSIONS]
    transfers = [panel for pair in zip(down, up, strict=True) for panel in pair]
    talk = [("HTTP/1.1, on a new connection", measurements.get("crosstalk-1.1"), "40mb_new_ms", 1)]
    talk += [
        (f"HTTP/{each}, on the same connection", measurements.get(f"crosstalk-{each}"), "40mb_same_ms", 1)
        for each in ("2", "3")
    ]
    clients = [(f"HTTP/{each}", measurements.get(f"clients-{each}"), "processor_us", 0) for each in _VERSIONS]
    memory = [("", measurements.get("idle"), "kib_per_connection", 1)]
    return [
        *_draw(
            requests,
            "Processor time of the server for a small request, µs",
            directory / "performance-requests.svg",
        ),
        *_draw(
            transfers,
            "MiB for a second of processor time; more is better",
            directory / "performance-transfers.svg",
        ),
        *_draw(
            talk,
            "Time of a GET beside an unread upload of 40 MB, ms",
            directory / "performance-crosstalk.svg",
            shared=True,
        ),
        *_draw(
            clients,
            "Processor time of the client for a small request, µs",
            directory / "performance-clients.svg",
        ),
        *_draw(memory, "Memory of an idle HTTP/1.1 connection, KiB", directory / "performance-idle.svg"),
    ]


_Panel = tuple[str, Measurement | None, str, int]


def _draw(panels: Sequence[_Panel], title: str, path: Path, *, shared: bool = False) -> list[Path]:
    bars = [(name, _bars(measurement, figure), digits) for name, measurement, figure, digits in panels if measurement]
    bars = [each for each in bars if each[1]]
    if not bars:
        return []
    heights = [len(rows) + 1.2 for _, rows, _ in bars]
    canvas: Any = Canvas(figsize=(_WIDTH_INCHES, sum(heights) * _BAR_INCHES + _HEAD_INCHES), layout="constrained")
    scale = "one scale for all panels" if shared else "each panel has a scale of its own"
    canvas.suptitle(f"{title} ({scale})" if len(bars) > 1 else title, fontsize=10, x=0.01, ha="left", fontweight="bold")
    axes: Any = canvas.subplots(len(bars), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
    highest = max(_highest(rows) for _, rows, _ in bars)
    for axis, (name, rows, digits) in zip(axes[:, 0], bars, strict=True):
        _draw_panel(axis, name, rows, digits, highest if shared else _highest(rows))
    canvas.savefig(path, metadata={"Date": None, "Creator": None})
    return [path]


def _bars(measurement: Measurement, figure: str) -> list[tuple[str, float]]:
    """Return what is drawn: medians of the servers that were measured, infinity for what never came to pass."""
    # What speaks another version is the measure of the machine, and would dwarf the rest.
    servers = [each for each in measurement.servers if (measurement.key, each) != ("transfers-3", "bare-trio")]
    measured = [each for each in servers if any(figure in sample for sample in measurement.rounds[each])]
    medians = [(server, measurement.median(server, figure)) for server in measured]
    return [(server, math.inf if median is None else median) for server, median in medians]


def _highest(rows: Sequence[tuple[str, float]]) -> float:
    return max((value for _, value in rows if math.isfinite(value)), default=1.0)


def _draw_panel(axis: Any, name: str, rows: Sequence[tuple[str, float]], digits: int, highest: float) -> None:
    labels = [SUBJECTS[server].label for server, _ in rows]
    colours = [_COLOURS[SUBJECTS[server].role] for server, _ in rows]
    drawn = axis.barh(labels, [min(value, highest) for _, value in rows], color=colours, height=0.72)
    texts = [f"{value:,.{digits}f}" if math.isfinite(value) else "∞" for _, value in rows]
    axis.bar_label(drawn, labels=texts, padding=4)
    axis.invert_yaxis()
    axis.set_title(name, fontsize=9, loc="left")
    axis.set_xlim(0, highest * 1.12)
    axis.tick_params(axis="y", length=0)
    axis.xaxis.set_visible(False)
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)
