"""Two runs with known differences."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

from jacobench.bench.row.columns import tidy
from jacobench.graphs.errors import BadInput
from jacobench.reports.data.run_data import PASS_COLUMNS, Run
from jacobench.reports.regression.two_runs import compare
from jacobench.reports.regression.unpaired_test import holm
from jacobench.reports.render.formatting import verdict_texts

NOISE = 0.01
CASES = [{"case": f"c{k}", "graph": "mlp", "width": 10.0 * 2**k, "depth": 2.0, "batch": 1.0} for k in range(4)]
SECONDS = {"forward": 1e-4, "dense": 3e-3, "vjp": 1e-3}


def run(seed, passes=10, machine="here", controls="tuned", control=1e-4, suite="s", speed=1.0, **changes):
    """Return a run; ``changes`` are by strategy: a factor of its times, or columns of its rows."""
    rng = np.random.default_rng(seed)
    rows, lines = [], []
    for case in CASES:
        for strategy, seconds in SECONDS.items():
            change = changes.get(strategy, {})
            factor, columns = (1.0, change) if isinstance(change, dict) else (change, {})
            phase = "forward" if strategy == "forward" else "gradient"
            own = {"strategy": strategy, "phase": phase, "status": "ok", "passes": passes, "peak_bytes": 2.0**20}
            rows.append(
                case | {"machine": machine, "controls": controls, "suite": suite, "commit": "abc"} | own | columns
            )
            if rows[-1]["status"] == "ok":
                times = seconds * speed * factor * case["width"] ** 2 * rng.lognormal(0, NOISE, passes)
                lines += [(case["case"], strategy, phase, number, 0, "", time) for number, time in enumerate(times)]
    facts = {"command": "jacobench run --suite s --passes 3"} | (
        {"calibration_seconds": [control] * 20} if control else {}
    )
    return Run(tidy(rows), pd.DataFrame(lines, columns=list(PASS_COLUMNS)), name=f"run-{seed}", facts=facts)


def verdicts(outcome, strategy, quantity="seconds"):
    table = outcome.verdicts
    return table[(table["strategy"] == strategy) & (table["quantity"] == quantity)]["verdict"].tolist()


def said(outcome):
    return " ".join(outcome.notes)


def test_the_same_code_twice_is_clear():
    outcome = compare(run(1), run(2))
    assert (outcome.state, outcome.exit_code, outcome.n_pairs) == ("clear", 0, 0)
    assert set(outcome.verdicts["verdict"]) == {"unchanged"}
    assert "not paired" in said(outcome)


def test_a_slower_strategy_is_a_regression_and_no_other_is():
    outcome = compare(run(1), run(2, dense=1.2))
    assert outcome.exit_code == 1
    assert verdicts(outcome, "dense") == ["regressed"] * 4
    assert verdicts(outcome, "vjp") == ["unchanged"] * 4
    line = outcome.verdicts[(outcome.verdicts["strategy"] == "dense")].iloc[0]
    assert line["low"] < 1.2 < line["high"]
    assert line["head"] / line["base"] == pytest.approx(1.2, rel=0.02)


def test_the_interval_is_welchs():
    base, head = run(1), run(2, passes=9, dense=1.2)
    (line,) = (
        compare(base, head)
        .verdicts.query("case == 'c0' and strategy == 'dense' and quantity == 'seconds'")
        .to_dict("records")
    )
    old, new = (np.log(one.passes.query("case == 'c0' and strategy == 'dense'")["seconds"]) for one in (base, head))
    expected = ttest_ind(new, old, equal_var=False).confidence_interval(0.95)
    assert np.log([line["low"], line["high"]]) == pytest.approx([expected.low, expected.high])
    assert np.log(line["ratio"]) == pytest.approx(new.mean() - old.mean())


def test_a_faster_one_is_improved():
    assert verdicts(compare(run(1, dense=1.3), run(2)), "dense") == ["improved"] * 4


def test_below_the_floor_nothing_is_a_regression():
    outcome = compare(run(1), run(2, dense=1.03))
    assert outcome.exit_code in {0, 3}
    assert "regressed" not in set(outcome.verdicts["verdict"])
    assert verdicts(compare(run(1), run(2, dense=1.04), floor=0.02), "dense") == ["regressed"] * 4


def test_fewer_than_eight_passes_say_what_would_decide():
    outcome = compare(run(1, passes=7), run(2, passes=10, dense=2.0))
    assert outcome.exit_code == 3
    assert verdicts(outcome, "dense") == ["inconclusive"] * 4
    assert "7 passes: expected at least 8 per side" in set(outcome.verdicts["reason"])
    assert "jacobench gate --against abc --suite s" in said(outcome)
    assert "jacobench run --suite s --passes 10" in said(outcome)


def test_one_slow_stretch_is_no_regression():
    """Nine passes of ten are slower, as if another tenant was busy; the fastest is as fast as before."""
    head = run(2)
    head.passes.loc[head.passes["pass"] > 0, "seconds"] *= 1.2
    assert "regressed" not in set(compare(run(1), head).verdicts["verdict"])


def test_a_control_kernel_that_moved_takes_the_verdict_of_times():
    outcome = compare(run(1), run(2, control=1.1e-4, speed=1.1))
    assert (outcome.state, outcome.exit_code) == ("contaminated", 3)
    assert verdicts(outcome, "dense") == ["inconclusive"] * 4
    assert verdicts(outcome, "dense", "peak_bytes") == ["unchanged"] * 4
    assert "+10.0%" in said(outcome)


def test_a_change_must_exceed_what_the_control_kernel_moved_by():
    base = run(1)
    assert verdicts(compare(base, run(2, speed=1.07)), "dense") == ["regressed"] * 4
    drifted = compare(base, run(2, control=1.04e-4, speed=1.07))
    assert "regressed" not in verdicts(drifted, "dense")
    assert drifted.verdicts["threshold"].iloc[0] == pytest.approx(1.05 * 1.04 - 1)


def test_without_a_control_kernel_it_says_so():
    assert "was not timed" in said(compare(run(1, control=None), run(2)))


def test_memory_is_tight_and_takes_no_passes():
    outcome = compare(run(1, passes=1), run(2, passes=1, vjp={"peak_bytes": 1.1 * 2**20}))
    assert outcome.exit_code == 1
    assert verdicts(outcome, "vjp", "peak_bytes") == ["regressed"] * 4


def test_memory_by_another_tool_does_not_compare():
    outcome = compare(run(1, vjp={"memory_tool": "memray"}), run(2, vjp={"memory_tool": "tracemalloc"}))
    assert "peak_bytes" not in set(outcome.verdicts["quantity"])


@pytest.mark.parametrize(
    ("base", "head", "verdict", "exit_code"),
    [
        ({}, {"status": "wrong", "reason": "off by 2"}, "broken", 1),
        ({"status": "timeout"}, {}, "improved", 0),
        ({"status": "unsupported"}, {"status": "unsupported"}, "not measured", 0),  # a peer that is not installed
        ({"status": "crashed"}, {"status": "crashed"}, "not measured", 3),
    ],
)
def test_rows_that_fail(base, head, verdict, exit_code):
    outcome = compare(run(1, dense=base), run(2, dense=head))
    assert verdicts(outcome, "dense") == [verdict] * 4
    assert outcome.exit_code == exit_code


def test_a_run_in_which_everything_failed():
    failed = {"status": "crashed"}
    outcome = compare(run(1), run(2, dense=failed, vjp=failed, forward=failed))
    assert outcome.exit_code == 4
    assert set(outcome.verdicts["verdict"]) == {"inconclusive"}


def test_new_and_gone():
    base, head = run(1), run(2)
    fewer = Run(base.table[base.table["strategy"] != "dense"], base.passes, facts=base.facts)
    assert verdicts(compare(fewer, head), "dense") == ["new"] * 4
    assert verdicts(compare(head, fewer), "dense") == ["gone"] * 4


def test_a_strategy_that_is_new_and_wrong_is_broken():
    base, head = run(1), run(2, dense={"status": "wrong", "reason": "off by 2"})
    fewer = Run(base.table[base.table["strategy"] != "dense"], base.passes, facts=base.facts)
    outcome = compare(fewer, head)
    assert (outcome.exit_code, verdicts(outcome, "dense")) == (1, ["broken"] * 4)


def test_across_machines_a_failure_is_not_left_out():
    failed = {"dense": {"status": "crashed", "reason": "signal 11"}}
    outcome = compare(run(1), run(2, machine="there", **failed), across_machines=True)
    assert outcome.exit_code == 3
    assert verdicts(outcome, "dense") == ["inconclusive"] * 4
    reason = outcome.verdicts.set_index("strategy").loc["dense", "reason"].iloc[0]
    assert reason == "ok in base, crashed (signal 11) in head, in too few passes to be sure"


def test_the_command_that_decides_is_complete_and_quoted():
    base, head = run(1, passes=3), run(2, passes=3)
    head.facts["command"] = "jacobench run --suite '/my work/s.toml' --strategy 'a b.py:Mine' --passes 3 --timeout 60"
    note = said(compare(base, head))
    cases = " ".join(f"--case c{k}" for k in range(4))
    assert f"jacobench gate --against abc --suite '/my work/s.toml' --strategy 'a b.py:Mine' {cases} " in note
    assert note.endswith("jacobench run --suite '/my work/s.toml' --strategy 'a b.py:Mine' --timeout 60 --passes 10")


def test_one_pass_does_not_decide_how_the_time_grows():
    found = compare(run(1, passes=1), run(2, passes=1)).verdicts.query("quantity == 'seconds~width'")
    assert set(found["verdict"]) == {"inconclusive"}
    assert set(found["reason"]) == {"1 pass: expected at least 8 per side"}


def test_a_dirty_base_cannot_be_measured_again_by_the_gate():
    base = run(1, passes=3)
    base.table["commit"] = "abc-dirty"
    assert "jacobench gate" not in said(compare(base, run(2, passes=3)))


def test_runs_with_nothing_in_common_measured_nothing():
    base, head = run(1), run(2)
    renamed = Run(head.table.assign(case="other" + head.table["case"]), head.passes.iloc[:0], facts=head.facts)
    assert compare(base, renamed).exit_code == 4


@pytest.mark.parametrize("column", ["machine", "controls"])
def test_other_machines_or_controls_are_refused(column):
    with pytest.raises(BadInput, match="--across-machines") as raised:
        compare(run(1), run(2, **{column: "there"}))
    assert "'there'" in str(raised.value)


def test_across_machines_ratios_to_references_are_compared():
    outcome = compare(run(1), run(2, machine="there", speed=3.0), across_machines=True)
    assert (outcome.state, outcome.exit_code) == ("clear", 0)
    assert set(outcome.verdicts["quantity"]) == {"seconds/vjp", "seconds/forward", "peak_bytes"}
    assert "Across machines" in said(outcome)
    assert outcome.verdicts[outcome.verdicts["quantity"] == "seconds/vjp"]["base"].median() == pytest.approx(
        3, rel=0.02
    )


def test_two_noisy_passes_detect_no_change_that_a_number_could_hold():
    base, head = (run(seed, passes=2) for seed in (1, 2))
    head.passes.loc[head.passes["strategy"].eq("dense") & head.passes["pass"].eq(1), "seconds"] *= 1e10
    found = compare(base, head).verdicts.set_index(["strategy", "quantity"])
    assert np.isfinite(found.loc[[("dense", "seconds")], "detectable"]).all()
    assert {line.detectable for line in verdict_texts(found.loc[[("dense", "seconds")]].reset_index())} == {"> 100×"}


def test_across_machines_a_ratio_that_grew_is_inconclusive():
    outcome = compare(run(1), run(2, machine="there", dense=1.5), across_machines=True)
    assert outcome.exit_code == 3
    assert verdicts(outcome, "dense", "seconds/vjp") == ["inconclusive"] * 4
    assert verdicts(outcome, "vjp", "seconds/forward") == ["unchanged"] * 4


def test_across_machines_the_floor_is_a_reference_where_it_is_known():
    floors = {"dense": {"floor_seconds": 1e-3}}
    outcome = compare(run(1, **floors), run(2, **floors), across_machines=True)
    assert verdicts(outcome, "dense", "seconds/floor") == ["unchanged"] * 4


def test_an_exponent_that_grew():
    base, head = run(1), run(2)
    head.passes["seconds"] *= head.passes["case"].map({f"c{k}": 2.0**k for k in range(4)})
    growth = compare(base, head).verdicts.query("quantity == 'seconds~width'")
    assert set(growth["verdict"]) == {"regressed"}
    np.testing.assert_allclose(growth["head"] - growth["base"], 1, atol=0.05)


def test_runs_without_passes_are_inconclusive():
    base, head = run(1), run(2)
    assert compare(Run(base.table), Run(head.table)).exit_code == 3


def test_a_floor_that_is_no_share():
    with pytest.raises(BadInput, match="floor is 5"):
        compare(run(1), run(2), floor=5)


def test_holm_is_never_below_the_p_value_and_bounds_the_family():
    p_values = np.array([0.001, 0.04, 0.5, math.nan])
    found = holm(p_values)
    np.testing.assert_allclose(found, [0.004, 0.12, 1.0, 1.0])
    rng = np.random.default_rng(0)
    assert np.mean([holm(rng.random(50)).min() <= 0.05 for _ in range(1000)]) < 0.07


def test_a_strategy_that_became_wrong_is_broken_whatever_the_passes():
    outcome = compare(run(1, passes=3), run(2, passes=3, dense={"status": "wrong", "reason": "W1 differs by 0.5"}))
    assert set(verdicts(outcome, "dense")) == {"broken"}
    assert outcome.exit_code == 1


def test_one_crash_is_not_called_eight():
    outcome = compare(run(1), run(2, dense={"status": "crashed", "reason": "signal 11"}))
    assert set(verdicts(outcome, "dense")) == {"inconclusive"}
    assert outcome.exit_code == 3
