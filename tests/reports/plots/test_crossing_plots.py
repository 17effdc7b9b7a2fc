"""Crossovers along one knob: a ring where the lines meet."""

import math

import pytest

from jacobench.bench.row.columns import tidy
from jacobench.reports.plots.crossing_plots import ratios
from jacobench.reports.plots.layout import NoData


def sweep(make_case, make_cell, ratio_of, sizes=(16, 32, 64, 128)):
    """Return a table in which dense takes so many times as long as vjp at each width, and sparse twice as long."""
    rows = []
    for width in sizes:
        for strategy, ratio in (("dense", ratio_of(width)), ("sparse", 2.0), ("vjp", 1.0)):
            cell = make_cell(make_case(width=width), strategy) | {"seconds_median": 1e-4 * ratio, "ratio_to_vjp": ratio}
            rows.append(cell | {"ratio_low": ratio * 0.99, "ratio_high": ratio * 1.01})
    return tidy(rows)


def test_a_crossover_has_a_ring_where_the_lines_meet(make_case, make_cell, make_run):
    run = make_run(sweep(make_case, make_cell, lambda width: width / 20))
    plot = ratios(run, "gradient")["ratio-vs-width"]
    (axes,) = plot.figure.axes
    rings = sorted(tuple(float(v[0]) for v in line.get_data()) for line in axes.lines if line.get_markersize() == 11)
    assert rings == [pytest.approx((20, 1), rel=0.03), pytest.approx((40, 2), rel=0.03)]
    assert len(plot.notes) == 2
    assert plot.notes[0].startswith("dense and sparse cross at width ")
    assert plot.data.set_index(["strategy", "width"]).loc[("dense", 64.0), "ratio_to_vjp"] == pytest.approx(3.2)


def test_an_extrapolated_crossover_is_marked(make_case, make_cell, make_run):
    run = make_run(sweep(make_case, make_cell, lambda width: width / 200))
    plot = ratios(run, "gradient")["ratio-vs-width"]
    (axes,) = plot.figure.axes
    assert any(text.get_text().startswith("≈") for text in axes.texts)
    assert axes.get_xlim()[1] > 200
    (note,) = [note for note in plot.notes if note.startswith("dense and vjp")]
    assert "Extrapolated, they cross at width" in note
    assert "≈ extrapolated" in [entry.get_text() for entry in plot.figure.legends[0].get_texts()]


def test_one_far_beyond_the_sizes_is_in_the_notes_alone(make_case, make_cell, make_run):
    run = make_run(sweep(make_case, make_cell, lambda width: width / 5000))
    plot = ratios(run, "gradient")["ratio-vs-width"]
    assert plot.figure.axes[0].get_xlim()[1] < 200
    assert [text.get_text() for text in plot.figure.axes[0].texts] == []
    assert any("Extrapolated" in note for note in plot.notes)


def test_a_crossing_in_memory_is_not_one_in_time(make_case, make_cell, make_run):
    table = sweep(make_case, make_cell, lambda _width: 3.0)
    dense = table["strategy"] == "dense"
    table.loc[dense, "peak_bytes"] = 1e5 * (table["width"] / 40) ** 4  # that of sparse at width 37
    plot = ratios(make_run(table), "gradient")["ratio-vs-width"]
    assert plot.notes == ()
    assert [line for line in plot.figure.axes[0].lines if line.get_markersize() == 11] == []


def test_one_that_the_intervals_leave_open_is_no_crossing(make_case, make_cell, make_run):
    run = make_run(sweep(make_case, make_cell, lambda width: 2.0 if width < 64 else 1.995))
    (note,) = [
        note
        for note in ratios(run, "gradient")["ratio-vs-width"].notes
        if note.startswith("The measurements do not decide whether dense and sparse")
    ]
    assert "nan" not in note


def test_without_the_reference_there_is_no_plot(make_case, make_cell, make_run):
    table = sweep(make_case, make_cell, lambda _width: 3.0)
    alone = table[table["strategy"] != "vjp"].assign(ratio_to_vjp=math.nan).reset_index(drop=True)
    with pytest.raises(NoData, match="one of vjp, the reference"):
        ratios(make_run(alone), "gradient")
