"""The summary: ratios to the reference, and cells without one."""

import pytest

from jacobench.bench.row.columns import tidy
from jacobench.reports.plots.case_plots import summaries
from jacobench.reports.plots.layout import NoData

NOTE = "no memory ratio: its peak or that of vjp is < 8 KiB"


def legend(plot):
    (found,) = plot.figure.legends
    return [entry.get_text().replace("\n", " ") for entry in found.get_texts()]


def test_it_shows_the_ratio_of_time_and_memory_of_every_case(make_case, make_cell):
    rows = [
        make_cell(make_case(width=width), name)
        | {"ratio_to_vjp": ratio, "ratio_low": ratio * 0.9, "ratio_high": ratio * 1.1, "peak_bytes": 10_000.0 * ratio}
        for width in (16, 32)
        for name, ratio in (("dense", 4.0), ("vjp", 1.0))
    ]
    plot = summaries(tidy(rows))["summary"]
    assert plot.data["case"].nunique() == 2
    assert set(plot.data["strategy"]) == {"dense"}
    assert plot.data["memory_ratio"].tolist() == [4.0, 4.0]
    assert len(plot.figure.axes) == 2
    for axes in plot.figure.axes:
        low, high = axes.get_xlim()
        assert low < 1
        assert high > 4


def test_a_run_without_the_reference_has_none(make_case, make_cell):
    rows = [make_cell(make_case(), "dense") | {"ratio_to_vjp": None}]
    with pytest.raises(NoData, match="vjp"):
        summaries(tidy(rows))


def test_a_peak_below_the_resolution_has_no_ratio(make_case, make_cell):
    rows = [make_cell(make_case(), name) | {"ratio_to_vjp": 2.0, "peak_bytes": 500.0} for name in ("dense", "vjp")]
    plot = summaries(tidy(rows))["summary"]
    assert plot.data["memory_ratio"].isna().all()
    assert NOTE in legend(plot)


@pytest.mark.parametrize("small", ["dense", "vjp", ""])
def test_a_missing_ratio_of_memory_is_noted(make_case, make_cell, small):
    rows = [
        make_cell(make_case(width=width), name)
        | {"ratio_to_vjp": 2.0, "peak_bytes": None if name == small and width == 16 else 1e6}
        for width in (16, 32)
        for name in ("dense", "vjp")
    ]
    plot = summaries(tidy(rows))["summary"]
    assert (NOTE in legend(plot)) == bool(small)
    unmeasured = tidy([row | {"memory_tool": None, "peak_bytes": None} for row in rows])
    assert NOTE not in legend(summaries(unmeasured)["summary"])
