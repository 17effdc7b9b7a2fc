"""Which cases are near: all else equal, every size within a factor of the square root of two."""

import math

import pytest

from jacobench.bench.row.columns import tidy
from jacobench.reports.analysis.single_verdict import RATIO_EXPONENT, nearby, with_unknown


def near(make_case, make_cell, target, *others):
    table = tidy([make_cell(case, "vjp") for case in others])
    return nearby(table, tidy([make_cell(target, "vjp")]).iloc[0].to_dict())


def test_the_case_itself_comes_first_and_then_the_nearest(make_case, make_cell):
    target = make_case(width=64)
    same_sizes = make_case(width=64, case="mlp-w64-d3-b1-rng1")
    found = near(make_case, make_cell, target, make_case(width=80), same_sizes, target, make_case(width=60))
    assert [near.case for near in found] == ["mlp-w64-d3-b1", "mlp-w64-d3-b1-rng1", "mlp-w60-d3-b1", "mlp-w80-d3-b1"]
    assert [near.distance_factor for near in found[:2]] == [1, 1]
    assert [near.differs for near in found[:3]] == ["", "", "width 60, not 64"]
    assert found[2].ratio_uncertainty == pytest.approx((64 / 60) ** RATIO_EXPONENT)


@pytest.mark.parametrize(("knob", "size"), [("width", 90), ("depth", 4), ("batch", 7), ("n_seeds", 11)])
def test_each_size_may_differ_by_the_square_root_of_two(make_case, make_cell, knob, size):
    target = make_case(**{knob: 8 if knob in {"batch", "n_seeds"} else 3 if knob == "depth" else 64})
    assert len(near(make_case, make_cell, target, make_case(**{knob: size}) | {"n_parameters": target["n_parameters"]}))
    assert not near(make_case, make_cell, target, make_case(**{knob: 2 * size}))


@pytest.mark.parametrize(
    "other",
    [
        {"activation": "relu"},
        {"loss": None},
        {"dtype": "float32"},
        {"residual": True},
        {"graph": "lenet"},
        {"wrt": "inputs"},
        {"task": "jacobian"},
    ],
    ids=str,
)
def test_all_else_must_be_equal(make_case, make_cell, other):
    assert not near(make_case, make_cell, make_case(), make_case(**other))


def test_weights_stored_sparse_are_not_near_dense_ones(make_case, make_cell):
    assert not near(make_case, make_cell, make_case(density=0.8), make_case(density=1.0))
    assert len(near(make_case, make_cell, make_case(density=0.8), make_case(density=0.9)))


def test_nets_of_other_shapes_are_distinguished_by_their_parameters(make_case, make_cell):
    target = make_case()
    a_bit, much = ({**target, "case": "other", "n_parameters": target["n_parameters"] * times} for times in (1.5, 4))
    (line,) = near(make_case, make_cell, target, a_bit)
    assert line.distance_factor == pytest.approx(math.sqrt(1.5))
    assert "parameters" in line.differs
    assert not near(make_case, make_cell, target, much)


def test_an_empty_table_has_nothing_near(make_case, make_cell):
    assert not near(make_case, make_cell, make_case())


def test_a_verdict_that_a_strategy_without_an_estimate_leaves_open_has_no_doubts():
    line = {"strategy": "vjp", "decision": "ahead", "could_win": {"sparse": 2.0}}
    assert with_unknown(line, []) == line
    assert with_unknown(line, ["mine"]) == {
        **line,
        "decision": "undecided",
        "could_win": {},
        "without_estimate": "mine",
    }
