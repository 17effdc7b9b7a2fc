"""What a change means, on runs in which it is known what happened."""

from __future__ import annotations

import numpy as np
import pytest

from jacobench.graphs.errors import BadInput
from jacobench.reports.history.history_check import check
from jacobench.reports.history.history_plots import draw
from jacobench.reports.history.history_tables import change_rows, series_rows, size_words, summary
from jacobench.reports.history.series import select, series
from jacobench.reports.history.series_drawings import sparkline


def runs(record, logs, *, start=0, **more):
    """Return a run for each level, with two percent of noise."""
    noise = np.random.default_rng(len(logs)).normal(size=len(logs))
    return [
        record(start + k, seconds=1e-3 * float(np.exp(log + 0.02 * e)), **more)
        for k, (log, e) in enumerate(zip(logs, noise, strict=True))
    ]


def test_a_regression_is_named_with_its_commits_size_and_bytes(history_of, stepped):
    history = history_of(*stepped)
    found = check(history)
    assert found.state == "regressed"
    by_quantity = {line["quantity"]: line for line in found.changes.to_dict("records")}
    assert set(by_quantity) == {"seconds", "bytes"}
    for line in by_quantity.values():
        assert (line["case"], line["strategy"], line["phase"]) == ("mlp", "vjp", "gradient")
        assert (line["kind"], line["verdict"]) == ("step up", "regressed")
        assert line["run_before"] < 30 <= line["run_after"]
        assert line["commit_before"] == f"{line['run_before']:012x}"
        assert line["p_value"] <= 0.01
    assert by_quantity["seconds"]["low"] < 1.2 < by_quantity["seconds"]["high"]
    assert by_quantity["bytes"]["ratio"] == pytest.approx(2, rel=1e-6)
    assert (by_quantity["bytes"]["old"], by_quantity["bytes"]["new"]) == (2**20, 2**21)
    ((setting, rows),) = change_rows(history, found.changes)
    assert setting == "a machine · controls tuned · 1 thread · suite standard"
    assert [row[0] for row in rows] == ["mlp · vjp · gradient"] * 2
    assert all(".." in row[-1] and row[2] == "regressed" for row in rows)
    assert "2 regressed" in summary(found)


@pytest.mark.parametrize(
    ("levels", "recent", "verdicts", "state"),
    [
        ([0] * 30 + [0.2] * 10, 20, ["regressed"], "regressed"),
        ([0] * 20 + [0.2] * 20, 10, ["known"], "clear"),
        ([0] * 15 + [0.2] * 15 + [0] * 15, 60, ["improved", "undone"], "clear"),
        ([0] * 30 + [-0.2] * 10, 20, ["improved"], "clear"),
        ([0] * 40, 20, [], "clear"),
        ([0] * 4 + [1] * 5, 20, [], "inconclusive"),
    ],
)
def test_verdicts(levels, recent, verdicts, state, history_of, record):
    found = check(history_of(*runs(record, levels)), recent=recent)
    assert found.changes["verdict"].tolist() == verdicts
    assert found.state == state


def test_when_the_control_kernel_moves_with_it_the_machine_did_it(history_of, record):
    levels = [0] * 30 + [0.2] * 10
    slower = runs(record, levels[:30]) + runs(record, levels[30:], start=30, control_seconds=6e-5 * 1.2)
    found = check(history_of(*slower))
    assert set(found.changes["verdict"]) == {"machine"}
    assert found.changes.loc[found.changes["case"] == "mlp", "control_ratio"].tolist() == [pytest.approx(1.2)]
    assert found.state == "inconclusive"


@pytest.mark.parametrize("other", [{"machine": "b"}, {"controls": "asis"}, {"threads": 2}, {"suite": "mine.toml"}])
def test_runs_that_cannot_be_compared_are_never_in_one_series(other, history_of, record):
    history = history_of(*runs(record, [0] * 20), *runs(record, [1.0] * 20, start=20, **other))
    assert [own.measured.size for own in series(history, "seconds")] == [20, 20]
    found = check(history)
    assert found.state == "clear"
    assert found.changes.empty
    assert len(list(series_rows(history, "seconds"))) == 2


@pytest.mark.parametrize(
    ("status", "n_failed", "is_broken"), [("timeout", 3, True), ("timeout", 2, False), ("wrong", 1, True)]
)
def test_a_cell_that_does_not_go_well_any_more_is_broken(status, n_failed, is_broken, history_of, record):
    failed = ("mlp", "vjp", "gradient", status, 0, *[None] * 8)
    history = history_of(*runs(record, [0] * 12), *(record(20 + k, cells=(failed,)) for k in range(n_failed)))
    found = check(history)
    assert found.state == ("regressed" if is_broken else "clear")
    assert found.changes["verdict"].tolist() == ["broken"] * is_broken
    if is_broken:
        ((_, rows),) = change_rows(history, found.changes)
        assert rows[0][1:3] == (f"status: {status}", "broken")
        assert (found.changes.loc[0, "run_before"], found.changes.loc[0, "run_after"]) == (11, 12)


def test_a_few_bytes_are_no_change(history_of, record):
    cells = [
        ("mlp", "vjp", "gradient", "ok", 5, 1.0, 1.0, 1.0, 1.0, 1.0, size, 0, None) for size in [600] * 20 + [900] * 20
    ]
    assert check(history_of(*(record(k, cells=(cell,)) for k, cell in enumerate(cells)))).changes.empty


def test_selection(history_of, stepped):
    history = history_of(*stepped)
    assert check(select(history, {"strategy": "[ds]*"})).state == "clear"
    assert check(select(history, {"machine": "a *", "strategy": "vjp"}), ("bytes",)).changes["quantity"].tolist() == [
        "bytes"
    ]
    with pytest.raises(
        BadInput, match="unknown strategy 'vpj': expected one of dense, sparse, vjp; did you mean 'vjp'"
    ):
        select(history, {"strategy": "vpj"})


def test_the_screen_shows_the_step(history_of, stepped):
    ((heading, rows),) = series_rows(history_of(*stepped), "seconds")
    assert heading == "a machine · controls tuned · 1 thread · suite standard"
    vjp = next(row for row in rows if row[1] == "vjp")
    assert vjp[3] == 40
    assert vjp[-1][0] in "▁▂▃"
    assert vjp[-1][-1] in "▆▇█"


def test_noise_of_a_percent_looks_like_noise():
    assert set(sparkline([1.0, 1.01, 1.0, 0.99] * 3)) <= set("▃▄▅▆")
    assert sparkline([0.0]) == "▅"


def test_pictures_show_every_run_and_mark_the_change(history_of, stepped):
    history = history_of(*stepped)
    pictures = draw(history, check(history).changes, "seconds")
    assert set(pictures) == {"history-gradient-seconds"}
    data = pictures["history-gradient-seconds"].data
    assert len(data) == 120
    marked = data[data["change"] != ""]
    assert marked["change"].tolist() == ["step up"]
    assert abs(marked["run"].iloc[0] - 30) <= 1
    (axes,) = pictures["history-gradient-seconds"].figure.axes
    assert sum(line.get_linestyle() == ":" for line in axes.get_lines()) == 1


def test_runs_are_whole_numbers(history_of, record):
    history = history_of(record(0))
    for plot in draw(history, check(history).changes, "seconds").values():
        for axes in plot.figure.axes:
            low, high = axes.get_xlim()
            assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [0]


def test_plain_benchmarks_need_no_legend_and_long_names_fit(history_of, record):
    name = f"benchmarks/test_speed.py::test_{'x' * 60}[64]"
    cells = [(name, "benchmark", "call", "ok", 1, *[1.0 + k / 100] * 4, *[None] * 4) for k in range(3)]
    history = history_of(*(record(k, cells=(cell,)) for k, cell in enumerate(cells)))
    (plot,) = draw(history, check(history).changes, "seconds").values()
    assert plot.figure.get_suptitle() == "time over runs"
    assert not plot.figure.legends
    (axes,) = plot.figure.axes
    assert len(axes.get_title()) <= 44
    assert axes.get_title().startswith("benchmarks/")
    assert axes.get_title().endswith("[64]")
    assert {line.get_linestyle() for line in axes.get_lines()} == {"-"}


def suite(record, n_cells, slower, **more):
    """Return thirty runs of benchmarks, of which the first ``slower`` take 20 % longer from the twentieth run on."""
    factors = [np.exp(0.005 * np.random.default_rng(seed).normal(size=30)).tolist() for seed in range(n_cells)]
    return [
        record(
            number,
            cells=tuple(
                (f"case-{k}", "benchmark", "call", "ok", 1, None, own[number] * (1.2 if k < slower and number >= 20 else 1),
                 *[None] * 6)
                for k, own in enumerate(factors)
            ),
            **more,
        )
        for number in range(30)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("n_cells", "slower", "kernel", "verdict", "state"),
    [
        (6, 6, None, "machine", "inconclusive"),  # with no kernel, the five others replace it
        (6, 6, 6e-5, "regressed", "regressed"),  # a constant kernel
        (6, 2, None, "regressed", "regressed"),  # most others did not change
        (5, 5, None, "regressed", "regressed"),  # too few others
    ],
)
def test_without_a_kernel_the_other_benchmarks_show_whether_the_machine_changed(
    n_cells, slower, kernel, verdict, state, history_of, record
):
    found = check(history_of(*suite(record, n_cells, slower, control_seconds=kernel)))
    assert found.state == state
    assert found.changes["verdict"].tolist() == [verdict] * slower
    assert found.changes["commit_after"].unique().tolist() == [f"{20:012x}"]


def test_a_cell_that_was_given_up_does_not_alarm_for_ever(history_of, record):
    others = (("other", "vjp", "gradient", "ok", 5, 1.0, 1.0, 1.0, 1.0, 1.0, 1024, 10, None),)
    slow = runs(record, [0] * 20 + [0.3] * 10)
    history = history_of(*slow, *(record(30 + k, cells=others) for k in range(8)))
    assert check(history, recent=30).state == "regressed"
    found = check(history, recent=10)
    assert found.changes["verdict"].tolist() == ["known"]
    assert found.state == "clear"


def test_the_calibration_kernel_of_a_machine_that_is_not_selected_is_not_checked(history_of, record):
    noisy = runs(record, [0] * 12) + runs(record, [0] * 12, start=12, control_seconds=9e-5)
    history = history_of(*noisy, *runs(record, [0] * 24, start=24, machine="b"))
    assert check(history).changes["case"].tolist() == ["control"]
    assert check(select(history, {"machine": "b"})).changes.empty


@pytest.mark.parametrize(
    ("ratio", "low", "high", "expected"),
    [
        (1.054, 1.04, 1.07, "+5.4% (+4.0% to +7.0%)"),
        (1.99, 1.9, 2.1, "1.99× (1.90× to 2.10×)"),
        (0.0055, 0.005, 0.006, "0.00550× (0.00500× to 0.00600×)"),
    ],
)
def test_a_size_and_its_interval_share_one_format(ratio, low, high, expected):
    line = {"quantity": "seconds", "ratio": ratio, "low": low, "high": high, "old": 1.0, "new": ratio}
    assert size_words(line)[0] == expected
