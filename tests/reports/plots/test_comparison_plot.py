"""Plot of two runs, with the verdicts of `compare`."""

import math

import pytest

from jacobench.reports.data.run_data import Run
from jacobench.reports.plots.comparison_plot import PALE, comparison
from jacobench.reports.plots.layout import NoData
from jacobench.reports.plots.style import strategy_style
from jacobench.reports.regression.two_runs import compare


def test_a_run_over_itself_has_not_changed(everything, make_run):
    run = make_run(everything)
    data = comparison(run, run)["comparison"].data
    ok = data["status_head"] == "ok"
    assert (data.loc[ok, "seconds_ratio"] == 1).all()
    assert (data.loc[ok, "bytes_ratio"] == 1).all()


def marks(plot, strategy, alpha):
    """Return the time ratios of a strategy's marks with this opacity."""
    lines = [line for line in plot.figure.axes[0].lines if line.get_marker() == strategy_style(strategy).marker]
    drawn = [float(x) for line in lines if line.get_alpha() == alpha for x in line.get_xdata()]
    return [x for x in drawn if not math.isnan(x)]


def test_a_slower_cell_is_right_of_one_and_a_failed_one_in_the_band(one_case, make_run, fail):
    slower = one_case.copy()
    slower.loc[slower["strategy"] == "vjp", "seconds_median"] *= 2
    head = make_run(fail(slower, slower["strategy"] == "dense", "timeout"), passes=10, name="new")
    plot = comparison(make_run(one_case, passes=10, name="old"), head)["comparison"]
    assert marks(plot, "vjp", 1.0) == [pytest.approx(2)]
    assert [text.get_text() for text in plot.figure.axes[0].texts] == ["T"]
    assert "mlp-w64-d2-b1, dense: ok before, timeout now." in plot.notes
    assert plot.figure.get_suptitle() == "gradient: new over old"


@pytest.mark.parametrize("passes", [3, 10])
def test_the_marks_agree_with_the_verdicts_of_compare(passes, everything, make_run):
    """A change of 8 % is significant without a correction, but not always over all rows."""
    changes = {"dense": 1.5, "sparse": 1.08, "vjp": 0.7}
    changed = everything.assign(seconds_median=everything["seconds_median"] * everything["strategy"].map(changes))
    base, head = make_run(everything, passes=passes), make_run(changed, passes=passes)
    plot, table = comparison(base, head)["comparison"], compare(base, head).verdicts
    own = table[(table["quantity"] == "seconds") & (table["phase"] == "gradient") & table["ratio"].notna()]
    known = {(line["case"], line["strategy"]): (line["verdict"], line["ratio"]) for line in own.to_dict("records")}
    drawn = {
        (line["case"], line["strategy"]): (line["seconds_verdict"], line["seconds_ratio"])
        for line in plot.data.dropna(subset="seconds_ratio").to_dict("records")
    }
    assert drawn == known
    for strategy in changes:
        for alpha, verdicts in ((1.0, {"regressed", "improved"}), (PALE, {"unchanged", "inconclusive"})):
            expected = [
                ratio for (_, name), (verdict, ratio) in known.items() if name == strategy and verdict in verdicts
            ]
            assert sorted(marks(plot, strategy, alpha)) == pytest.approx(sorted(expected))
    assert ({verdict for verdict, _ in drawn.values()} == {"inconclusive"}) == (passes == 3)


def test_runs_of_two_machines_are_compared_relative_to_vjp(one_case, make_run):
    other = one_case.assign(machine="another", seconds_median=3 * one_case["seconds_median"])
    plot = comparison(make_run(one_case, passes=10), make_run(other, passes=10))["comparison"]
    assert plot.notes[0].startswith("The runs have different machines, 'AMD EPYC")
    assert "relative to vjp" in plot.figure.axes[0].get_xlabel()
    assert plot.data["seconds_ratio"].dropna().tolist() == pytest.approx([1, 1])


def test_what_two_runs_lack_is_said(one_case, make_run):
    other = one_case.assign(strategy="mine").drop_duplicates("phase")
    with pytest.raises(NoData, match="no cell of the phase pullback"):
        comparison(make_run(one_case), Run(other), "pullback")
