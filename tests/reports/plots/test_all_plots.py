import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from jacobench.bench.row.columns import tidy
from jacobench.graphs.errors import BadInput
from jacobench.reports.data.run_data import Run
from jacobench.reports.data.vocabulary import LETTERS
from jacobench.reports.plots.all_plots import all_figures
from jacobench.reports.plots.case_plots import overviews
from jacobench.reports.plots.layout import NoData
from jacobench.reports.plots.missing_cells import REACH, place
from jacobench.reports.plots.quantities import QUANTITIES
from jacobench.reports.plots.scaling_plots import scaling
from jacobench.reports.plots.style import PAPER, strategy_style


def panels(plot):
    figure = getattr(plot, "figure", plot)
    figure.draw_without_rendering()
    return figure.axes


def overview(table):
    return overviews(Run(table), "gradient")["cases"]


def series(axes, strategy, *, hollow=False):
    """Return the points of a strategy that are drawn with its marker, filled or hollow, as (x, y) in data or axes units."""
    style = strategy_style(strategy)
    points = []
    for drawn in axes.lines:
        if drawn.get_marker() == style.marker and (drawn.get_markerfacecolor() == PAPER) == hollow:
            assert to_hex(drawn.get_markeredgecolor()).upper() == style.color
            points += [point for point in zip(*drawn.get_data(), strict=True) if np.isfinite(point).all()]
    return sorted((float(x), float(y)) for x, y in points)


def legend(figure):
    return [entry.get_text() for entry in figure.legends[0].get_texts()]


def letters(axes):
    return sorted(entry.get_text() for entry in axes.texts)


@pytest.mark.long
def test_every_knob_that_is_swept_has_its_plots(standard):
    assert [name for name in all_figures(standard) if name.startswith(("time-vs-", "memory-vs-"))] == [
        f"{quantity}-vs-{knob}"
        for knob in ("width", "depth", "batch", "weight-density")
        for quantity in ("time", "memory")
    ]


def test_measured_points_are_all_drawn_where_they_were_measured(standard):
    (axes,) = panels(scaling(standard, "width", "bytes"))
    widths = (16, 32, 64, 128, 256)
    assert series(axes, "dense") == [(w, 24.0 * w**3) for w in widths]
    assert series(axes, "vjp") == [(w, 24.0 * w**2) for w in widths]
    assert axes.get_xscale() == axes.get_yscale() == "log"


def test_titles_axes_units_and_slopes(standard):
    figure = scaling(standard, "width", "bytes").figure
    (axes,) = panels(figure)
    assert figure.get_suptitle() == "gradient: peak heap memory against width"
    assert "mlp, depth 3, batch 1, tanh, mse, float64" in axes.get_title(loc="left")
    assert "dense\u00a03.00, sparse\u00a02.00, vjp\u00a02.00" in axes.get_title(loc="left")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("width", "peak heap memory")
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["16", "32", "64", "128", "256"]
    assert "128 KiB" in [tick.get_text() for tick in axes.get_yticklabels()]
    assert legend(figure)[:3] == ["dense", "sparse", "vjp"]
    assert "AMD EPYC" in figure.get_supxlabel()
    time = panels(scaling(standard, "width", "seconds"))[0]
    assert {"1 ms", "100 µs"} <= {tick.get_text() for tick in time.get_yticklabels()}


def test_memory_over_budget_is_drawn_hollow_at_its_predicted_size(standard):
    figure = scaling(standard, "batch", "bytes").figure
    (axes,) = panels(figure)
    at = {size for size, _ in series(axes, "dense")}
    assert at == {1, 2, 4, 8, 16}
    assert series(axes, "dense", hollow=True) == [(b, 24.0 * b**2 * 64**3) for b in (32, 64)]
    assert axes.get_ylim()[1] > 24.0 * 64**2 * 64**3
    assert any("at its predicted size" in entry for entry in legend(figure))


def test_cells_without_a_number_are_in_the_band_with_their_letter(standard):
    figure = scaling(standard, "batch", "seconds").figure
    (axes,) = panels(figure)
    band = series(axes, "dense", hollow=True) + series(axes, "sparse", hollow=True)
    assert [size for size, _ in band] == [32, 64, 32]
    assert all(0.8 < height < 1 for _, height in band)  # a share of the axes, above all data
    assert letters(axes) == ["B", "B", "T"]
    assert {"over budget", "timeout"} <= set(legend(figure))
    top = axes.transAxes.inverted().transform(axes.transData.transform((1, standard["seconds_median"].max())))[1]
    assert top < min(height for _, height in band)


def test_no_line_leads_through_a_cell_without_a_number_where_there_is_no_law(standard):
    few = standard[standard["batch"].isin([16, 32, 64]) & (standard["width"] == 64)]
    (axes,) = panels(scaling(few, "batch", "seconds"))  # two sizes of sparse are left: too few for a law
    (line,) = [drawn for drawn in axes.lines if drawn.get_marker() == "^" and drawn.get_linestyle() == "--"]
    assert np.isnan(np.asarray(line.get_ydata(), dtype=float)[list(line.get_xdata()).index(32)])


def test_the_law_is_drawn_through_what_was_measured_and_no_further(standard):
    plot = scaling(standard, "batch", "bytes")
    (axes,) = panels(plot)
    (line,) = [
        d
        for d in axes.lines
        if len(d.get_xdata()) > 20 and to_hex(d.get_color()).upper() == strategy_style("dense").color
    ]
    assert (line.get_xdata()[0], line.get_xdata()[-1]) == pytest.approx((1, 16))
    np.testing.assert_allclose(line.get_ydata(), 24.0 * np.asarray(line.get_xdata()) ** 2 * 64**3, rtol=1e-6)
    (note,) = [note for note in plot.notes if note.startswith("dense")]
    assert "batch^2.00, predicted exponent 2.00: agrees" in note


@pytest.mark.long
@pytest.mark.parametrize(
    "status", ["wrong", "unsupported", "out_of_memory", "timeout", "crashed", "error", "not_tried", "over_budget", "ok"]
)
def test_each_status_has_its_place_in_both_quantities(standard, status):
    cell = (standard["case"] == "mlp-w256-d3-b1") & (standard["strategy"] == "sparse")
    standard.loc[cell, ["status", "seconds_median", "peak_bytes", "predicted_bytes"]] = [
        status,
        np.nan,
        np.nan,
        2.0**60,
    ]
    standard.loc[cell, "memory_tool"] = None  # with a tool, it would be memory below the resolution
    for quantity in QUANTITIES:
        figure = scaling(standard, "width", quantity).figure
        (axes,) = panels(figure)
        assert [size for size, _ in series(axes, "sparse", hollow=True)] == [256]
        assert len(letters(axes)) == 1
        everything = panels(overview(standard))[list(QUANTITIES).index(quantity)]
        assert letters(axes)[0] in letters(everything)


def test_how_far_a_prediction_is_within_reach(standard):
    for factor, drawn in ((0.99, True), (1.01, False)):
        rows = standard[standard["case"] == "mlp-w64-d3-b64"].copy()
        rows.loc[rows["strategy"] == "dense", "predicted_bytes"] = factor * REACH * rows["peak_bytes"].max()
        placed = place(rows, QUANTITIES["bytes"])
        assert placed.hollow.notna().sum() == drawn
        assert placed.edge.sum() == (not drawn)
        assert placed.high > 10 * rows["peak_bytes"].max() or not drawn


def test_error_bars_only_where_there_is_an_interval(standard):
    (axes,) = panels(scaling(standard, "width", "seconds"))
    bars = [container for container in axes.containers if container.has_yerr]
    ends = bars[0].lines[2][0].get_segments()
    assert np.ptp(ends[0][:, 1]) == pytest.approx(0.04 * 24 * 16**3 / 12 * 0.4e-9 * 3, rel=1)
    once = standard.assign(seconds_low=np.nan, seconds_high=np.nan)
    (axes,) = panels(scaling(once, "width", "seconds"))
    assert all(np.ptp(s[:, 1]) == 0 for c in axes.containers for s in c.lines[2][0].get_segments())


def test_an_interval_that_excludes_the_median_is_no_error(standard):
    (axes,) = panels(scaling(standard.assign(seconds_low=standard["seconds_median"] * 1.1), "width", "seconds"))
    drawn = {point for strategy in ("dense", "sparse", "vjp") for point in series(axes, strategy)}
    lower_ends = {tuple(s[0]) for c in axes.containers for s in c.lines[2][0].get_segments()}
    assert lower_ends <= drawn  # a bar of no length downwards


def test_a_panel_for_each_sweep(make_case, make_cell):
    cells = [
        make_cell(make_case(width=w, batch=b), s) for w in (8, 16, 32) for b in (1, 2, 4, 8) for s in ("sparse", "vjp")
    ]
    figure = scaling(tidy(cells), "width", "seconds").figure
    titles = [axes.get_title(loc="left").splitlines()[0] for axes in panels(figure)]
    assert titles == [f"mlp, depth 3, batch {b}, tanh, mse, float64" for b in (1, 2, 4, 8)]


def test_the_title_counts_sweeps_beyond_the_panels(make_case, make_cell):
    cells = [make_cell(make_case(width=w, batch=b), "vjp") for w in (8, 16, 32) for b in range(1, 13)]
    figure = scaling(tidy(cells), "width", "bytes").figure
    assert len(figure.axes) == 9
    assert "9 of 12 sweeps" in figure.get_suptitle()


def test_a_table_without_a_sweep_still_has_a_plot(standard):
    one = standard[standard["case"] == "mlp-w64-d3-b1"]
    for table in (one, one.head(1)):
        assert "cases" in all_figures(table)
        assert not [name for name in all_figures(table) if "-vs-" in name]
    with pytest.raises(BadInput, match="no sweep over width"):
        scaling(one, "width", "seconds")
    assert set(all_figures(standard, "pullback")) == {"ops"}  # which the model gives
    assert all_figures(tidy([])) == {}
    with pytest.raises(NoData, match="no cell of phase pullback"):
        overviews(Run(standard), "pullback")


def test_overview_shows_every_cell(standard):
    for axes in panels(overview(standard)):
        for strategy in ("dense", "sparse", "vjp"):
            drawn = series(axes, strategy) + series(axes, strategy, hollow=True)
            assert len(drawn) == 21
    labels = [tick.get_text() for tick in figure_axis(standard).get_yticklabels()]
    assert labels == standard["case"].drop_duplicates().tolist()


def test_the_summary_divides_by_vjp_and_keeps_cells_without_a_ratio(standard):
    plot = overviews(Run(standard), "gradient")["summary"]
    time, memory = panels(plot)
    (case,) = plot.data[(plot.data["case"] == "mlp-w64-d3-b4") & (plot.data["strategy"] == "dense")].to_dict("records")
    by_strategy = standard[standard["case"] == "mlp-w64-d3-b4"].set_index("strategy")
    assert case["ratio_to_vjp"] == by_strategy.loc["dense", "ratio_to_vjp"]
    assert case["memory_ratio"] == by_strategy.loc["dense", "peak_bytes"] / by_strategy.loc["vjp", "peak_bytes"]
    assert series(time, "vjp") == series(memory, "vjp") == []  # the line at 1
    assert len(series(time, "sparse") + series(time, "sparse", hollow=True)) == 21
    failed = standard[(standard["status"] != "ok") & (standard["strategy"] != "vjp")]
    assert letters(time) == sorted(LETTERS[status][0] for status in failed["status"])


def figure_axis(table):
    return panels(overview(table))[0]


def test_a_number_of_a_wrong_strategy_is_not_drawn_as_measured(standard):
    standard.loc[standard["strategy"] == "dense", "status"] = "wrong"
    for quantity in QUANTITIES:
        (axes,) = panels(scaling(standard, "width", quantity))
        assert series(axes, "dense") == []
        assert letters(axes) == ["W"] * 5


@pytest.mark.long
def test_a_table_put_together_from_parts_may_repeat_its_index(standard):
    parts = pd.concat([part.reset_index(drop=True) for _, part in standard.groupby("strategy")])
    (axes,) = panels(scaling(parts, "width", "bytes"))
    assert series(axes, "vjp") == [(w, 24.0 * w**2) for w in (16, 32, 64, 128, 256)]
    assert list(all_figures(parts)) == list(all_figures(standard))


def test_a_strategy_that_never_succeeded_is_there(standard):
    standard.loc[standard["strategy"] == "dense", ["status", "seconds_median", "peak_bytes"]] = [
        "crashed",
        np.nan,
        np.nan,
    ]
    figure = scaling(standard, "width", "seconds").figure
    (axes,) = panels(figure)
    assert len(series(axes, "dense", hollow=True)) == 5
    assert "dense" in legend(figure)
    assert "dense" not in axes.get_title(loc="left")  # no slope of nothing


@pytest.mark.long
def test_no_ok_row_at_all(standard):
    failed = standard.assign(status="timeout", seconds_median=np.nan, peak_bytes=np.nan)
    time, memory = (panels(scaling(failed, "width", quantity))[0] for quantity in QUANTITIES)
    assert len(series(time, "vjp", hollow=True)) == 5
    assert time.get_yticklabels() == []  # no number, no scale
    assert memory.get_ylim()[0] < 24 * 16**2 < 24 * 256**3 < memory.get_ylim()[1]  # the predicted lines are still there
    growing = {name for name in all_figures(standard) if name.startswith(("time-vs-", "memory-vs-"))}
    assert growing < set(all_figures(failed))


def test_order_of_rows_and_index_do_not_matter(standard):
    shuffled = standard.sample(frac=1, random_state=1)
    for table in (shuffled, shuffled.reset_index(drop=True)):
        (axes,) = panels(scaling(table, "batch", "bytes"))
        assert series(axes, "dense") == [(b, 24.0 * b**2 * 64**3) for b in (1, 2, 4, 8, 16)]


def test_the_table_is_left_as_it_was(standard):
    before = standard.copy(deep=True)
    all_figures(standard)
    pd.testing.assert_frame_equal(standard, before)


def test_unknown_names_offer_the_nearest(standard):
    for arguments, near in ((("widht", "bytes"), "width"), (("width", "byte"), "bytes")):
        with pytest.raises(BadInput, match=f"did you mean '{near}'"):
            scaling(standard, *arguments)
    for draw in (lambda: scaling(standard, "width", "bytes", "gradeint"), lambda: all_figures(standard, "gradeint")):
        with pytest.raises(BadInput, match="did you mean 'gradient'"):
            draw()


@pytest.mark.long
def test_drawing_needs_no_pyplot_and_changes_no_setting():
    code = (
        "import sys, matplotlib; before = matplotlib.rcParams.copy()\n"
        "import jacobench.reports.plots.all_plots, jacobench.reports.render.output_files\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert matplotlib.rcParams.copy() == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_memory_below_the_resolution_is_not_drawn_as_a_failure(standard):
    small = (standard["strategy"] == "vjp") & (standard["width"] == 16)
    table = standard.assign(peak_bytes=standard["peak_bytes"].mask(small))
    for plot in (overview(table), scaling(table, "width", "bytes")):
        assert "not drawn: < 8 KiB" in legend(plot.figure)
        assert LETTERS["ok"][1] not in legend(plot.figure)
