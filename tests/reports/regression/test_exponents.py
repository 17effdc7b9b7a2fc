"""Exponents of two sides with known laws."""

from __future__ import annotations

import numpy as np
import pytest

from jacobench.reports.regression.exponents import bounded_by_rows, growths
from jacobench.reports.regression.gate_loop import run_gate
from jacobench.reports.regression.outcome import SAMPLE_COLUMNS
from jacobench.reports.regression.thresholds import GateThresholds


@pytest.fixture
def found(machine, sweep):
    """Return a function from the laws of both sides to the findings after six pairs."""

    def run(base, head, noise=0.01, **more):
        return growths(machine(sweep(base, head, **more), noise=noise)(None, range(6), 1), GateThresholds())

    return run


@pytest.mark.parametrize(
    ("exponent", "verdict"),
    [(3.0, "slower"), (2.2, "slower"), (2.0, "unchanged"), (2.05, "unchanged"), (1.5, "improved")],
)
def test_the_interval_decides(found, exponent, verdict):
    (growth,) = found(lambda w: 1e-9 * w**2, lambda w: 1e-9 * w**exponent)
    assert growth.line["verdict"] == verdict
    assert growth.line["quantity"] == "seconds~width"
    assert growth.line["base"] == pytest.approx(2, abs=0.03)
    assert growth.line["head"] == pytest.approx(exponent, abs=0.03)
    assert growth.line["low"] < 2 ** (exponent - 2) < growth.line["high"]
    assert growth.is_candidate == (verdict == "slower")
    assert growth.cells[0] == ("mlp-w16", "dense")


def test_noise_that_hides_a_power_is_open(found):
    (growth,) = found(lambda w: 1e-9 * w**2, lambda w: 1e-9 * w**2, noise=1.2)
    assert growth.line["verdict"] == "open"


def test_a_fixed_cost_does_not_hide_the_power(found):
    (growth,) = found(
        lambda w: 1e-5 + 1e-9 * w**2, lambda w: 1e-5 + 1e-9 * w**3, noise=0.005, widths=(16, 32, 64, 128, 256, 512)
    )
    assert growth.line["verdict"] == "slower"
    assert growth.line["head"] - growth.line["base"] == pytest.approx(1, abs=0.1)


def test_identical_sides_are_never_slower(found):
    verdicts = [
        found(lambda w: 1e-9 * w**2, lambda w: 1e-9 * w**2, noise=noise)[0].line for noise in (0.01, 0.03, 0.05)
    ]
    assert {line["verdict"] for line in verdicts} == {"unchanged"}


def test_two_sizes_are_no_sweep(found):
    assert found(lambda w: 1e-9 * w**2, lambda w: 1e-9 * w**3, widths=(16, 32)) == []


def test_without_knobs_there_is_no_sweep(machine, steady):
    here = machine({(f"case{k}", "vjp", "gradient"): steady() for k in range(3)})
    assert growths(here(None, range(6), 1), GateThresholds()) == []


def test_memory_below_8_kib_is_not_fitted(found):
    laws = found(lambda w: 1e-9 * w**2, lambda w: 1e-9 * w**2, peak_bytes=8000)
    assert {growth.line["quantity"] for growth in laws} == {"seconds~width"}
    assert np.isnan([growth.line["threshold"] for growth in laws]).sum() == 0


def test_a_size_that_one_side_lacks_is_left_out(machine, sweep):
    rows = sweep(lambda w: 1e-9 * w**2, lambda w: 1e-9 * w**2)
    samples = machine(rows)(None, range(6), 1).reindex(columns=list(SAMPLE_COLUMNS))
    lost = (samples["case"] == "mlp-w256") & (samples["side"] == "head")
    (growth,) = growths(samples[~lost], GateThresholds())
    assert growth.line["case"] == "mlp-w16 … mlp-w128"


@pytest.mark.long
@pytest.mark.parametrize("law", [lambda w: 2e-5 + 1e-12 * w**2, lambda _w: 2e-5], ids=["hidden", "flat"])
def test_a_power_that_fixed_costs_hide_is_settled_by_its_rows(machine, sweep, law):
    """Its exponent is undetermined, but no size is slower."""
    for seed in range(8):
        here = machine(sweep(law, law), noise=0.005)
        here.rng = np.random.default_rng(seed)
        outcome = run_gate(here, GateThresholds(), max_seconds=1e6, clock=here.clock)
        assert outcome.state == "clear", outcome.verdicts[["case", "quantity", "verdict", "reason"]]
        assert np.isfinite(outcome.verdicts["ratio"].astype(float)).all()


def test_an_open_exponent_with_a_slower_row_stays_open(found):
    (growth,) = found(lambda w: 1e-9 * w**2, lambda w: 1e-9 * w**2, noise=1.2)
    rows = {(*cell, "gradient"): "unchanged" for cell in growth.cells}
    assert bounded_by_rows(growth, rows).line["verdict"] == "unchanged"
    rows[(*growth.cells[0], "gradient")] = "inconclusive"
    assert bounded_by_rows(growth, rows).line["verdict"] == "open"
