"""Every way in which a gate ends, on a synthetic machine."""

from __future__ import annotations

import pytest

from jacobench.reports.regression.gate_loop import run_gate
from jacobench.reports.regression.thresholds import (
    MAX_PAIRS,
    GateThresholds,
    ThresholdRule,
    Thresholds,
    read_thresholds,
)

A, B = ("a", "dense", "gradient"), ("b", "vjp", "pullback")


def gate(machine, limits=None, max_seconds=1e6):
    return run_gate(machine, limits or GateThresholds(), max_seconds=max_seconds, clock=machine.clock)


def line(outcome, row, quantity="seconds"):
    table = outcome.verdicts
    found = table[(table["case"] == row[0]) & (table["strategy"] == row[1]) & (table["phase"] == row[2])]
    (only,) = found[found["quantity"] == quantity].to_dict("records")
    return only


def test_clear_after_the_first_look(machine, steady):
    here = machine({A: steady(), B: steady()})
    outcome = gate(here)
    assert (outcome.state, outcome.exit_code, outcome.n_pairs) == ("clear", 0, 6)
    assert here.asked == [(None, [0, 1, 2, 3, 4, 5], 1)]
    assert outcome.seconds == 30
    assert set(outcome.verdicts["verdict"]) == {"unchanged"}
    assert line(outcome, A)["detectable"] < 0.03
    assert "did not change" in " ".join(outcome.notes)
    assert len(outcome.samples) == 6 * 2 * 3


def test_a_slower_row_is_confirmed_with_fresh_pairs_of_its_cell_alone(machine, steady):
    here = machine({A: steady(1.10), B: steady()})
    outcome = gate(here)
    assert (outcome.state, outcome.exit_code) == ("regressed", 1)
    assert here.asked == [(None, [0, 1, 2, 3, 4, 5], 1), ([A[:2]], list(range(6, 16)), 2)]
    found = line(outcome, A)
    assert found["verdict"] == "regressed"
    assert found["low"] < 1.10 < found["high"]
    assert found["n_pairs"] == 10
    assert found["head"] / found["base"] == pytest.approx(1.10, rel=0.02)
    assert line(outcome, B)["verdict"] == "unchanged"
    assert [(look.stage, look.n_pairs, look.n_candidates) for look in outcome.interim_looks] == [(1, 6, 1), (2, 10, 1)]


def test_what_fresh_pairs_do_not_confirm_is_no_regression(machine, steady):
    outcome = gate(machine({A: steady(1.10, second=1.0)}))
    assert outcome.state == "clear"
    assert line(outcome, A)["verdict"] == "unchanged"
    assert "not confirmed with fresh pairs" in line(outcome, A)["reason"]


def test_what_fresh_pairs_cannot_decide_is_inconclusive(machine, steady):
    outcome = gate(machine({A: steady(1.9, second=1.03)}, noise=0.15), max_seconds=1000)
    assert (outcome.state, outcome.exit_code) == ("inconclusive", 3)
    assert "neither confirm nor exclude" in line(outcome, A)["reason"]
    assert line(outcome, A)["n_pairs"] == MAX_PAIRS


def test_a_candidate_gets_its_first_ten_pairs_though_the_time_is_up(machine, steady):
    outcome = gate(machine({A: steady(1.10)}), max_seconds=35)
    assert outcome.exit_code == 1
    assert [look.n_pairs for look in outcome.interim_looks if look.stage == 2] == [10]


def test_a_noisy_row_gets_more_pairs_and_no_other(machine, steady):
    here = machine(
        {A: lambda side, stage: steady()(side, stage) | {"seconds": here.rng.lognormal(-7, 0.04)}, B: steady()}
    )
    outcome = gate(here)
    assert here.asked[0][0] is None
    assert {tuple(cells) for cells, _, _ in here.asked[1:]} == {(A[:2],)}
    assert line(outcome, A)["n_pairs"] > line(outcome, B)["n_pairs"] == 6


def test_a_row_too_noisy_for_all_pairs_says_what_it_could_have_seen(machine, steady):
    outcome = gate(machine({A: steady()}, noise=0.3))
    assert outcome.exit_code == 3
    assert outcome.n_pairs == MAX_PAIRS
    assert f"{line(outcome, A)['detectable']:.1%}" in line(outcome, A)["reason"]
    assert "rows under [tool.jacobench.gate]" in outcome.notes[-1]


def test_time_runs_out_with_a_row_undecided(machine, steady):
    here = machine({A: steady()}, noise=0.05)
    outcome = gate(here, max_seconds=45)
    assert outcome.exit_code == 3
    assert outcome.n_pairs == 8  # six, and what still fits, an even number
    assert here.now <= 45


def test_a_faster_row_that_time_runs_out_on_is_known_not_to_be_slower(machine, steady):
    outcome = gate(machine({A: steady(0.7)}), max_seconds=35)
    assert (outcome.state, outcome.n_pairs) == ("clear", 6)
    assert line(outcome, A)["verdict"] == "unchanged"
    assert "-30" in line(outcome, A)["reason"]


def test_stage_one_leaves_time_to_confirm_what_it_has_found(machine, steady):
    noisy = {("n", "vjp", "gradient"): lambda *_: {"seconds": here.rng.lognormal(-7, 0.2)}}
    here = machine({A: steady(1.3), **noisy})
    outcome = gate(here, max_seconds=150)
    assert outcome.state == "regressed"
    assert line(outcome, A)["verdict"] == "regressed"
    assert here.now <= 150


def test_a_machine_that_moved_gives_no_verdict(machine, steady):
    here = machine({A: steady(1.05), B: steady(1.05)}, control=lambda side: 1.05e-4 if side == "head" else 1e-4)
    outcome = gate(here)
    assert (outcome.state, outcome.exit_code) == ("contaminated", 3)
    assert set(outcome.verdicts["verdict"]) == {"inconclusive"}
    assert "calibration kernel changed by +5" in line(outcome, A)["reason"]


def test_a_machine_that_moved_stops_a_gate_that_looks_clear(machine, steady):
    here = machine({A: steady()}, control=lambda side: 0.95e-4 if side == "head" else 1e-4)
    assert gate(here).state == "contaminated"
    assert len(here.asked) == 2  # six pairs are too few to tell


def test_bytes_and_failures_have_verdicts_though_the_machine_moved(machine, steady):
    def grown(side, stage):
        return steady()(side, stage) | {"peak_bytes": 2**21 if side == "head" else 2**20}

    outcome = gate(machine({A: grown}, control=lambda side: 1.05e-4 if side == "head" else 1e-4))
    assert outcome.exit_code == 1
    assert line(outcome, A, "peak_bytes")["verdict"] == "regressed"
    assert line(outcome, A)["verdict"] == "inconclusive"


def test_without_a_control_kernel_the_gate_says_so(machine, steady):
    outcome = gate(machine({A: steady()}, control=None))
    assert outcome.state == "clear"
    assert "calibration kernel was not timed" in " ".join(outcome.notes)


@pytest.mark.parametrize(
    "rows",
    [
        {},
        {A: lambda *_: {"status": "unsupported", "reason": "no"}},
        {A: lambda side, _: {"seconds": 1.0} if side == "base" else {}},
        {
            A: lambda side, _: {"status": "ok"} if side == "base" else {},
            B: lambda side, _: {"status": "ok"} if side == "head" else {},
        },
    ],
)
def test_a_gate_that_measured_nothing_never_passes(machine, rows):
    here = machine(rows)
    outcome = gate(here)
    assert (outcome.state, outcome.exit_code) == ("nothing", 4)
    assert outcome.n_pairs == 6


def test_nothing_at_all(machine):
    assert gate(machine({}, control=None)).exit_code == 4


@pytest.mark.parametrize(
    ("says", "verdict", "state"),
    [
        (lambda side, _: {"seconds": 1.0} if side == "head" else {}, "new", "clear"),
        (lambda side, _: {"seconds": 1.0} if side == "base" else {}, "gone", "clear"),
        (
            lambda side, _: {"status": "wrong", "reason": "off by 2"} if side == "head" else {"seconds": 1.0},
            "broken",
            "regressed",
        ),
        (lambda side, _: {"status": "timeout"} if side == "base" else {"seconds": 1.0}, "improved", "clear"),
        (lambda *_: {"status": "unsupported"}, "not measured", "inconclusive"),
        (lambda side, _: {"status": "error"} if side == "base" else {}, "gone", "inconclusive"),
    ],
)
def test_rows_without_times(machine, steady, says, verdict, state):
    outcome = gate(machine({A: says, B: steady()}))
    assert line(outcome, A)["verdict"] == verdict
    assert outcome.state == state
    assert outcome.n_pairs == 6


def only_head(**found):
    return lambda side, _stage: ({"status": "ok"} | found) if side == "head" else {}


def fails(*_):
    return {"status": "error", "reason": "no module x"}


C = ("c", "mine", "gradient")


@pytest.mark.parametrize(
    ("rows", "state", "note"),
    [
        ({C: only_head()}, "clear", "1 row is new: head was verified"),
        ({C: only_head(), A: fails}, "inconclusive", "Strategy dense: gradient could not be measured on either side"),
        ({C: only_head(status="error", reason="no module x")}, "regressed", ""),
        ({C: only_head(status="unsupported")}, "nothing", "Strategy mine: gradient could not be measured"),
        ({C: lambda side, _: fails() if side == "base" else {"status": "ok"}}, "clear", ""),
    ],
)
def test_the_first_strategy_is_new_and_passes_unless_it_fails(machine, rows, state, note):
    """No row has times on both sides, so no process is started."""
    outcome = gate(machine(rows, control=None))
    assert outcome.state == state
    assert note in " ".join(outcome.notes)
    assert "pairs of fresh processes" not in " ".join(outcome.notes)
    assert "calibration kernel" not in " ".join(outcome.notes)
    assert note or outcome.notes == ()


def test_a_strategy_that_no_side_could_measure_is_not_hidden_by_the_others(machine, steady):
    rows = {
        (case, "mine", phase): fails
        for case in ("a", "b")
        for phase in ("prepare", "linearize", "pullback", "gradient")
    }
    outcome = gate(machine({B: steady(), **rows}))
    assert (outcome.state, outcome.exit_code) == ("inconclusive", 3)
    assert outcome.undecided == ("b", "a")
    assert outcome.notes[-2:] == (
        "Strategy mine could not be measured on either side, at any case.",
        "8 rows not measured: error (no module x) in base and head.",
    )


def test_a_case_that_no_side_could_measure_does_not_matter_if_another_was_measured(machine, steady):
    outcome = gate(machine({A: steady(), ("b", *A[1:]): fails}))
    assert outcome.state == "clear"


def test_the_reason_why_nothing_was_measured_is_printed_once(machine):
    rows = {("a", "mine", phase): fails for phase in ("prepare", "linearize", "pullback", "gradient")}
    outcome = gate(machine(rows, control=None))
    assert (outcome.state, outcome.exit_code) == ("nothing", 4)
    assert " ".join(outcome.notes).count("no module x") == 1


def test_what_is_broken_says_how(machine):
    outcome = gate(
        machine({A: lambda side, _: {"status": "wrong", "reason": "off by 2"} if side == "head" else {"seconds": 1.0}})
    )
    assert outcome.exit_code == 1
    assert "wrong (off by 2) in head in 6 of 6 pairs" in line(outcome, A)["reason"]


def test_a_row_that_fails_now_and_then_on_both_sides_is_judged_by_the_rest(machine, steady):
    def flaky(side, stage):
        return {"status": "timeout"} if here.rng.random() < 0.1 else steady()(side, stage)

    here = machine({A: flaky})
    assert gate(here).state == "clear"


def test_a_faster_row_takes_ten_pairs_and_is_improved(machine, steady):
    outcome = gate(machine({A: steady(0.8)}))
    assert (outcome.state, outcome.n_pairs) == ("clear", 10)
    assert line(outcome, A)["verdict"] == "improved"


def test_slower_within_the_threshold_is_unchanged_and_says_so(machine, steady):
    outcome = gate(machine({A: steady(1.012)}, noise=0.001))
    assert outcome.state == "clear"
    assert "within the threshold of 2.0%" in line(outcome, A)["reason"]


def test_thresholds_hold_for_the_rows_that_they_name(machine, steady):
    limits = read_thresholds({"rows": [{"case": "a", "strategy": "d*", "time": 0.2}]})
    outcome = gate(machine({A: steady(1.1), B: steady(1.1)}), limits)
    assert line(outcome, A)["verdict"] == "unchanged"
    assert line(outcome, A)["threshold"] == 0.2
    assert line(outcome, B)["verdict"] == "regressed"


def test_fewer_pairs_where_they_are_limited(machine, steady):
    outcome = gate(machine({A: steady()}, noise=0.3), GateThresholds(pairs=12))
    assert outcome.n_pairs == 12


def test_an_exponent_that_grew_is_confirmed_though_each_case_passes(machine, sweep):
    rows = sweep(lambda w: 1e-6 * w**2, lambda w: 1e-6 * w**2.2 * 16**-0.2)
    here = machine(rows)
    lax = GateThresholds(Thresholds(time=0.9))
    outcome = gate(here, lax)
    growth = outcome.verdicts[outcome.verdicts["quantity"] == "seconds~width"].iloc[0]
    assert growth["verdict"] == "regressed"
    assert growth["base"] == pytest.approx(2, abs=0.02)
    assert growth["head"] == pytest.approx(2.2, abs=0.02)
    assert growth["case"] == "mlp-w16 … mlp-w256"
    assert set(outcome.verdicts[outcome.verdicts["quantity"] == "seconds"]["verdict"]) == {"unchanged"}
    assert outcome.exit_code == 1
    assert here.asked[1] == ([(f"mlp-w{width}", "dense") for width in (16, 32, 64, 128, 256)], list(range(6, 16)), 2)


def test_an_exponent_threshold_of_its_own(machine, sweep):
    rows = sweep(lambda w: 1e-6 * w**2, lambda w: 1e-6 * w**2.2 * 16**-0.2)
    limits = GateThresholds(Thresholds(time=0.9), (ThresholdRule("*", "dense", {"exponent": 0.3}),))
    assert gate(machine(rows), limits).state == "clear"


@pytest.mark.parametrize("moved", [1.0, 1.05])
def test_memory_that_grows_faster_is_a_regression_at_once_though_the_machine_moved(machine, sweep, moved):
    def heavier(width, says):
        return lambda side, stage: says(side, stage) | {"peak_bytes": 8.0 * width ** (3 if side == "head" else 2)}

    rows = sweep(lambda w: 1e-6 * w**2, lambda w: 1e-6 * w**2, widths=(32, 64, 128))
    here = machine(
        {row: heavier(int(row[0][5:]), says) for row, says in rows.items()},
        control=lambda side: 1e-4 * (moved if side == "head" else 1),
    )
    outcome = gate(here)
    growth = outcome.verdicts[outcome.verdicts["quantity"] == "peak_bytes~width"].iloc[0]
    assert growth["verdict"] == "regressed"
    assert growth["head"] - growth["base"] == pytest.approx(1)
    assert {stage for _, _, stage in here.asked} == {1}


def test_the_undecided_cases_are_those_of_inconclusive_rows(machine, steady):
    def noisy(*_):
        return {"seconds": here.rng.lognormal(-7, 0.3)}

    here = machine({A: noisy, B: steady()})
    outcome = gate(here)
    assert (outcome.state, outcome.undecided) == ("inconclusive", ("a",))


def test_the_undecided_cases_of_a_sweep_are_all_its_sizes(machine, sweep):
    rows = sweep(lambda w: 1e-6 * w**2, lambda w: 1e-6 * w**2, widths=(16, 32, 64))
    last = ("mlp-w64", "dense", "gradient")
    quiet = rows[last]
    rows[last] = lambda side, stage: quiet(side, stage) | {"seconds": 0.07 * here.rng.lognormal(0, 3)}
    here = machine(rows)
    outcome = gate(here)
    assert outcome.verdicts[outcome.verdicts["verdict"] == "inconclusive"]["case"].tolist() == [
        "mlp-w64",
        "mlp-w16 … mlp-w64",
    ]
    growth = outcome.verdicts[outcome.verdicts["quantity"] == "seconds~width"].iloc[0]
    assert growth["verdict"] == "inconclusive"
    assert outcome.undecided == tuple(f"mlp-w{width}" for width in (16, 32, 64))


def test_all_cases_are_undecided_if_the_machine_changed_and_none_if_all_is_clear(machine, steady):
    rows = {A: steady(), B: steady()}
    shifted = machine(rows, control=lambda side: 1.05e-4 if side == "head" else 1e-4)
    assert gate(shifted).undecided == ("a", "b")
    assert gate(machine(rows)).undecided == ()
