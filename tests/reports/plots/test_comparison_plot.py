"""Two runs beside each other."""

import pytest

from jacobench.reports.data.run_data import Run
from jacobench.reports.plots.comparison_plot import comparison
from jacobench.reports.plots.plot_data import NoData
from jacobench.reports.plots.style import strategy_style


def test_a_run_over_itself_has_not_changed(everything, make_run):
    run = make_run(everything)
    data = comparison(run, run).data
    ok = data["status_head"] == "ok"
    assert (data.loc[ok, "seconds_ratio"] == 1).all()
    assert (data.loc[ok, "bytes_ratio"] == 1).all()


def test_a_slower_cell_stands_right_of_one_and_a_failed_one_in_the_band(one_case, make_run, fail):
    slower = one_case.copy()
    slower.loc[slower["strategy"] == "vjp", "seconds_median"] *= 2
    head = make_run(fail(slower, slower["strategy"] == "dense", "timeout"), name="new")
    picture = comparison(make_run(one_case, name="old"), head)
    time = picture.figure.axes[0]
    drawn = [
        line for line in time.lines if line.get_marker() == strategy_style("vjp").marker and line.get_alpha() == 1.0
    ]
    assert [float(x) for line in drawn for x in line.get_xdata()] == [pytest.approx(2)]
    assert [text.get_text() for text in time.texts] == ["T"]
    assert "mlp-w64-d2-b1, dense: ok before, timeout now." in picture.notes
    assert picture.figure.get_suptitle() == "gradient: new over old"


def test_runs_of_two_machines_are_not_held_against_each_other_unsaid(one_case, make_run):
    picture = comparison(make_run(one_case), make_run(one_case.assign(machine="another")))
    assert picture.notes[0].startswith("The runs cannot be held against each other in time: machine: AMD EPYC")


def test_what_two_runs_lack_is_said(one_case, make_run):
    other = one_case.assign(strategy="mine").drop_duplicates("phase")
    with pytest.raises(NoData, match="no cell of the phase pullback"):
        comparison(make_run(one_case), Run(other), "pullback")
