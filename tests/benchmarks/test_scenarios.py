"""The measurements, briefly, of a server of this package: they give the figures that their limits are on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import _clients
import pytest
from _cancel import measure_cancel
from _clients import measure_clients
from _crosstalk import measure_crosstalk
from _drain import measure_drain
from _figures import Measurement
from _gates import load_gates
from _idle import measure_idle
from _setting import Setting

from hface_trio.testing import throwaway_authority

GATES = load_gates(Path(__file__).parents[2] / "benchmarks" / "gates.toml")


@pytest.fixture(scope="module")
def make_setting() -> Iterator[Callable[[str], Setting]]:
    with throwaway_authority() as authority:
        certificate = authority.issue("localhost", "127.0.0.1")

        def make(http_version: str) -> Setting:
            return Setting(certificate, authority.cafile, None, None, 1, 0.1, quick=True, http_versions=[http_version])

        yield make


@pytest.mark.parametrize(
    ("measure", "http_version"),
    [
        (measure_idle, "1.1"),
        (measure_crosstalk, "1.1"),
        (measure_drain, "2"),
        (measure_cancel, "1.1"),
        (measure_cancel, "2"),
        (measure_cancel, "3"),
    ],
)
def test_a_measurement_gives_the_figures_that_have_limits(
    make_setting: Callable[[str], Setting],
    measure: Callable[[Setting], Iterator[Measurement]],
    http_version: str,
) -> None:
    setting = make_setting(http_version)
    (measurement,) = measure(setting)
    assert setting.failures == []
    gates = [gate for gate in GATES if gate.measurement == measurement.key and not gate.floor]
    assert gates
    for gate in gates:
        assert measurement.median(gate.server, gate.figure) is not None, gate
    assert {figure.key for figure in measurement.figures} >= {gate.figure for gate in gates}


@pytest.mark.parametrize("http_version", ["1.1", "2", "3"])
def test_clients_are_measured_beside_their_floor(make_setting: Callable[[str], Setting], http_version: str) -> None:
    setting = make_setting(http_version)
    (measurement,) = measure_clients(setting)
    assert setting.failures == []
    gates = [gate for gate in GATES if gate.measurement == measurement.key]
    assert gates
    for gate in gates:
        assert measurement.ratio(gate.server, gate.figure, gate.floor) is not None, gate


def test_a_client_that_gets_another_answer_is_not_measured(
    make_setting: Callable[[str], Setting], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bare server of HTTP/1.1 answers clients that speak HTTP/2 with something else."""
    monkeypatch.setattr(_clients, "_SERVER", "bare-httptools")
    setting = make_setting("2")
    (measurement,) = measure_clients(setting)
    assert any("hface_trio" in failure for failure in setting.failures)
    assert measurement.median("hface-trio", "processor_us") is None
