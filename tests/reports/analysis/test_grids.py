"""Grids over two knobs, cut out of what a table holds."""

import pytest

from jacobench.bench.row.columns import tidy
from jacobench.reports.analysis.grids import find_grids


def table_of(make_case, make_cell, places):
    return tidy([make_cell(make_case(width=width, batch=batch), "vjp") for width, batch in places])


def test_a_product_of_two_knobs_is_a_grid(make_case, make_cell):
    (grid,) = find_grids(table_of(make_case, make_cell, [(w, b) for w in (8, 16) for b in (1, 2, 4)]))
    assert (grid.x, grid.y) == ("width", "batch")
    assert grid.sizes("width") == [8, 16]
    assert grid.sizes("batch") == [1, 2, 4]
    assert grid.held == "mlp, depth 3, tanh, mse, float64"


def test_two_sweeps_that_cross_are_none(make_case, make_cell):
    places = {(w, 1) for w in (8, 16, 32, 64)} | {(32, b) for b in (1, 2, 4, 8)}
    assert find_grids(table_of(make_case, make_cell, sorted(places))) == []


def test_a_grid_loses_the_sweeps_that_stick_out_of_it(make_case, make_cell):
    places = {(w, b) for w in (8, 16, 32) for b in (1, 2, 4)}
    places |= {(w, 1) for w in (64, 128)} | {(8, b) for b in (8, 16)}
    (grid,) = find_grids(table_of(make_case, make_cell, sorted(places)))
    assert grid.sizes("width") == [8, 16, 32]
    assert grid.sizes("batch") == [1, 2, 4]


def test_a_place_may_be_missing(make_case, make_cell):
    places = [(w, b) for w in (8, 16, 32) for b in (1, 2, 4) if (w, b) != (32, 4)]
    (grid,) = find_grids(table_of(make_case, make_cell, places))
    assert grid.rows["case"].nunique() == 8


@pytest.mark.parametrize("column", ["activation", "depth"])
def test_what_else_differs_makes_a_grid_of_its_own(make_case, make_cell, column):
    values = {"activation": ("tanh", "relu"), "depth": (2, 3)}[column]
    cells = [
        make_cell(make_case(width=w, batch=b, case=f"{w}-{b}-{value}", **{column: value}), "vjp")
        for w in (8, 16)
        for b in (1, 2)
        for value in values
    ]
    assert len([grid for grid in find_grids(tidy(cells)) if (grid.x, grid.y) == ("width", "batch")]) == 2


def test_several_cases_at_a_place_are_no_grid(make_case, make_cell):
    cells = [
        make_cell(make_case(width=w, batch=b, case=f"{w}-{b}-rng{seed}"), "vjp")
        for w in (8, 16)
        for b in (1, 2)
        for seed in (0, 1)
    ]
    assert find_grids(tidy(cells)) == []
    assert find_grids(tidy([])) == []
