"""Measurements as tables: for a terminal, and for the documentation."""

from __future__ import annotations

from collections.abc import Sequence

from _figures import NO_VALUE, TIMES, Measurement

__all__ = ["rows_of", "text_table"]

_SUBJECT = "hface-trio"


def rows_of(measurement: Measurement, *, most_columns: int = 10) -> list[list[str]]:
    """Return the cells of a table, the head first: figures, then ratios of the primary one to the floor and to ours.

    Servers are rows, unless there are so many figures that these are better read downwards.

    Args:
        measurement: what to show.
        most_columns: with more than these, and more than there would be otherwise, figures are rows.
    """
    rows = _rows_of_servers(measurement)
    if len(rows[0]) > max(most_columns, len(rows)):
        return [list(column) for column in zip(*rows, strict=True)]
    return rows


def _rows_of_servers(measurement: Measurement) -> list[list[str]]:
    primary, floor = measurement.primary, measurement.floor
    shows_floor = bool(primary) and floor in measurement.rounds
    shows_subject = bool(primary) and _SUBJECT in measurement.rounds
    head = ["", *(figure.title for figure in measurement.figures)]
    head += [f"{TIMES} {measurement.labels[floor]}"] if shows_floor else []
    head += [f"{TIMES} ours"] if shows_subject else []
    rows = [head]
    for server in measurement.servers:
        row = [measurement.labels[server]]
        row += [figure.format(measurement.median(server, figure.key)) for figure in measurement.figures]
        bases = ([floor] if shows_floor else []) + ([_SUBJECT] if shows_subject else [])
        for base in bases:
            ratio = measurement.ratio(server, primary, base)
            row.append(NO_VALUE if ratio is None else f"{ratio:.2f}")
        rows.append(row)
    return rows


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table for a terminal."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines: list[str] = []
    for number, row in enumerate(rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
        if not number:
            lines.append("  ".join("─" * width for width in widths))
    return "\n".join(lines)
