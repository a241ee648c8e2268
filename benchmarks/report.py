"""Write the tables and charts of the documentation's page on performance, from the results of a run and nothing else.

python benchmarks/report.py                            # from results/latest.json, into docs
python benchmarks/report.py results.json --docs directory
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _client_programs import SUBJECTS
from _figures import TIMES, Measurement
from _table import rows_of

__all__ = ["describe_run", "read_measurements", "rst_table", "write_tables"]

_HERE = Path(__file__).parent
_RESULTS = _HERE / "results" / "latest.json"
_DOCS = _HERE.parent / "docs"
_TABLES = "performance_tables.inc"
_MOST_COLUMNS = 5


def rst_table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table in reStructuredText, its first row and column being heads."""
    lines = [".. list-table::", "   :header-rows: 1", "   :stub-columns: 1", ""]
    for row in rows:
        for number, cell in enumerate(row):
            lines.append(f"   {'* -' if number == 0 else '  -'} {_escape(cell)}".rstrip())
    return "\n".join(lines)


def _escape(text: str) -> str:
    for character in "\\*`|_":
        text = text.replace(character, f"\\{character}")
    return text


def describe_run(run: dict[str, Any]) -> str:
    """Return a paragraph about a run."""
    packages = ", ".join(f"{name} {version}" for name, version in run["packages"].items())
    others = f" The load average of the machine was {run['load_before']} before." if "load_before" in run else ""
    cores = f"{run['cores']} cores" if run["cores"] != 1 else "one core, which servers share with what loads them,"
    commit = f" at commit {run['commit']}" if "commit" in run else ""
    return (
        f"Measured {run['time'][:10]}{commit} on {cores} under {run['system']}, with Python {run['python']}: "
        f"{run['rounds']} rounds of {run['seconds']:g} s for small requests.{others} "
        f"Versions: {packages}."
    )


def _gates_table(gates: Sequence[dict[str, Any]]) -> str:
    rows = [["figure", "measured", *(["of"] if gates and "taken" in gates[0] else []), "limit"]]
    for gate in gates:
        label = SUBJECTS[gate["server"]].label
        relation = f" {TIMES} {SUBJECTS[gate['floor']].label}" if gate["floor"] else ""
        value = "not measured" if gate["value"] is None else f"{gate['value']:.2f}{relation}"
        mark = "" if gate["kept"] else " (above)"
        taken = [gate["taken"]] if "taken" in gate else []
        rows.append([f"{gate['measurement']}, {gate['figure']}, {label}", value, *taken, f"{gate['limit']:g}{mark}"])
    return rst_table(rows)


def _section(title: str, body: str) -> str:
    return f"{title}\n{'~' * len(title)}\n\n{body}\n"


def write_tables(document: dict[str, Any]) -> str:
    """Return the tables of a run's results, in reStructuredText."""
    measurements = read_measurements(document)
    parts = [f".. Written by benchmarks/report.py; changes here are lost.\n\n{describe_run(document['run'])}\n"]
    parts += [
        _section(each.title, f"{_escape(each.note)}\n\n{rst_table(rows_of(each, most_columns=_MOST_COLUMNS))}")
        for each in measurements.values()
        if each.rounds
    ]
    if document["gates"]:
        parts.append(_section("Limits", _gates_table(document["gates"])))
    return "\n".join(parts)


def read_measurements(document: dict[str, Any]) -> dict[str, Measurement]:
    """Return the measurements of a run's results."""
    return {key: Measurement.from_json(each) for key, each in document["measurements"].items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write everything; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the tables and charts of the documentation.")
    parser.add_argument("results", nargs="?", type=Path, default=_RESULTS, help="default: results/latest.json")
    parser.add_argument("--docs", type=Path, default=_DOCS, help="default: docs")
    options = parser.parse_args(arguments)
    from _charts import draw_charts  # noqa: PLC0415  # matplotlib takes its time, and the tables do without

    document: dict[str, Any] = json.loads(options.results.read_text(encoding="utf-8"))
    tables: Path = options.docs / _TABLES
    tables.write_text(write_tables(document), encoding="utf-8")
    for path in (tables, *draw_charts(read_measurements(document), options.docs / "_static")):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
