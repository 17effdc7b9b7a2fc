"""One rule for doubts: every text that names a faster strategy names the slower ones that could win at their limit."""

import io
import json
from dataclasses import replace
from functools import cache

import pandas as pd
import pytest
from rich.console import Console

from jacobench.bench.row.columns import tidy
from jacobench.reports.analysis.case_advice import advise
from jacobench.reports.analysis.recommendation import recommend
from jacobench.reports.claims.claim_catalogue import lines
from jacobench.reports.data.run_data import PASS_COLUMNS, Run
from jacobench.reports.page import html_page, notebook
from jacobench.reports.page.answers import answers
from jacobench.reports.page.machine_comparison import compare_machines
from jacobench.reports.page.run_markdown import markdown
from jacobench.reports.plots.all_plots import PlotSet
from jacobench.reports.plots.grid_maps import maps
from jacobench.reports.render import advice_text
from jacobench.reports.render.run_table import terminal_table

SECONDS = {"dense": 4.0, "sparse": 1.5, "vjp": 1.0, "jax-vjp": 1.2}
FLOORS = {
    "doubt": {"dense": 1.6, "sparse": 0.5, "vjp": 0.9},
    "no doubt": {"dense": 1.6, "sparse": 1.3, "vjp": 0.9},
    "no floors": {},
}
COULD_WIN = "its limit and could win"
DOUBT = f"sparse runs at 3.00× {COULD_WIN}"
PHASES = {"gradient": 1.0, "linearize": 0.5, "pullback": 0.5}


def run_of(make_case, make_cell, floors):
    """Return a run over a grid in which every case has the same times and floors."""
    rows, passes = [], []
    for case in [make_case(width=width, batch=batch) for width in (16, 32) for batch in (1, 2)]:
        for phase, share in PHASES.items():
            for name, seconds in SECONDS.items():
                row = make_cell(case, name) | {"phase": phase, "seconds_median": share * seconds, "peak_bytes": 1e6}
                row |= {"n_nonzeros": 9.0 * (name in ("dense", "sparse"))}
                rows.append(row | ({"floor_seconds": share * floors[name]} if name in floors else {}))
                passes += [(case["case"], name, phase, k, 0, "", share * seconds * (1 + 0.01 * k)) for k in range(3)]
    return Run(tidy(rows), pd.DataFrame(passes, columns=list(PASS_COLUMNS)), name="r")


@pytest.fixture(scope="module")
def runs(make_case, make_cell):
    return {name: run_of(make_case, make_cell, floors) for name, floors in FLOORS.items()}


@pytest.fixture(autouse=True)
def _without_plots(monkeypatch):
    """Draw no plots for the page and the notebook."""
    for module in (html_page, notebook):
        monkeypatch.setattr(module, "all_plots", lambda _run, _phase: PlotSet({}, {}))


def table(run):
    console = Console(width=80, file=io.StringIO())
    console.print(terminal_table(run))
    return " ".join(console.file.getvalue().split())


def advice(run):
    own = run.table[run.table["case"] == run.table["case"].iloc[0]]
    return advise(own.assign(status="not_tried", seconds_median=None), run, 2**33)


def recommended(run):
    found = advice(run)
    return "\n".join([*advice_text.verdicts(found), *advice_text.reasons(found)])


def machines(run):
    """Return the winners and crossovers of a second machine, next to those of the first."""
    other = replace(run, table=run.table.assign(machine="another"))
    found = compare_machines([run, other])
    cells = [cells[1] for _, cells in found.winners]
    return "\n".join(cells + [line.cells[1] for _, lines in found.crossovers for line in lines])


# Front end → its text of a run, and how often it states doubts about sparse.
TEXTS = {
    "three sentences": (lambda run: "\n".join(answers(run)), 2),  # on time, and on reuse
    "page": (lambda run: html_page.page([run]), 2 + 4 + 8),  # sentences, recommendations, crossovers
    "machines": (machines, 4),
    "markdown": (lambda run: markdown([run]), 2 + 4),
    "notebook": (notebook.notebook, 2),
    "table": (table, 1),
    "map": (lambda run: "\n".join(maps(run, "gradient")["map-width-batch"].notes), 1),
    "claims": (lambda run: "\n".join(lines(run)), 2),  # claims 4 and 8
    "recommend": (recommended, 2),  # verdict, and reuse
}


@pytest.fixture(scope="module")
def text_of(runs):
    """Return a function that makes each text of each run once."""
    return cache(lambda front_end, run: TEXTS[front_end][0](runs[run]))


@pytest.mark.long
@pytest.mark.parametrize("front_end", TEXTS)
def test_a_doubt_is_stated_where_there_is_one(front_end, text_of):
    text, count = text_of(front_end, "doubt"), TEXTS[front_end][1]
    assert (text.count(DOUBT), text.count(COULD_WIN)) == (count, count)
    assert COULD_WIN not in text_of(front_end, "no doubt")


@pytest.mark.parametrize("front_end", ["page", "markdown", "notebook", "table", "recommend"])
def test_unknown_limits_are_stated_once(front_end, text_of):
    assert text_of(front_end, "no doubt").count("The limit of jax-vjp is not known: it has no floor.") == 1
    assert text_of(front_end, "no floors").count("The limits of the strategies are not known") == 1
    assert COULD_WIN not in text_of(front_end, "no floors")


def test_marks_are_next_to_the_slower_strategy(text_of):
    assert text_of("table", "doubt").count("1.50 s?") == 4
    assert text_of("notebook", "doubt").count("<td>1.50 s ?</td>") == 4
    assert "?" not in text_of("table", "no doubt")


def test_verdict_words_of_claims_come_first(text_of):
    found = text_of("claims", "doubt").splitlines()
    assert found[3].startswith(f"claim 4: holds, but {DOUBT} in 4 of 4 cases — ")
    assert found[7].startswith(f"claim 8: wrong as stated, but {DOUBT}")


def test_programs_can_read_doubts(runs):
    assert recommend(runs["doubt"].table, runs["doubt"].passes)["could_win"].tolist() == [{"sparse": 3.0}] * 4
    seconds, peak = json.loads(json.dumps(advice(runs["doubt"]).as_dict()))["verdicts"]
    assert (seconds["could_win"], peak["could_win"]) == ({"sparse": 3}, {})
