"""Every kind of plot for every kind of run: it is complete and readable, or one sentence gives the reason."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from io import BytesIO
from types import SimpleNamespace

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from jacobench.bench.row.columns import STATUSES, tidy
from jacobench.reports.data.machine_parts import parts_of
from jacobench.reports.data.run_data import Run
from jacobench.reports.plots.all_plots import PLOTS, all_plots
from jacobench.reports.plots.comparison_plot import comparison
from jacobench.reports.plots.layout import NoData
from jacobench.reports.plots.machine_plots import machine_plots
from jacobench.reports.plots.style import DARK, darken, styled
from jacobench.reports.render.output_files import FORMATS

ODD = ("a plug-in whose name says all that it does, and more", "_$x^{2", "torch.func.jacrev(vmap=True):v2<script>")


@pytest.fixture
def given(make_run, fail):
    """Return what makes a run of a table, and what lets rows of it fail."""
    return SimpleNamespace(run=make_run, fail=fail)


def every_status(table, fail):
    for number, status in enumerate(STATUSES):
        if status != "ok":
            table = fail(table, (table.index % 23 == number) & (table["strategy"] != "vjp"), status)
    return table


def odd_names(table):
    renamed = [table.assign(strategy=name) for name in ODD]
    cases = table["case"] + "-" + "with-a-knob-of-its-own-" * 3
    return pd.concat(
        [table, *[one[one["strategy"].notna()].drop_duplicates(["case", "phase"]) for one in renamed]]
    ).assign(case=lambda all_: all_["case"].map(dict(zip(table["case"], cases, strict=True))))


def sixty_cases(table):
    many = [table.assign(case=table["case"] + f"-rng{n}", n_parameters=table["n_parameters"] + n) for n in range(9)]
    found = pd.concat(many, ignore_index=True)
    return found[found["case"].isin(found["case"].unique()[:60])]


RUNS = {
    "everything": lambda table, given: given.run(table),
    "every status": lambda table, given: given.run(every_status(table, given.fail)),
    "one row": lambda table, given: given.run(table[table["phase"] == "gradient"].head(1)),
    "one failed row": lambda table, given: given.run(given.fail(table.head(1), [True], "crashed")),
    "one size": lambda table, given: given.run(table[table["case"] == "mlp-w64-d2-b1"]),
    "a strategy that never succeeded": lambda table, given: given.run(
        given.fail(table, table["strategy"] == "dense", "timeout")
    ),
    "nothing succeeded": lambda table, given: given.run(given.fail(table, table["case"].notna(), "out_of_memory")),
    "no reference": lambda table, given: given.run(
        table[table["strategy"] != "vjp"].assign(ratio_to_vjp=float("nan")).reset_index(drop=True)
    ),
    "no passes recorded": lambda table, _given: Run(table),
    "one pass": lambda table, given: given.run(
        table.assign(seconds_low=float("nan"), seconds_high=float("nan")), passes=1
    ),
    "odd names": lambda table, given: given.run(odd_names(table)),
    "sixty cases": lambda table, given: given.run(sixty_cases(table)),
    "no rows": lambda _table, given: given.run(tidy([])),
}


def drawn(kind, run):
    """Return the plots of a kind, none if it says why there is none."""
    try:
        return PLOTS[kind](run, "gradient")
    except NoData as why:
        told = str(why)
        assert told
        assert "\n" not in told
        assert not told.endswith(".")  # it follows "not drawn: … :" in a line
        return {}


def texts(figure):
    """Return every text that is drawn: an axis keeps labels beyond its ends, too, and does not draw them."""
    axes = [axis for one in figure.axes for axis in (one.xaxis, one.yaxis)]
    drawn = {label for axis in axes for tick in axis._update_ticks() for label in (tick.label1, tick.label2)}
    kept = {
        label for axis in axes for tick in (*axis.majorTicks, *axis.minorTicks) for label in (tick.label1, tick.label2)
    }
    found = set(figure.findobj(Text)) - (kept - drawn)
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def overlapping(boxes):
    """Return the pairs that share more than a hair's breadth."""
    shrunk = [(text, box.expanded(0.96, 0.8)) for text, box in boxes]
    return [(a, b) for (a, one), (b, other) in itertools.combinations(shrunk, 2) if one.overlaps(other)]


def check_readable(figure):
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    paper = figure.bbox.expanded(1.004, 1.004)
    shown = set(texts(figure))
    for text in shown:
        box = text.get_window_extent(renderer)
        assert paper.contains(box.x0, box.y0), f"cut: {text.get_text()!r}"
        assert paper.contains(box.x1, box.y1), f"cut: {text.get_text()!r}"
        assert text.get_fontsize() >= 6.5
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = {tick.label1 for tick in axis._update_ticks()} & shown
            assert overlapping([(label.get_text(), label.get_window_extent(renderer)) for label in labels]) == []
        for text in shown & set(axes.texts):
            box = text.get_window_extent(renderer)
            assert axes.bbox.x0 - 20 < box.x0, f"in the panel beside: {text.get_text()!r}"
            assert box.x1 < axes.bbox.x1 + 20, f"in the panel beside: {text.get_text()!r}"
    titles = [axes.title for axes in figure.axes] + [axes._left_title for axes in figure.axes] + [figure._suptitle]
    titles += [axis.label for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    legend = [entry for found in figure.legends for entry in found.get_texts()]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in (*titles, *legend) if text.get_text()]
    assert overlapping(boxes) == []


def check_named(figure):
    columns = {}
    for axes in figure.axes:
        columns.setdefault(axes.get_subplotspec().colspan.start, []).append(axes.get_xlabel())
    assert any(any(labels) for labels in columns.values())


def check_dark(figure):
    inks = {color.upper() for color in DARK}
    assert not {text.get_color().upper() for text in texts(figure) if isinstance(text.get_color(), str)} & inks


MACHINES = tuple(
    f"AMD EPYC 7B13, 2 cores, 23 GiB, Linux x86_64{label} (0000aaa{n})" for n, label in enumerate(("", ", a", ", b"))
)


def on_machines(run):
    """Return the run as if every third case had been measured on the same machine."""
    cases = list(dict.fromkeys(run.table["case"]))
    machines = {case: MACHINES[number % len(MACHINES)] for number, case in enumerate(cases)}
    return replace(run, table=run.table.assign(machine=run.table["case"].map(machines)))


EVERY_TIME = ("everything", "odd names", "one row", "no rows")  # the other runs take long
RUN_NAMES = [name if name in EVERY_TIME else pytest.param(name, marks=pytest.mark.long) for name in RUNS]
NOTHING_IN_COMMON = ("no rows", "nothing succeeded", "one failed row", "odd names", "sixty cases")


@pytest.mark.long
@pytest.mark.parametrize("name", RUNS)
def test_small_multiples_of_machines_are_readable(name, everything, given):
    plots = machine_plots(parts_of([on_machines(RUNS[name](everything, given))]))
    assert bool(plots) == (name not in {"one failed row", "nothing succeeded", "no reference", "no rows"})
    for plot in plots.values():
        with styled():
            check_readable(plot.figure)
        check_named(plot.figure)
        assert len(plot.data)
        panels = [axes for axes in plot.figure.axes if axes.axison]
        assert len({axes.get_xlim() for axes in panels}) == len({axes.get_ylim() for axes in panels}) == 1


@pytest.mark.long
def test_the_plots_of_each_machine_are_readable(everything, given):
    for plot in all_plots(on_machines(given.run(everything))).plots.values():
        with styled():
            check_readable(plot.figure)


@pytest.mark.long
@pytest.mark.parametrize("name", RUN_NAMES)
@pytest.mark.parametrize("kind", PLOTS)
def test_every_plot_comes_out_or_says_what_is_missing(kind, name, everything, given):
    run = RUNS[name](everything, given)
    before = run.table.copy(deep=True)
    for of, plot in drawn(kind, run).items():
        with styled():
            check_readable(plot.figure)
        check_named(plot.figure)
        darken(plot.figure)
        check_dark(plot.figure)
        assert of == of.lower().replace(" ", "-")
        assert len(plot.data)
        assert plot.caption.endswith(".")
        assert all(note.strip() and "\n" not in note for note in plot.notes)
        assert len(pd.read_csv(BytesIO(FORMATS["csv"](plot)))) == len(plot.data)
    pd.testing.assert_frame_equal(run.table, before)


def test_a_run_that_has_everything_lacks_no_kind(everything, given):
    found = all_plots(given.run(everything))
    assert found.missing == {}
    assert len(found.plots) >= len(PLOTS)


def test_what_a_kind_says_is_missing():
    reasons = all_plots(Run(tidy([]))).missing
    assert set(reasons) == set(PLOTS)
    assert all(len(reason) > 20 for reason in reasons.values())


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in RUNS if name not in NOTHING_IN_COMMON])
def test_two_runs_in_one_plot(name, everything, given):
    plot = comparison(given.run(everything, name="old"), RUNS[name](everything, given))["comparison"]
    with styled():
        check_readable(plot.figure)
    assert len(plot.data)


@pytest.mark.parametrize("name", NOTHING_IN_COMMON)
def test_two_runs_without_a_number_in_common(name, everything, given):
    with pytest.raises(NoData, match=r"in common|in both"):
        comparison(given.run(everything), RUNS[name](everything, given))


LARGEST = 18  # inches, 2,700 pixels


def many(make_case, make_cell, strategies):
    """Return a run of 13 × 6 sizes in all phases."""
    phases = ("prepare", "linearize", "pullback", "gradient")
    cases = [make_case(width=8 + width, batch=1 + batch) for width in range(13) for batch in range(6)]
    return tidy(
        [
            make_cell(case, name) | {"phase": phase, "ratio_to_vjp": 2.0, "efficiency": 0.5, "floor_seconds": 1e-6}
            for case in cases
            for name in strategies
            for phase in phases
        ]
    )


@pytest.mark.long
def test_plots_of_many_cases_are_paged(make_case, make_cell, make_run):
    run = make_run(many(make_case, make_cell, ("dense", "vjp")))
    found = all_plots(run).plots | comparison(run, run)
    sizes = {name: plot.figure.get_size_inches().max() for name, plot in found.items()}
    assert {name: size for name, size in sizes.items() if size > LARGEST} == {}
    for name in ("cases", "summary", "efficiency", "phases", "comparison"):
        pages = [plot for key, plot in found.items() if re.fullmatch(rf"{name}(-\d+)?", key)]
        cases = [case for plot in pages for case in plot.data["case"].unique()]
        assert sorted(cases) == sorted(run.table["case"].unique())
        assert "of 78)" in pages[1].figure.get_suptitle()


def test_the_plots_of_one_case_have_one_page(make_case, make_cell, make_run):
    table = tidy([make_cell(make_case(), name) | {"ratio_to_vjp": 2.0} for name in ("dense", "vjp")])
    found = all_plots(make_run(table)).plots
    assert {"cases", "summary"} <= found.keys()
    assert not [name for name in found if re.search(r"-\d+$", name)]
    for plot in found.values():
        assert plot.figure.get_size_inches().max() <= LARGEST


def test_the_front_has_the_strategy_whose_memory_is_below_the_resolution(everything, make_run):
    """It is the fastest, and needs least: no other strategy is on the front."""
    own = everything[everything["case"].eq("mlp-w64-d2-b1") & everything["phase"].eq("gradient")].reset_index(drop=True)
    is_vjp = own["strategy"] == "vjp"
    own.loc[is_vjp, "seconds_median"] = own["seconds_median"].min() / 2
    own.loc[is_vjp, "peak_bytes"] = float("nan")
    own.loc[~is_vjp & (own["strategy"] != "forward"), "peak_bytes"] = 1e6
    own["memory_tool"] = "memray"
    data = PLOTS["time against memory"](make_run(own), "gradient")["time-against-memory"].data.set_index("strategy")
    assert data.loc["vjp", ["peak_bytes", "is_bound", "on_front"]].tolist() == [8192, True, True]
    assert not data.drop("vjp")["on_front"].any()
