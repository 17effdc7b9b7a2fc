"""What fits, on costs with known inverses."""

import math

import numpy as np
import pytest

from jacobench.graphs.errors import BadInput
from jacobench.reports.analysis.size_limits import largest, what_fits

SIZES = np.array([16.0, 32, 64, 128, 256])
CUBE = 8 * SIZES**3


@pytest.mark.parametrize("size", [17.0, 64.0, 200.0])
def test_within_the_range_it_is_interpolated(size):
    found = largest(SIZES, CUBE, 8 * size**3)
    assert found.size == pytest.approx(size)
    assert found.basis == "interpolation"


def test_beyond_the_range_the_law_goes_on_and_says_so():
    found = largest(SIZES, 1e6 + CUBE, 1e6 + 8 * 1000.0**3)
    assert found.size == pytest.approx(1000, rel=1e-4)
    assert found.basis == "extrapolation"


def test_what_was_not_measured_is_predicted():
    measured = np.where(SIZES > 64, np.nan, CUBE)
    found = largest(SIZES, measured, 8 * 100.0**3, CUBE)
    assert found.size == pytest.approx(100)
    assert found.basis == "model"
    assert largest(SIZES, measured, 8 * 50.0**3, CUBE).basis == "interpolation"


def test_the_ends():
    assert largest(SIZES, CUBE, 1.0).basis == "none"
    assert math.isnan(largest(SIZES, CUBE, 1.0).size)
    assert largest(SIZES[:2], CUBE[:2], 1e12).basis == "unknown"
    assert largest(SIZES, 5 - 0.01 * np.arange(5), 10.0).size == math.inf
    assert largest(SIZES, np.full(5, math.nan), 10.0).basis == "unknown"


def test_every_strategy_of_every_sweep_has_a_line(standard):
    found = what_fits(standard, "batch", "bytes", 2 * 2**30).set_index("strategy")
    assert found.loc["dense", "size"] == pytest.approx((2 * 2**30 / (24 * 64**3)) ** 0.5)
    assert found.loc["dense", "basis"] == "model"  # batch 32 was over budget
    assert found.loc["sparse", "basis"] == "extrapolation"
    assert found.loc["dense", "held"] == "mlp, width 64, depth 3, tanh, mse, float64"


def test_a_strategy_that_never_succeeded_has_a_line_only_for_memory(standard):
    standard.loc[standard["strategy"] == "dense", "status"] = "crashed"
    assert "dense" not in set(what_fits(standard, "width", "seconds", 1e-3)["strategy"])
    assert "dense" in set(what_fits(standard, "width", "bytes", 1e9)["strategy"])


@pytest.mark.parametrize(
    "arguments",
    [("widht", "bytes", 1.0), ("width", "byte", 1.0), ("width", "bytes", 0.0), ("width", "bytes", math.nan)],
)
def test_bad_input_says_what_was_expected(standard, arguments):
    with pytest.raises(BadInput, match=r"did you mean|expected a positive number"):
        what_fits(standard, *arguments)


def test_a_density_goes_no_further_than_one(standard):
    dense = what_fits(standard, "weight_density", "bytes", 2.0**50).set_index("strategy").loc["dense"]
    assert (dense["size"], dense["basis"]) == (1.0, "bound")
