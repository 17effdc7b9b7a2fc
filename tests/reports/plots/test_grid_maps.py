"""Maps over two knobs: the fastest strategy of each square, hatched without a winner."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from jacobench.bench.row.columns import tidy
from jacobench.reports.plots.grid_maps import maps
from jacobench.reports.plots.style import PAPER, strategy_style

FASTEST = {(16, 1): "dense", (16, 4): "vjp", (64, 1): "sparse", (64, 4): "vjp"}


@pytest.fixture
def grid(make_case, make_cell):
    """Return a table over width and batch in which the fastest takes 1 ms, the others 2 and 5; one is over budget."""
    rows = []
    for (width, batch), fastest in FASTEST.items():
        others = iter((2e-3, 5e-3))
        for strategy in ("dense", "sparse", "vjp"):
            seconds = 1e-3 if strategy == fastest else next(others)
            rows.append(make_cell(make_case(width=width, batch=batch), strategy) | {"seconds_median": seconds})
    rows[-3] |= {"status": "over_budget", "seconds_median": None, "peak_bytes": None}
    return tidy(rows)


def test_each_square_has_the_color_and_the_factor_of_the_fastest(grid, make_run):
    (plot,) = maps(make_run(grid), "gradient").values()
    (axes,) = plot.figure.axes
    places = {(line["width"], line["batch"]): line for line in plot.data.to_dict("records")}
    assert {at: line["strategy"] for at, line in places.items()} == FASTEST
    assert all(line["decision"] == "ahead" for line in places.values())
    for (x, width), (y, batch) in [((x, w), (y, b)) for x, w in enumerate((16, 64)) for y, b in enumerate((1, 4))]:
        color = strategy_style(FASTEST[width, batch]).color
        patches = [p for p in axes.patches if p.get_bbox().contains(x, y)]
        assert {to_hex(patch.get_facecolor()).upper() for patch in patches} == {color}
        markers = [
            m.get_marker() for m in axes.lines if np.allclose(m.get_xdata(), x) and np.allclose(m.get_ydata(), y + 0.3)
        ]
        assert markers == [strategy_style(FASTEST[width, batch]).marker]
    written = [text.get_text() for text in axes.texts]
    assert "vs sparse" in written
    assert places[16, 4]["factor"] == pytest.approx(2, rel=0.05)


def test_a_square_lists_strategies_without_a_number(grid, make_run):
    (plot,) = maps(make_run(grid), "gradient").values()
    (axes,) = plot.figure.axes
    assert plot.data["without"].tolist() == ["", "", "", "dense: over budget"]
    (hollow,) = [line for line in axes.lines if line.get_markerfacecolor() == PAPER]
    assert hollow.get_marker() == strategy_style("dense").marker
    assert (round(float(hollow.get_xdata()[0])), round(float(hollow.get_ydata()[0]))) == (1, 1)
    assert "B" in [text.get_text() for text in axes.texts]


def test_a_square_without_a_winner_is_hatched(grid, make_run):
    run = make_run(grid)
    near = (run.passes["case"] == "mlp-w16-d3-b1") & (run.passes["strategy"] != "vjp")
    run.passes.loc[near, "seconds"] = [1e-3, 2e-3, 3e-3, 3e-3, 2e-3, 1e-3]
    (plot,) = maps(run, "gradient").values()
    hatched = [patch for patch in plot.figure.axes[0].patches if patch.get_hatch()]
    assert [patch.get_bbox().contains(0, 0) for patch in hatched] == [True]
    assert plot.notes[-1] == "No winner in 1 of 4 squares."
    assert "no winner: undecided or equal" in [entry.get_text() for entry in plot.figure.legends[0].get_texts()]


def test_the_title_counts_grids_beyond_the_panels(make_case, make_cell, make_run):
    cells = [
        make_cell(make_case(width=w, batch=b, depth=d), s)
        for w in (8, 16)
        for b in (1, 2)
        for d in range(1, 6)
        for s in ("dense", "vjp")
    ]
    plot = maps(make_run(tidy(cells)), "gradient")["map-width-batch"]
    assert len(plot.figure.axes) == 4
    assert "4 of 5 grids" in plot.figure.get_suptitle().replace("\n", " ")
