"""Advice, on synthetic runs with known answers."""

import json
import math
import shlex
import subprocess

import numpy as np
import pandas as pd
import pytest

from jacobench.bench.floor.predicted_rows import one_case
from jacobench.bench.row.columns import tidy
from jacobench.bench.suites.suite_files import load_suite
from jacobench.reports.analysis.case_advice import advise, advise_from_runs, completed
from jacobench.reports.analysis.single_verdict import RATIO_EXPONENT
from jacobench.reports.data.run_data import Run

GIB = 2**30
COLUMNS = ["case", "strategy", "phase", "pass", "worker", "seconds"]


@pytest.fixture
def target_of(make_case, make_cell):
    def target(strategies=("dense", "sparse", "vjp"), **knobs):
        rows = [make_cell(make_case(**knobs), name) for name in strategies]
        return tidy([row | {"status": "not_tried", "seconds_median": None, "peak_bytes": None} for row in rows])

    return target


def run_of(table, n_passes=5, noise=0.01):
    rng = np.random.default_rng(3)
    ok = table[table["status"] == "ok"]
    parts = [
        ok.assign(
            **{"pass": k, "worker": 0, "seconds": ok["seconds_median"] * np.exp(noise * rng.standard_normal(len(ok)))}
        )
        for k in range(n_passes)
    ]
    passes = pd.concat(parts)[COLUMNS] if parts else pd.DataFrame([], columns=COLUMNS)
    return Run(table, passes, name="first")


def verdicts(advice):
    return advice.verdicts.set_index("quantity").to_dict("index")


def strategies(advice):
    return advice.strategies.set_index("strategy").to_dict("index")


def test_a_case_that_was_measured_goes_by_itself(standard, target_of):
    advice = advise(target_of(width=128), run_of(standard), 8 * GIB)
    time, memory = verdicts(advice).values()
    assert (time["strategy"], time["runner_up"], time["decision"], time["basis"]) == (
        "vjp",
        "sparse",
        "ahead",
        "measured",
    )
    assert (time["at"], time["distance_factor"], time["n"]) == ("mlp-w128-d3-b1", 1, 5)
    assert time["factor"] == pytest.approx(6, rel=0.05)
    assert (memory["strategy"], memory["basis"], memory["decision"]) == ("vjp", "measured", "ahead")
    assert memory["factor"] == pytest.approx(3)
    assert math.isnan(strategies(advice)["vjp"]["seconds_error_factor"])
    assert advice.source == "first"


def test_a_case_near_one_that_was_measured_goes_by_that_and_says_so(standard, target_of):
    advice = advise(target_of(width=120), run_of(standard), 8 * GIB)
    time, memory = verdicts(advice).values()
    assert (time["strategy"], time["decision"], time["basis"]) == ("vjp", "ahead", "near")
    assert (time["at"], time["differs"]) == ("mlp-w128-d3-b1", "width 128, not 120")
    exact = verdicts(advise(target_of(width=128), run_of(standard), 8 * GIB))["seconds"]
    assert time["low"] == pytest.approx(exact["low"] / (128 / 120) ** RATIO_EXPONENT)
    assert time["high"] == pytest.approx(exact["high"] * (128 / 120) ** RATIO_EXPONENT)
    assert memory["basis"] == "model"
    assert strategies(advice)["vjp"]["bytes"] == 8 * 3 * 120**2


def test_what_may_be_otherwise_at_the_case_is_undecided(standard, target_of):
    standard.loc[standard["strategy"] == "sparse", "seconds_median"] /= 5.5  # 1.09 times that of vjp
    assert verdicts(advise(target_of(width=128), run_of(standard), GIB))["seconds"]["decision"] == "ahead"
    assert verdicts(advise(target_of(width=120), run_of(standard), GIB))["seconds"]["decision"] == "undecided"


def test_a_case_far_from_all_goes_by_the_model(standard, target_of):
    advice = advise(target_of(width=1000, batch=100), run_of(standard), 1e6 * GIB)
    time, memory = verdicts(advice).values()
    assert (time["strategy"], time["runner_up"], time["basis"], memory["basis"]) == ("vjp", "sparse", "model", "model")
    assert (time["decision"], memory["decision"]) == ("undecided", "ahead")  # too far for a factor of 6
    assert time["factor"] == pytest.approx(6)
    assert time["low"] < 1
    closer = verdicts(advise(target_of(width=512), run_of(standard), 1e6 * GIB))["seconds"]
    assert (closer["decision"], closer["basis"]) == ("ahead", "model")
    assert memory["factor"] == pytest.approx(300)
    assert time["distance_factor"] > 10
    assert advice.reuse.empty


def test_the_model_names_no_winner_within_its_own_error(standard, target_of):
    rng = np.random.default_rng(4)
    standard["seconds_median"] *= np.exp(0.3 * rng.standard_normal(len(standard)))
    standard.loc[standard["strategy"] == "sparse", "seconds_median"] /= 5
    time = verdicts(advise(target_of(width=700), run_of(standard), 1e6 * GIB))["seconds"]
    assert (time["decision"], time["basis"]) == ("undecided", "model")
    assert {time["strategy"], time["runner_up"]} == {"sparse", "vjp"}
    assert time["low"] < 1 < time["factor"] < time["high"]


@pytest.mark.parametrize("width", [128, 120, 700])
def test_what_is_over_the_budget_is_said_and_never_recommended(standard, target_of, width):
    standard.loc[standard["strategy"] == "dense", "seconds_median"] = 1e-12  # the fastest by far
    budget = 24 * 3 * width**2 + 1  # sparse fits, dense does not
    advice = advise(target_of(width=width), run_of(standard), budget)
    assert strategies(advice)["dense"]["status"] == "over_budget"
    assert all("dense" not in {line["strategy"], line["runner_up"]} for line in verdicts(advice).values())
    alone = advise(target_of(width=width), run_of(standard), 24 * 3 * width**2 - 1)
    assert {line["decision"] for line in verdicts(alone).values()} == {"alone"}
    nothing = advise(target_of(width=width), run_of(standard), 10)
    assert {line["decision"] for line in verdicts(nothing).values()} == {"nothing"}
    assert not any(isinstance(line["strategy"], str) for line in verdicts(nothing).values())


def test_a_phase_other_than_the_one_that_counts_can_be_over_the_budget(standard, target_of):
    target = target_of(width=128)
    prepare = target.assign(phase="prepare", predicted_bytes=target["predicted_bytes"] * [100, 1, 1])
    advice = advise(pd.concat([target, prepare]), run_of(standard), 10 * 8 * 3 * 128**3)
    assert strategies(advice)["dense"]["status"] == "over_budget"


def test_a_peak_that_numpy_may_have_cached_is_predicted_instead(standard, target_of):
    standard.loc[(standard["strategy"] == "vjp") & (standard["width"] == 16), "peak_bytes"] = 0.0
    memory = verdicts(advise(target_of(width=16), run_of(standard), GIB))["bytes"]
    assert (memory["basis"], memory["strategy"], memory["factor"]) == ("model", "vjp", pytest.approx(3))


def test_what_failed_at_the_case_is_not_recommended_for_memory(standard, target_of):
    standard.loc[(standard["strategy"] == "vjp") & (standard["width"] == 128), "status"] = "wrong"
    for width in (128, 120):
        advice = advise(target_of(width=width), run_of(standard), GIB)
        assert [line["strategy"] for line in verdicts(advice).values()] == ["sparse", "sparse"]
        assert strategies(advice)["vjp"]["status"] == "wrong"


def test_estimates_from_very_far_away_do_not_overflow(standard, target_of):
    standard["seconds_median"] *= np.exp(3 * np.random.default_rng(5).standard_normal(len(standard)))
    advice = advise(target_of(width=2**31 - 1, batch=2**31 - 1, depth=2**20), run_of(standard), 1e300)
    assert advice.basis == "model"
    json.dumps(advice.as_dict(), allow_nan=False)


def test_one_pass_decides_nothing(standard, target_of):
    time = verdicts(advise(target_of(width=128), run_of(standard, n_passes=1), GIB))["seconds"]
    assert (time["decision"], time["n"]) == ("one pass", 1)


def test_a_case_at_which_all_failed_is_not_guessed_at(standard, target_of):
    standard.loc[standard["case"] == "mlp-w128-d3-b1", "status"] = "crashed"
    advice = advise(target_of(width=128), run_of(standard), GIB)
    time = verdicts(advice)["seconds"]
    assert (time["decision"], time["basis"]) == ("nothing", "measured")
    assert {line["status"] for line in strategies(advice).values()} == {"crashed"}


def test_a_run_that_did_not_record_its_passes_goes_by_the_model(standard, target_of):
    assert advise(target_of(width=128), run_of(standard, n_passes=0), GIB).basis == "model"


def test_a_run_in_which_nothing_succeeded_says_nothing(standard, target_of):
    standard["status"] = "error"
    advice = advise(target_of(width=100), run_of(standard), GIB)
    assert advice.basis == ""
    assert {line["decision"] for line in verdicts(advice).values()} == {"nothing"}
    assert {line["status"] for line in strategies(advice).values()} == {"no estimate"}


def test_a_strategy_without_a_model_counts_where_it_was_measured(standard, target_of, make_case, make_cell):
    mine = tidy([make_cell(make_case(width=128), "mine")]).assign(seconds_median=1e-9, predicted_bytes=math.nan)
    run = run_of(pd.concat([standard, mine], ignore_index=True))
    assert verdicts(advise(target_of(width=128), run, GIB))["seconds"]["strategy"] == "mine"
    target = pd.concat([target_of(width=700), target_of(("mine",), width=700).assign(predicted_bytes=math.nan)])
    advice = advise(target, run, 100 * GIB)
    assert verdicts(advice)["seconds"]["strategy"] == "vjp"
    assert strategies(advice)["mine"]["status"] == "no estimate"


def test_after_how_many_uses_a_jacobian_pays(standard, target_of):
    run = run_of(standard)
    seconds = {
        ("vjp", "linearize"): 1.0,
        ("vjp", "pullback"): 3.0,
        ("dense", "linearize"): 21.0,
        ("dense", "pullback"): 1.0,
    }
    more = [("mlp-w128-d3-b1", *cell, k, 0, value) for cell, value in seconds.items() for k in range(3)]
    run = Run(run.table, pd.concat([run.passes, pd.DataFrame(more, columns=COLUMNS)]))
    (line,) = advise(target_of(width=120), run, GIB).reuse.to_dict("records")
    assert (line["case"], line["strategy"], line["uses"]) == ("mlp-w128-d3-b1", "dense", pytest.approx(10))


def test_the_best_founded_of_several_runs_counts(standard, target_of):
    exact = standard["case"] == "mlp-w128-d3-b1"
    near = standard.copy()
    near.loc[exact, ["case", "width"]] = "mlp-w130-d3-b1", 130
    runs = {
        "model": run_of(standard[~exact]),
        "near": run_of(near),
        "measured": run_of(standard),
        "": run_of(tidy([])),
    }
    found = [advise(target_of(width=128), run, GIB) for run in runs.values()]
    assert [advice.basis for advice in found] == list(runs)
    assert [advice.basis for advice in sorted(found, key=lambda advice: advice.rank)] == [
        "measured",
        "near",
        "model",
        "",
    ]


def test_it_can_be_written_as_json(standard, target_of):
    advice = advise(target_of(width=700), run_of(standard), GIB)
    expected = json.loads(json.dumps(advice.as_dict(), allow_nan=False))
    assert expected["verdicts"][0]["at"] is None
    assert [line["strategy"] for line in expected["strategies"]] == ["dense", "sparse", "vjp"]


@pytest.mark.parametrize("width", [128, 120, 700])
def test_nobody_is_ahead_while_a_candidate_has_no_estimate(standard, target_of, width):
    dense = standard["strategy"] == "dense"
    standard.loc[dense, ["status", "seconds_median", "peak_bytes"]] = "not_tried", math.nan, math.nan
    found = verdicts(advise(target_of(width=width), run_of(standard), 1e6 * GIB))
    for line in found.values():
        assert (line["strategy"], line["decision"], line["without_estimate"]) == ("vjp", "undecided", "dense")
        assert line["runner_up"] == "sparse"
    standard.loc[dense, "status"] = "unsupported"  # no candidate
    found = verdicts(advise(target_of(width=width), run_of(standard), 1e6 * GIB))
    assert [line["decision"] for line in found.values()] == ["ahead", "ahead"]


def test_a_rival_with_a_wide_interval_is_open_near_a_case_and_the_runner_up_is_the_second(standard, target_of):
    run = run_of(standard)
    noisy = (run.passes["strategy"] == "dense") & (run.passes["case"] == "mlp-w128-d3-b1")
    spread = np.where(noisy, np.exp(2.5 * (run.passes["pass"] - 2)), 1)
    run = Run(run.table, run.passes.assign(seconds=run.passes["seconds"] * spread), name="first")
    for width in (128, 120):
        time = verdicts(advise(target_of(width=width), run, GIB))["seconds"]
        assert (time["decision"], time["runner_up"], time["open_rivals"]) == ("undecided", "sparse", "dense")


def test_what_a_strategy_needs_counts_against_the_budget(standard, target_of):
    needed = {"dense": 10.0, "sparse": 10.0, "vjp": 2.0 * GIB}
    advice = advise(target_of(width=128), run_of(standard), GIB, needed=needed)
    assert strategies(advice)["vjp"]["status"] == "over_budget"
    assert strategies(advice)["vjp"]["needs_bytes"] == 2 * GIB


@pytest.mark.parametrize(
    "knobs",
    [
        {"widths": [784, 300, 10], "batch": 32, "activation": "relu", "loss": "cross_entropy", "dtype": "float32"},
        {"name": "lenet-300-100", "n_seeds": 3},
        {"widths": [7, 7], "weight_density": 0.5},
    ],
    ids=str,
)
def test_the_command_that_measures_a_case_works_when_copied(standard, knobs, tmp_path):
    case = one_case(knobs)
    advice = completed(advise_from_runs(case, [run_of(standard)], 1e6 * GIB), knobs)
    write, run = advice.command.split(" && ")
    subprocess.run(["sh", "-c", write], cwd=tmp_path, check=True)
    command, verb, option, file, *strategies = shlex.split(run)
    assert (command, verb, option, strategies[:2]) == ("jacobench", "run", "--suite", ["--strategy", "dense"])
    assert strategies[-2:] == ["--memory-budget", f"{10**6 * 1024}MiB"]
    (written,) = load_suite(tmp_path / file).cases
    assert written.knobs == case.knobs
    assert written.name == case.name


@pytest.mark.parametrize(("width", "decision"), [(1000, "ahead"), (60, "undecided")])
def test_without_measured_peaks_the_tested_error_of_the_byte_model_decides(standard, target_of, width, decision):
    """It is 5 % plus 200 KiB. At width 60, vjp needs 84 KiB and sparse three times as much."""
    tested = standard.assign(predicted_seconds=standard["seconds_median"], peak_bytes=math.nan)
    advice = advise(target_of(width=width), Run(tidy([])), 1e6 * GIB, tested=tested)
    memory, own = verdicts(advice)["bytes"], strategies(advice)
    assert (memory["strategy"], memory["runner_up"], memory["decision"]) == ("vjp", "sparse", decision)
    vjp, sparse, buffers = own["vjp"]["bytes"], own["sparse"]["bytes"], 200 * 2**10
    assert memory["factor"] == pytest.approx(3)
    assert memory["low"] == pytest.approx(max(0.95 * sparse - buffers, 0) / (1.05 * vjp + buffers))
    known = 0.95 * vjp > buffers
    error = vjp / (0.95 * vjp - buffers) if known else math.nan
    assert own["vjp"]["bytes_error_factor"] == pytest.approx(error, nan_ok=True)
    own_code = target_of(strategies=("mine", "vjp"), width=1000)
    found = advise(own_code, Run(tidy([])), 1e6 * GIB, tested=tested.replace("sparse", "mine"))
    assert verdicts(found)["bytes"]["decision"] == "undecided"


def test_the_reason_of_a_missing_estimate_is_kept(standard, target_of):
    reason = "no prediction: it has no method predict"
    target = pd.concat([target_of(width=4), target_of(width=4).assign(strategy="mine", reason=reason)])
    found = advise(target, run_of(standard), GIB)
    assert found.without_model == {"mine": "it has no method predict"}


def test_a_case_that_was_measured_needs_no_command(standard, target_of):
    advice = advise(target_of(width=128), run_of(standard), GIB)
    assert completed(advice, {"width": 128, "depth": 3}).command == ""


def test_a_winner_near_a_measured_case_is_in_doubt_within_the_uncertainty_of_the_ratio(standard, target_of):
    table = standard.assign(floor_seconds=standard["seconds_median"] / 5.8)  # sparse takes six times as long as vjp
    found = [verdicts(advise(target_of(width=width), run_of(table), 8 * GIB))["seconds"] for width in (128, 120)]
    assert [time["decision"] for time in found] == ["ahead", "ahead"]
    assert [time["could_win"] for time in found] == [{}, {"sparse": pytest.approx(5.8)}]


def test_cells_that_test_the_model_join_those_of_a_run(standard, target_of):
    """Both tables number their rows from 0."""
    target = target_of(width=3000).assign(predicted_seconds=1e-3)
    run, tested = run_of(standard), standard.assign(predicted_seconds=standard["seconds_median"])
    found = strategies(advise(target, run, 8 * GIB, tested=tested))
    assert found["vjp"]["seconds"] == pytest.approx(1e-3, rel=0.5)
