import math

import numpy as np
import pandas as pd
import pytest

from jacobench.bench.row.columns import tidy
from jacobench.graphs.errors import BadInput
from jacobench.reports.analysis.sweeps import KNOBS, drawable_sweeps, find_grids, find_sweeps
from jacobench.reports.plots.all_plots import all_figures


def test_the_sweeps_of_the_standard_table(standard):
    found = {knob: [sweep.sizes for sweep in find_sweeps(standard, knob)] for knob in KNOBS}
    assert found == {
        "width": [[16, 32, 64, 128, 256]],
        "depth": [[1, 2, 3, 4, 8, 16]],
        "batch": [[1, 2, 4, 8, 16, 32, 64]],
        "weight_density": [[0.01, 0.1, 0.5, 1.0]],
        "n_seeds": [],
    }


def test_a_sweep_holds_all_else_fixed_and_is_ordered(standard):
    (sweep,) = find_sweeps(standard.sample(frac=1, random_state=0), "width")
    assert sweep.fixed["depth"] == 3
    assert sweep.fixed["batch"] == 1
    assert math.isnan(sweep.fixed["normalization"])
    assert sweep.rows["width"].is_monotonic_increasing
    assert len(sweep.rows) == 15


def test_a_product_gives_a_sweep_for_each_other_knob(make_case, make_cell):
    cells = [make_cell(make_case(width=w, batch=b), "vjp") for w in (8, 16, 32) for b in (1, 4)]
    table = tidy(cells)
    assert [sweep.fixed["batch"] for sweep in find_sweeps(table, "width")] == [1, 4]
    assert len(find_sweeps(table, "batch")) == 3
    assert find_sweeps(table, "batch", min_sizes=3) == []
    assert len(drawable_sweeps(table, "batch")) == 3  # two sizes are drawn where there are no more


def test_pairs_are_not_drawn_if_there_is_a_longer_sweep(standard, make_case, make_cell):
    pair = tidy([make_cell(make_case(width=w, batch=7), "vjp") for w in (8, 16)])
    table = pd.concat([standard, pair], ignore_index=True)
    assert len(find_sweeps(table, "width")) == 2
    assert len(drawable_sweeps(table, "width")) == 1


def test_nets_of_other_shapes_are_not_one_batch_sweep(make_case, make_cell):
    cells = [make_cell(make_case(batch=b, n_parameters=n), "vjp") for b in (1, 2, 4) for n in (1000, 2000)]
    assert [len(sweep.rows) for sweep in find_sweeps(tidy(cells), "batch")] == [3, 3]


def test_several_cases_at_a_size_are_no_sweep(make_case, make_cell):
    """They differ in what is no column, as rng_seed: a line through them would go up and down at each size."""
    named = [make_case(width=w, case=f"w{w}-rng{k}") for w in (8, 16, 32) for k in (0, 1)]
    table = tidy([make_cell(case, strategy) for case in named for strategy in ("dense", "vjp")])
    assert find_sweeps(table, "width") == []
    assert not [name for name in all_figures(table) if "-vs-" in name]
    once = table[table["case"].str.endswith("rng0")]
    assert [sweep.sizes for sweep in find_sweeps(once, "width")] == [[8, 16, 32]]


def test_rows_without_the_knob_are_in_no_sweep(standard):
    assert find_sweeps(standard.assign(width=np.nan), "width") == []
    assert find_sweeps(tidy([]), "width") == []


def test_an_unknown_knob_offers_the_nearest(standard):
    with pytest.raises(BadInput, match="did you mean 'width'"):
        find_sweeps(standard, "widht")


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
