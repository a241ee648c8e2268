"""What is made of figures: medians, ratios, tables, limits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from _client_programs import SUBJECTS
from _figures import NO_VALUE, TIMES, Figure, Measurement, Sample
from _gates import Gate, judge, load_gates
from _table import rows_of, text_table
from report import rst_table, write_tables

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def measurement() -> Measurement:
    made = Measurement("requests-2", "Title", "Note.", (Figure("us", "µs", 1), Figure("other", "other")), "us", "floor")
    made.labels.update({"floor": "bare_trio", "hface-trio": "ours"})
    for floor, ours in ((10.0, 50.0), (30.0, 90.0), (20.0, 80.0)):  # the machine slows down, and recovers
        made.add("floor", "bare_trio", {"us": floor, "other": 1.0})
        made.add("hface-trio", "ours", {"us": ours, "other": None})
    return made


def test_a_ratio_is_the_median_of_those_taken_round_by_round() -> None:
    assert measurement().ratio("hface-trio", "us", "floor") == 4.0  # of 5, 3 and 4


def test_a_figure_without_values_has_no_median() -> None:
    assert measurement().median("hface-trio", "other") is None


def test_results_survive_json() -> None:
    again = Measurement.from_json(json.loads(json.dumps(measurement().to_json())))
    assert again == measurement()


def test_the_table_has_the_ratios_of_the_primary_figure() -> None:
    assert rows_of(measurement()) == [
        ["", "µs", "other", f"{TIMES} bare_trio", f"{TIMES} ours"],
        ["bare_trio", "20.0", "1.0", "1.00", "0.25"],
        ["ours", "80.0", NO_VALUE, "4.00", "1.00"],
    ]


def test_many_figures_are_read_downwards() -> None:
    many = Measurement("key", "Title", "Note.", tuple(Figure(f"f{n}", f"figure {n}") for n in range(12)))
    many.add("hface-trio", "ours", {f"f{n}": float(n) for n in range(12)})
    rows = rows_of(many)
    assert rows[0] == ["", "ours"]
    assert rows[12] == ["figure 11", "11.0"]


def test_a_table_for_the_terminal_has_straight_columns() -> None:
    lines = text_table(rows_of(measurement())).splitlines()
    assert len({line.rindex(" ") for line in lines[2:]}) == 1


@pytest.mark.parametrize(("limit", "kept"), [(4.0, True), (3.9, False)])
def test_a_limit_with_a_floor_is_one_on_the_ratio(limit: float, kept: bool) -> None:
    gate = Gate("requests-2", "hface-trio", "us", limit, "floor")
    (verdict,) = judge([gate], {"requests-2": measurement()}, {})
    assert (verdict.value, verdict.kept) == (4.0, kept)


def test_a_limit_without_a_floor_is_one_on_the_figure() -> None:
    (verdict,) = judge([Gate("requests-2", "hface-trio", "us", 89.0)], {"requests-2": measurement()}, {})
    assert (verdict.value, verdict.kept) == (90.0, False)
    assert verdict.describe().startswith("ABOVE")


def test_a_figure_that_is_missing_keeps_no_limit() -> None:
    (verdict,) = judge([Gate("requests-2", "hface-trio", "other", 1.0)], {"requests-2": measurement()}, {})
    assert not verdict.kept
    assert verdict.describe().startswith("NO FIGURE")


def in_rounds(*rounds: Sample, floor: tuple[Sample, ...] = ()) -> dict[str, Measurement]:
    made = Measurement("key", "Title", "Note.", (Figure("cut", "cut"), Figure("s", "s", missing="never")))
    for sample in rounds:
        made.add("hface-trio", "ours", sample)
    for sample in floor:
        made.add("bare-trio", "bare trio", sample)
    return {"key": made}


def test_a_loss_in_one_round_is_a_loss() -> None:
    measurements = in_rounds({"cut": 0.0}, {"cut": 0.0}, {"cut": 40.0}, {"cut": 0.0})
    (verdict,) = judge([Gate("key", "hface-trio", "cut", 0)], measurements, {})
    assert (verdict.value, verdict.kept) == (40.0, False)
    assert "worst round" in verdict.describe()


@pytest.mark.parametrize("sample", [{"s": None}, {}], ids=["never", "not measured"])
def test_a_round_without_the_figure_keeps_no_limit(sample: Sample) -> None:
    (verdict,) = judge([Gate("key", "hface-trio", "s", 9.0)], in_rounds({"s": 1.0}, sample, {"s": 1.0}), {})
    assert (verdict.value, verdict.kept) == (None, False)


@pytest.mark.parametrize(
    "floor",
    [({"s": 1.0},), ({"s": 1.0}, {}), ({"s": 1.0}, {"s": 1.0}, {"s": 1.0})],
    ids=["fewer rounds", "a round failed", "more rounds"],
)
def test_a_round_that_one_of_the_two_does_not_have_keeps_no_limit(floor: tuple[Sample, ...]) -> None:
    measurements = in_rounds({"s": 1.0}, {"s": 1.0}, floor=floor)
    (verdict,) = judge([Gate("key", "hface-trio", "s", 9.0, "bare-trio")], measurements, {})
    assert (verdict.value, verdict.kept) == (None, False)


@pytest.mark.parametrize(
    ("rounds", "median"),
    [
        (({"s": None}, {"s": 1.0}, {"s": 2.0}), 2.0),
        (({"s": None}, {"s": 1.0}), None),
        (({}, {"s": 1.0}), 1.0),
    ],
    ids=["never, once of three", "never, once of two", "not measured"],
)
def test_never_is_longer_than_any_time(rounds: tuple[Sample, ...], median: float | None) -> None:
    assert in_rounds(*rounds)["key"].median("hface-trio", "s") == median


def test_what_was_not_measured_or_cannot_be_is_not_judged() -> None:
    gates = [Gate("idle", "hface-trio", "us", 1.0), Gate("requests-2", "absent", "us", 1.0)]
    assert judge(gates, {"requests-2": measurement()}, {"absent": False}) == []


def test_every_limit_is_one_of_a_server_that_there_is() -> None:
    gates = load_gates(BENCHMARKS / "gates.toml")
    assert gates
    for gate in gates:
        assert gate.server in SUBJECTS
        assert not gate.floor or SUBJECTS[gate.floor].role == "floor"


def test_a_malformed_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gates.toml"
    path.write_text('[[gate]]\nmeasurement = "idle"\n')
    with pytest.raises(ValueError, match=r"gates\.toml"):
        load_gates(path)


def test_names_are_escaped_for_the_documentation() -> None:
    assert "* - hface\\_trio" in rst_table([["name", "µs"], ["hface_trio", "1"]])


def test_the_report_has_every_measurement_and_limit() -> None:
    run = {"time": "2026-01-02T03:04+00:00", "cores": 2, "system": "Linux", "python": "3.13.0"}
    run |= {"rounds": 7, "seconds": 1.0, "packages": {"trio": "0.35"}}
    gate = {"measurement": "requests-2", "server": "hface-trio", "figure": "us", "limit": 5.0, "floor": "bare-trio"}
    document = {
        "run": run,
        "measurements": {"requests-2": measurement().to_json()},
        "gates": [{**gate, "value": 4.0, "kept": True}],
    }
    text = write_tables(document)
    assert "Measured 2026-01-02 on 2 cores" in text
    assert "Title\n~~~~~" in text
    assert f"4.00 {TIMES} bare trio" in text
