"""One answer to "which strategy is clearly faster": every table, page and map names the same winner.

Both runs are such that the rule of intervals of the ratio to vjp, which the terminal table once used, disagrees.
"""

import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from jacobench.bench.row.columns import tidy
from jacobench.bench.row.statistics import t_interval
from jacobench.reports.analysis.recommendation import fastest, recommend
from jacobench.reports.claims.order_claims import sometimes_worth_it
from jacobench.reports.data.run_data import PASS_COLUMNS, Run
from jacobench.reports.page.answers import answers
from jacobench.reports.page.html_page import page
from jacobench.reports.page.notebook import notebook
from jacobench.reports.page.run_markdown import markdown
from jacobench.reports.plots.grid_maps import maps
from jacobench.reports.render.run_table import terminal_table

NOISE = 1 + 0.1 * np.sin(np.arange(8))

RUNS = {
    # Times of dense and sparse move together, and vjp's do not: the intervals overlap, but dense is always 10 % faster.
    "overlap": ("dense", {"dense": 0.5 * NOISE, "sparse": 0.55 * NOISE, "vjp": np.ones(8)}),
    # The ratios to vjp move against each other: the intervals are apart, but three pairs do not decide.
    "apart": (None, {"dense": [0.80, 0.81, 0.82], "sparse": [0.90, 0.89, 0.88], "vjp": [1.0, 1.0, 1.0]}),
}


def winner_by_intervals(times):
    """Return the winner by the old rule: the whole interval of the ratio to vjp below those of all others."""
    intervals = {name: t_interval(np.log(np.asarray(own) / times["vjp"]).tolist()) for name, own in times.items()}
    best = min(intervals, key=lambda name: intervals[name][1])
    return best if all(intervals[best][1] < low for name, (low, _) in intervals.items() if name != best) else None


@pytest.fixture(params=RUNS)
def run(request, make_case, make_cell):
    """Return a run over a grid in which every case has the same times, and the winner."""
    winner, times = RUNS[request.param]
    cases = [make_case(width=width, batch=batch) for width in (16, 32) for batch in (1, 2)]
    rows, passes = [], []
    for case in cases:
        for name, own in times.items():
            row = make_cell(case, name) | {
                "seconds_median": float(np.median(own)),
                "peak_bytes": 1e6,
                "passes": len(own),
            }
            rows.append(row | {"n_nonzeros": 9.0 * (name != "vjp")})
            passes += [(case["case"], name, "gradient", number, 0, "", value) for number, value in enumerate(own)]
    return winner, Run(tidy(rows), pd.DataFrame(passes, columns=list(PASS_COLUMNS)), name="r")


def test_the_old_rule_disagrees():
    for winner, times in RUNS.values():
        assert winner_by_intervals(times) != winner


@pytest.mark.long
def test_recommend_and_answers(run):
    winner, measured = run
    found = recommend(measured.table, measured.passes)
    assert set(found["decision"]) == {"ahead" if winner else "undecided"}
    assert set(found["strategy"]) == {"dense"}
    assert set(fastest(found).values()) == ({winner} if winner else set())
    sentence = f"{winner} is clearly the fastest in all 4 cases" if winner else "4 cases are undecided"
    assert sentence in answers(measured)[0]
    assert sentence in notebook(measured)


def test_terminal_table_marks_it(run):
    winner, measured = run
    console = Console(width=120, file=io.StringIO())
    console.print(terminal_table(measured))
    marked = [line for line in console.file.getvalue().splitlines() if line.startswith("mlp") and "*" in line]
    assert len(marked) == (4 if winner else 0)


@pytest.mark.long
def test_page_and_markdown_name_it(run):
    winner, measured = run
    html, text = page([measured]), markdown([measured])
    assert html.count(f"<td><strong>{winner or '–'}</strong></td>") == 4 + (0 if winner else 4)
    rows = [line for line in text.splitlines() if line.startswith("| mlp")]
    assert [line.split("|")[2].strip() for line in rows[:4]] == [winner or ""] * 4  # the recommendations come first


def test_maps_show_it(run):
    winner, measured = run
    (plot,) = maps(measured, "gradient").values()
    assert set(plot.data["decision"]) == {"ahead" if winner else "undecided"}
    assert any(note.startswith("dense is ahead in 4 of 4") for note in plot.notes) == bool(winner)


def test_claims_count_it(run):
    winner, measured = run
    sentence = sometimes_worth_it(measured).sentence
    assert f"in {4 if winner else 0} of 4 cases" in sentence
