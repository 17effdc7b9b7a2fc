"""Cases by the model alone."""

import math

import pytest

from jacobench.bench.floor.predicted_rows import one_case, phases_of, predicted_rows
from jacobench.bench.row.columns import tidy
from jacobench.graphs.errors import BadInput
from jacobench.reports.analysis.size_limits import what_fits
from jacobench.strategies.reverse import Reverse
from jacobench.strategies.vjp import PullByRule


def test_a_case_is_made_of_a_sweeps_knobs():
    assert one_case({"widths": [784, 300, 10], "batch": 32}).name == "mlp-784x300x10-b32"
    assert one_case({"name": "lenet-300-100"}).knobs["graph"] == "lenet-300-100"


@pytest.mark.parametrize(
    ("knobs", "expected"),
    [
        ({"widths": [4, 4], "batch": [1, 2]}, "2 cases: expected one"),
        ({"widths": [4, 0]}, r"^widths\[1\]: expected"),
        ({"widths": [4]}, "^widths: expected a list of at least two"),
        ({"widths": [4, 4], "activation": "rleu"}, "did you mean 'relu'"),
        ({}, "^expected either `width`"),
    ],
    ids=str,
)
def test_knobs_that_make_no_case(knobs, expected):
    with pytest.raises(BadInput, match=expected):
        one_case(knobs)


def test_the_rows_of_a_case_before_it_is_measured():
    case = one_case({"widths": [8, 4, 2], "batch": 3, "n_seeds": 2})
    table = tidy(predicted_rows(case))
    assert len(table) == 3 * 4
    assert set(table["status"]) == {"not_tried"}
    assert set(table["n_parameters"]) == {8 * 4 + 4 + 4 * 2 + 2}
    (gradient,) = table.query("strategy == 'dense' and phase == 'gradient'").to_dict("records")
    assert gradient["predicted_bytes"] == phases_of("dense", case.make(), 2)["gradient"].peak_bytes
    assert gradient["predicted_flops"] > 0
    assert math.isnan(gradient["seconds_median"])


@pytest.mark.parametrize("spec", ["vjp", "dense"])
def test_equal_layers_of_other_cases_do_not_change_a_prediction(spec):
    def predicted(**knobs):
        return phases_of(spec, one_case({"width": 7, "depth": 2, "batch": 3, **knobs}).make(), knobs["n_seeds"])

    one, several = predicted(n_seeds=1), predicted(n_seeds=5)
    assert several["pullback"].flops == 5 * one["pullback"].flops > 0
    half = predicted(n_seeds=1, dtype="float32")
    assert [2 * half[phase].peak_bytes for phase in half] == [one[phase].peak_bytes for phase in one]
    deeper = predicted(n_seeds=1, depth=3)
    assert deeper["linearize"].peak_bytes > one["linearize"].peak_bytes


def test_rules_of_a_class_that_differ_in_their_state_have_their_own_costs():
    class Repeated(PullByRule):
        def __init__(self, times):
            self.times = times

        def cost(self, argument, ctx, n_seeds):
            cost = super().cost(argument, ctx, n_seeds)
            return cost._replace(pull_flops=self.times * cost.pull_flops)

    graph = one_case({"width": 5, "depth": 2}).make()
    once, thrice = (Reverse("mine", Repeated(times)).predict(graph, 1).phases["pullback"].flops for times in (1, 3))
    assert thrice == 3 * once > 0


def test_a_strategy_without_a_model_has_rows_without_predictions(tmp_path):
    (tmp_path / "mine.py").write_text(
        "class Mine:\n    name = 'mine'\n\n    def prepare(self, graph):\n        return None\n"
    )
    rows = predicted_rows(one_case({"widths": [4, 4]}), [f"{tmp_path / 'mine.py'}:Mine"])
    assert [row["predicted_bytes"] for row in rows] == [None] * 4


def test_a_grid_that_was_not_measured_says_what_fits():
    rows = [row for width in (16, 32, 64, 128) for row in predicted_rows(one_case({"width": width, "depth": 2}))]
    found = what_fits(tidy(rows), "width", "bytes", 10_000_000).set_index("strategy")
    assert set(found["basis"]) == {"model"}
    assert 64 < found.loc["dense", "size"] < 128 < found.loc["vjp", "size"]
