"""Rates of strategies without known rules: they are found again, for all that is comparable and for nothing else."""

import math

import numpy as np
import pytest

from jacobench.bench.floor.fitted_rates import FEWEST_CELLS, features, fit_rates, predict_seconds
from jacobench.bench.floor.predicted_rows import one_case, predicted_rows
from jacobench.bench.row.columns import tidy

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


def test_a_graph_without_depth_uses_its_number_of_ops():
    target = tidy(predicted_rows(one_case({"graph": "op", "name": "tanh"}), ("vjp",))).assign(n_calls=500)
    assert features(target)[0, 1] == 500
