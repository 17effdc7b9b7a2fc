"""How cost grows, on a run whose costs are exact powers of the knobs."""

import math

import numpy as np
import pandas as pd
import pytest

from jacobench.bench.row.columns import tidy
from jacobench.reports.analysis.growth import growth

EXACT = {
    ("width", "dense", "bytes"): 3,
    ("width", "sparse", "bytes"): 2,
    ("width", "vjp", "bytes"): 2,
    ("depth", "dense", "bytes"): 1,
    ("batch", "dense", "bytes"): 2,
    ("batch", "vjp", "bytes"): 0,
    ("batch", "vjp", "seconds"): 1,
    ("weight_density", "sparse", "seconds"): 1,
}


def line(found, knob, strategy, quantity):
    (only,) = found[
        (found["knob"] == knob) & (found["strategy"] == strategy) & (found["quantity"] == quantity)
    ].to_dict("records")
    return only


@pytest.fixture
def found(standard):
    return growth(standard.assign(predicted_seconds=1e-9 * standard["predicted_flops"]))


@pytest.mark.parametrize("what", EXACT, ids="-".join)
def test_exact_powers_are_found_and_agree_with_theory(found, what):
    own = line(found, *what)
    assert own["exponent"] == pytest.approx(EXACT[what], abs=1e-6)
    assert own["exponent_predicted"] == pytest.approx(EXACT[what], abs=1e-6)
    assert own["verdict"] == "agrees"
    assert math.isnan(own["exponent_low"])


def test_a_size_without_predicted_seconds_leaves_no_exponent_to_compare(standard):
    seconds = (1e-9 * standard["predicted_flops"]).mask(standard["width"] == 32)
    own = line(growth(standard.assign(predicted_seconds=seconds)), "width", "vjp", "seconds")
    assert math.isnan(own["exponent_predicted"])
    assert own["verdict"] != own["verdict"]


def test_only_what_succeeded_is_fitted(found):
    own = line(found, "batch", "dense", "bytes")
    assert (own["smallest"], own["largest"], own["n_sizes"]) == (1, 16, 5)  # 32 and 64 were over budget


def test_memory_that_numpy_may_have_cached_is_left_out(standard):
    small = (standard["width"] == 16) & (standard["strategy"] == "vjp")
    standard.loc[small, "peak_bytes"] = 120.0
    own = line(growth(standard), "width", "vjp", "bytes")
    assert own["smallest"] == 32
    assert own["exponent"] == pytest.approx(2)


def test_what_does_not_grow_as_predicted_disagrees(standard):
    standard["peak_bytes"] *= standard["width"] ** 0.5
    assert line(growth(standard), "width", "vjp", "bytes")["verdict"] == "disagrees"
    assert line(growth(standard), "depth", "vjp", "bytes")["verdict"] == "agrees"


def test_without_a_prediction_there_is_no_verdict(standard):
    standard["predicted_bytes"] = np.nan
    own = line(growth(standard), "width", "vjp", "bytes")
    assert own["exponent"] == pytest.approx(2)
    assert math.isnan(own["exponent_predicted"])
    assert math.isnan(own["verdict"])


def test_the_interval_comes_from_the_passes(standard):
    rng = np.random.default_rng(4)
    timed = standard[standard["status"] == "ok"]
    parts = [
        timed.assign(**{"pass": k, "worker": 0}).assign(
            seconds=timed["seconds_median"] * np.exp(0.03 * rng.standard_normal(len(timed)))
        )
        for k in range(5)
    ]
    passes = pd.concat(parts)[["case", "strategy", "phase", "pass", "worker", "seconds"]]
    own = line(growth(standard, passes), "width", "vjp", "seconds")
    assert own["n_passes"] == 5
    assert own["exponent_low"] < own["exponent"] < own["exponent_high"]
    assert own["exponent"] == pytest.approx(2, abs=0.1)
    cut_short = passes[(passes["pass"] < 3) | (passes["case"] != "mlp-w16-d3-b1")]
    assert line(growth(standard, cut_short), "width", "vjp", "seconds")["n_passes"] == 3


def test_a_table_without_a_sweep_has_no_laws(standard):
    assert growth(standard.head(1)).empty
    assert growth(tidy([])).empty
    assert "exponent" in growth(tidy([])).columns
