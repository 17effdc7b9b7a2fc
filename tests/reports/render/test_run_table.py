import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from jacobench.bench.row.columns import tidy
from jacobench.graphs.errors import BadInput
from jacobench.reports.data.run_data import PASS_COLUMNS, Run
from jacobench.reports.render.run_table import terminal_table
from jacobench.reports.render.text_tables import folded_name


def run_of(table):
    """Return a run whose passes differ by 1 %, each strategy alike."""
    passes = [
        (row["case"], row["strategy"], row["phase"], number, 0, "", row["seconds_median"] * (1 + 0.01 * number))
        for row in table[table["status"] == "ok"].to_dict("records")
        for number in range(int(row["passes"]))
    ]
    return Run(table, pd.DataFrame(passes, columns=list(PASS_COLUMNS)))


def text(table, width=120, phase="gradient"):
    console = Console(width=width, file=io.StringIO())
    console.print(terminal_table(run_of(table), phase))
    return console.file.getvalue()


def line(printed, start):
    return next(line for line in printed.splitlines() if line.startswith(start))


def test_times_memories_ratios_and_marks(standard):
    printed = text(standard)
    squeezed = " ".join(line(printed, "mlp-w64-d3-b1 ").split())
    assert squeezed == "mlp-w64-d3-b1 629 µs 25.6× 6.00 MiB 147 µs 6.00× 288 KiB 24.6 µs* 96.0 KiB*"


def test_a_status_replaces_a_missing_time(standard):
    row = line(text(standard), "mlp-w64-d3-b32 ")
    assert "over budget: 6.00 GiB" in row
    assert "timeout" in row
    assert "786 µs " in row  # vjp alone was timed: no winner
    assert "*" not in row


def test_notes_state_source_mark_counts_and_reasons(standard):
    standard.attrs["threads"] = 1
    printed = " ".join(text(standard).split())
    for fragment in (
        "AMD EPYC, 2 cores",
        "controls tuned",
        "1 thread ",
        "3 passes",
        "memory by memray",
        "* clear winner of its case",
    ):
        assert fragment in printed
    assert "Cells: 58 ok · 4 over budget · 1 timeout" in printed
    assert "dense, over budget: mlp-w64-d3-b32: predicted 6 GiB, over the budget of 2 GiB" in printed
    assert "dense, over budget: transformer-ffn-base-b8-float32: predicted 432 GiB, over the budget of 2 GiB" in printed
    assert "sparse, timeout: mlp-w64-d3-b32: one call took longer than 60 s" in printed


@pytest.mark.parametrize("width", [20, 40, 80, 100, 120, 200])
def test_every_cell_is_printed_at_every_width(standard, width):
    printed = text(standard, width)
    assert max(len(line) for line in printed.splitlines()) <= max(width, 34)
    assert printed.count("*") == 2 * 20 + 1  # time and memory of all cases but one, and the explanation
    if width >= 80:
        assert printed.count("over budget:") == 4 + 4
        assert "…" not in printed


def test_names_of_cases_are_folded_after_a_hyphen(standard):
    printed = text(standard.assign(case="a-network-with-" + standard["case"]), 80)
    lines = [line.split()[0] for line in printed.splitlines()[4:6]]
    assert lines == ["a-network-with-mlp-", "w16-d3-b1"]
    assert folded_name("a-much-too-long", 4) == ["a-", "much", "-", "too-", "long"]


@pytest.mark.parametrize("width", [100, 200])
def test_the_legend_explains_only_what_the_table_has(standard, make_case, make_cell, width):
    table = standard.assign(efficiency=0.5)
    headings, legend = text(table, width).split("mlp-w16", 1)[0], " ".join(text(table, width).split())
    assert ("eff." in headings) == ("eff.: efficiency" in legend) == (width == 200)
    same = tidy(
        [make_cell(make_case(), name) | {"seconds_median": 1e-3, "peak_bytes": 2e6} for name in ("dense", "vjp")]
    )
    printed = text(same, width)
    assert "*" not in printed
    assert "eff." not in printed


def test_many_strategies_are_split_into_blocks(make_case, make_cell):
    names = ["plugin-b", "plugin-a", "vjp", "linear-operator", "forward-sparse", "forward-dense", "sparse", "dense"]
    printed = text(tidy([make_cell(make_case(), name) for name in names]), 100)
    assert printed.count("mlp-w64-d3-b1 ") > 1
    assert printed.index("dense") < printed.index("vjp") < printed.index("plugin-b") < printed.index("plugin-a")
    assert max(len(line) for line in printed.splitlines()) <= 100


def test_one_pass_names_no_winner_in_time(make_case, make_cell):
    table = tidy([make_cell(make_case(), name, passes=1) for name in ("dense", "vjp")])
    printed = " ".join(text(table).split())
    assert "24.6 µs 96.0 KiB*" in printed
    assert "No winner in time is marked because one pass cannot decide." in printed
    assert "1 pass " in printed


def test_winners_do_not_need_the_reference(standard):
    row = line(text(standard[standard["strategy"] != "vjp"]), "mlp-w64-d3-b1 ")
    assert " ".join(row.split()).endswith("147 µs* 6.00× 288 KiB*")


def test_one_row_no_row_and_no_ok_row(standard):
    assert "629 µs" in text(standard[standard["case"] == "mlp-w64-d3-b1"].head(1))
    assert "No cell has the phase pullback" in text(standard, phase="pullback")
    assert "No cell has the phase gradient" in text(tidy([]))
    failed = standard.assign(status="crashed", seconds_median=np.nan, peak_bytes=np.nan, ratio_to_vjp=np.nan)
    assert "Cells: 63 crashed" in text(failed)


def test_a_peak_below_the_resolution_of_the_tool_is_shown_as_such(standard):
    standard.loc[standard["strategy"] == "vjp", "peak_bytes"] = np.nan
    assert "< 8 KiB" in line(text(standard), "mlp-w16")


def test_ok_without_numbers_is_a_dash(standard):
    bare = standard.head(3).assign(seconds_median=np.nan, peak_bytes=np.nan, ratio_to_vjp=np.nan, ratio_low=np.nan)
    bare["memory_tool"] = np.nan
    assert line(text(bare), "mlp-w16").split()[1:] == ["–"] * 8


def test_names_that_look_like_markup_are_printed_as_they_are(make_case, make_cell):
    cells = [make_cell(make_case(case="[bold]x[/bold]"), "vjp") | {"status": "error", "reason": "got [red]1[/red]"}]
    printed = text(tidy(cells))
    assert printed.count("[bold]x[/bold]") == 2  # in its row, and where the error is told
    assert "[red]1[/red]" in printed


def test_unknown_phase_and_two_runs(standard):
    with pytest.raises(BadInput, match="did you mean 'gradient'"):
        terminal_table(run_of(standard), "gradeint")
    with pytest.raises(ValueError, match="one run: got 2"):
        terminal_table(run_of(pd.concat([standard, standard.assign(run_id="another")])))


@pytest.mark.parametrize("phase", ["prepare", "linearize", "gradient"])
def test_what_is_over_budget_shows_the_figure_that_exceeds_it_in_every_phase(make_case, make_cell, phase):
    """The prediction for preparing is small; the budget is exceeded by the gradient, which is why nothing was tried."""
    cell = make_cell(make_case(width=1024), "dense")
    assert cell["status"] == "over_budget"
    small = {"prepare": 1024.0, "linearize": 2.0**20, "gradient": cell["predicted_bytes"]}
    table = tidy([cell | {"phase": name, "predicted_bytes": n_bytes} for name, n_bytes in small.items()])
    assert "over budget: 24.0 GiB" in " ".join(text(table, phase=phase).split())


def test_one_pass_is_no_reason_where_every_cell_failed(make_case, make_cell):
    row = make_cell(make_case(), "vjp", passes=1)
    failed = row | {"status": "error", "passes": None, "seconds_median": None}
    assert "one pass cannot decide" in " ".join(terminal_table(Run(tidy([row]))).notes)
    assert "one pass" not in " ".join(terminal_table(Run(tidy([failed]))).notes)
