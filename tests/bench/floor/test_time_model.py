"""The time model: it finds known rates, and every command predicts the same seconds from the same measurements."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from jacobench.bench.floor.predicted_rows import one_case, predicted_rows
from jacobench.bench.floor.time_model import FEWEST_CELLS, cross_validated_seconds, features, fit_rates, predict_seconds
from jacobench.bench.row.columns import tidy
from jacobench.bench.run import run_estimate
from jacobench.bench.run.run_plan import Plan
from jacobench.bench.suites.case import Suite, cells_of
from jacobench.reports.analysis.case_advice import advise
from jacobench.reports.data.run_data import Run

RATES = np.array([2e-6, 1e-6, 3e-10, 5e-11])
SIZES = [(width, batch) for width in (16, 32, 64, 128) for batch in (1, 8, 64)]


def measured(density=1.0):
    """Return cells that cost exactly what the rates say."""
    knobs = [{"width": width, "depth": 2 + k % 3, "batch": batch} for k, (width, batch) in enumerate(SIZES)]
    cases = [one_case({**each, "weight_density": density}) for each in knobs]
    table = tidy([row for case in cases for row in predicted_rows(case, ("forward", "dense", "vjp"))])
    return table.assign(status="ok", seconds_median=features(table) @ RATES)


def test_exact_rates_are_found():
    table = measured().query("phase == 'gradient' and strategy == 'vjp'")
    np.testing.assert_allclose(fit_rates(features(table), table["seconds_median"].to_numpy()), RATES, rtol=1e-6)


def test_no_rate_is_negative():
    work = np.array([[1.0, 4, 1e3, 1e3], [1, 8, 1e4, 2e3], [1, 12, 1e5, 9e3], [1, 16, 2e5, 1e4], [1, 20, 9e5, 2e4]])
    assert (fit_rates(work, np.array([5e-6, 4e-6, 3e-6, 2e-6, 1e-6])) >= 0).all()


def test_every_phase_and_strategy_with_a_model_is_predicted():
    target = tidy(predicted_rows(one_case({"width": 50, "depth": 5, "batch": 3}), ("forward", "dense", "vjp")))
    found = predict_seconds(measured(), target)
    np.testing.assert_allclose(found, features(target) @ RATES, rtol=1e-6)
    assert found.index.equals(target.index)


@pytest.mark.parametrize(
    "knobs", [{"dtype": "float32"}, {"weight_density": 0.5}], ids=["other dtype", "weights stored sparse"]
)
def test_other_code_is_not_predicted(knobs):
    target = tidy(predicted_rows(one_case({"width": 50, "depth": 2, **knobs}), ("vjp",)))
    assert predict_seconds(measured(), target).isna().all()


def test_too_few_cells_predict_nothing():
    table = measured()
    target = tidy(predicted_rows(one_case({"width": 50, "depth": 2}), ("vjp",)))
    few = table[table["case"].isin(table["case"].unique()[: FEWEST_CELLS - 1])]
    assert predict_seconds(few, target).isna().all()
    assert predict_seconds(tidy([]), target).isna().all()
    assert math.isnan(predict_seconds(table, target.assign(predicted_flops=math.nan)).iloc[0])


def test_the_cells_of_a_run_are_predicted_from_its_other_cases():
    table = measured()
    np.testing.assert_allclose(cross_validated_seconds(table), table["seconds_median"], rtol=1e-6)
    odd = table["case"] == table["case"].iloc[0]
    slower = table.assign(seconds_median=table["seconds_median"].where(~odd, 10.0))
    found = cross_validated_seconds(slower)
    np.testing.assert_allclose(found[odd], table.loc[odd, "seconds_median"], rtol=1e-6)
    untried = table.assign(status=table["status"].mask(odd, "over_budget"))
    np.testing.assert_allclose(cross_validated_seconds(untried)[odd], table.loc[odd, "seconds_median"], rtol=1e-6)


def test_a_graph_without_depth_uses_its_number_of_ops():
    target = tidy(predicted_rows(one_case({"graph": "op", "name": "tanh"}), ("vjp",))).assign(n_calls=500)
    assert features(target)[0, 1] == 500


def test_dry_run_and_recommend_predict_the_same_seconds(monkeypatch):
    noise = np.exp(0.1 * np.random.default_rng(1).standard_normal(len(measured())))
    table = measured()
    table["seconds_median"] *= noise
    cases = tuple(
        replace(one_case(knobs), strategies=("dense", "vjp"))
        for knobs in ({"width": 300, "depth": 2}, {"widths": [784, 300, 10], "batch": 2})
    )
    suite = Suite("mine", cases)
    monkeypatch.setattr(run_estimate, "_measure_small_cases", lambda _rows: table)
    dry_run = run_estimate.estimate(run_estimate.predicted_table(Plan(suite, cells_of(suite), 2**60)), 2**60)
    passes = pd.DataFrame([], columns=["case", "strategy", "phase", "pass", "worker", "seconds"])
    for case in cases:
        advice = advise(tidy(predicted_rows(case)), Run(table, passes), 2**60)
        assert advice.basis == "model"
        recommended = advice.strategies.set_index("strategy")["seconds"]
        cells = dry_run[(dry_run["case"] == case.name) & (dry_run["phase"] == "gradient")].set_index("strategy")
        assert cells["predicted_seconds"].to_dict() == pytest.approx(recommended.to_dict())
        assert cells["predicted_seconds"].notna().all()
