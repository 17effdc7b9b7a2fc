"""Every analysis of runs of one pass, of one size, with huge noise, of failures only, of tiny and of odd numbers."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from jacobench.bench.row.columns import tidy
from jacobench.reports.analysis.case_advice import advise, completed
from jacobench.reports.analysis.crossovers import crossovers
from jacobench.reports.analysis.growth import GROWING, growth
from jacobench.reports.analysis.growth_sentences import in_words
from jacobench.reports.analysis.recommendation import recommend
from jacobench.reports.analysis.reuse import reuse
from jacobench.reports.analysis.size_limits import what_fits
from jacobench.reports.analysis.sweeps import KNOBS
from jacobench.reports.data.run_data import Run
from jacobench.reports.render import advice_text

PHASES = ("linearize", "pullback", "gradient")
TARGET = {"width": 64, "depth": 3}


def run_of(table, n_passes, scale):
    rng = np.random.default_rng(4)
    parts = []
    for number in range(n_passes):
        seconds = table["seconds_median"] * np.exp(scale * rng.standard_normal(len(table)))
        parts.append(table.assign(**{"pass": number, "worker": 0, "seconds": seconds})[table["status"] == "ok"])
    columns = ["case", "strategy", "phase", "pass", "worker", "seconds"]
    return Run(table, pd.concat(parts)[columns] if parts else pd.DataFrame([], columns=columns), name="first")


@pytest.fixture
def runs(standard):
    phases = [standard.assign(phase=phase) for phase in PHASES]
    table = pd.concat(phases, ignore_index=True)
    failed = {"status": "timeout", "seconds_median": math.nan, "peak_bytes": math.nan, "passes": math.nan}
    odd = table.copy()
    for name, values in {
        "seconds_median": [0.0, 1e-12, 1e300, math.nan],
        "peak_bytes": [math.nan, 0.0, 1e18, 8192.0],
        "predicted_flops": [0.0, 1e30, math.nan, 1.0],
    }.items():
        odd[name] = np.resize(values, len(odd))
    return {
        "huge noise": run_of(table, 3, 5.0),
        "one pass": run_of(table, 1, 0.1),
        "no passes": run_of(table, 0, 0.1),
        "one size": run_of(table[table["case"] == "mlp-w64-d3-b1"].reset_index(drop=True), 3, 0.1),
        "failures only": run_of(table.assign(**failed), 3, 0.1),
        "tiny": run_of(table.assign(peak_bytes=math.nan, seconds_median=1e-7), 3, 0.3),
        "equal": run_of(table.assign(seconds_median=1e-5), 5, 0.0),
        "odd numbers": run_of(odd, 3, 0.1),
        "empty": run_of(tidy([]), 0, 0.1),
    }


NAMES = (
    "huge noise", "one pass", "no passes", "one size", "failures only", "tiny", "equal", "odd numbers", "empty",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_best_strategy_is_ahead_only_with_several_passes(name, runs):
    run = runs[name]
    for phase in PHASES:
        found = recommend(run.table, run.passes, phase)
        ahead = found[found["decision"] == "ahead"]
        assert (ahead["low"] > 1).all()
        assert (found["factor"].dropna() > 0).all()
        if name in ("one pass", "no passes", "failures only", "equal"):
            assert ahead.empty


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_a_crossover_has_a_place_in_the_range_or_none(name, runs):
    found = crossovers(runs[name].table, runs[name].passes)
    crossed = found[found["outcome"] == "crosses"]
    assert crossed["size"].notna().all()
    assert found.loc[found["outcome"].str.startswith("never"), "cheaper"].notna().all()
    if name in ("one pass", "failures only", "one size", "empty"):
        assert crossed.query("quantity == 'seconds'").empty


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_growth_is_finite_and_its_sentences_are_whole(name, runs, sentence_flaws):
    found = growth(runs[name].table, runs[name].passes)
    for line in found.to_dict("records"):
        assert sentence_flaws(in_words(line)) == []
    if name in ("one size", "failures only", "empty"):
        assert found.empty


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_a_size_that_fits_is_possible(name, runs):
    for knob in KNOBS:
        for quantity in GROWING:
            found = what_fits(runs[name].table, knob, quantity, {"seconds": 1e-3, "bytes": 1e9}[quantity])
            assert (found["size"].dropna() > 0).all()
            assert found["size"].isna().eq(found["basis"] == "none").all()


@pytest.mark.parametrize("name", NAMES)
def test_a_number_of_uses_is_positive(name, runs):
    found = reuse(runs[name].passes)
    assert (found["uses"].dropna() > 0).all()


@pytest.mark.parametrize("width", [64, 4096])
@pytest.mark.parametrize("name", NAMES)
def test_advice_is_never_more_certain_than_the_run(name, width, runs, make_case, make_cell, sentence_flaws):
    rows = [make_cell(make_case(width=width), strategy) for strategy in ("dense", "sparse", "vjp")]
    target = tidy([row | {"status": "not_tried", "seconds_median": None, "peak_bytes": None} for row in rows])
    advice = completed(advise(target, runs[name], 2.0**60), {"width": width, "depth": 3})
    json.dumps(advice.as_dict(), allow_nan=False)
    texts = [*advice_text.verdicts(advice), *advice_text.reasons(advice), advice_text.title(advice)]
    cells = [cell for row in advice_text.rows(advice) for cell in row]
    assert [flaw for text in [*texts, *cells] for flaw in sentence_flaws(" ".join(text.split()))] == []
    time = advice.verdicts.iloc[0]
    if time["decision"] == "ahead":
        assert time["low"] > 1
    if name in ("one pass", "no passes", "failures only", "one size", "empty", "equal") and width == 4096:
        assert time["decision"] != "ahead" or name in ("one pass", "no passes")
