"""Timed rounds, process by process."""

import pytest

from jacobench.bench.row.columns import tidy
from jacobench.reports.data.units import format_seconds
from jacobench.reports.plots.sample_spreads import LARGEST, spreads
from jacobench.reports.plots.style import strategy_style


def test_every_round_is_drawn_and_the_fastest_of_each_process_is_marked(one_case, make_run):
    run = make_run(one_case)
    plot = spreads(run, "gradient")["samples"]
    (axes,) = plot.figure.axes
    rounds = [
        line for line in axes.lines if line.get_marker() == "." and line.get_color() == strategy_style("vjp").color
    ]
    bars = [line for line in axes.lines if line.get_marker() == "|" and line.get_color() == strategy_style("vjp").color]
    assert sum(len(line.get_xdata()) for line in rounds) == 18
    assert sorted(float(line.get_xdata()[0]) for line in bars) == pytest.approx([-0.02, 0.0, 0.02])
    assert len(plot.data) == 3 * 18
    # The quartiles of 1, 1.005 … 1.025 lie 1.25 % apart, of 1.01; processes lie from 0.98 to 1.02.
    (note,) = plot.notes
    assert "spans 1.2%" in note
    assert "differ by 4.1%" in note


def test_the_label_is_the_time_of_the_table(one_case, make_run):
    """Of two passes, the table has the geometric mean."""
    run = make_run(one_case, passes=2)
    run.table["seconds_median"] *= 3
    table = run.table[run.table["phase"] == "gradient"]
    plot = spreads(run, "gradient")["samples"]
    labels = [tick.get_text().split("\n")[1] for tick in plot.figure.axes[0].get_yticklabels()]
    assert set(labels) == {format_seconds(seconds) for seconds in table["seconds_median"].dropna()}
    assert plot.data["above_median"].max() < 0


def test_an_interruption_is_drawn_at_the_edge(one_case, make_run):
    run = make_run(one_case)
    run.samples.loc[run.samples.index[run.samples["phase"] == "gradient"][-1], "seconds"] *= 50
    plot = spreads(run, "gradient")["samples"]
    (axes,) = plot.figure.axes
    assert axes.get_xlim()[1] < 2 * LARGEST
    assert plot.data["above_median"].max() > 40


def test_the_title_says_what_does_not_fit(everything, make_run):
    many = [everything.assign(strategy=f"mine-{number}") for number in range(20)]
    rows = [row for table in many for row in table[table["strategy"].notna()].to_dict("records")]
    table = tidy(rows).drop_duplicates(["case", "strategy", "phase"])
    plot = spreads(make_run(table), "gradient")["samples"]
    assert "13 of 20 strategies" in plot.figure.get_suptitle().replace("\n", " ")


def test_a_single_process_shows_no_difference_between_processes(one_case, make_run):
    (note,) = spreads(make_run(one_case, passes=1), "gradient")["samples"].notes
    assert "cannot show how much processes differ" in note
